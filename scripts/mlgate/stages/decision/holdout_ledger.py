"""The ledger of a holdout: which candidates were tested on it, in the store, and what the gate makes of how many these are.

A use is a record of its own, `holdouts/<holdout>/<candidate>.json`, so that two runs at once both count and a run that is repeated does
not. A candidate is named by the fingerprint of its code, data and parameters. What a pull request brings along is never asked: the
ledger is the store's, under the name and in the place that the baseline's rules have for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mlgate import evidence as records
from mlgate.config import Config, HoldoutConfig
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.evaluation import predictions as normalised
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import Commit, Comparison, GateFindings, HoldoutUse, LadderRung, PriceInPower, Record, Sha256
from mlgate.stages.revisions import lineage
from mlgate.stats import reuse
from mlgate.stats.intervals import Interval
from mlgate.stats.verdict import towards_better
from mlgate.store import Store
from mlgate.workspace import Workspace

FOLDER = "holdouts/"
_CLAIMS = ("better", "no worse")
_SHARED_TO_BE_THE_SAME = 0.5
"""A holdout that has this share of its examples in common with the baseline's is that one grown, with its uses."""


class Use(Record):
    """One candidate that was tested on a holdout."""

    schema_version: Literal[1] = 1
    holdout_sha256: Sha256
    candidate_sha256: Sha256
    commit: Commit | None
    run_id: int | None
    at: datetime


class Growth(Record):
    """A holdout that took over the uses of another."""

    schema_version: Literal[1] = 1
    holdout_sha256: Sha256
    grown_from: Sha256


class NewBest(Record):
    """What the Ladder released of a candidate: values by the title of their row."""

    schema_version: Literal[1] = 1
    values: dict[str, float]


@dataclass(frozen=True)
class Ledger:
    """A holdout's ledger as this run found it."""

    holdout: str
    candidate: str
    """Fingerprint of what is tested now."""
    names: tuple[str, ...] | None
    """All records of holdouts; None where the store could not be read."""
    grown_from: str | None = None
    """The baseline's holdout, where this one is that one grown."""
    note: str = ""

    @property
    def uses(self) -> int | None:
        """Different candidates tested on this holdout and those it is one with, this one among them."""
        if self.names is None:
            return None
        family = _family(self.holdout, self.names, self.grown_from)
        tested = {name.removesuffix(".json") for holdout, name in map(_parts, self.names) if holdout in family and "/" not in name}
        return len(tested | {self.candidate})

    @property
    def is_known(self) -> bool:
        """Whether this very use is recorded already."""
        return self.names is not None and _use(self.holdout, self.candidate) in self.names


def opened(
    workspace: Workspace, store: Store, candidate: Predictions, predictions_sha256: str, recorded: Predictions | None, shared_share: float
) -> Ledger:
    """The ledger of the holdout that is used now. A store that cannot be read is said in `note`, never an error: it is asked for a count.

    Args:
        candidate: its predictions.
        predictions_sha256: of their file.
        recorded: the baseline's, as they were recorded.
        shared_share: share of the examples of both that are the same.
    """
    holdout = normalised.holdout_sha256(candidate)
    theirs = normalised.holdout_sha256(recorded) if recorded is not None and shared_share >= _SHARED_TO_BE_THE_SAME else holdout
    ledger = Ledger(holdout, _fingerprint(workspace, predictions_sha256), None, theirs if theirs != holdout else None)
    try:
        return replace(ledger, names=tuple(store.names(FOLDER)))
    except InfrastructureError as error:
        return replace(ledger, note=f"the ledger cannot be read: {error}")


def climbed(
    ledger: Ledger, rows: Sequence[Comparison], store: Store, confidence: float, budget: int, *, is_same: bool = False
) -> list[Comparison]:
    """Rows with the verdicts that the Ladder lets stand: `better` and `no worse` only where the candidate is a new best on this holdout, or
    gives the baseline's own answers; else they become `cannot tell`.

    Args:
        ledger: of the holdout.
        rows: with the verdicts of their intervals.
        store: has what the Ladder released before.
        confidence: one-sided, of the rows' bounds; all of `budget` candidates together are to keep it.
        budget: how many candidates the holdout is meant to judge.
        is_same: whether the candidate answers every example as the baseline does.
    """
    others, own = _bests(ledger, store)
    climbed = []
    for row in rows:
        improvement = _improvement(row)
        if row.margin is None or row.baseline is None or improvement is None:
            climbed.append(row)
            continue
        sign = -1.0 if row.better == "lower" else 1.0
        step = reuse.step_of(reuse.standard_error(improvement, confidence), row.margin, confidence, budget)
        # A candidate that was a new best stays one when its run is repeated, whatever came after it.
        before = [] if row.title in own else [sign * values[row.title] for values in others if row.title in values]
        rung = reuse.climb(sign * row.candidate, max([sign * row.baseline, *before]), step)
        best = max([sign * row.baseline, *before])
        reach = improvement.estimate - improvement.low
        is_as_good = is_same and not row.seeds and row.difference == 0 and reuse.is_as_good_for_all(reach, row.margin, confidence, budget)
        found = LadderRung(best=sign * best, step=min(step, 1e300), is_new_best=rung.is_new_best, is_same=is_as_good)
        update: dict[str, object] = {"ladder": found}
        if row.verdict in _CLAIMS and not rung.is_new_best and not is_as_good:
            update |= {"verdict": "cannot tell", "more_examples": None}
        climbed.append(row.model_copy(update=update))
    return climbed


def use_of(ledger: Ledger, rows: Sequence[Comparison], gate: HoldoutConfig, confidence: float, test_confidence: float) -> HoldoutUse:
    """What the uses leave of the gate's promise, before this one is recorded.

    Args:
        rows: of the metrics, with their intervals.
        confidence: what the gate promises, one-sided.
        test_confidence: at which each bound is.
    """
    guarded = [(row, improvement) for row in rows if row.margin is not None and (improvement := _improvement(row)) is not None]
    each = 1 - (confidence if gate.reuse == "report" else reuse.bonferroni_confidence(confidence, gate.budget))
    prices = [_price(row, improvement, gate, confidence, test_confidence) for row, improvement in guarded]
    uses = ledger.uses
    return HoldoutUse(
        holdout_sha256=ledger.holdout,
        reuse=gate.reuse,
        budget=gate.budget,
        uses=uses,
        is_counted=ledger.is_known,
        note=ledger.note,
        chance=None if uses is None else reuse.chance_that_one_passes(uses, each),
        chance_at_budget=reuse.chance_that_one_passes(gate.budget, each),
        price=prices if gate.reuse != "report" else [],
    )


def record(workspace: Workspace, ledger: Ledger, rows: Sequence[Comparison], store: Store, used: HoldoutUse) -> HoldoutUse:
    """Count this use, once. That it cannot be is said in `note` and fails nothing."""
    if ledger.names is None or not (found := records_of(workspace, ledger, rows)):
        return used
    if workspace.context.is_fork:
        note = "this use was not counted: the token of a pull request from a fork, or of Dependabot's, may only read"
        return used.model_copy(update={"note": note})
    try:
        store.write(found, f"use of holdout {ledger.holdout[:12]}")
    except (InfrastructureError, InputError) as error:
        return used.model_copy(update={"note": not_counted(error)})
    return used.model_copy(update={"is_counted": True})


def as_counted(findings: GateFindings, error: Exception | None = None) -> GateFindings:
    """The findings once the use was written with something else, or could not be."""
    used = findings.holdout
    if used is None or used.is_counted or used.note:
        return findings
    update = {"is_counted": True} if error is None else {"note": not_counted(error)}
    return findings.model_copy(update={"holdout": used.model_copy(update=update)})


def not_counted(error: Exception) -> str:
    """Why a use is not in the ledger, in a sentence."""
    why = "the token may not write to the store; `contents: write` lets it" if isinstance(error, RefusedError) else str(error)
    return f"this use was not counted: {why}"


def worn_out(used: HoldoutUse) -> str | None:
    """What a reader must not miss: the holdout was asked more often than it was meant for; None where it was not."""
    if used.uses is None or used.chance is None or used.uses <= used.budget:
        return None
    cure = "collect a new holdout" if used.reuse != "report" else "collect a new holdout, or see gate.holdout.reuse"
    promise = "" if used.reuse == "report" else f", and the promise of {used.reuse} was for these"
    return (
        f"this holdout is worn out: {used.uses:,} candidates were tested on it, gate.holdout.budget is {used.budget:,}{promise}. Had all "
        f"been worse by just the margin, the chance that one got through is {_percent(used.chance)}; {cure}"
    )


def _percent(share: float) -> str:
    return "over 99 %" if share > 0.995 else f"{share * 100:.2g} %"


def _price(row: Comparison, improvement: Interval, gate: HoldoutConfig, confidence: float, test_confidence: float) -> PriceInPower:
    margin = row.margin or 0.0
    error = reuse.standard_error(improvement, test_confidence)
    once = reuse.power_of_unchanged(margin, error, confidence)
    if gate.reuse == "ladder":
        step = reuse.step_of(error, margin, confidence, gate.budget)
        return PriceInPower(metric=row.title, once=once, now=min(once, reuse.chance_of_new_best(0.0, step, error)))
    return PriceInPower(
        metric=row.title,
        once=once,
        now=reuse.power_of_unchanged(margin, error, test_confidence),
        examples_factor=reuse.examples_factor(confidence, test_confidence),
    )


def _improvement(row: Comparison) -> Interval | None:
    """The row's interval in the direction of better; None where it has none."""
    if row.better is None or row.difference is None or (row.low if row.better == "higher" else row.high) is None:
        return None
    low = row.low if row.low is not None else -float("inf")
    high = row.high if row.high is not None else float("inf")
    return towards_better(Interval(row.difference, low, high, row.method or ""), is_lower_better=row.better == "lower")


def _fingerprint(workspace: Workspace, predictions_sha256: str) -> str:
    """What is tested: a commit's code, data and parameters; where these are not all (a trial, uncommitted changes), its predictions."""
    is_all = workspace.commit is not None and not workspace.context.is_trial and (workspace.context.is_github or not workspace.is_dirty)
    if is_all and workspace.commit is not None:
        return lineage.inputs_sha256(workspace, workspace.commit)
    return hashlib.sha256(f"predictions\0{predictions_sha256}".encode()).hexdigest()


def records_of(workspace: Workspace, ledger: Ledger, rows: Sequence[Comparison]) -> dict[str, bytes]:
    """What is to be written of this use, by name; nothing where it is in the ledger already.

    Args:
        rows: as the Ladder left them.
    """
    if ledger.is_known:
        return {}
    run = workspace.context.run
    use = Use(
        holdout_sha256=ledger.holdout,
        candidate_sha256=ledger.candidate,
        commit=workspace.commit,
        run_id=run.run_id if run else None,
        at=records.now(),
    )
    found: dict[str, Record] = {_use(ledger.holdout, ledger.candidate): use}
    if ledger.grown_from is not None:
        found[f"{FOLDER}{ledger.holdout}/grown/{ledger.grown_from}.json"] = Growth(
            holdout_sha256=ledger.holdout, grown_from=ledger.grown_from
        )
    if bests := {row.title: row.candidate for row in rows if row.ladder is not None and row.ladder.is_new_best}:
        found[f"{FOLDER}{ledger.holdout}/best/{ledger.candidate}.json"] = NewBest(values=bests)
    return {name: (record.model_dump_json(indent=1) + "\n").encode() for name, record in found.items()}


def _bests(ledger: Ledger, store: Store) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What the Ladder released of other candidates on this holdout and those it is one with, and of this one on it. A record that is
    damaged is none."""
    others: list[dict[str, float]] = []
    own: dict[str, float] = {}
    family = _family(ledger.holdout, ledger.names or (), ledger.grown_from)
    for name in ledger.names or ():
        holdout, rest = _parts(name)
        if holdout not in family or not rest.startswith("best/"):
            continue
        try:
            content = store.read(name)
            values = records.parse_record(NewBest, content, name).values if content is not None else {}
        except (InputError, InfrastructureError):
            continue
        if (holdout, rest) == (ledger.holdout, f"best/{ledger.candidate}.json"):
            own = values
        else:
            others.append(values)
    return others, own


def _family(holdout: str, names: Iterable[str], grown_from: str | None) -> set[str]:
    """A holdout with all that grew from it or that it grew from: whoever adds an example to each pull request gets no new one each time."""
    neighbours: dict[str, set[str]] = {}
    grown = [(one, name.removeprefix("grown/").removesuffix(".json")) for one, name in map(_parts, names) if name.startswith("grown/")]
    for one, other in [*grown, *([(holdout, grown_from)] if grown_from else [])]:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    family, found = {holdout}, [holdout]
    while found:
        more = neighbours.get(found.pop(), set()) - family
        family |= more
        found += more
    return family


def _use(holdout: str, candidate: str) -> str:
    return f"{FOLDER}{holdout}/{candidate}.json"


def _parts(name: str) -> tuple[str, str]:
    """The holdout of a record, and what is left of its name."""
    holdout, _, rest = name.removeprefix(FOLDER).partition("/")
    return holdout, rest


def decided_by(rules: Config, *, is_release: bool) -> Config:
    """The rules as they are held against this candidate: each bound at the confidence that the holdout's reuse asks for, and a release
    blocked by what the holdout cannot tell, where the rule does not say otherwise."""
    gate = rules.gate
    update: dict[str, object] = {"confidence": gate.test_confidence}
    if is_release:
        update["cannot_tell"] = "block"
    return rules.model_copy(update={"gate": gate.model_copy(update=update)})
