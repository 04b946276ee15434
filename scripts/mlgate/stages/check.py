"""check: the user's own tests, before anything else. The first failure ends the stage."""

from __future__ import annotations

from mlgate.evidence import CheckFindings, CommandRun
from mlgate.stages.job import commands
from mlgate.workspace import StageResult, Workspace


def run(workspace: Workspace) -> StageResult:
    """Run `checks` in order, until one fails.

    Raises:
        InfrastructureError: we were interrupted, or the disk refuses the output.
    """
    checks = workspace.config.checks
    if not checks:
        return StageResult(status="skipped", summary="no checks configured")
    done: list[CommandRun] = []
    for number, command in enumerate(checks, 1):
        done.append(commands.run(workspace, command, f"check/{number}.log"))
        if done[-1].exit_code != 0:
            break
    failed = done[-1] if done[-1].exit_code != 0 else None
    duration_s = sum(run.duration_s for run in done)
    return StageResult(
        status="failed" if failed else "passed",
        summary=commands.failure(failed) if failed else f"{len(done)} check{'s' if len(done) > 1 else ''} passed in {duration_s:.1f} s",
        findings=CheckFindings(commands=done),
        files=[run.log for run in done if run.log],
    )
