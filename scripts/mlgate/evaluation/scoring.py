"""A model's evaluation: named metrics, the user's own and numbers from files together, on all examples and by slice.

Candidate and baseline both go through here, so that one code computes both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from mlgate.config import CLASSIFICATION_METRICS, FAIRNESS_RATES, REGRESSION_METRICS, EvaluationConfig, RuleConfig, user_code
from mlgate.errors import InputError
from mlgate.evaluation import metrics, own_metrics, predictions
from mlgate.evaluation.labels import positive_class
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import FurtherSet, MetricValue, PerturbedSet, ScoredModel, SeedNumbers, SeedSet, SliceMetrics, file_ref, finite
from mlgate.mistakes import did_you_mean

Kept = TypeVar("Kept", bound=FurtherSet)

_KNOWN = frozenset((*CLASSIFICATION_METRICS, *REGRESSION_METRICS))


@dataclass(frozen=True)
class Scored:
    """What was computed from one model's predictions, or taken from metric files where there are none."""

    predictions: Predictions | None
    """With the values of the user's own metrics."""
    metrics: list[MetricValue]
    slices: list[SliceMetrics]
    undefined: dict[str, str]
    """Metrics without a value, and why."""
    warnings: list[str]
    perturbed: list[ScoredSet] = field(default_factory=list)
    """The same model on perturbed copies of the holdout."""
    seeds: list[ScoredSet] = field(default_factory=list)
    """Other runs of the same training code on the holdout itself."""
    seed_metrics: list[SeedNumbers] = field(default_factory=list)
    """Numbers that no predictions stand behind, of such runs."""

    def keep(
        self, path: Path, state: Path, *, commit: str | None, inputs_sha256: str | None, ids: Literal["column", "row numbers"] = "column"
    ) -> ScoredModel:
        """Write the normalised predictions, if there are any, to `path`, below the state folder, and say what was scored."""
        found = self.predictions
        if found is None:
            return ScoredModel(commit=commit, inputs_sha256=inputs_sha256, metrics=self.metrics, slices=[], seed_metrics=self.seed_metrics)
        predictions.write(found, path)
        return ScoredModel(
            commit=commit,
            inputs_sha256=inputs_sha256,
            task=found.task,
            n=found.n,
            holdout_sha256=predictions.holdout_sha256(found),
            ids=ids,
            classes=None if found.classes is None else list(found.classes),
            metrics=self.metrics,
            slices=self.slices,
            predictions=file_ref(path, state),
            perturbed=[
                one.keep(PerturbedSet, path.with_name(f"{path.stem}-perturbed-{place}{path.suffix}"), state)
                for place, one in enumerate(self.perturbed)
            ],
            seeds=[
                one.keep(SeedSet, path.with_name(f"{path.stem}-seed-{place}{path.suffix}"), state) for place, one in enumerate(self.seeds)
            ],
            seed_metrics=self.seed_metrics,
        )


@dataclass(frozen=True)
class ScoredSet:
    """A model on one perturbed copy of the holdout, or another seed's on the holdout itself."""

    name: str
    scored: Scored

    def keep(self, kind: type[Kept], path: Path, state: Path) -> Kept:
        """Write its normalised predictions, and say what was scored."""
        found = self.scored.predictions
        if found is None:
            raise ValueError("a further set is made of predictions")
        predictions.write(found, path)
        return kind(
            name=self.name,
            n=found.n,
            classes=None if found.classes is None else list(found.classes),
            metrics=self.scored.metrics,
            predictions=file_ref(path, state),
        )


def score(
    predictions: Predictions,
    evaluation: EvaluationConfig,
    rules: Sequence[RuleConfig],
    files: Mapping[str, Mapping[str, float]],
    *,
    root: Path,
    shown_as: str,
    is_showing_values: bool = False,
    are_resampled: bool = True,
) -> Scored:
    """Every metric of the configuration.

    Args:
        predictions: at least one example.
        evaluation: which metrics, the positive class.
        rules: of the gate; they say which direction of an unknown number is better.
        files: numbers by metric file.
        root: the working directory, for the user's own metrics.
        shown_as: what messages call the predictions.
        is_showing_values: whether messages may hold values of the data.
        are_resampled: whether the user's own single numbers get an interval where a margin guards them.

    Raises:
        InputError: a metric cannot be computed from such predictions, fails, or has the name of another.
    """
    positive = _positive(predictions, evaluation, shown_as)
    named = [name for name in evaluation.references if user_code(name) is None]
    found: dict[str, MetricValue] = {}
    undefined: dict[str, str] = {}
    for name in named:
        try:
            number = metrics.value(name, predictions, positive)
        except metrics.NotDefinedError as reason:
            undefined[name] = str(reason)
            continue
        found[name] = MetricValue(name=name, value=number, better=metrics.better(name), source="predictions")
    slices, warnings = metrics.by_slice(named, predictions, positive)
    own, slices, more = _own(predictions, evaluation, rules, slices, positive, root, is_showing_values, are_resampled)
    values = {metric.name: metric.values for metric in own if metric.values is not None}
    found |= {
        m.name: MetricValue(name=m.name, value=m.value, better=m.better or direction(m.name, rules), source="user", resampled=m.resampled)
        for m in own
    }
    ordered = [found[name] for name in evaluation.metric_names if name in found]
    return Scored(
        predictions=replace(predictions, values=values),
        metrics=ordered + _from_files(files, evaluation.metric_names, rules),
        slices=slices,
        undefined=undefined,
        warnings=[f"{name} is not defined on this holdout: {reason}" for name, reason in undefined.items()] + warnings + more,
    )


def of_files(rules: Sequence[RuleConfig], files: Mapping[str, Mapping[str, float]]) -> Scored:
    """The numbers of metric files alone, where there are no predictions: nothing certifies them.

    Args:
        rules: of the gate; they say which direction is better, where a number's name does not.
        files: numbers by metric file.

    Raises:
        InputError: two files have a number of one name.
    """
    return Scored(predictions=None, metrics=_from_files(files, (), rules), slices=[], undefined={}, warnings=[])


def direction(metric: str, rules: Sequence[RuleConfig]) -> Literal["higher", "lower"] | None:
    """Which direction of a number mlgate does not know is better, as the gate's rules say: by `better`, else by only a min or max."""
    mine = [rule for rule in rules if rule.metric == metric]
    for rule in mine:
        if rule.better:
            return rule.better
    has_min, has_max = any(rule.min is not None for rule in mine), any(rule.max is not None for rule in mine)
    if has_min == has_max:
        return None
    return "higher" if has_min else "lower"


def check_rules(rules: Sequence[RuleConfig], scored: Scored, shown_as: str, timed: Sequence[str] = ()) -> None:
    """Refuse rules about metrics that exist nowhere; which keys a metric file has is known only now.

    Args:
        rules: of the gate.
        scored: with every metric there is, but for those of evaluation.latency.
        shown_as: what messages call the configuration.
        timed: metrics of evaluation.latency, whose rules the configuration has checked.

    Raises:
        InputError: naming the rule's key path, and the nearest metric there is.
    """
    there = {metric.name: metric for metric in scored.metrics}
    for place, rule in enumerate(rules):
        where = f"{shown_as}: gate.rules[{place}]"
        if rule.metric in timed:
            continue
        if rule.metric in scored.undefined:
            raise InputError(f"{where}.metric: '{rule.metric}' is not defined on this holdout: {scored.undefined[rule.metric]}")
        if rule.metric not in there:
            raise InputError(f"{where}.metric: no metric '{rule.metric}' in evaluation{did_you_mean(rule.metric, there)}")
        _check_aspect(rule, scored, there[rule.metric].source, where)
        known = there[rule.metric].better
        if rule.better and known and rule.better != known:
            raise InputError(f"{where}.better: '{rule.metric}' is better {known}, not {rule.better}")
        if rule.margin is not None and known is None:
            raise InputError(f"{where}.better: missing; a margin on '{rule.metric}' needs 'higher' or 'lower'")


def _check_aspect(rule: RuleConfig, scored: Scored, source: str, where: str) -> None:
    """Raises InputError where a rule on slices, on a perturbed set or between groups asks what such a metric cannot answer."""
    key, values = "slices" if rule.slices else "on", scored.predictions.values if scored.predictions else {}
    if (rule.slices or rule.on) and source == "file":
        raise InputError(f"{where}.{key}: '{rule.metric}' is a number of a metric file; only metrics of predictions can be asked there")
    if rule.slices and source == "user" and rule.metric not in values:
        raise InputError(f"{where}.slices: '{rule.metric}' returns one number; to be guarded on slices it must return one an example")
    if rule.fairness and scored.predictions is not None:
        check_fairness(rule.fairness, scored.predictions, where)


def check_fairness(metric: str, predictions: Predictions, where: str) -> None:
    """Refuse a gap in a metric that there is not for such predictions. Raises InputError."""
    classes = predictions.classes
    if metric in FAIRNESS_RATES and (classes is None or len(classes) != 2):
        what = "of a regression" if classes is None else f"of {len(classes)} classes"
        use = "mae" if classes is None else "recall_macro" if metric in ("recall", "tpr") else "precision_macro"
        raise InputError(f"{where}.fairness: '{metric}' is a rate of the positive class of two, the predictions are {what}; use '{use}'")
    if classes is not None and len(classes) > 2 and metric.endswith("_binary"):
        use = f"{metric.removesuffix('binary')}macro"
        raise InputError(f"{where}.fairness: '{metric}' is for two classes, the predictions have {len(classes)}; use '{use}'")


def _positive(predictions: Predictions, evaluation: EvaluationConfig, shown_as: str) -> str | None:
    classes = predictions.classes
    if classes is None:
        return None
    if len(classes) <= 2:
        return positive_class(classes, evaluation.positive, shown_as)
    for name in evaluation.references:
        if name.endswith("_binary"):
            raise InputError(
                f"evaluation.metrics: '{name}' is for two classes, {shown_as} has {len(classes)}; use '{name.removesuffix('binary')}macro'"
            )
    return None


def _own(
    predictions: Predictions,
    evaluation: EvaluationConfig,
    rules: Sequence[RuleConfig],
    slices: list[SliceMetrics],
    positive: str | None,
    root: Path,
    is_showing_values: bool,
    are_resampled: bool,
) -> tuple[list[own_metrics.OwnMetric], list[SliceMetrics], list[str]]:
    """The user's own metrics, the slices with them, and what they could not do."""
    references = [name for name in evaluation.references if user_code(name)]
    if not references:
        return [], slices, []
    indices = [index for _, _, index in metrics.groups(predictions)]
    guarded = {rule.metric for rule in rules if rule.margin is not None and not rule.aspect}
    own = own_metrics.call(
        references,
        predictions,
        positive=positive,
        groups=indices,
        root=root,
        is_showing_values=is_showing_values,
        resampled=guarded if are_resampled else (),
    )
    warnings = [
        f"{metric.name} is not defined on {metric.by_group.count(None)} of {len(indices)} slices: {metric.undefined}"
        for metric in own
        if metric.undefined
    ]
    warnings += [f"{m.name}: no interval, so its margin is `cannot tell`: {m.not_resampled}" for m in own if m.not_resampled]
    for metric in own:
        known = direction(metric.name, rules)
        if metric.better and known and metric.better != known and any(r.better for r in rules if r.metric == metric.name):
            warnings.append(
                f"{metric.name}: its function says better is {metric.better}, gate.rules says {known}; the function is believed"
            )
    joined = []
    for place, part in enumerate(slices):
        numbers = {**part.metrics, **{m.name: None if (v := m.by_group[place]) is None else finite(v) for m in own}}
        joined.append(part.model_copy(update={"metrics": {name: numbers[name] for name in evaluation.metric_names}}))
    return own, joined, warnings


def _from_files(files: Mapping[str, Mapping[str, float]], taken: Sequence[str], rules: Sequence[RuleConfig]) -> list[MetricValue]:
    owner = dict.fromkeys(taken, "evaluation.metrics")
    found = []
    for path, numbers in files.items():
        for name, number in numbers.items():
            if name in owner:
                raise InputError(f"{path}: '{name}' is also a metric of {owner[name]}; rename one of them")
            owner[name] = path
            better = metrics.better(name) if name in _KNOWN else direction(name, rules)
            found.append(MetricValue(name=name, value=number, better=better, source="file"))
    return found
