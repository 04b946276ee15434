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
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
)
REGRESSION_METRICS = ("rmse", "mae", "mape", "r2")
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})
METRICS_OF_SCORES = frozenset({"roc_auc", "pr_auc", "log_loss", "brier"})
Task = Literal["classification", "regression"]
USUAL_METRICS: dict[Task, tuple[str, ...]] = {"classification": ("accuracy", "f1_macro"), "regression": ("rmse", "mae", "r2")}
"""What is computed where `evaluation.metrics` is left out; the first is the main metric."""
MAIN_METRIC = "main"
GENERATED_CONFIG = ".mlgate/mlgate.yaml"
"""Where a configuration made of the root action's inputs lies, relative to the working directory."""

DEFAULT_TIMEOUT_S = 6 * 3600
"""How long a training may run, seconds, where `train.timeout` is left out."""

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


RelativePath = Annotated[str, AfterValidator(_relative_path)]
RepositoryPattern = Annotated[str, StringConstraints(max_length=500), AfterValidator(_repository_pattern)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(gt=0, le=366 * 86400),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"type": "integer", "exclusiveMinimum": 0}]}),
]

Number = Annotated[float, BeforeValidator(_no_boolean)]


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
    predict: NonEmpty | None = None
    """Command that writes `predictions` with the model and for the holdout that lie there, e.g. `python predict.py`. Where a change alters
    the holdout, the baseline's model is scored on it by this."""
    holdout: list[RelativePath] = []
    """Files and folders the holdout consists of: what `predict` makes predictions for. Needed with `predict`."""
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
            for key in ("metrics", "slices"):
                if getattr(self, key):
                    raise ValueError(f"{key} are computed from predictions: name their file in evaluation.predictions")
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
        if self.predict is None and (self.holdout or self.model_files):
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

    @property
    def title(self) -> str:
        """Names the row of the comparison that the rule is about."""
        return self.metric

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.margin is None:
            raise ValueError("expected at least one of min, max, margin")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class OverrideConfig(_Section):
    permission: Literal["write", "maintain", "admin"] = "maintain"
    """Role on the repository that the author of `/mlgate override` must have, or a higher one."""


class GateConfig(_Section):
    baseline: NonEmpty = "base"
    """`base` (the commit the pull request would change), `champion` (the registry's), or the path of a predictions file."""
    confidence: Annotated[float, Field(gt=0.5, lt=1), BeforeValidator(_no_boolean)] = 0.95
    """One-sided confidence of every bound."""
    cannot_tell: Literal["warn", "block"] = "warn"
    """What a pull request does when the holdout cannot settle a margin."""
    rebuild_baseline: bool = False
    """Train the baseline commit when its evaluation is not to be had anywhere."""
    rules: list[RuleConfig] = []
    """All must hold for the gate to open."""
    override: OverrideConfig = OverrideConfig()
    """Who may open a closed gate for one commit."""


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
        for index, rule in enumerate(self.gate.rules):
            where = f"gate.rules[{index}].metric"
            if rule.metric == MAIN_METRIC:
                if evaluation.predictions is None:
                    raise MistakeAtKeyError(where, "missing; only predictions have a main metric, of metric files name the key")
            elif rule.metric not in known and not evaluation.metrics_files:  # whose keys are known only once they are written
                raise MistakeAtKeyError(where, f"no metric '{rule.metric}' in evaluation{did_you_mean(rule.metric, known)}")
        return self

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
