"""The gate's tables: every metric of candidate and baseline with its interval and verdict, by slice, and what the plots show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mlgate.config import LOWER_IS_BETTER, METRICS_OF_SCORES, Config, RuleConfig, metric_name, user_code
from mlgate.evaluation.labels import positive_class
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import Comparison, Confusion, MetricValue, Resampled, Residuals, SliceComparison, SliceMetrics, finite
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision import training_noise
from mlgate.stages.decision.training_noise import Training
from mlgate.stats import comparison as statistics
from mlgate.stats import confusion, mcnemar, planning
from mlgate.stats.bootstrap import seed_of
from mlgate.stats.clusters import Groups
from mlgate.stats.comparison import ACCURACY_LIKE, Compared, Model, Pair, UndefinedMetricError
from mlgate.stats.intervals import Interval
from mlgate.stats.means import at_other_sizes
from mlgate.stats.seeds import interval_of_runs
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
    aspect: str = ""
    """What of the metrics is compared, where these are not predictions on the holdout itself: `on noise`."""
    training: Training = field(default_factory=Training)
    """Other runs of both training codes, by which rows on the whole holdout are about the codes instead of the artefacts."""

    @property
    def shared_examples(self) -> int:
        return self.pairing.shared_examples if self.pairing else 0

    @property
    def confidence(self) -> float:
        return self.rules.gate.confidence

    def title(self, metric: str) -> str:
        """Of the metric's row."""
        return f"{metric} {self.aspect}" if self.aspect else metric

    def margin_rule(self, metric: str) -> RuleConfig | None:
        """The strictest rule that guards the row of this metric against loss."""
        guards = [rule for rule in self.rules.gate.rules if rule.title == self.title(metric) and rule.margin is not None]
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
        here = [rule.metric for rule in self.rules.gate.rules if rule.aspect == self.aspect or (rule.slices and not self.aspect)]
        guarded = [metric for metric in here if metric in self.metrics or metric in known]
        return list(dict.fromkeys([*guarded, *self.metrics]))

    def better(self, metric: str) -> str | None:
        """Which direction is better: of metrics mlgate knows by their name, of others by the rule or the evidence."""
        if metric in statistics.METRICS_OF_CLASSES | statistics.METRICS_OF_NUMBERS:
            return "lower" if metric in LOWER_IS_BETTER else "higher"
        stated = next((rule.better for rule in self.rules.gate.rules if rule.metric == metric and rule.better), None)
        return stated or (self.metrics[metric].better if metric in self.metrics else None)


def model_of(predicted: Predictions, rules: Config) -> Model:
    """A model's predictions as the statistics take them; in groups where the rules have some, and they are there."""
    is_grouped = rules.evaluation.group is not None and predicted.groups is not None
    groups = Groups.of(predicted.groups) if is_grouped and predicted.groups is not None else None
    if predicted.classes is None:
        return Model(predicted.target, predicted.prediction, groups=groups)
    positive = positive_class(predicted.classes, rules.evaluation.positive, "the predictions") if len(predicted.classes) == 2 else None
    code = predicted.classes.index(positive) if positive is not None else None
    return Model(predicted.target, predicted.prediction, len(predicted.classes), code, predicted.scores, groups)


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
    pair = pair_of(examined)
    rows = []
    for name in examined.names:
        say(name)
        compared = compared_on(examined, name, pair, None)
        row = _row(examined, name, compared) if compared else _uncertified(examined, name)
        if row is not None:
            rows.append(row)
    return rows


def guarded(examined: Examination, say: Callable[[str], None]) -> list[Comparison]:
    """Rows of the metrics that a margin guards, as far as they can be compared."""
    pair = pair_of(examined)
    rows = []
    for name in examined.names:
        if examined.margin_rule(name) is not None:
            say(name)
            if (compared := compared_on(examined, name, pair, None)) is not None:
                rows.append(_row(examined, name, compared))
    return rows


def slices_of_first(examined: Examination, recorded: list[SliceMetrics]) -> list[SliceComparison]:
    """Where there is nothing to compare with: the candidate's own values on its slices, as its evaluation recorded them."""
    guarded = [name for name in examined.names if examined.margin_rule(name) is not None]
    names = guarded or [name for name in examined.names if name in ACCURACY_LIKE][:1]
    return [
        SliceComparison(column=found.column, value=found.value, n=found.n, comparison=without_interval(examined, name, value, None))
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


def pair_of(examined: Examination) -> Pair | None:
    """Both models on the examples they share, as the statistics take them."""
    if examined.pairing is None:
        return None
    return Pair(model_of(examined.pairing.candidate, examined.rules), model_of(examined.pairing.baseline, examined.rules))


def has_values(examined: Examination, name: str) -> bool:
    """Whether a metric of the user's own has a value for each example, of both models."""
    pairing = examined.pairing
    return pairing is not None and name in pairing.candidate.values and name in pairing.baseline.values


def compared_on(
    examined: Examination, name: str, pair: Pair | None, index: NDArray[np.int64] | None, confidence: float | None = None
) -> Compared | None:
    """The comparison from predictions; None where there is none to be made.

    Args:
        examined: both models and the rules.
        name: of the metric.
        pair: both models on the examples to compare on.
        index: which of the shared examples these are; None for all.
        confidence: one-sided; left out, the gate's.
    """
    pairing, confidence = examined.pairing, confidence or examined.confidence
    if pair is None or pairing is None or examined.holdout_sha256 is None:
        return None
    found = _of_artefacts(examined, name, pair, index, confidence)
    if found is None or index is not None or examined.aspect or not examined.training.has_predictions:
        return found
    if name in examined.known(pair.candidate):
        model = partial(model_of, rules=examined.rules)
        return training_noise.covering(examined.training, pairing, name, found, model, confidence) or found
    return training_noise.covering_values(examined.training, pairing, name, found, pair.groups, confidence) or found


def _of_artefacts(examined: Examination, name: str, pair: Pair, index: NDArray[np.int64] | None, confidence: float) -> Compared | None:
    pairing = examined.pairing
    if pairing is None or examined.holdout_sha256 is None:
        return None
    try:
        if name in examined.known(pair.candidate) & pair.baseline.metrics:
            return statistics.compare(name, pair, confidence, seed_of(examined.holdout_sha256, name))
        if has_values(examined, name) and name not in examined.known(pair.candidate):
            one, other = pairing.candidate.values[name], pairing.baseline.values[name]
            if index is not None:
                one, other = one[index], other[index]
            return statistics.compare_means(one, other, confidence, pair.groups)
        if index is None and pair.groups is None and name not in examined.known(pair.candidate):
            return _compared_on_resamples(examined, name, confidence)
    except UndefinedMetricError:
        return None
    return None


def _compared_on_resamples(examined: Examination, name: str, confidence: float) -> Compared | None:
    """A single number of the user's: as far as both models' own runs called one and the same function on the same resamples.

    What the candidate's job says of the baseline counts for nothing here: no predictions stand behind it.
    """
    pairing, baseline = examined.pairing, examined.baseline
    if pairing is None or baseline is None or examined.candidate is None or baseline.predictions is None or examined.aspect:
        return None
    if baseline.source not in ("store", "run artifact") or not examined.candidate.n == baseline.predictions.n == pairing.shared_examples:
        return None
    mine, theirs = examined.metrics.get(name), baseline.metrics.get(name)
    if mine is None or theirs is None or mine.resampled is None or theirs.resampled is None:
        return None
    ones, others = mine.resampled, theirs.resampled
    lengths = [(len(each.draws), len(each.left_out)) for each in (ones, others)]
    if ones.code_sha256 != others.code_sha256 or lengths[0] != lengths[1]:
        return None

    def numbers(of: MetricValue, resampled: Resampled) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        return of.value, np.array(resampled.draws, dtype=np.float64), np.array(resampled.left_out, dtype=np.float64)

    return statistics.compare_resampled(numbers(mine, ones), numbers(theirs, others), pairing.shared_examples, confidence)


def _row(examined: Examination, name: str, compared: Compared) -> Comparison:
    rule = examined.margin_rule(name)
    return row_of(examined, name, compared, rule.margin if rule else None)


def row_of(examined: Examination, name: str, compared: Compared, margin: float | None) -> Comparison:
    """What a comparison says by a margin, or without one."""
    better = examined.better(name)
    verdict, more = None, None
    improvement = towards_better(compared.interval, is_lower_better=better == "lower")
    if better is not None:
        verdict = decide(improvement, margin)
        if verdict == "cannot tell":
            more = more_examples(_at_other_sizes(examined, compared, improvement), compared.n, margin)
    is_open = verdict in ("no worse", "cannot tell")
    return Comparison(
        metric=name,
        aspect=examined.aspect,
        better=better,
        candidate=compared.candidate,
        baseline=compared.baseline,
        difference=compared.interval.estimate,
        low=finite(compared.interval.low),
        high=finite(compared.interval.high),
        method=compared.interval.method,
        verdict=verdict,
        margin=margin,
        more_examples=None if compared.seeds else more,  # no number of examples makes up for few seeds
        p_value=compared.p_value,
        p_value_of=mcnemar.NAME if compared.p_value is not None else "",
        visible_loss=_visible_loss(compared, improvement, examined.confidence) if is_open else None,
        standard_error=compared.interval.standard_error,
        groups=compared.groups,
        seeds=compared.seeds,
        certifies="the training code" if compared.seeds else "this artefact",
    )


def _at_other_sizes(examined: Examination, compared: Compared, improvement: Interval) -> Callable[[float], Interval]:
    if compared.paired:
        return tango_at(*compared.paired, compared.n, examined.confidence)
    return at_other_sizes(improvement, compared.n, examined.confidence) or closing_in(improvement, compared.n)


def _visible_loss(compared: Compared, improvement: Interval, confidence: float) -> float | None:
    if compared.paired is not None:
        return planning.visible_loss(planning.PairedProportions(compared.n, sum(compared.paired) / compared.n), confidence)
    noise = planning.noise_of(improvement, compared.n, confidence)
    return finite(loss) if noise and (loss := planning.visible_loss(noise, confidence)) else None


def _uncertified(examined: Examination, name: str) -> Comparison | None:
    """A row without an interval: one number on each side at most, which certifies nothing."""
    candidate = value_of(examined, name)
    if candidate is None:
        return None
    baseline = None
    if examined.baseline is not None and (examined.pairing is None or name not in examined.computed):
        recorded = examined.baseline.metrics.get(name)
        baseline = recorded.value if recorded else None
        runs = training_noise.of_numbers(examined.training, name) if _is_of_file(examined, name) else None
        if recorded is not None and runs is not None:
            interval = interval_of_runs(runs, examined.confidence)
            sizes = (runs.candidate.size, runs.baseline.size)
            means = (float(runs.candidate.mean()), float(runs.baseline.mean()))
            return _row(examined, name, Compared(*means, interval, min(sizes), seeds=sizes)).model_copy(
                update={"more_examples": None, "visible_loss": None}  # which would be seeds
            )
    return without_interval(examined, name, candidate, baseline)


def _is_of_file(examined: Examination, name: str) -> bool:
    return name in examined.metrics and examined.metrics[name].source == "file"


def without_interval(examined: Examination, name: str, candidate: float, baseline: float | None) -> Comparison:
    rule = examined.margin_rule(name)
    return Comparison(
        metric=name,
        aspect=examined.aspect,
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
