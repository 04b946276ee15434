"""What rules can be expected to do, before they annoy anyone: for the gate's report, and for `mlgate plan`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlgate.config import Config, RuleConfig
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import Comparison, PlannedRule
from mlgate.render import numbers
from mlgate.stages.decision import comparison, ruling
from mlgate.stages.decision.comparison import Examination
from mlgate.stats import planning
from mlgate.stats.comparison import ACCURACY_LIKE
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval
from mlgate.stats.planning import Noise, NormalDifference, PairedProportions
from mlgate.stats.verdict import towards_better

TOO_OFTEN = 0.2
"""A rule that fails a model exactly as good as the baseline more often than this is called out."""
_ONCE_IN = 20
_MOST_TWINS, _ROWS_OF_TWINS = 8, 20_000
"""Of a small holdout one twin is a matter of luck."""
_MOST_RULES = 100
"""Nobody has more; a change whose configuration lists thousands must not keep the gate busy."""


@dataclass(frozen=True)
class Known:
    """A row, and how far its difference strays between two models that are equally good."""

    row: Comparison
    value: float | None
    """The metric of a model that is as good as the baseline, which a threshold is held against; None where that is not known."""
    noise: Noise | None
    """None where there is no interval to tell from."""
    unplanned: str = ""
    """Then why, in words."""


def disagreement_of(pairing: Pairing) -> float:
    """Share of the examples that one model alone gets right."""
    right = [model.prediction == model.target for model in (pairing.candidate, pairing.baseline)]
    return float(np.mean(right[0] != right[1]))


def assumed_disagreement(model: Predictions) -> float:
    """On which share of the examples one of two models alone is right, where no other is at hand: of two that are equally good no more than
    twice the share that this one has wrong, or right."""
    right = float(np.mean(model.prediction == model.target))
    return min(planning.ASSUMED_DISAGREEMENT, 2 * (1 - right), 2 * right)


def beside_twins(model: Predictions, disagreement: float = planning.ASSUMED_DISAGREEMENT) -> list[Pairing]:
    """A model beside imagined ones that are exactly as good, where no other is at hand.

    Args:
        model: the one there is.
        disagreement: share of the examples that a twin alone or this one alone gets right; a regression's twin has errors whose squares
            correlate as assumed.
    """
    is_classifier = model.classes is not None
    kinds = model.target if is_classifier else np.zeros(model.n, dtype=np.int64)
    right = model.prediction == model.target
    share = planning.share_to_exchange(kinds, right, disagreement) if is_classifier else 1 - planning.ASSUMED_CORRELATION
    pairings = []
    for seed in range(max(1, min(_MOST_TWINS, _ROWS_OF_TWINS // model.n))):
        rows = planning.twin_rows(kinds, share, seed)
        twin = replace(
            model,
            prediction=model.prediction[rows] if is_classifier else model.target + (model.prediction - model.target)[rows],
            scores=None if model.scores is None else model.scores[rows],
            values={name: values[rows] for name, values in model.values.items()},
        )
        pairings.append(Pairing(twin, model, common_ids=model.n, shared_examples=model.n, shared_share=1.0))
    return pairings


def together(noises: Sequence[NormalDifference]) -> NormalDifference:
    """One noise of several estimates of it: the mean of their variances."""
    count = len(noises)
    error = math.sqrt(sum(noise.standard_error**2 for noise in noises) / count)
    below = sum(noise.widening for noise in noises) / count
    above = sum(noise.widening if noise.above is None else noise.above for noise in noises) / count
    return replace(noises[0], standard_error=error, widening=below, above=above)


def known(row: Comparison, examples: int, confidence: float, disagreement: float | None) -> Known:
    """What a row of the comparison says of the noise.

    Args:
        row: candidate and baseline; its bounds hold with `confidence`.
        examples: how many it is on.
        confidence: one-sided.
        disagreement: share of the examples that one model alone gets right; None for a regression.
    """
    if row.difference is None:
        return Known(row, row.baseline, None, "the baseline has no value of it")
    if row.method is None:
        return Known(row, row.baseline, None, "it is one number of each model, and nothing says how far chance moves it")
    is_of_rows = not row.groups and not row.seeds
    if row.metric in ACCURACY_LIKE and not row.aspect and disagreement is not None and is_of_rows:
        return Known(row, row.baseline, PairedProportions(examples, disagreement))
    if row.low is None or row.high is None:
        counted = numbers.count(row.groups, "group") if row.groups else numbers.count(examples, "example")
        return Known(row, row.baseline, None, f"the holdout is too small for an interval of it ({counted})")
    interval = Interval(row.difference, row.low, row.high, row.method, row.standard_error)
    improvement = towards_better(interval, is_lower_better=row.better == "lower")
    noise = planning.noise_of(improvement, examples, confidence, is_fixed=row.seeds is not None)
    return Known(row, row.baseline, noise)


def of_change(config: Config, examined: Examination, rows: Sequence[Comparison]) -> list[PlannedRule]:
    """What the rules of a change's own configuration can be expected to do once they decide.

    Args:
        config: the change's own; its rules need not be those that decide now.
        examined: what was compared.
        rows: the comparison.
    """
    if examined.candidate is None or examined.pairing is None:
        return []
    own = config.resolved(examined.candidate.task)
    titles = {row.title for row in rows}
    if any(not rule.aspect and rule.title not in titles for rule in own.gate.rules):  # new ones, which do not decide yet
        found = comparison.comparisons(replace(examined, rules=own), lambda _: None)
        rows = [*rows, *(row for row in found if row.title not in titles)]
    pairing = examined.pairing
    disagreement = disagreement_of(pairing) if pairing.candidate.classes is not None else None
    return planned(own, [known(row, pairing.shared_examples, examined.confidence, disagreement) for row in rows])


def planned(rules: Config, found: Sequence[Known], power: float = planning.POWER) -> list[PlannedRule]:
    """Every rule that `found` has a row for.

    Args:
        rules: the configuration that is asked about.
        found: rows by whatever model is at hand.
        power: in (0, 1).
    """
    by_title = {one.row.title: one for one in found}
    of_rows = [rule for rule in rules.gate.rules if rule.slices is None and rule.title in by_title][:_MOST_RULES]
    return [one for rule in of_rows for one in _of_rule(rule, by_title[rule.title], rules, power)]


def _of_rule(rule: RuleConfig, found: Known, rules: Config, power: float) -> list[PlannedRule]:
    results = []
    for limit, words, sign in ((rule.min, "at least", 1), (rule.max, "at most", -1)):
        if limit is not None:
            results.append(_threshold(ruling.threshold_words(rule.title, words, limit), found, limit, sign, power))
    if rule.margin is not None:
        results.append(_margin(rule, rule.margin, found, rules, power))
    return results


def _threshold(text: str, found: Known, limit: float, sign: int, power: float) -> PlannedRule:
    noise, value = found.noise, found.value
    if noise is None:
        return _unknown(text, found, found.unplanned, power)
    if value is None:
        return _unknown(text, found, "without predictions the baseline's value is not known", power)
    if found.row.seeds:
        return _unknown(text, found, "it is about this artefact, and the interval about the training code", power)
    fails = noise.falls_short(sign * value, sign * limit)
    warning = ""
    if fails > TOO_OFTEN:
        scale = numbers.scale_of(found.row.metric, [value, limit])
        if sign * value < sign * limit:
            why = f"the baseline itself has {scale.value(value)}"
        else:
            safe = _easier(value - sign * normal_quantile(1 - 1 / _ONCE_IN) * noise.standard_error, sign)
            words = "at least" if sign > 0 else "at most"
            why = f"the baseline has {scale.value(value)}; {words} {safe:g} would fail it one time in {_ONCE_IN}"
        warning = f"{_called_out(text, fails)}: {why}"
    return PlannedRule(
        rule=text,
        metric=found.row.title,
        examples=noise.n,
        fails_unchanged=_share(fails),
        power=power,
        examples_needed=planning.examples_for_threshold(noise, sign * value, sign * limit, power),
        method=noise.outcomes(0.0, 0.95).method,
        warning=warning,
    )


def _margin(rule: RuleConfig, margin: float, found: Known, rules: Config, power: float) -> PlannedRule:
    text, noise = ruling.margin_words(rule.title, margin), found.noise
    if noise is None:
        return _unknown(text, found, found.unplanned, power)
    if found.row.better is None:
        return _unknown(text, found, "nothing says whether higher or lower is better", power)
    confidence = rules.gate.test_confidence
    expected = noise.outcomes(margin, confidence)
    fails = expected.worse + (expected.cannot_tell if rules.gate.is_blocking(rule) else 0.0)
    visible = planning.visible_loss(noise, confidence, power)
    needed = planning.examples_for_margin(noise, margin, confidence, power)
    warning = ""
    if fails > TOO_OFTEN:
        scale = numbers.scale_of(found.row.metric, [found.row.candidate, found.row.baseline])
        sees = f"{noise.n:,} examples see no loss" if visible is None else f"{noise.n:,} examples see a loss of {scale.loss(visible)}"
        if needed:
            needs = f"the margin needs {numbers.needed(needed)}"
        elif margin == 0:
            needs = "a margin of 0 asks for a better model"
        else:
            needs = "more seeds are what helps" if found.row.seeds else "no number will do"
        warning = f"{_called_out(text, fails)}, since “cannot tell” blocks: {sees}, and {needs}"
    return PlannedRule(
        rule=text,
        metric=found.row.title,
        margin=margin,
        examples=noise.n,
        fails_unchanged=_share(fails),
        cannot_tell_unchanged=_share(expected.cannot_tell),
        visible_loss=visible,
        power=power,
        examples_needed=needed,
        method=expected.method,
        warning=warning,
        seeds=found.row.seeds,
    )


def _unknown(text: str, found: Known, why: str, power: float) -> PlannedRule:
    examples = found.noise.n if found.noise else 0
    return PlannedRule(rule=text, metric=found.row.title, examples=examples, power=power, unplanned=why, seeds=found.row.seeds)


def _called_out(text: str, fails: float) -> str:
    return f"The rule “{text}” would fail a model exactly as good as the baseline {numbers.share(fails)} of the time"


def _easier(limit: float, sign: int) -> float:
    """To three significant digits, to the side that fails less."""
    unit = 10.0 ** (math.floor(math.log10(abs(limit))) - 2) if limit else 1.0
    return float(f"{sign * math.floor(round(sign * limit / unit, 6)) * unit:.12g}")


def _share(probability: float) -> float:
    """Sums of many small numbers end a little beside 0 and 1."""
    return min(max(probability, 0.0), 1.0)
