"""The whole of mlgate.yaml: read, validated, typed; every mistake is named with its key path."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import StringConstraints, ValidationError, field_validator, model_validator

from mlgate import strict_yaml
from mlgate.config.data import DataConfig
from mlgate.config.evaluation import EvaluationConfig, LatencyConfig
from mlgate.config.gate import GateConfig, RuleConfig
from mlgate.config.metrics import (
    CLASSIFICATION_METRICS,
    FAIRNESS_RATES,
    MAIN_METRIC,
    METRICS_OF,
    METRICS_OF_SCORES,
    REGRESSION_METRICS,
    USUAL_METRICS,
    Task,
    latency_direction,
    metric_name,
)
from mlgate.config.reporting import NotifyConfig, ReportConfig
from mlgate.config.training import TrainConfig
from mlgate.config.values import NonEmpty, RepositoryPattern, Section
from mlgate.errors import InputError
from mlgate.mistakes import MistakeAtKeyError, did_you_mean, explain, kind_of

GENERATED_CONFIG = ".mlgate/mlgate.yaml"
"""Where a configuration made of the root action's inputs lies, relative to the working directory."""
_MAX_LINE = 500


class MlflowConfig(Section):
    tracking_uri: NonEmpty | None = None
    """MLflow tracking server. Left out: MLFLOW_TRACKING_URI, else SQLite under .mlgate/."""


class Config(Section):
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
        known = evaluation.metric_names or METRICS_OF.get(evaluation.task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS))
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
        known = (*rates, *METRICS_OF.get(evaluation.stated_task, (*CLASSIFICATION_METRICS, *REGRESSION_METRICS)))
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
        asked = [rule.metric for rule in self.gate.rules if rule.metric in METRICS_OF[task]]
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
    from mlgate.described_schema import DescribedSchema

    schema = Config.model_json_schema(by_alias=True, schema_generator=DescribedSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mlgate.yaml", **schema}
