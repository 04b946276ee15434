"""Which DVC stages a training command went through: run, or reused from an earlier run. Read from what DVC printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mlgate.evidence import PipelineStage

_RAN = re.compile(r"^Running stage '(?P<name>[^'\n]+)'")
_REUSED = re.compile(r"^Stage '(?P<name>[^'\n]+)' (?:is cached - skipping run|didn't change, skipping)")
# Options that neither force a stage nor choose among them; what stands behind a target, `&&` or a pipe may run anything.
_WHOLE_REPRO = re.compile(r"\s*(?:python3?\s+-m\s+)?dvc\s+repro(?:\s+(?:-q|--quiet|-v|--verbose|--pull|--allow-missing))*\s*")
_MAX_LINE = 4_096
_MAX_STAGES = 10_000


def is_whole_repro(command: str) -> bool:
    """Whether a command is `dvc repro` of the whole pipeline and nothing else, so that DVC's stages are all that it can run."""
    return _WHOLE_REPRO.fullmatch(command) is not None


def stages(lines: Iterable[str]) -> list[PipelineStage]:
    """Stages in the order DVC came to them; one that ran at least once was not reused."""
    found: dict[str, bool] = {}
    for line in lines:
        ran, reused = _RAN.match(line), _REUSED.match(line)
        if ran:
            found[ran["name"][:1_000]] = False
        elif reused:
            found.setdefault(reused["name"][:1_000], True)
        if len(found) >= _MAX_STAGES:
            break
    return [PipelineStage(name=name, is_reused=is_reused) for name, is_reused in found.items()]


def stages_in(log: Path) -> list[PipelineStage]:
    """Stages that a command's log tells of."""
    with log.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        return stages(iter(lambda: stream.readline(_MAX_LINE), ""))
