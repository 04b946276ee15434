"""`evaluation`: what a model is judged by, and on which examples."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mlgate.config.metrics import (
    CLASSIFICATION_METRICS,
    MAX_LATENCY_SAMPLES,
    METRICS_OF,
    METRICS_OF_SCORES,
    REGRESSION_METRICS,
    THROUGHPUT,
    Task,
    latency_metric,
    metric_name,
)
from mlgate.config.values import FilePattern, NonEmpty, RelativePath, Seconds, Section, SetName, _relative_path, no_boolean, user_code
from mlgate.mistakes import MistakeAtKeyError, did_you_mean


class ColumnsConfig(Section):
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


class LatencyConfig(Section):
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
    batch: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(no_boolean)] = 1
    """Rows of a request."""
    requests: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(no_boolean)] = 50
    """Requests of a round, to each model."""
    rounds: Annotated[int, Field(ge=5, le=1000), BeforeValidator(no_boolean)] = 20
    """How often both models take their turns, in an order drawn anew each round."""
    warm_up: Annotated[int, Field(ge=0, le=100_000), BeforeValidator(no_boolean)] = 20
    """Requests to each model before the first round; their times count for nothing."""
    quantiles: Annotated[list[Annotated[float, Field(gt=0, lt=1), BeforeValidator(no_boolean)]], Field(min_length=1, max_length=20)] = [
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


class EvaluationConfig(Section):
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
    def written_files(self) -> list[str]:
        """Files that a training writes to be evaluated, but for those that `seeds` and `seed_metrics` stand for."""
        samples = self.latency.samples if self.latency is not None else None
        return [*filter(None, [self.predictions, samples]), *self.perturbed.values(), *self.metrics_files]

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
        known = METRICS_OF.get(task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS) if "task" in info.data else ())
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
