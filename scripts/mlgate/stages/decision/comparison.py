"""The gate's tables: every metric of candidate and baseline with its interval and verdict, by slice, and what the plots show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.config import LOWER_IS_BETTER, METRICS_OF_SCORES, Config, RuleConfig, metric_name, user_code
from mlgate.evaluation.labels import positive_class
from mlgate.evaluation.metrics import groups
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import Comparison, Confusion, MetricValue, Residuals, SliceComparison, SliceMetrics, finite
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stats import comparison as statistics
from mlgate.stats import confusion
from mlgate.stats.bootstrap import seed_of
from mlgate.stats.comparison import ACCURACY_LIKE, Compared, Model, Pair, UndefinedMetricError
from mlgate.stats.verdict import closing_in, decide, more_examples, tango_at, towards_better

MAX_CONFUSION_CLASSES = 20
RESIDUAL_BINS = 20


@dataclass(frozen=True, eq=False)
class Examination:
    """The candidate, perhaps beside a baseline, and the rules that decide."""

    rules: Config
    candidate: Predictions | None
    """None where metric files are all there is."""
    holdout_sha256: str | None
    metrics: dict[str, MetricValue]
    """The candidate's, as its evidence has them."""
    baseline: Baseline | None
    pairing: Pairing | None
    """None without a baseline, or without predictions of both."""

    @property
    def shared_examples(self) -> int:
        return self.pairing.shared_examples if self.pairing else 0

    @property
    def confidence(self) -> float:
        return self.rules.gate.confidence

    def margin_rule(self, title: str) -> RuleConfig | None:
        """The strictest rule that guards the row of this title against loss."""
        guards = [rule for rule in self.rules.gate.rules if rule.title == title and rule.margin is not None]
        return min(guards, key=lambda rule: rule.margin or 0.0, default=None)

    def known(self, model: Model) -> frozenset[str]:
        """The metrics computed here from predictions: all there are for such a model but those the user has redefined."""
        own = {metric_name(reference) for reference in self.rules.evaluation.references if user_code(reference)}
        return model.metrics - own

    @property
    def computed(self) -> frozenset[str]:
        """The metrics computed here from the candidate's predictions; none without any."""
        return self.known(model_of(self.candidate, self.rules)) if self.candidate is not None else frozenset()

    @property
    def scored(self) -> frozenset[str]:
        """Metrics that the rules have computed from probabilities: no number of the candidate's takes their place once these are gone."""
        own = {metric_name(reference) for reference in self.rules.evaluation.references if user_code(reference)}
        return METRICS_OF_SCORES - own if self.rules.evaluation.columns.score is not None else frozenset()

    @property
    def names(self) -> list[str]:
        """Every metric there is a row for, guarded ones first. What a rule asks for and mlgate knows is computed, reported or not."""
        known = self.computed
        guarded = [rule.metric for rule in self.rules.gate.rules if rule.metric in self.metrics or rule.metric in known]
        return list(dict.fromkeys([*guarded, *self.metrics]))

    def better(self, metric: str) -> str | None:
        """Which direction is better: of metrics mlgate knows by their name, of others by the rule or the evidence."""
        if metric in statistics.METRICS_OF_CLASSES | statistics.METRICS_OF_NUMBERS:
            return "lower" if metric in LOWER_IS_BETTER else "higher"
        stated = next((rule.better for rule in self.rules.gate.rules if rule.metric == metric and rule.better), None)
        return stated or (self.metrics[metric].better if metric in self.metrics else None)


def model_of(predicted: Predictions, rules: Config) -> Model:
    """A model's predictions as the statistics take them."""
    if predicted.classes is None:
        return Model(predicted.target, predicted.prediction)
    positive = positive_class(predicted.classes, rules.evaluation.positive, "the predictions") if len(predicted.classes) == 2 else None
    code = predicted.classes.index(positive) if positive is not None else None
    return Model(predicted.target, predicted.prediction, len(predicted.classes), code, predicted.scores)


def value_of(examined: Examination, metric: str) -> float | None:
    """The candidate's value on its whole holdout, from its predictions where they say it; None where it is not defined."""
    if examined.candidate is None:
        return examined.metrics[metric].value if metric in examined.metrics else None
    model = model_of(examined.candidate, examined.rules)
    if metric in examined.known(model):
        try:
            return finite(statistics.point(metric, model))
        except UndefinedMetricError:
            return None
    if metric in examined.scored:
        return None
    if metric in examined.candidate.values:
        return finite(float(examined.candidate.values[metric].mean()))
    return examined.metrics[metric].value if metric in examined.metrics else None


def comparisons(examined: Examination, say: Callable[[str], None]) -> list[Comparison]:
    """One row for every metric that is defined for the candidate."""
    pair = _pair(examined)
    rows = []
    for name in examined.names:
        say(name)
        compared = _compared(examined, name, pair, None)
        row = _row(examined, name, compared) if compared else _uncertified(examined, name)
        if row is not None:
            rows.append(row)
    return rows


def guarded(examined: Examination, say: Callable[[str], None]) -> list[Comparison]:
    """Rows of the metrics that a margin guards, as far as they can be compared."""
    pair = _pair(examined)
    rows = []
    for name in examined.names:
        if examined.margin_rule(name) is not None:
            say(name)
            if (compared := _compared(examined, name, pair, None)) is not None:
                rows.append(_row(examined, name, compared))
    return rows


def slices(examined: Examination, say: Callable[[str], None]) -> list[SliceComparison]:
    """On every slice of the shared examples: the guarded metrics, or where there are none the first one. Information, no rule."""
    pair, pairing = _pair(examined), examined.pairing
    if pair is None or pairing is None:
        return []
    names = _slice_metrics(examined, pair)
    rows = []
    for column, value, index in groups(pairing.candidate):
        say(f"{column} {value}")
        part = pair.take(index)
        for name in names:
            compared = _compared(examined, name, part, index)
            if compared is not None:
                rows.append(SliceComparison(column=column, value=value, n=len(index), comparison=_row(examined, name, compared)))
    return rows


def slices_of_first(examined: Examination, recorded: list[SliceMetrics]) -> list[SliceComparison]:
    """Where there is nothing to compare with: the candidate's own values on its slices, as its evaluation recorded them."""
    guarded = [name for name in examined.names if examined.margin_rule(name) is not None]
    names = guarded or [name for name in examined.names if name in ACCURACY_LIKE][:1]
    return [
        SliceComparison(column=found.column, value=found.value, n=found.n, comparison=_without_interval(examined, name, value, None))
        for found in recorded
        for name in names
        if (value := found.metrics.get(name)) is not None
    ]


def confusion_of(examined: Examination) -> Confusion | None:
    """Confusion tables of both models; None for a regression and for many classes."""
    shown = examined.pairing.candidate if examined.pairing else examined.candidate
    classes = shown.classes if shown is not None else None
    if shown is None or classes is None or len(classes) > MAX_CONFUSION_CLASSES:
        return None

    def table(predicted: Predictions) -> list[list[int]]:
        return [[int(count) for count in row] for row in confusion.table(predicted.target, predicted.prediction, len(classes))]

    return Confusion(classes=list(classes), candidate=table(shown), baseline=table(examined.pairing.baseline) if examined.pairing else None)


def residuals_of(examined: Examination) -> Residuals | None:
    """Histograms of both models' errors over common edges; None for a classifier."""
    if examined.candidate is None or examined.candidate.classes is not None:
        return None
    models = [examined.pairing.candidate, examined.pairing.baseline] if examined.pairing else [examined.candidate]
    errors = [model.prediction - model.target for model in models]
    low, high = min(float(one.min()) for one in errors), max(float(one.max()) for one in errors)
    if not np.isfinite([low, high]).all() or not np.isfinite(high - low):
        return None
    edges = np.linspace(low, high, RESIDUAL_BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    counts = [[int(count) for count in np.histogram(one, edges)[0]] for one in errors]
    return Residuals(edges=[float(edge) for edge in edges], candidate=counts[0], baseline=counts[1] if len(counts) > 1 else None)


def _pair(examined: Examination) -> Pair | None:
    if examined.pairing is None:
        return None
    return Pair(model_of(examined.pairing.candidate, examined.rules), model_of(examined.pairing.baseline, examined.rules))


def _slice_metrics(examined: Examination, pair: Pair) -> list[str]:
    known = examined.known(pair.candidate) & pair.baseline.metrics
    with_interval = [name for name in examined.names if name in known or _has_values(examined, name)]
    guarded = [name for name in with_interval if examined.margin_rule(name) is not None]
    if guarded:
        return guarded
    accuracy_like = [name for name in with_interval if name in ACCURACY_LIKE]
    return (accuracy_like or with_interval)[:1]


def _has_values(examined: Examination, name: str) -> bool:
    pairing = examined.pairing
    return pairing is not None and name in pairing.candidate.values and name in pairing.baseline.values


def _compared(examined: Examination, name: str, pair: Pair | None, index: NDArray[np.int64] | None) -> Compared | None:
    """The comparison from predictions; None where there is none to be made."""
    pairing = examined.pairing
    if pair is None or pairing is None or examined.holdout_sha256 is None:
        return None
    try:
        if name in examined.known(pair.candidate) & pair.baseline.metrics:
            return statistics.compare(name, pair, examined.confidence, seed_of(examined.holdout_sha256, name))
        if _has_values(examined, name) and name not in examined.known(pair.candidate):
            one, other = pairing.candidate.values[name], pairing.baseline.values[name]
            if index is not None:
                one, other = one[index], other[index]
            return statistics.compare_means(one, other, examined.confidence)
    except UndefinedMetricError:
        return None
    return None


def _row(examined: Examination, name: str, compared: Compared) -> Comparison:
    better = examined.better(name)
    rule = examined.margin_rule(name)
    margin = rule.margin if rule else None
    verdict, more = None, None
    if better is not None:
        improvement = towards_better(compared.interval, is_lower_better=better == "lower")
        verdict = decide(improvement, margin)
        if verdict == "cannot tell":
            at = tango_at(*compared.paired, compared.n, examined.confidence) if compared.paired else closing_in(improvement, compared.n)
            more = more_examples(at, compared.n, margin)
    return Comparison(
        metric=name,
        better=better,
        candidate=compared.candidate,
        baseline=compared.baseline,
        difference=compared.interval.estimate,
        low=finite(compared.interval.low),
        high=finite(compared.interval.high),
        method=compared.interval.method,
        verdict=verdict,
        margin=margin,
        more_examples=more,
    )


def _uncertified(examined: Examination, name: str) -> Comparison | None:
    """A row without an interval: one number on each side at most, which certifies nothing."""
    candidate = value_of(examined, name)
    if candidate is None:
        return None
    baseline = None
    if examined.baseline is not None and (examined.pairing is None or name not in examined.computed):
        recorded = examined.baseline.metrics.get(name)
        baseline = recorded.value if recorded else None
    return _without_interval(examined, name, candidate, baseline)


def _without_interval(examined: Examination, name: str, candidate: float, baseline: float | None) -> Comparison:
    rule = examined.margin_rule(name)
    return Comparison(
        metric=name,
        better=examined.better(name),
        candidate=candidate,
        baseline=baseline,
        difference=candidate - baseline if baseline is not None else None,
        low=None,
        high=None,
        method=None,
        verdict="cannot tell" if rule is not None and examined.baseline is not None else None,
        margin=rule.margin if rule else None,
    )
