"""What was run before on the same inputs, as DVC's run cache has it on the remote: asked before a training, kept after one."""

from __future__ import annotations

from mlgate.data import dvc_log
from mlgate.data.tracking import dvc_root
from mlgate.training import run_cache
from mlgate.training.run_cache import Recalled
from mlgate.workspace import Workspace


def recall(workspace: Workspace) -> tuple[Recalled, str | None]:
    """Bring earlier runs of the pipeline here. Returns what is known of them, and a remark where they could not be asked for."""
    repository = dvc_root(workspace.root)
    if repository is None:
        return Recalled(), None
    with workspace.console.progress("looking for earlier runs of the pipeline"), dvc_log.captured() as log:
        recalled = run_cache.recall(repository, workspace.root, workspace.config.data.remote)
    if recalled.stages:
        brought = f", {recalled.objects:,} file{'s' if recalled.objects != 1 else ''} brought from the remote" if recalled.objects else ""
        workspace.console.line(f"  run before on these inputs: {', '.join(recalled.stages[:10])}{brought}")
    if not recalled.problem:
        return recalled, None
    return recalled, (f"DVC's run cache could not be asked, so stages may run that another machine has run: {_why(log, recalled.problem)}")


def keep(workspace: Workspace) -> str | None:
    """Keep the run for other machines, but for a fork's. Returns a remark where it could not be kept."""
    repository = dvc_root(workspace.root)
    if repository is None or workspace.context.is_fork:
        return None
    with workspace.console.progress("keeping the run for other machines"), dvc_log.captured() as log:
        kept = run_cache.keep(repository, workspace.root, workspace.config.data.remote)
    if not kept.problem:
        return None
    return f"DVC's run cache could not be kept on the remote, so another machine will train this again: {_why(log, kept.problem)}"


def _why(log: dvc_log.Captured, problem: str) -> str:
    """What DVC only tells its log says more."""
    reason = dvc_log.reason(log.errors)
    return reason.text if reason else problem
