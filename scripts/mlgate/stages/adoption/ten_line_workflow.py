"""The ten-line workflow, read back: what `init` grows into a full set-up. It is only read, nothing of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import strict_yaml
from mlgate.errors import InputError
from mlgate.stages.adoption import action_inputs

_OUR_ACTION = re.compile(r"[\w.-]+/[\w.-]*mlgate[\w.-]*@\S+")
_PREPARES = re.compile(r"(python[\d.]* -m )?(pip|uv|poetry|conda|mamba|apt-get|sudo|npm|set|cd)\b.*")
_BESIDE_US = re.compile(r"actions/(checkout|setup-python|cache)@\S+|astral-sh/setup-uv@\S+")


@dataclass(frozen=True)
class TenLines:
    """A workflow with a step that uses the root action with inputs."""

    path: Path
    inputs: dict[str, str]
    command: str | None
    """What makes the predictions: of the steps before, what installs nothing; None where that cannot be told."""
    setup: str | None
    """What installs."""
    is_alone: bool
    """Whether the workflow holds nothing else, so that a full one can take its place."""


def find(top: Path, root: Path) -> TenLines | None:
    """The workflow of the model in `root`, a folder of the repository in `top`; None where there is none, or none that can be read."""
    for path in sorted(path for path in (top / ".github/workflows").glob("*.y*ml") if path.is_file()):
        try:
            document = strict_yaml.parse(path.read_bytes(), path.name)
        except (InputError, OSError):
            continue  # not ours to complain about
        for job, steps in _jobs(document):
            for place, step in enumerate(steps):
                if (inputs := _inputs(step, top, root)) is not None:
                    commands = _commands(steps[:place])
                    return TenLines(
                        path=path,
                        inputs=inputs,
                        command=" && ".join(line for line in commands if not _PREPARES.fullmatch(line)) or None,
                        setup=" && ".join(line for line in commands if _PREPARES.fullmatch(line)) or None,
                        is_alone=len(document["jobs"]) == 1 and "strategy" not in job and all(map(_is_known, steps)),
                    )
    return None


def _jobs(document: Any) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    jobs = document.get("jobs") if isinstance(document, dict) else None
    for job in jobs.values() if isinstance(jobs, dict) else ():
        if isinstance(job, dict) and isinstance(job.get("steps"), list):
            yield job, [step for step in job["steps"] if isinstance(step, dict)]


def _inputs(step: dict[str, Any], top: Path, root: Path) -> dict[str, str] | None:
    given = step.get("with")
    if not _OUR_ACTION.fullmatch(str(step.get("uses") or "")) or not isinstance(given, dict):
        return None
    if (top / str(given.get("working-directory") or ".")).resolve() != root.resolve():
        return None
    inputs = {name: str(given[name]).strip() for name in action_inputs.INPUTS if given.get(name) not in (None, "")}
    return inputs or None


def _commands(steps: list[dict[str, Any]]) -> list[str]:
    """Commands of the steps that run one, each alone; none where a step is more than a list of plain commands."""
    texts = [str(step["run"]) for step in steps if "run" in step]
    if any(re.search(r"\$\{\{|\\\n|<<|\bif\b|\bfor\b|\bwhile\b|[;|(){}`]", text) for text in texts):
        return []
    return [part.strip() for text in texts for line in text.splitlines() for part in line.split("&&") if part.strip()]


def _is_known(step: dict[str, Any]) -> bool:
    uses = str(step.get("uses") or "")
    return "run" in step or bool(_BESIDE_US.fullmatch(uses) or _OUR_ACTION.fullmatch(uses))
