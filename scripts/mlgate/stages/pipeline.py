"""The whole path on a laptop: every stage in order, as a pull request runs them. The gate always decides, the report always tells."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mlgate import stages
from mlgate.evidence import BEFORE_THE_GATE, Evidence
from mlgate.stages import report
from mlgate.workspace import Workspace

LABELS = {
    "check": "running your tests",
    "pull-data": "pulling data",
    "validate-data": "checking contracts",
    "train": "training",
    "evaluate": "evaluating",
    "gate": "deciding",
    "report": "writing the report",
}


def run(workspace: Workspace, shown: Callable[[Evidence[Any]], None]) -> int:
    """Run all stages; the first that does not pass ends the way to the gate.

    Args:
        workspace: the model's folder; what earlier runs left in its state is forgotten.
        shown: called with the evidence of each stage as soon as it is there.

    Returns:
        The gate's exit code; the report's where the gate is open and the report failed.
    """
    workspace.empty_state()
    for stage in BEFORE_THE_GATE:
        if stage == "train":
            threading.Thread(target=_import_ahead, args=(workspace,), daemon=True).start()
        if _run(stage, workspace, shown).exit_code:
            break
    gate, reported = (_run(stage, workspace, shown) for stage in ("gate", "report"))
    workspace.console.line(report.terminal_answer(workspace))
    return gate.exit_code or reported.exit_code


def _import_ahead(workspace: Workspace) -> None:
    """Import what the stages after training need while the training, another process, runs: they cost two seconds otherwise."""
    modules = ["mlgate.stages.evaluate", "sklearn.metrics", "mlgate.stages.gate"]
    modules += ["github"] if workspace.context.is_github else []
    for module in modules:
        with suppress(ImportError):  # whoever needs it says so
            importlib.import_module(module)


def _run(stage: str, workspace: Workspace, shown: Callable[[Evidence[Any]], None]) -> Evidence[Any]:
    workspace.console.line(f"▸ {LABELS[stage]}")
    evidence = stages.run(stage, workspace)
    shown(evidence)
    return evidence
