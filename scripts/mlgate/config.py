"""mlgate.yaml: read, validated, typed. Every stage starts here; every mistake in the file is named with its key path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from mlgate import strict_yaml
from mlgate.errors import InputError
from mlgate.mistakes import MistakeAtKeyError, did_you_mean, explain, kind_of

CLASSIFICATION_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "precision_micro",
    "precision_weighted",
    "precision_binary",
    "recall_macro",
    "recall_micro",
    "recall_weighted",
    "recall_binary",
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "f1_binary",
    "mcc",
    "kappa",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
)
REGRESSION_METRICS = ("rmse", "mae", "mape", "r2")
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})
METRICS_OF_SCORES = frozenset({"roc_auc", "pr_auc", "log_loss", "brier"})
FAIRNESS_RATES = ("recall", "tpr", "fpr", "selection_rate")
"""What a fairness rule may ask of two classes beside the metrics: `recall` and `tpr` are one."""
Task = Literal["classification", "regression"]
USUAL_METRICS: dict[Task, tuple[str, ...]] = {"classification": ("accuracy", "f1_macro"), "regression": ("rmse", "mae", "r2")}
"""What is computed where `evaluation.metrics` is left out; the first is the main metric."""
MAIN_METRIC = "main"
THROUGHPUT = "throughput"
MAX_LATENCY_SAMPLES = 100_000
"""Requests to one model whose times are kept."""
GENERATED_CONFIG = ".mlgate/mlgate.yaml"
"""Where a configuration made of the root action's inputs lies, relative to the working directory."""

DEFAULT_TIMEOUT_S = 6 * 3600
"""How long a training may run, seconds, where `train.timeout` is left out."""

_PREDICTIONS = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")
_MAX_LINE = 500
_MAX_DURATION = 50
_DURATION = re.compile(r"^\s*(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m)?\s*(?:(\d+)\s*s)?\s*$")
_USER_CODE = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")


def parse_duration(value: object) -> object:
    """Seconds of `2h`, `90m`, `1h30m` or a number of seconds; anything else is left for pydantic to refuse."""
    if isinstance(value, str):
        match = _DURATION.match(value) if len(value) <= _MAX_DURATION else None  # a long one of blanks would take hours
        if match is None or not any(match.groups()):
            raise ValueError("expected a duration such as 90s, 30m, 2h or 1h30m")
        days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return _no_boolean(value)


def _no_boolean(value: object) -> object:
    """YAML's `yes` is no number, though Python takes it for 1."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {kind_of(value)}")  # noqa: TRY004 -- pydantic explains ValueError only
    return value


def _baselines(value: object) -> object:
    """One baseline, or a list of two different ones."""
    named = value if isinstance(value, list) else [value]
    names = [name.strip() for name in named if isinstance(name, str) and name.strip()]
    if len(names) != len(named) or not 1 <= len(names) <= 2:
        raise ValueError(
            "expected `base`, `champion`, a release (a tag, or a commit's SHA in quotes) or the path of a predictions file, or a list of "
            f"two, got {kind_of(value)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"'{names[0]}' stands there twice; expected two different baselines, such as [base, v1.4.0]")
    return value


def _columns_or_all(value: object) -> object:
    """`all`, or names of columns; said here, since of a union pydantic explains both halves."""
    if value is None or value == "all" or (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        return value
    raise ValueError(f"expected a list of columns such as [country], or `all`, got {kind_of(value) if value != [] else 'an empty list'}")


def _relative_path(value: str) -> str:
    """A path inside the working directory, with forward slashes."""
    path = PurePosixPath(value.replace("\\", "/"))
    if path.is_absolute() or re.match(r"^[A-Za-z]:", value) or ".." in path.parts or not path.parts or "\0" in value:
        raise ValueError(f"expected a path inside the working directory, got '{value}'")
    return str(path)


def _repository_pattern(value: str) -> str:
    """A path or pattern relative to the repository's top, with forward slashes."""
    path = PurePosixPath(value.replace("\\", "/"))
    if path.is_absolute() or re.match(r"^[A-Za-z]:", value) or ".." in path.parts or not path.parts or "\0" in value:
        raise ValueError(f"expected a path relative to the repository's top, such as 'lib' or 'lib/**/*.py', got '{value}'")
    return str(path)


def _file_pattern(value: str) -> str:
    """A path inside the working directory whose last part, and no other, stands for several files."""
    path = PurePosixPath(_relative_path(value))
    if any(sign in str(path.parent) for sign in "*?[") or not any(sign in path.name for sign in "*?["):
        raise ValueError(f"expected a pattern of files in one folder, such as 'eval/seeds/*.csv', got '{value}'")
    return str(path)


RelativePath = Annotated[str, AfterValidator(_relative_path)]
FilePattern = Annotated[str, StringConstraints(max_length=500), AfterValidator(_file_pattern)]
RepositoryPattern = Annotated[str, StringConstraints(max_length=500), AfterValidator(_repository_pattern)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")]
Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(gt=0, le=366 * 86400),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"type": "integer", "exclusiveMinimum": 0}]}),
]

Number = Annotated[float, BeforeValidator(_no_boolean)]


def kind_of_baseline(name: str) -> Literal["base", "champion", "path", "release"]:
    """What `gate.baseline` means by a name: one that ends like a file of predictions is a path, any other a tag or a commit's SHA."""
    match name:
        case "base":
            return "base"
        case "champion":
            return "champion"
        case _:
            return "path" if PurePosixPath(name).suffix.lower() in _PREDICTIONS else "release"


def user_code(reference: str) -> tuple[str, str] | None:
    """`path/to/module.py:name` as (path, name), or None where the text is of another form."""
    match = _USER_CODE.fullmatch(reference)
    return (match["file"], match["name"]) if match else None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True, use_attribute_docstrings=True)


class ContractConfig(_Section):
    data: RelativePath
    """File to check: CSV, Parquet or JSON lines."""
    schema_: Annotated[RelativePath, Field(alias="schema")]
    """The pandera schema: a YAML file, or `path/to/module.py:Model`."""


class DataConfig(_Section):
    prepare: NonEmpty | None = None
    """Command that makes the data to validate, run on the data job's machine, e.g. `dvc repro prepare`."""
    pull: list[RelativePath] | None = None
    """DVC targets to pull. Left out: what the other sections name."""
    remote: NonEmpty | None = None
    """Name of the DVC remote. Left out: DVC's default remote."""
    contracts: list[ContractConfig] = []
    """Contracts the data must satisfy before anything is trained."""


class TrainConfig(_Section):
    command: NonEmpty
    """The training command, run by the shell in the user's environment, e.g. `dvc repro`."""
    timeout: Seconds = DEFAULT_TIMEOUT_S
    """How long the command may run: `90s`, `30m`, `2h`."""
    params: list[RelativePath] = []
    """Parameter files (YAML, JSON or TOML) whose values are logged and compared."""


class ColumnsConfig(_Section):
    id: NonEmpty | None = "id"
    """Unique identifier of an example; baseline and candidate are paired on it. `null`: row numbers, as long as the holdout stays."""
    target: NonEmpty = "y"
    """The true label or value."""
    prediction: NonEmpty = "y_pred"
    """The predicted label or value."""
    score: NonEmpty | None = None
    """Probabilities: one column (of the positive class, or a list for every class), or the prefix of `<score>_<class>` columns."""

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        for key in ("id", "prediction", "score"):
            if getattr(self, key) == self.target:
                raise ValueError(f"'{self.target}' is both {key} and target; expected a column of its own for each")
        return self


class LatencyConfig(_Section):
    predict: NonEmpty | None = None
    """Command that answers requests, e.g. `python serve_once.py`: it reads one a line, a JSON list of rows, and answers each by one line, a
    JSON list of as many predictions."""
    model: RelativePath | None = None
    """In place of `predict`: folder of an MLflow model, which is loaded by your Python and asked by mlgate."""
    samples: RelativePath | None = None
    """In place of `predict`: file of what you measured yourself, a row a request, in a column `ms` (or `s`); a column `round` is optional.
    Nothing is measured of the baseline then: `max` counts, a margin does not."""
    data: RelativePath | None = None
    """File whose rows are asked about: CSV, Parquet or JSON lines. Left out: the first of `evaluation.holdout`."""
    batch: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(_no_boolean)] = 1
    """Rows of a request."""
    requests: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(_no_boolean)] = 50
    """Requests of a round, to each model."""
    rounds: Annotated[int, Field(ge=5, le=1000), BeforeValidator(_no_boolean)] = 20
    """How often both models take their turns, in an order drawn anew each round."""
    warm_up: Annotated[int, Field(ge=0, le=100_000), BeforeValidator(_no_boolean)] = 20
    """Requests to each model before the first round; their times count for nothing."""
    quantiles: Annotated[list[Annotated[float, Field(gt=0, lt=1), BeforeValidator(_no_boolean)]], Field(min_length=1, max_length=20)] = [
        0.5,
        0.95,
        0.99,
    ]
    """Each is a metric: `latency_p50`, `latency_p95`, `latency_p99`, in milliseconds."""
    timeout: Seconds = 600
    """How long all of it may take: `90s`, `10m`."""

    @property
    def metric_names(self) -> list[str]:
        """What rules may be about: the quantiles, and `throughput` in rows per second where mlgate measures."""
        return [*map(latency_metric, self.quantiles), *([THROUGHPUT] if self.samples is None else [])]

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        ways = [key for key in ("predict", "model", "samples") if getattr(self, key) is not None]
        if len(ways) != 1:
            raise ValueError(f"expected one of predict, model, samples; got {' and '.join(ways) or 'none of them'}")
        if len(set(map(latency_metric, self.quantiles))) < len(self.quantiles):
            raise ValueError("quantiles: the same one stands there twice")
        if self.rounds * self.requests > MAX_LATENCY_SAMPLES:
            raise ValueError(
                f"rounds times requests: at most {MAX_LATENCY_SAMPLES:,} requests are timed, got {self.rounds * self.requests:,}"
            )
        measuring = [key for key in ("data", "batch", "requests", "rounds", "warm_up") if key in self.model_fields_set]
        if self.samples is not None and measuring:
            raise ValueError(f"'{measuring[0]}' beside 'samples'; it says how mlgate measures, and these you measured yourself")
        return self


class EvaluationConfig(_Section):
    task: Task | None = None
    """What the model predicts. Left out: recognised from the metrics, else from the columns."""
    predictions: RelativePath | None = None
    """Predictions on the holdout, one row an example: CSV, Parquet or JSON lines. Left out: `metrics_files` alone, uncertified."""
    columns: ColumnsConfig = ColumnsConfig()
    """Names of the columns in the predictions file."""
    metrics: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """Metrics by name, or `path/to/module.py:function` for your own; the first is the main one. Left out: the usual ones of the task."""
    positive: str | int | bool | None = None
    """Positive class of a binary task. Left out: the greater of the two labels."""
    metrics_files: list[RelativePath] = []
    """JSON or YAML files of numbers no predictions stand behind, such as latency; nested keys are joined by dots."""
    slices: list[NonEmpty] = []
    """Columns of the predictions file whose values cut the holdout into subgroups."""
    group: NonEmpty | None = None
    """Column of the predictions file that names rows which belong together, such as `user_id` where there are several rows a user: they are
    no independent examples, so every interval counts groups instead of rows."""
    predict: NonEmpty | None = None
    """Command that writes `predictions` with the model and for the holdout that lie there, e.g. `python predict.py`. Where a change alters
    the holdout, the baseline's model is scored on it by this."""
    holdout: list[RelativePath] = []
    """Files and folders the holdout consists of: what `predict` makes predictions for. Needed with `predict`."""
    perturbed: dict[SetName, RelativePath] = {}
    """Predictions on perturbed copies of the holdout, by a name of your choice (`noise: eval/noise.csv`): the same columns and ids. Rules
    are about one of them with `on`."""
    seeds: FilePattern | None = None
    """Predictions of the same training code with other seeds, a file a seed, at least two: a pattern such as `eval/seeds/*.csv`. The same
    columns and ids as `predictions`; the file's name without its ending names the seed. Margins are then about the training code."""
    seed_metrics: FilePattern | None = None
    """Metric files of the same training code with other seeds, a file a seed, at least three: a pattern such as `eval/seeds/*.json`.
    Numbers of `metrics_files` that these have, too, get an interval over the seeds."""
    latency: LatencyConfig | None = None
    """How fast the model answers: measured on holdout rows, candidate and baseline taking turns in one job; or samples of your own."""
    model_files: list[RelativePath] | None = None
    """Files and folders `predict` reads the model from. Left out: what DVC's pipeline hands to the stage that writes `predictions`, or
    makes beside them. What Git tracks is there anyway."""

    @property
    def references(self) -> list[str]:
        """`metrics`, none of them where they are left out."""
        return self.metrics or []

    @property
    def metric_names(self) -> list[str]:
        """Names of `metrics` as rules and reports call them."""
        return [metric_name(reference) for reference in self.references]

    @property
    def stated_task(self) -> Task | None:
        """The task as the configuration has it, by name or by the metrics it asks for; None where the columns are to say it."""
        if self.task is not None or not self.metrics:
            return self.task
        if any(name in REGRESSION_METRICS for name in self.metrics):
            return "regression"
        return "classification" if any(name in CLASSIFICATION_METRICS for name in self.metrics) else None

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: list[str] | None, info: Any) -> list[str] | None:
        if names is None:
            return None
        task = info.data.get("task")
        if task is None and "task" in info.data:  # recognised: from the first metric on, all are of one task
            first = next((name for name in names if name in REGRESSION_METRICS or name in CLASSIFICATION_METRICS), None)
            task = None if first is None else "regression" if first in REGRESSION_METRICS else "classification"
        known = _METRICS_OF.get(task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS) if "task" in info.data else ())
        for name in names:
            code = user_code(name)
            if code is not None:
                _relative_path(code[0])
            elif known and name not in known:
                kind = f" for {task}" if task else ""
                raise ValueError(f"no metric '{name}'{kind}{did_you_mean(name, known)} (or path/to/module.py:function)")
        short = [metric_name(name) for name in names]
        for name in short:
            if short.count(name) > 1:
                raise ValueError(f"metric '{name}' is listed more than once")
        return names

    @model_validator(mode="after")
    def _something_to_evaluate(self) -> Self:
        if self.predictions is None:
            if not self.metrics_files:
                raise ValueError("expected `predictions`, or `metrics_files` where there are none")
            for key in ("metrics", "slices", "group", "perturbed", "seeds"):
                if getattr(self, key):
                    raise ValueError(f"{key} are computed from predictions: name their file in evaluation.predictions")
        return self

    @model_validator(mode="after")
    def _groups_are_no_examples(self) -> Self:
        for key in ("id", "target", "prediction"):
            if self.group is not None and self.group == getattr(self.columns, key):
                raise ValueError(f"group '{self.group}' is also evaluation.columns.{key}; expected a column that several rows share")
        return self

    @model_validator(mode="after")
    def _scores_are_there(self) -> Self:
        for name in self.references:
            if name in METRICS_OF_SCORES and self.columns.score is None:
                raise ValueError(f"metric '{name}' needs probabilities: name their column in evaluation.columns.score")
        return self

    @model_validator(mode="after")
    def _predict_knows_the_holdout(self) -> Self:
        if self.predict is not None and self.predictions is None:
            raise MistakeAtKeyError("evaluation.predict", "writes the file that evaluation.predictions names; name it")
        if self.predict is not None and not self.holdout:
            reason = "missing; 'predict' scores an earlier model on a changed holdout, so it has to know which files that is"
            raise MistakeAtKeyError("evaluation.holdout", reason)
        if self.latency is not None and self.latency.samples is None:
            if self.latency.data is None and not self.holdout:
                reason = "missing; expected the file whose rows are asked about, here or as the first of evaluation.holdout"
                raise MistakeAtKeyError("evaluation.latency.data", reason)
        elif self.predict is None and (self.holdout or self.model_files):
            key = "holdout" if self.holdout else "model_files"
            raise MistakeAtKeyError(f"evaluation.{key}", "only 'evaluation.predict' reads it; give that command, or leave this out")
        return self


class RuleConfig(_Section):
    metric: NonEmpty = MAIN_METRIC
    """Name of a metric of the evaluation. Left out: the main one, which is the first of evaluation.metrics."""
    min: Number | None = None
    """The candidate's value must not be below this."""
    max: Number | None = None
    """The candidate's value must not be above this."""
    margin: Annotated[float, Field(ge=0), BeforeValidator(_no_boolean)] | None = None
    """The candidate must not be worse than the baseline by more than this (non-inferiority margin, in units of the metric)."""
    better: Literal["higher", "lower"] | None = None
    """Which direction is better; needed for `margin` on a metric mlgate does not know."""
    cannot_tell: Literal["warn", "block"] | None = None
    """What this rule does when the holdout cannot settle its margin, of a pull request and of a release. Left out: gate.cannot_tell for a
    pull request, `block` for a release."""
    on: NonEmpty | None = None
    """Name of a set of evaluation.perturbed: the rule is about the predictions on that one instead of the holdout's."""
    slices: Annotated[Literal["all"] | list[NonEmpty] | None, BeforeValidator(_columns_or_all)] = None
    """Columns of evaluation.slices, or `all` of them: no slice of theirs may lose more than `margin`."""
    fairness: NonEmpty | None = None
    """In place of `metric`: the rule is about the largest gap between groups in this one. Any metric mlgate knows, and for two classes
    `recall` (or `tpr`), `fpr`, `selection_rate`."""
    group: NonEmpty | None = None
    """With `fairness`: the column of evaluation.slices that names the groups."""
    max_gap: Annotated[float, Field(ge=0), BeforeValidator(_no_boolean)] | None = None
    """With `fairness`: the candidate's largest gap must not be above this; `margin` is then about the change of the gap."""

    @property
    def aspect(self) -> str:
        """What of the metric the rule is about, where it is not its value on the holdout."""
        if self.fairness is not None:
            return f"gap by {self.group}"
        if self.slices is not None:
            return f"by {'slice' if self.slices == 'all' else ', '.join(self.slices)}"
        return f"on {self.on}" if self.on is not None else ""

    @property
    def title(self) -> str:
        """Names the row of the comparison that the rule is about; of a rule on slices, the rule itself."""
        metric = self.metric if self.fairness is None else self.fairness
        return f"{metric} {self.aspect}" if self.aspect else metric

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [key for key in ("on", "slices", "fairness") if getattr(self, key) is not None]
        if len(kinds) > 1:
            raise ValueError(f"'{kinds[0]}' and '{kinds[1]}' in one rule; write a rule for each")
        if self.fairness is None:
            if orphan := next((key for key in ("group", "max_gap") if getattr(self, key) is not None), None):
                raise ValueError(f"'{orphan}' belongs to 'fairness', which names the metric whose gap is guarded")
        else:
            if self.group is None:
                raise ValueError("fairness: expected `group`, the column of evaluation.slices that names the groups")
            if other := next((key for key in ("metric", "min", "max", "better") if key in self.model_fields_set), None):
                raise ValueError(f"'{other}' beside 'fairness'; expected fairness, group, max_gap and margin")
            if self.max_gap is None and self.margin is None:
                raise ValueError("fairness: expected at least one of max_gap, margin")
        if self.slices is not None:
            if other := next((key for key in ("min", "max") if getattr(self, key) is not None), None):
                raise ValueError(f"'{other}' beside 'slices'; a rule on slices has a margin")
            if self.margin is None:
                raise ValueError("slices: expected `margin`, what a slice may lose at most")
        return self

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.fairness is not None:
            return self
        if self.min is None and self.max is None and self.margin is None:
            raise ValueError("expected at least one of min, max, margin")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class OverrideConfig(_Section):
    permission: Literal["write", "maintain", "admin"] = "maintain"
    """Role on the repository that the author of `/mlgate override` must have, or a higher one."""


class HoldoutConfig(_Section):
    budget: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_no_boolean)] = 50
    """How many different candidates one holdout is meant to judge; beyond, the report warns. Code, data and parameters that were tested
    before count once."""
    reuse: Literal["report", "bonferroni", "ladder"] = "report"
    """What is done about it: `report` only says what the uses did to the promise; `bonferroni` makes every test so strict that `budget` of
    them together keep `gate.confidence`; `ladder` calls a model no worse only where it beats the best so far by more than the noise."""


class GateConfig(_Section):
    baseline: Annotated[NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=2)], BeforeValidator(_baselines)] = "base"
    """`base` (the commit the pull request would change), `champion` (the registry's), a release (a tag, or a commit's SHA), or the path of
    a predictions file. A list of two, such as `[base, v1.4.0]`: no rule's margin may be lost against either, so that small losses cannot
    add up."""
    confidence: Annotated[float, Field(gt=0.5, lt=1), BeforeValidator(_no_boolean)] = 0.95
    """One-sided confidence of every bound."""
    cannot_tell: Literal["warn", "block"] = "warn"
    """What a pull request does when the holdout cannot settle a margin; a release blocks, unless the rule itself says otherwise."""
    rebuild_baseline: bool = False
    """Train the baseline commit when its evaluation is not to be had anywhere."""
    rules: list[RuleConfig] = []
    """All must hold for the gate to open."""
    holdout: HoldoutConfig = HoldoutConfig()
    """How often one holdout may be asked, and what is done about it."""
    override: OverrideConfig = OverrideConfig()
    """Who may open a closed gate for one commit."""

    @property
    def baselines(self) -> tuple[str, ...]:
        """What a candidate is compared with: one, or two of which the first is the one it would replace."""
        named = [self.baseline] if isinstance(self.baseline, str) else self.baseline
        return tuple(sorted(named, key=lambda name: name != "base"))

    @property
    def test_confidence(self) -> float:
        """One-sided confidence of every bound, after `holdout.reuse`."""
        spent = self.holdout.budget if self.holdout.reuse == "bonferroni" else 1
        return 1 - (1 - self.confidence) / spent if spent > 1 else self.confidence


class MlflowConfig(_Section):
    tracking_uri: NonEmpty | None = None
    """MLflow tracking server. Left out: MLFLOW_TRACKING_URI, else SQLite under .mlgate/."""


class ReportConfig(_Section):
    title: NonEmpty | None = None
    """Heading of the report. Left out: the model's name."""
    comment: bool = True
    """Post the report as a comment on the pull request."""
    status: bool = True
    """Set the commit status mlgate/<model>."""
    plots: Literal["mermaid", "text", "branch", "none"] = "mermaid"
    """How the comment shows plots; `branch` pushes pictures to the branch mlgate-assets. The HTML always has pictures."""
    examples: bool = False
    """Whether reports may show values of the data."""


class WebhookConfig(_Section):
    kind: Literal["slack", "pagerduty", "json"]
    """`slack` (or what takes Slack's incoming webhooks), `pagerduty` (Events API v2), or `json`: what there is to say as plain JSON."""
    env: Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")]
    """Name of the environment variable that holds the webhook's URL, or PagerDuty's routing key; never the secret itself."""
    url: NonEmpty | None = None
    """Of PagerDuty only: its events endpoint. Left out: https://events.pagerduty.com/v2/enqueue."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.env.startswith(("GITHUB_", "ACTIONS_", "RUNNER_", "MLGATE_")):
            raise MistakeAtKeyError("notify.webhooks", f"env '{self.env}' is not yours to send; choose another name for the secret")
        if self.url is not None and self.kind != "pagerduty":
            raise MistakeAtKeyError("notify.webhooks", f"the URL of a {self.kind} webhook is a secret: put it into '{self.env}', not here")
        return self


class NotifyConfig(_Section):
    when: Literal["default-branch", "always"] = "default-branch"
    """Whose closed gate is told: only that of a push to the default branch, or that of every run."""
    webhooks: list[WebhookConfig] = []
    """Who is told over the web."""
    mention: Annotated[str, StringConstraints(pattern=r"^@[A-Za-z0-9][A-Za-z0-9-]{0,38}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?$")] | None = None
    """Team or user (`@org/team`) who is told by a comment on the commit."""


class Config(_Section):
    """mlgate.yaml: one model, from its data to the gate."""

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Name in the registry and in every report: letters, digits, dot, dash, underscore."""
    checks: list[NonEmpty] = []
    """Commands of your own tests, run first."""
    data: DataConfig = DataConfig()
    """What is pulled, prepared and checked before training."""
    train: TrainConfig | None = None
    """How the model is trained. Left out: the predictions are there already."""
    evaluation: EvaluationConfig
    """How it is evaluated."""
    gate: GateConfig = GateConfig()
    """What must hold for a merge."""
    mlflow: MlflowConfig = MlflowConfig()
    """Where runs are tracked."""
    inputs: list[RepositoryPattern] | None = None
    """For several models in one repository: what else this one is made from, as paths or patterns relative to the repository's top. Left
    out: everything that lies in no other model's folder."""
    store: NonEmpty | None = None
    """Where lasting state lives: `git`, or the path of a folder. Left out: the Git ref on GitHub, a folder on a laptop."""
    report: ReportConfig = ReportConfig()
    """What is published, and how."""
    notify: NotifyConfig = NotifyConfig()
    """Who is told when the gate closes."""

    @field_validator("model")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.lower() in {"store", "mlflow", "mlgate.yaml"} or name.endswith((".", ".lock")) or ".." in name:
            raise ValueError(f"the name '{name}' is reserved; choose another")
        return name

    @model_validator(mode="after")
    def _rules_name_metrics(self) -> Self:
        evaluation = self.evaluation
        known = evaluation.metric_names or _METRICS_OF.get(evaluation.task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS))
        known = [*known, *(evaluation.latency.metric_names if evaluation.latency else ())]
        for index, rule in enumerate(self.gate.rules):
            where = f"gate.rules[{index}].metric"
            if evaluation.latency is not None and rule.metric in evaluation.latency.metric_names:
                _check_latency_rule(rule, evaluation.latency, f"gate.rules[{index}]")
                continue
            if rule.metric == MAIN_METRIC:
                if evaluation.predictions is None:
                    key = next((key for key in ("fairness", "slices", "on") if getattr(rule, key) is not None), "metric")
                    what = (
                        "missing; only predictions have a main metric, of metric files name the key"
                        if key == "metric"
                        else ("is about predictions: name their file in evaluation.predictions")
                    )
                    raise MistakeAtKeyError(f"gate.rules[{index}].{key}", what)
            elif rule.metric not in known and not evaluation.metrics_files:  # whose keys are known only once they are written
                raise MistakeAtKeyError(where, f"no metric '{rule.metric}' in evaluation{did_you_mean(rule.metric, known)}")
        return self

    @model_validator(mode="after")
    def _rules_name_what_there_is(self) -> Self:
        evaluation = self.evaluation
        for index, rule in enumerate(self.gate.rules):
            where = f"gate.rules[{index}]"
            if rule.on is not None and rule.on not in evaluation.perturbed:
                near = did_you_mean(rule.on, evaluation.perturbed)
                raise MistakeAtKeyError(f"{where}.on", f"no set '{rule.on}' in evaluation.perturbed{near}")
            if rule.slices == "all" and not evaluation.slices:
                raise MistakeAtKeyError(f"{where}.slices", "there are none; name their columns in evaluation.slices")
            columns = [(f"{where}.slices", name) for name in rule.slices or () if rule.slices != "all"]
            if rule.group is not None:
                columns.append((f"{where}.group", rule.group))
            for key, name in columns:
                if name not in evaluation.slices:
                    raise MistakeAtKeyError(key, f"no column '{name}' in evaluation.slices{did_you_mean(name, evaluation.slices)}")
            if rule.fairness is not None:
                self._check_fairness(f"{where}.fairness", rule.fairness)
        return self

    def _check_fairness(self, where: str, metric: str) -> None:
        """Raises MistakeAtKeyError where no gap can be computed in such a metric."""
        evaluation = self.evaluation
        rates = () if evaluation.stated_task == "regression" else FAIRNESS_RATES
        known = (*rates, *_METRICS_OF.get(evaluation.stated_task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS)))
        if metric not in known:
            raise MistakeAtKeyError(where, f"no metric '{metric}' that mlgate knows{did_you_mean(metric, known)}")
        if metric in METRICS_OF_SCORES and evaluation.columns.score is None:
            raise MistakeAtKeyError(where, f"metric '{metric}' needs probabilities: name their column in evaluation.columns.score")

    @property
    def params(self) -> list[str]:
        """Parameter files of the training."""
        return self.train.params if self.train else []

    def resolved(self, task: Task, of_scores: Sequence[str] = ()) -> Config:
        """The same configuration with what may be left out filled in: the task, the usual metrics, the main metric's name in rules.

        Args:
            task: as it was recognised.
            of_scores: metrics of probabilities that the predictions have the numbers for.
        """
        evaluation = self.evaluation
        asked = [rule.metric for rule in self.gate.rules if rule.metric in _METRICS_OF[task]]
        metrics = evaluation.metrics or list(dict.fromkeys([*USUAL_METRICS[task], *of_scores, *asked]))
        main = metric_name(metrics[0])
        rules = [
            rule.model_copy(update={"metric": main}) if rule.metric == MAIN_METRIC and MAIN_METRIC not in evaluation.metric_names else rule
            for rule in self.gate.rules
        ]
        return self.model_copy(
            update={
                "evaluation": evaluation.model_copy(update={"task": task, "metrics": metrics}),
                "gate": self.gate.model_copy(update={"rules": rules}),
            }
        )


def _check_latency_rule(rule: RuleConfig, latency: LatencyConfig, where: str) -> None:
    """Raises MistakeAtKeyError where latency has no answer to what a rule asks."""
    if key := next((key for key in ("on", "slices") if getattr(rule, key) is not None), None):
        raise MistakeAtKeyError(f"{where}.{key}", f"'{rule.metric}' is of requests, not of examples; leave it out")
    if rule.better is not None and rule.better != latency_direction(rule.metric):
        raise MistakeAtKeyError(f"{where}.better", f"'{rule.metric}' is better {latency_direction(rule.metric)}; leave it out")
    if rule.margin is not None and latency.samples is not None:
        what = "nothing is measured of the baseline, so a margin says nothing"
        raise MistakeAtKeyError(f"{where}.margin", f"{what}; use `max`, or evaluation.latency.predict instead of `samples`")


def latency_metric(level: float) -> str:
    """`latency_p95` of 0.95."""
    return f"latency_p{round(level * 100, 6):g}"


def latency_direction(metric: str) -> Literal["higher", "lower"]:
    """Which direction of a metric of evaluation.latency is better."""
    return "higher" if metric == THROUGHPUT else "lower"


_METRICS_OF: dict[Task | None, tuple[str, ...]] = {"classification": CLASSIFICATION_METRICS, "regression": REGRESSION_METRICS}


def metric_name(reference: str) -> str:
    """`accuracy` for `accuracy`, `cost` for `metrics/money.py:cost`."""
    code = user_code(reference)
    return code[1] if code else reference


def load(path: Path, shown_as: str | None = None) -> Config:
    """Read and validate a configuration file.

    Args:
        path: the file.
        shown_as: what messages call it; its path as given, by default.

    Raises:
        InputError: the file is absent, no YAML, or says something wrong; one line a mistake.
    """
    name = shown_as or str(path)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; write one, or let 'mlgate init' propose it") from None
    except IsADirectoryError:
        raise InputError(f"{name}: expected a file, found a folder; name the configuration itself in --config") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    return parse(text, name)


def parse(text: bytes, name: str) -> Config:
    """A configuration from the bytes of its file; `name` is what messages call it. Raises InputError."""
    document = strict_yaml.parse(text, name)
    if not isinstance(document, dict):
        raise InputError(f"{name}: expected keys such as 'model', 'train' and 'evaluation', got {kind_of(document)}")
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise InputError("\n".join(f"{name}: {' '.join(line.split())[:_MAX_LINE]}" for line in explain(error, Config))) from None


def sha256(text: bytes) -> str:
    """Identity of a configuration: SHA-256 of its bytes, line endings aside (a checkout on Windows changes them)."""
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of mlgate.yaml, for editors."""
    schema = Config.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mlgate.yaml", **schema}
