"""The stages, one module each: wiring between the configuration, the domain packages and the evidence. No algorithms."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from typing import Any

import mlgate
from mlgate import evidence as records
from mlgate.errors import InfrastructureError, MlgateError
from mlgate.evidence import STAGES, Evidence
from mlgate.stages.job import secret_env
from mlgate.workspace import StageResult, Workspace

__all__ = ["STAGES", "run"]


def run(stage: str, workspace: Workspace) -> Evidence[Any]:
    """Run one stage and write its evidence, whatever happens to it.

    A stage module is imported only here, when it runs, and brings what it needs with it.

    Returns:
        The evidence, also written to the state folder; its `exit_code` is the stage's.

    Raises:
        InputError: the state folder is a link where it may not be one.
        InfrastructureError: the disk refuses the evidence.
    """
    module = importlib.import_module(f"mlgate.stages.{stage.replace('-', '_')}")
    started_at, clock = records.now(), time.perf_counter()
    workspace.prepare_state()
    _forget(workspace.evidence_path(stage))
    try:
        result: StageResult = module.run(workspace)
    except MlgateError as error:
        result = StageResult(status="error", summary=str(error), exit_code=error.exit_code)
    exit_code = result.exit_code if result.exit_code is not None else Evidence.EXIT_CODES[result.status]
    evidence = Evidence[Any](
        mlgate_version=mlgate.__version__,
        stage=stage,
        model=workspace.config.model,
        status=result.status,
        summary=secret_env.hidden(_storable(result.summary), os.environ),
        subject=workspace.subject(result.data),
        started_at=started_at,
        duration_s=time.perf_counter() - clock,
        findings=None if result.findings is None else secret_env.hidden_in(result.findings, os.environ),
        exit_code=exit_code,
        files=result.files,
        annotations=[secret_env.hidden_in(annotation, os.environ) for annotation in result.annotations],
    )
    workspace.prepare_state()
    records.write(evidence, workspace.evidence_path(stage))
    return evidence


def _forget(path: Path) -> None:
    """Evidence that lies there is not ours, and must not pass for ours where we come to no end."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be removed: {error.strerror}") from None


def _storable(text: str) -> str:
    """Text as evidence takes it: of bounded length, and Unicode that JSON can carry, whatever file names or keys it speaks of."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= records.MAX_TEXT else f"{text[: records.MAX_TEXT - 1]}…"
