"""aggregate: one answer for all models of a repository, the check to require. After `changed` and the runs of its matrix; in a
`workflow_run`, where `forks.several_models` stands in for `changed`, as the commit status to require.

How GitHub says the jobs ended decides; what each model's gate left in its artifact says why. A changed model that left nothing closes
the gate, so that a model that somehow never ran cannot pass for one that did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mlgate import context as run_context
from mlgate import evidence as records
from mlgate.console import plain
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.evidence import GateFindings
from mlgate.render import escape
from mlgate.stages.job import step_files

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
class Gate:
    """What the gate of a model's run left."""

    is_open: bool
    summary: str
    commit: str | None = None
    """That it judged."""


@dataclass(frozen=True)
class Answer:
    """The answer, and how each model comes into it."""

    status: Literal["passed", "failed"]
    headline: str
    outcomes: list[Outcome]
    is_verdict: bool = True
    """Whether what closes the gate is what gates said, not that something broke off."""
    is_told_by_status: bool = False
    """Whether the commit status says it, so that this job need not fail for it."""

    @property
    def exit_code(self) -> int:
        return 0 if self.status == "passed" or (self.is_verdict and self.is_told_by_status) else 1

    @property
    def state(self) -> Literal["success", "failure", "error"]:
        """Of the commit status."""
        if self.status == "passed":
            return "success"
        return "failure" if self.is_verdict else "error"

    @property
    def description(self) -> str:
        """Of the commit status: where one model closed the gate, why."""
        closed = [outcome for outcome in self.outcomes if not outcome.is_passed]
        return plain(f"{closed[0].model}: {closed[0].words}" if len(closed) == 1 else self.headline)

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
    """The answer to MLGATE_NEEDS (the workflow's `needs`), with evidence from MLGATE_ARTIFACTS; also into the job's summary, and with
    MLGATE_GITHUB_TOKEN as commit status `mlgate`.

    Raises:
        InputError: MLGATE_NEEDS is not what GitHub gives, or names no job with the output `models`.
        InfrastructureError: the summary cannot be written, or the status cannot be set.
    """
    needs = _needs(environ.get("MLGATE_NEEDS", ""))
    changed = next((name for name, job in needs.items() if "models" in _outputs(job)), None)
    if changed is None:
        ended = {name: _result(job) for name, job in needs.items() if _result(job) != "success"}
        if not ended:
            raise InputError("MLGATE_NEEDS: expected a job with the outputs of actions/changed among `needs`")
        [first, *_] = ended.items()
        words = f"which models changed is not known: job '{first[0]}' {_said(first[1])}; see its log"
        answer = Answer("failed", words, [], is_verdict=False)
    else:
        attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
        gates = _gates(Path(environ.get("MLGATE_ARTIFACTS") or "mlgate-artifacts"), int(attempt) if attempt.isdecimal() else 1)
        answer = decide(needs, changed, gates)
    step_files.add_to_summary(answer.markdown, environ)
    return _told(answer, run_context.from_environment(environ), _outputs(needs[changed]) if changed is not None else {})


def _told(answer: Answer, context: RunContext, outputs: Mapping[str, str]) -> Answer:
    """The answer as commit status `mlgate`, where there is a token for it."""
    if context.token is None or context.head_sha is None:
        return answer
    from mlgate.forge.client import Forge

    forge = Forge(context)
    for name in _status_names(context, outputs):
        forge.set_status(context.head_sha, answer.state, name, answer.description, context.run_url)
    return replace(answer, is_told_by_status=context.triggering is not None)


def _status_names(context: RunContext, outputs: Mapping[str, str]) -> list[str]:
    if context.triggering is None:
        return [context.status_name(None)]
    if base_ref := outputs.get("base-ref"):
        return [replace(context, base_ref=base_ref).status_name(None)]
    # The job that knows broke off: no status that it left pending may stay so.
    from mlgate.forge.triggering import TriggeringForge
    from mlgate.stages.forks import triggering_run

    forge = TriggeringForge(context)
    pulls, _ = triggering_run.pull_requests(context, forge)
    return [name for name in triggering_run.status_names(context, None, pulls) if pulls and forge.status(name) == "pending"]


def decide(needs: Mapping[str, Any], changed: str, gates: Mapping[str, Gate]) -> Answer:
    """The answer.

    Args:
        needs: the workflow's `needs` context.
        changed: name of the job that ran actions/changed, or the task `models` of actions/triggering-run.
        gates: by model, what its run left.

    Raises:
        InputError: the output `models` is none of actions/changed.
    """
    outputs = _outputs(needs[changed])
    if refused := outputs.get("refused"):
        return Answer("failed", refused, [])
    models = _models(outputs["models"])
    outcomes = [_outcome(model, gates.get(model.name), outputs.get("commit")) for model in models]
    awaited = [outcome for outcome, model in zip(outcomes, models, strict=True) if model.is_changed]
    runs = {name: _result(job) for name, job in needs.items() if name != changed}
    fine = ("success",) if awaited else ("success", "skipped")
    wrong = [f"job '{name}' {_said(result)}" for name, result in runs.items() if result not in fine]
    if _result(needs[changed]) != "success":
        wrong.insert(0, f"job '{changed}' {_said(_result(needs[changed]))}")
    closed = [outcome.model for outcome in awaited if not outcome.is_passed]
    if closed:
        return Answer("failed", f"{len(closed)} of {len(awaited)} changed models did not pass: {_listed(closed)}", outcomes)
    if wrong:
        return Answer("failed", "; ".join(wrong), outcomes, is_verdict=False)
    if not awaited:
        return Answer("passed", f"no model changed, {len(models)} untouched", outcomes)
    untouched = len(models) - len(awaited)
    return Answer("passed", f"{len(awaited)} changed {_models_word(len(awaited))} passed, {untouched} untouched", outcomes)


def _outcome(model: _Listed, gate: Gate | None, commit: str | None) -> Outcome:
    if not model.is_changed:
        return Outcome(model.name, True, "–", "untouched")
    if model.refused:
        return Outcome(model.name, False, "✗", model.refused)
    if gate is None:
        return Outcome(model.name, False, "✗", "left no verdict: see the log of its run")
    if gate.is_open and commit is not None and gate.commit != commit:
        # All models of one run were at one commit; a stranger's evidence could name several, of several pull requests.
        said = f"its evidence is of {(gate.commit or 'no commit')[:12]}, that of the run of {commit[:12]}; push again, for a new run"
        return Outcome(model.name, False, "✗", said)
    return Outcome(model.name, gate.is_open, "✓" if gate.is_open else "✗", gate.summary)


def _gates(downloaded: Path, attempt: int) -> dict[str, Gate]:
    """By model, what its gate said in the newest attempt not above this one."""
    folders = [(downloaded, 1)] if (downloaded / "evidence").is_dir() else []  # download-artifact makes no folder for the only one
    for folder in sorted(downloaded.iterdir()) if downloaded.is_dir() else []:
        match = _ARTIFACT.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink() and int(match["attempt"]) <= attempt:
            folders.append((folder, int(match["attempt"])))
    gates: dict[str, Gate] = {}
    for folder, _ in sorted(folders, key=lambda pair: pair[1]):
        path = folder / "evidence" / "gate.json"
        if path.is_symlink() or not path.is_file():
            continue
        try:
            found = records.load(path, "gate")
        except InputError as error:
            gates[folder.name] = Gate(False, str(error))
            continue
        findings = found.findings
        is_open = found.status == "passed" and isinstance(findings, GateFindings) and findings.is_open
        gates[found.model] = Gate(is_open, found.summary.splitlines()[0] if found.summary else found.status, found.subject.commit)
    return gates


@dataclass(frozen=True)
class _Listed:
    """A model as the job before lists it."""

    name: str
    is_changed: bool
    refused: str | None


def _models(text: str) -> list[_Listed]:
    try:
        return [_Listed(str(model["model"]), bool(model["changed"]), str(model.get("refused") or "") or None) for model in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError):
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
