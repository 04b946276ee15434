"""The record every stage writes and every view reads. Evidence of another job is untrusted until `load` has checked it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mlgate.errors import InfrastructureError, InputError

MAX_EVIDENCE_BYTES = 20_000_000
MAX_TEXT = 20_000

Status = Literal["passed", "failed", "skipped", "error"]
Verdict = Literal["better", "no worse", "worse", "cannot tell"]
CarriedSource = Literal["dvc outputs", "git", "run cache", "rebuilt"]
BaselineSource = Literal["store", "dvc outputs", "git", "run artifact", "run cache", "rebuilt", "re-scored", "file"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


def _inside(path: str) -> str:
    if path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/") or "\0" in path or ":" in path[:2]:
        raise ValueError("expected a path inside the state folder")
    return path


InsidePath = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_inside)]


class Record(BaseModel):
    """Base of everything in evidence: closed (unknown keys are refused), frozen, without NaN or infinity."""

    # Built at first use: a command reads and writes a few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, defer_build=True)


class FileRef(Record):
    """A file a stage left in the state folder, relative to it."""

    path: InsidePath
    sha256: Sha256
    size_bytes: int


class DataRef(Record):
    """One piece of data and the hash that identifies it."""

    path: Text
    """Relative to the working directory."""
    hash: Text
    """`md5:<hex>` as DVC computes it (`md5:<hex>.dir` for a folder)."""
    size_bytes: int
    files: int
    tracked_by: Literal["dvc", "git", "none"]


class RunRef(Record):
    """The GitHub Actions run a record was made in."""

    repository: Text
    run_id: int
    attempt: int
    event: Text


class Subject(Record):
    """What exactly a stage looked at."""

    commit: Commit | None
    """The commit that was checked out; None outside a Git repository."""
    is_dirty: bool
    """Whether the working tree differed from that commit."""
    config_sha256: Sha256
    run: RunRef | None
    """None on a laptop."""
    data: list[DataRef] = []


class Annotation(Record):
    """A remark at a file, shown beside it by GitHub."""

    path: Text
    line: int = 1
    level: Literal["error", "warning", "notice"] = "error"
    message: Text


# --- check -----------------------------------------------------------------------------------------------------------


class CommandRun(Record):
    """One command of the user's, run in the user's environment."""

    command: Text
    exit_code: int
    """As the shell gives it: 128 + n for signal n."""
    is_timed_out: bool = False
    duration_s: float
    log: FileRef | None = None
    tail: Text = ""
    """The last lines of output."""


class CheckFindings(Record):
    commands: list[CommandRun]
    """In order, up to and including the first failure."""


# --- pull-data -------------------------------------------------------------------------------------------------------


class PulledTarget(Record):
    """A DVC target and where its files came from."""

    data: DataRef
    files_from_cache: int
    files_from_remote: int
    source: Text | None = None
    """Where it was imported from, without credentials; None for data on the remote."""


class PullFindings(Record):
    remote: Text | None
    """Name of the DVC remote; None when nothing is tracked by DVC."""
    remote_url: Text | None
    """Without credentials."""
    targets: list[PulledTarget]
    attempts: int = 1
    """How often the remote was asked."""


# --- validate-data ---------------------------------------------------------------------------------------------------


class BrokenRule(Record):
    """One rule of a contract that data breaks."""

    column: Text | None
    """None for a rule about the whole table."""
    rule: Text
    """The rule in words: `in_range(0, 120)`, `not nullable`, `column missing`."""
    rows: int
    """How many rows break it; 0 for a rule about the schema."""
    share: float
    """Of all rows, in [0, 1]."""
    row_numbers: list[int]
    """The first of them, counted from 0 below the header."""
    values: list[Text] | None = None
    """What stands there, only where `report.examples` allows it."""


class ContractFindings(Record):
    data: Text
    schema_path: Text
    is_passed: bool
    rows: int
    columns: int
    broken: list[BrokenRule]
    duration_s: float


class ValidationFindings(Record):
    prepare: CommandRun | None = None
    contracts: list[ContractFindings]
    validated: list[DataRef]
    """Data as it was when it was checked; `train` refuses any other."""
    baseline_contracts: list[ContractFindings] = []
    """Contracts of the baseline commit that this commit changes or removes: one that is broken closes the gate, not this stage."""
    baseline_note: Text = ""
    """Which of them could not be checked, and why."""


# --- train -----------------------------------------------------------------------------------------------------------


class MlflowRun(Record):
    tracking_uri: Text
    """Without credentials."""
    experiment: Text
    run_id: Text
    url: Text | None
    """Page of the run, where the server has pages."""


class PipelineStage(Record):
    """One DVC stage the training command went through."""

    name: Text
    is_reused: bool
    """Whether its outputs came from the run cache or were up to date already."""


class TrainFindings(Record):
    run: CommandRun
    params: dict[str, Text]
    """Values of the parameter files, nested keys joined by dots."""
    lock_sha256: Sha256 | None
    """Of dvc.lock after training."""
    pipeline: list[PipelineStage]
    is_reused: bool
    """Whether nothing at all was trained because an earlier run had done it."""
    mlflow: MlflowRun | None


# --- evaluate --------------------------------------------------------------------------------------------------------


class Resampled(Record):
    """The user's own number on resamples of the holdout, the same ones for every model; the run's own word, like its predictions."""

    code_sha256: Sha256
    """Of the file that the function is in."""
    draws: list[float | None]
    """On each resample of the examples, in order of their ids; None where the function raised."""
    left_out: list[float]
    """Without each block of examples: of `b` blocks number `k` holds the examples k, k + b, k + 2 b, …"""


class MetricValue(Record):
    name: Text
    value: float
    better: Literal["higher", "lower"] | None
    """None for a number of which mlgate does not know it."""
    source: Literal["predictions", "file", "user"]
    resampled: Resampled | None = None
    """Of the user's own single number, where a margin guards it and it was cheap enough to ask for often."""


class SliceMetrics(Record):
    column: Text
    value: Text
    n: int
    metrics: dict[str, float | None]
    """None where a metric is not defined on the slice."""


class FurtherSet(Record):
    """Predictions beside those on the holdout itself: the same ids and targets."""

    name: Text
    """Of the perturbed set as `evaluation.perturbed` calls it, or of the seed."""
    n: int
    classes: list[Text] | None = None
    metrics: list[MetricValue]
    predictions: FileRef
    """Normalised, as those on the holdout itself; the same ids and targets."""


class PerturbedSet(FurtherSet):
    """A model's evaluation on a perturbed copy of its holdout."""


class SeedSet(FurtherSet):
    """Another run of the same training code, with a seed of its own, on the holdout itself."""


class SeedNumbers(Record):
    """Numbers of a metric file that another run of the same training code wrote."""

    name: Text
    """Of the seed."""
    numbers: dict[str, float]


class ScoredModel(Record):
    """A model's evaluation on a holdout: what the store keeps, and what two models are compared by."""

    commit: Commit | None
    inputs_sha256: Sha256 | None
    """Hash of code, data and parameters the evaluation came from."""
    task: Literal["classification", "regression"] | None = None
    """None where metric files are all there is."""
    n: int | None = None
    """Examples in the holdout; None without predictions."""
    holdout_sha256: Sha256 | None = None
    """Of the sorted ids and their targets; None without predictions."""
    ids: Literal["column", "row numbers"] = "column"
    """What names the examples. Row numbers do only as long as the holdout stays as it is."""
    classes: list[Text] | None = None
    metrics: list[MetricValue]
    slices: list[SliceMetrics]
    predictions: FileRef | None = None
    """Normalised predictions, Parquet: see `evaluation.predictions`. None where metric files are all there is."""
    perturbed: list[PerturbedSet] = []
    """By the names of `evaluation.perturbed`; none where there are no predictions."""
    seeds: list[SeedSet] = []
    """Of `evaluation.seeds`, sorted by name; none where one set of predictions is all there is."""
    seed_metrics: list[SeedNumbers] = []
    """Of `evaluation.seed_metrics`, sorted by name."""

    @model_validator(mode="after")
    def _has_predictions_or_none(self) -> Self:
        with_predictions = {name for name in ("task", "n", "holdout_sha256", "predictions") if getattr(self, name) is not None}
        if with_predictions and len(with_predictions) < 4:
            raise ValueError("expected task, n, holdout_sha256 and predictions together, or none of them")
        return self


class CarriedBaseline(Record):
    """The baseline's evaluation as the training job found it; the only job that has the data's credentials."""

    model: ScoredModel
    source: CarriedSource


class Latency(Record):
    """How long requests took, measured by the candidate's own job: its word, like its predictions."""

    measured_by: Literal["mlgate", "user"]
    program: Text
    """The command, the MLflow model or the file of samples."""
    samples: FileRef
    """Every time that was taken, as `LatencySamples`."""
    requests: int
    """Of each model, in all; warm-up aside."""
    rounds: int | None
    """None where the user's samples say nothing of rounds."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Rows of a request."""
    warm_up: int = 0
    quantiles: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(max_length=20)]
    baseline_commit: Commit | None = None
    """Whose model took turns with the candidate's; None where only the candidate was measured."""
    baseline_note: Text = ""
    """Why so, where a baseline was looked for."""


MAX_LATENCY_BYTES = 10_000_000
MAX_MILLISECONDS = 1e9


class LatencySamples(Record):
    """Milliseconds of every request, by round."""

    candidate: list[list[Annotated[float, Field(ge=0, le=MAX_MILLISECONDS)]]]
    baseline: list[list[Annotated[float, Field(ge=0, le=MAX_MILLISECONDS)]]] | None = None

    @model_validator(mode="after")
    def _are_of_rounds(self) -> Self:
        for rounds in filter(None, (self.candidate, self.baseline)):
            if len({len(one) for one in rounds}) != 1 or not rounds[0]:
                raise ValueError("expected rounds of equally many requests")
        if not self.candidate or (self.baseline is not None and len(self.baseline) != len(self.candidate)):
            raise ValueError("expected as many rounds of both models, and at least one")
        return self


class EvaluateFindings(Record):
    candidate: ScoredModel
    baseline: CarriedBaseline | None = None
    pinned: CarriedBaseline | None = None
    """The evaluation of the release that is the second of two baselines."""
    baseline_note: Text = ""
    """Why there is none, where one was looked for."""
    latency: Latency | None = None
    """None where `evaluation.latency` is left out."""
    rescored: ScoredModel | None = None
    """The baseline's model on the candidate's holdout, where that is another than the one it was evaluated on (`evaluation.predict`)."""
    recognised: Text = ""
    """As what the predictions were taken, by what, and how to say otherwise; empty where the configuration states the task."""
    warnings: list[Text] = []
    """What could not be computed, and why: one class in a slice, a metric that is not defined."""


# --- gate ------------------------------------------------------------------------------------------------------------


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


class LadderRung(Record):
    """What the Ladder says of a metric (`gate.holdout.reuse: ladder`)."""

    best: float
    """The best so far on this holdout, of the baseline and of every new best since, in units of the metric."""
    step: float
    """By more than this it had to be beaten."""
    is_new_best: bool


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
    """For `cannot tell`: how many more would settle it."""
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
    """By which such a model passes with this power; None where no number would do."""
    method: Text = ""
    """How these were computed."""
    warning: Text = ""
    """What to know, and to do, about a rule that fails such a model too often; empty where it does not."""


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


# --- report ----------------------------------------------------------------------------------------------------------


class Notification(Record):
    """One attempt to tell somebody that the gate closed."""

    kind: Literal["slack", "pagerduty", "json", "mention"]
    to: Text
    """Name of the environment variable with the secret, or who is mentioned."""
    is_sent: bool
    detail: Text
    """Status of the answer or address of the comment; why not, where it was not sent. Never the secret."""


class ReportFindings(Record):
    comment_url: Text | None
    comment_action: Literal["created", "updated", "kept", "none"]
    status_set: bool
    files: list[FileRef]
    outdated: Text | None = None
    """Why this run changed nothing in the pull request: `the pull request is at 4f1c2d3e4a5b now`; None where its verdict stands."""
    notified: list[Notification] = []
    """Who was told that the gate closed, and who could not be."""


F = TypeVar("F", bound=Record)

FINDINGS: dict[str, type[Record]] = {
    "check": CheckFindings,
    "pull-data": PullFindings,
    "validate-data": ValidationFindings,
    "train": TrainFindings,
    "evaluate": EvaluateFindings,
    "gate": GateFindings,
    "report": ReportFindings,
}
STAGES = tuple(FINDINGS)
BEFORE_THE_GATE = tuple(stage for stage in STAGES if stage not in ("gate", "report"))


class Evidence(Record, Generic[F]):
    """What one stage did: what it looked at, what it found, how long it took, which files it left."""

    schema_version: Literal[1] = 1
    mlgate_version: Text
    stage: Text
    model: Text
    status: Status
    summary: Text
    """The line a user reads."""
    subject: Subject
    started_at: datetime
    duration_s: float = Field(ge=0)
    findings: F | None
    """None when the stage was skipped or ended in an error before it found anything."""
    exit_code: Literal[0, 1, 2, 3]
    files: list[FileRef] = []
    annotations: list[Annotation] = []

    EXIT_CODES: ClassVar[dict[str, int]] = {"passed": 0, "skipped": 0, "failed": 1}


def write(evidence: Evidence[Any], path: Path) -> None:
    """Write evidence as JSON: aside, then renamed, so that no reader ever sees half of it. Raises InfrastructureError."""
    write_bytes(path, (evidence.model_dump_json(indent=1) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step; the folder is made if needed. Raises InfrastructureError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from None


def load(path: Path, stage: str) -> Evidence[Any]:
    """Read evidence and check it against its schema; never believes more than that.

    Raises:
        InputError: the file is no evidence of that stage.
        FileNotFoundError: there is none.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_EVIDENCE_BYTES + 1)
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{path.name}: evidence that cannot be read: {error.strerror}") from None
    if len(content) > MAX_EVIDENCE_BYTES:
        raise InputError(f"{path.name}: evidence of more than {MAX_EVIDENCE_BYTES:,} bytes is refused")
    return parse(content, stage, path.name)


def parse(content: bytes, stage: str, name: str) -> Evidence[Any]:
    """Evidence from its JSON; `name` is what messages call it. Raises InputError."""
    try:
        evidence = _typed(stage).model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: not evidence of '{stage}' this version reads: {where}: {first['msg']}") from None
    if evidence.stage != stage:
        raise InputError(f"{name}: evidence of '{evidence.stage}', expected '{stage}'")
    return evidence


def parse_record(record: type[F], content: bytes, name: str) -> F:
    """Any record from its JSON; `name` is what messages call it. Raises InputError."""
    try:
        return record.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: not a record this version reads: {where}: {first['msg']}") from None


def file_ref(path: Path, state: Path) -> FileRef:
    """Reference to a file below the state folder, with its SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return FileRef(path=path.relative_to(state).as_posix(), sha256=digest.hexdigest(), size_bytes=path.stat().st_size)


def checked_file(reference: FileRef, state: Path) -> Path:
    """The file a reference names, after its hash was verified. Raises InputError when it is absent or another."""
    path = state / reference.path
    if not path.is_file() or path.is_symlink():
        raise InputError(f"{reference.path}: named by evidence but not there; run the stage that writes it again")
    if file_ref(path, state).sha256 != reference.sha256:
        raise InputError(f"{reference.path}: not the file the evidence describes (SHA-256 differs); run the stage that writes it again")
    return path


def json_schema(stage: str) -> dict[str, Any]:
    """The JSON Schema of one stage's evidence."""
    schema = _typed(stage).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"mlgate evidence: {stage}"}


def now() -> datetime:
    return datetime.now(UTC)


def finite(value: float) -> float | None:
    """The number, or None where it is NaN or infinite: evidence is strict JSON."""
    return float(value) if math.isfinite(value) else None


def _typed(stage: str) -> type[Evidence[Any]]:
    if stage not in FINDINGS:
        raise InputError(f"no stage '{stage}'; expected one of {', '.join(STAGES)}")
    typed: type[Evidence[Any]] = Evidence.__class_getitem__(FINDINGS[stage])  # type: ignore[assignment]
    return typed


def dump_schema(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
