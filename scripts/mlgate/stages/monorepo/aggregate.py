"""aggregate: one answer for all models of a repository, the check to require. After `changed` and the runs of its matrix.

How GitHub says the jobs ended decides; what each model's gate left in its artifact says why. A changed model that left nothing closes
the gate, so that a model that somehow never ran cannot pass for one that did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgate import evidence as records
from mlgate.console import plain
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import GateFindings
from mlgate.render import escape

_ARTIFACT = re.compile(r"mlgate-(?P<model>.+)-verdict-(?P<attempt>[1-9][0-9]{0,5})")
_WORDS = {"failure": "failed", "cancelled": "was cancelled", "skipped": "was skipped", "success": "passed"}


@dataclass(frozen=True)
class Outcome:
    """What became of one model."""

    model: str
    is_passed: bool
    mark: str
    words: str


@dataclass(frozen=True)
class Answer:
    """The answer, and how each model comes into it."""

    status: Literal["passed", "failed"]
    headline: str
    outcomes: list[Outcome]

    @property
    def lines(self) -> list[str]:
        return [f"{'✓' if self.status == 'passed' else '✗'} {plain(self.headline)}"] + [
            f"  {outcome.mark} {plain(outcome.model)}: {plain(outcome.words)}" for outcome in self.outcomes
        ]

    @property
    def markdown(self) -> str:
        """For the job's summary."""
        rows = "".join(f"| {outcome.mark} | {escape.text(outcome.model)} | {escape.text(outcome.words)} |\n" for outcome in self.outcomes)
        table = f"\n| | model | |\n|---|---|---|\n{rows}" if rows else ""
        return f"### {'✅' if self.status == 'passed' else '❌'} {escape.text(self.headline)}\n{table}"


def run(environ: Mapping[str, str]) -> Answer:
    """The answer to MLGATE_NEEDS (the workflow's `needs`), with evidence from MLGATE_ARTIFACTS; also into the job's summary.

    Raises:
        InputError: MLGATE_NEEDS is not what GitHub gives, or names no job with the output `models`.
        InfrastructureError: the summary cannot be written.
    """
    needs = _needs(environ.get("MLGATE_NEEDS", ""))
    changed = next((name for name, job in needs.items() if "models" in _outputs(job)), None)
    if changed is None:
        ended = {name: _result(job) for name, job in needs.items() if _result(job) != "success"}
        if not ended:
            raise InputError("MLGATE_NEEDS: expected a job with the outputs of actions/changed among `needs`")
        [first, *_] = ended.items()
        answer = Answer("failed", f"which models changed is not known: job '{first[0]}' {_said(first[1])}; see its log", [])
    else:
        attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
        gates = _gates(Path(environ.get("MLGATE_ARTIFACTS") or "mlgate-artifacts"), int(attempt) if attempt.isdecimal() else 1)
        answer = decide(needs, changed, gates)
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(answer.markdown)
        except OSError as error:
            raise InfrastructureError(f"GITHUB_STEP_SUMMARY: the job summary cannot be written: {error.strerror}") from None
    return answer


def decide(needs: Mapping[str, Any], changed: str, gates: Mapping[str, tuple[bool, str]]) -> Answer:
    """The answer.

    Args:
        needs: the workflow's `needs` context.
        changed: name of the job that ran actions/changed.
        gates: by model, whether its gate is open, and its summary.

    Raises:
        InputError: the output `models` is none of actions/changed.
    """
    models = _models(_outputs(needs[changed])["models"])
    outcomes = [_outcome(name, is_changed, gates.get(name)) for name, is_changed in models]
    awaited = [outcome for outcome, (_, is_changed) in zip(outcomes, models, strict=True) if is_changed]
    runs = {name: _result(job) for name, job in needs.items() if name != changed}
    fine = ("success",) if awaited else ("success", "skipped")
    wrong = [f"job '{name}' {_said(result)}" for name, result in runs.items() if result not in fine]
    if _result(needs[changed]) != "success":
        wrong.insert(0, f"job '{changed}' {_said(_result(needs[changed]))}")
    closed = [outcome.model for outcome in awaited if not outcome.is_passed]
    if closed:
        return Answer("failed", f"{len(closed)} of {len(awaited)} changed models did not pass: {_listed(closed)}", outcomes)
    if wrong:
        return Answer("failed", "; ".join(wrong), outcomes)
    if not awaited:
        return Answer("passed", f"no model changed, {len(models)} untouched", outcomes)
    untouched = len(models) - len(awaited)
    return Answer("passed", f"{len(awaited)} changed {_models_word(len(awaited))} passed, {untouched} untouched", outcomes)


def _outcome(name: str, is_changed: bool, gate: tuple[bool, str] | None) -> Outcome:
    if not is_changed:
        return Outcome(name, True, "–", "untouched")
    if gate is None:
        return Outcome(name, False, "✗", "left no verdict: see the log of its run")
    return Outcome(name, gate[0], "✓" if gate[0] else "✗", gate[1])


def _gates(downloaded: Path, attempt: int) -> dict[str, tuple[bool, str]]:
    """By model, what its gate said in the newest attempt not above this one."""
    folders = [(downloaded, 1)] if (downloaded / "evidence").is_dir() else []  # download-artifact makes no folder for the only one
    for folder in sorted(downloaded.iterdir()) if downloaded.is_dir() else []:
        match = _ARTIFACT.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink() and int(match["attempt"]) <= attempt:
            folders.append((folder, int(match["attempt"])))
    gates: dict[str, tuple[bool, str]] = {}
    for folder, _ in sorted(folders, key=lambda pair: pair[1]):
        path = folder / "evidence" / "gate.json"
        if path.is_symlink() or not path.is_file():
            continue
        try:
            found = records.load(path, "gate")
        except InputError as error:
            gates[folder.name] = (False, str(error))
            continue
        findings = found.findings
        is_open = found.status == "passed" and isinstance(findings, GateFindings) and findings.is_open
        gates[found.model] = (is_open, found.summary.splitlines()[0] if found.summary else found.status)
    return gates


def _models(text: str) -> list[tuple[str, bool]]:
    try:
        return [(str(model["model"]), bool(model["changed"])) for model in json.loads(text)]
    except (ValueError, TypeError, KeyError):
        raise InputError("MLGATE_NEEDS: the output `models` is not what actions/changed gives") from None


def _needs(text: str) -> dict[str, Any]:
    try:
        needs = json.loads(text)
        return {str(name): dict(job) for name, job in needs.items()}
    except (ValueError, AttributeError, TypeError):
        raise InputError("MLGATE_NEEDS: expected the workflow's needs as JSON: ${{ toJSON(needs) }}") from None


def _outputs(job: Mapping[str, Any]) -> dict[str, str]:
    outputs = job.get("outputs")
    return {name: value for name, value in outputs.items() if isinstance(value, str) and value} if isinstance(outputs, dict) else {}


def _result(job: Mapping[str, Any]) -> str:
    return str(job.get("result") or "")


def _said(result: str) -> str:
    return _WORDS.get(result, f"ended as '{result}'")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _models_word(count: int) -> str:
    return "model" if count == 1 else "models"
