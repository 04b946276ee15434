"""What the gate finds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import StringConstraints

from mlgate.evidence.gpu import TrainingCost
from mlgate.evidence.record import BaselineSource, Commit, Record, Sha256, Text, Verdict


class Rescoring(Record):
    """The baseline's model scored again, because the holdout is another than the one its evaluation was recorded on."""

    recorded_in: BaselineSource | None
    """Where its recorded predictions are; None where none are to be had."""
    rescored_examples: int
    """Examples with the answer given now: new ones, and those with another label than on record."""
    recorded_examples: int
    """Examples with the recorded answer: those that both holdouts have, labelled alike."""
    disagreeing_examples: int
    """Those of `recorded_examples` to which the model gave another answer now."""
    is_doubtful: bool = False
    """Whether they are more than one model's two runs explain."""


class BaselineRef(Record):
    kind: Literal["base", "champion", "path", "release"]
    commit: Commit | None
    how: Text
    """In words: `first parent of the merge commit`."""
    source: BaselineSource
    shared_examples: int | None
    """Examples both were scored on with equal labels; all comparisons are on these. None where there are only numbers of metric files."""
    shared_share: float
    """Of the examples of either holdout, in [0, 1]; below 1 the holdout changed."""
    stands_in_for: Commit | None = None
    """The baseline commit itself, where its own run left no evaluation: `commit` is the nearest before it that has one."""
    rescoring: Rescoring | None = None
    training: TrainingCost | None = None
    """What its training took, as the run that trained it had it."""


class LadderRung(Record):
    """What the Ladder says of a metric (`gate.holdout.reuse: ladder`)."""

    best: float
    """The best so far on this holdout, of the baseline and of every new best since, in units of the metric."""
    step: float
    """By more than this it had to be beaten."""
    is_new_best: bool
    is_same: bool = False
    """Every answer is the baseline's, on enough examples: it may be called no worse without being a new best."""


class Comparison(Record):
    """One metric of candidate and baseline; a row of the report's table."""

    metric: Text
    aspect: Text = ""
    """What of the metric, where it is not its value on the holdout: `on noise`, `gap by sex`."""
    better: Literal["higher", "lower"] | None
    candidate: float
    baseline: float | None
    difference: float | None
    """Candidate minus baseline, in the metric's own direction."""
    low: float | None
    high: float | None
    """One-sided bounds of the difference, each at the gate's confidence."""
    method: Text | None
    """How the interval was made: `Tango's score interval`; None where there is none."""
    verdict: Verdict | None
    margin: float | None
    more_examples: int | None = None
    """For `cannot tell`: how many more would settle it, were the difference measured the true one."""
    p_value: float | None = None
    """Of the hypothesis that both models are equally good, two-sided; shown, decides nothing."""
    p_value_of: Text = ""
    """The test it is of: `McNemar's mid-p`; empty where there is none."""
    ladder: LadderRung | None = None
    """Why the verdict is not the interval's own; None where the holdout is not kept by the Ladder."""
    visible_loss: float | None = None
    """The smallest loss this comparison could have told, four times out of five; for `no worse` and `cannot tell`."""
    standard_error: float | None = None
    """Of the difference, where the bounds are set wider than it alone asks for."""
    groups: int | None = None
    """How many groups the examples are in, which the interval counts instead of them (`evaluation.group`); None where each stands alone."""
    seeds: tuple[int, int] | None = None
    """How many training runs of the candidate and of the baseline the interval covers, its values being their means."""
    certifies: Literal["this artefact", "the training code"] | None = None
    """What a verdict here is about: one set of predictions, or whatever the code trains; None where there is no interval."""
    open_by: Text = ""
    """Of a gap between groups: of which of them too little is known, and how many examples they have; for `cannot tell`."""

    @property
    def title(self) -> str:
        """Names the row, and the rules about it."""
        return f"{self.metric} {self.aspect}" if self.aspect else self.metric


class RuleResult(Record):
    rule: Text
    """In words: `accuracy at least 0.9`."""
    metric: Text
    """Title of the row it is about."""
    is_passed: bool
    is_warning: bool = False
    """Passed, with something to say."""
    reason: Text
    against: Text = ""
    """The other baseline it is about, as `AgainstBaseline.name`; empty for the first."""


class PlannedRule(Record):
    """What a rule can be expected to do to a model exactly as good as the baseline."""

    rule: Text
    """In words, as `RuleResult.rule`."""
    metric: Text
    """Title of the row it is about."""
    margin: float | None = None
    """None of a threshold."""
    examples: int
    """Size of the holdout that this is about."""
    fails_unchanged: float | None = None
    """How often it fails such a model, in [0, 1]; None where there is no interval to tell from."""
    cannot_tell_unchanged: float | None = None
    """How often it cannot tell such a model from a worse one, in [0, 1]; None for a threshold."""
    visible_loss: float | None = None
    """The smallest loss this holdout can see, in units of the metric; None for a threshold."""
    power: float
    """What `visible_loss` and `examples_needed` are for, in (0, 1)."""
    examples_needed: int | None = None
    """Examples with which such a model passes with this power; None where no number would do."""
    method: Text = ""
    """How these were computed."""
    warning: Text = ""
    """What to know, and to do, about a rule that fails such a model too often; empty where it does not."""
    unplanned: Text = ""
    """Why nothing can be expected of it; empty where something is."""
    seeds: tuple[int, int] | None = None
    """How many training runs of the candidate and of the baseline this is for, beside the examples; None of two artefacts."""


class AgainstBaseline(Record):
    """The guarded metrics beside a second baseline, such as a pinned release."""

    name: Text
    """As mlgate.yaml has it: `v1.4.0`."""
    baseline: BaselineRef
    verdict: Verdict | None
    """The worst of its rows."""
    comparisons: list[Comparison]


class PriceInPower(Record):
    """What a stricter test of one metric costs."""

    metric: Text
    """Title of the row."""
    once: float
    """How often a model as good as the baseline would be shown to be no worse, were the holdout used once, in [0, 1]."""
    now: float
    """How often it is, in [0, 1]."""
    examples_factor: float | None = None
    """How many times the examples would make up for it; None where no number would, since an equal model is no new best on any."""


class HoldoutUse(Record):
    """How often the holdout was asked, and what that leaves of the gate's promise."""

    holdout_sha256: Sha256
    reuse: Literal["report", "bonferroni", "ladder"]
    budget: int
    uses: int | None
    """Different candidates tested on it, this one among them; None where the ledger cannot be read."""
    is_counted: bool
    """Whether this use is in the ledger."""
    note: Text = ""
    """Why not, where it is not; or what is wrong with the ledger."""
    chance: float | None
    """That one bad model got through, had all of `uses` been worse by exactly the margin, in [0, 1]."""
    chance_at_budget: float
    """The same for all of `budget`."""
    price: list[PriceInPower] = []


class SliceComparison(Record):
    """One metric on one slice. `better` and `worse` hold for all slices and metrics together (Holm), the interval for itself."""

    column: Text
    value: Text
    n: int
    comparison: Comparison
    is_guarded: bool = False
    """Whether a rule is about this slice."""
    is_unprotected: bool = False
    """Too few examples to show that it loses no more than its margin: a loss beyond that could go unseen."""


class Change(Record):
    """One thing that differs between baseline and candidate."""

    kind: Literal["code", "data", "parameter", "rule"]
    name: Text
    old: Text | None
    new: Text | None
    is_weakening: bool = False
    """Of a rule: whether models or data pass now that did not pass before. It closes the gate until somebody overrides it."""


class Confusion(Record):
    """Counts by [true class][predicted class]."""

    classes: list[Text]
    candidate: list[list[int]]
    baseline: list[list[int]] | None


class Residuals(Record):
    """Histogram of prediction minus target; n + 1 edges for n counts."""

    edges: list[float]
    candidate: list[int]
    baseline: list[int] | None


class Override(Record):
    """Somebody's word that opened a closed gate for one commit, as it is kept in the store."""

    schema_version: Literal[1] = 1
    model: Text
    head_sha: Commit
    """Head of the pull request it was given for; it opens the gate for no other."""
    pull_request: int
    into: Text | None = None
    """The branch that pull request was into; it opens the gate to no other. None in records of old."""
    by: Text
    """Login."""
    permission: Text
    """Role on the repository, when it was given."""
    at: datetime
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    comment_id: int
    comment_url: Text


class GateFindings(Record):
    is_open: bool
    verdict: Verdict | None
    """Over the guarded metrics: the worst of theirs; None without a baseline."""
    headline: Text
    """Why, in one sentence."""
    is_first_model: bool
    baseline: BaselineRef | None
    rules_from: Literal["baseline", "candidate"]
    """Whose mlgate.yaml the rules are of."""
    confidence: float
    rules: list[RuleResult]
    comparisons: list[Comparison]
    slices: list[SliceComparison]
    remarks: list[Text] = []
    """What to know about rows: slices and groups without a value, examples that moved between them, sets that the baseline lacks."""
    changes: list[Change]
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    is_certified: bool = True
    """Whether predictions stand behind the candidate's numbers, or runs of several seeds; False where one metric file is all there is."""
    recorded_in_store: bool = False
    """Whether this run's evaluation was recorded for later baselines."""
    override: Override | None = None
    """Why it is open though the rules say no; `headline` says what they say."""
    planning: list[PlannedRule] = []
    """What the rules of this change's own mlgate.yaml can be expected to do."""
    methods: dict[str, Text] = {}
    """Sources of the formulas, by `Comparison.method`."""
    also: list[AgainstBaseline] = []
    """Further baselines that must hold, too."""
    holdout: HoldoutUse | None = None
    """How often this holdout was used; None without predictions."""
    outdated: Text | None = None
    """Of a run on the default branch: why its evaluation is no baseline, `main does not contain 4f1c2d3e4a5b any more`."""
