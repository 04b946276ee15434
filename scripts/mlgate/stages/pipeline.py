"""Several stages in one process, in order: all of them on a laptop, those of a job on GitHub. The gate always decides, the report always
tells; imports are shared, and made while the training or a download is waited for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from mlgate import stages
from mlgate.context import RunContext
from mlgate.evidence import BEFORE_THE_GATE, STAGES, Evidence
from mlgate.stages.reporting import drawing
from mlgate.workspace import Workspace

LABELS = {
    "check": "running your tests",
    "pull-data": "pulling data",
    "validate-data": "checking the data",
    "train": "training",
    "evaluate": "evaluating",
    "gate": "deciding",
    "report": "writing the report",
}
# What a stage needs that takes long to import.
_IMPORTS = {
    "validate-data": ("mlgate.stages.validate_data", "pandera.pandas"),
    "evaluate": ("mlgate.stages.evaluate", "sklearn.metrics"),
    "gate": ("mlgate.stages.gate",),
    "report": ("mlgate.stages.report",),
}


@dataclass(frozen=True)
class Finished:
    """What came of several stages."""

    decisive: Evidence[Any]
    """The gate's, where it ran; else of the first stage that did not pass, else of the last."""
    exit_code: int
    """That of `decisive`; the report's where all else passed and the report failed."""


def run(workspace: Workspace, chosen: Collection[str], shown: Callable[[Evidence[Any]], None]) -> Finished:
    """Run stages in the order of a pull request; the first that does not pass ends the way to the gate.

    Args:
        workspace: the model's folder.
        chosen: names of stages, at least one.
        shown: called with the evidence of each stage as soon as it is there.
    """
    done: dict[str, Evidence[Any]] = {}
    ordered = [stage for stage in STAGES if stage in chosen]
    try:
        for stage in ordered:
            if stage == "report" or (stage in BEFORE_THE_GATE and any(evidence.exit_code for evidence in done.values())):
                continue
            if stage == "gate" and "report" in chosen:
                drawing.expect(workspace.state)
            following = ordered[ordered.index(stage) + 1 :]
            done[stage] = _run(stage, replace(workspace, import_ahead=_imports(following, workspace.context)), shown)
    finally:  # also where a stage broke down: the report says so
        if "report" in chosen:
            done["report"] = _run("report", workspace, shown)
    if "report" in chosen:
        from mlgate.stages import report

        workspace.console.line(report.terminal_answer(workspace))
    return _finished(list(done.values()))


def _finished(done: list[Evidence[Any]]) -> Finished:
    failed = [evidence for evidence in done if evidence.exit_code]
    gate = [evidence for evidence in done if evidence.stage == "gate"]
    decisive = (gate or failed or done[-1:])[0]
    return Finished(decisive, decisive.exit_code or (failed[0].exit_code if failed else 0))


def _imports(following: Collection[str], context: RunContext) -> tuple[str, ...]:
    modules = tuple(module for stage in following for module in _IMPORTS.get(stage, ()))
    return (*modules, "github") if context.is_github and "report" in following else modules


def _run(stage: str, workspace: Workspace, shown: Callable[[Evidence[Any]], None]) -> Evidence[Any]:
    workspace.console.line(f"▸ {LABELS[stage]}")
    evidence = stages.run(stage, workspace)
    shown(evidence)
    return evidence
