"""mlgate.yaml: read, validated, typed. Every stage starts here; every mistake in the file is named with its key path."""

from __future__ import annotations

import hashlib
import re
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


RelativePath = Annotated[str, AfterValidator(_relative_path)]
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
    timeout: Seconds = 6 * 3600
    """How long the command may run: `90s`, `30m`, `2h`."""
    params: list[RelativePath] = []
    """Parameter files (YAML, JSON or TOML) whose values are logged and compared."""


class ColumnsConfig(_Section):
    id: NonEmpty = "id"
    """Unique identifier of an example; baseline and candidate are paired on it."""
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
    task: Literal["classification", "regression"]
    """What the model predicts."""
    predictions: RelativePath
    """Predictions on the holdout, one row an example: CSV, Parquet or JSON lines."""
    columns: ColumnsConfig = ColumnsConfig()
    """Names of the columns in the predictions file."""
    metrics: Annotated[list[NonEmpty], Field(min_length=1)]
    """Metrics by name, or `path/to/module.py:function` for your own."""
    positive: str | int | bool | None = None
    """Positive class of a binary task. Left out: the greater of the two labels."""
    metrics_files: list[RelativePath] = []
    """JSON or YAML files of numbers no predictions stand behind, such as latency; nested keys are joined by dots."""
    slices: list[NonEmpty] = []
    """Columns of the predictions file whose values cut the holdout into subgroups."""

    @property
    def metric_names(self) -> list[str]:
        """Names of `metrics` as rules and reports call them."""
        return [metric_name(reference) for reference in self.metrics]

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: list[str], info: Any) -> list[str]:
        task = info.data.get("task")
        known = {"classification": CLASSIFICATION_METRICS, "regression": REGRESSION_METRICS}.get(task, ())
        for name in names:
            code = user_code(name)
            if code is not None:
                _relative_path(code[0])
            elif known and name not in known:
                raise ValueError(f"no metric '{name}' for {task}{did_you_mean(name, known)} (or path/to/module.py:function)")
        short = [metric_name(name) for name in names]
        for name in short:
            if short.count(name) > 1:
                raise ValueError(f"metric '{name}' is listed more than once")
        return names

    @model_validator(mode="after")
    def _scores_are_there(self) -> Self:
        for name in self.metrics:
            if name in METRICS_OF_SCORES and self.columns.score is None:
                raise ValueError(f"metric '{name}' needs probabilities: name their column in evaluation.columns.score")
        return self


class RuleConfig(_Section):
    metric: NonEmpty
    """Name of a metric of the evaluation."""
    min: Number | None = None
    """The candidate's value must not be below this."""
    max: Number | None = None
    """The candidate's value must not be above this."""
    margin: Annotated[float, Field(ge=0), BeforeValidator(_no_boolean)] | None = None
    """The candidate must not be worse than the baseline by more than this (non-inferiority margin, in units of the metric)."""
    better: Literal["higher", "lower"] | None = None
    """Which direction is better; needed for `margin` on a metric mlgate does not know."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.margin is None:
            raise ValueError("expected at least one of min, max, margin")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


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
    plots: Literal["mermaid", "text", "none"] = "mermaid"
    """How the comment shows plots; the HTML always has pictures."""
    examples: bool = False
    """Whether reports may show values of the data."""


class Config(_Section):
    """mlgate.yaml: one model, from its data to the gate."""

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Name in the registry and in every report: letters, digits, dot, dash, underscore."""
    checks: list[NonEmpty] = []
    """Commands of your own tests, run first."""
    data: DataConfig = DataConfig()
    """What is pulled, prepared and checked before training."""
    train: TrainConfig
    """How the model is trained."""
    evaluation: EvaluationConfig
    """How it is evaluated."""
    gate: GateConfig = GateConfig()
    """What must hold for a merge."""
    mlflow: MlflowConfig = MlflowConfig()
    """Where runs are tracked."""
    store: NonEmpty | None = None
    """Where lasting state lives: `git`, or the path of a folder. Left out: the Git ref on GitHub, a folder on a laptop."""
    report: ReportConfig = ReportConfig()
    """What is published, and how."""

    @field_validator("model")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.lower() in {"store", "mlflow"} or name.endswith((".", ".lock")) or ".." in name:
            raise ValueError(f"the name '{name}' is reserved; choose another")
        return name

    @model_validator(mode="after")
    def _rules_name_metrics(self) -> Self:
        if self.evaluation.metrics_files:
            return self  # their keys are known only once they are written: `evaluate` checks the rest
        known = self.evaluation.metric_names
        for index, rule in enumerate(self.gate.rules):
            if rule.metric not in known:
                raise MistakeAtKeyError(
                    f"gate.rules[{index}].metric", f"no metric '{rule.metric}' in evaluation{did_you_mean(rule.metric, known)}"
                )
        return self


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
