"""Perturbed copies of the holdout: both models' predictions on the same one compared as those on the holdout are, by the same methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import Comparison, MetricValue
from mlgate.stages.decision import comparison
from mlgate.stages.decision.comparison import Examination


@dataclass(frozen=True)
class PerturbedModel:
    """The candidate on one perturbed copy of its holdout."""

    predictions: Predictions
    metrics: dict[str, MetricValue]
    """As its evidence has them."""


@dataclass(frozen=True)
class Perturbed:
    """What was found on the perturbed sets."""

    rows: list[Comparison] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    """The candidate's value by the title of its row, on the whole set."""
    missing: dict[str, str] = field(default_factory=dict)
    """By title: why there is no row."""
    remarks: list[str] = field(default_factory=list)


def compared(
    examined: Examination,
    sets: Mapping[str, PerturbedModel],
    pairings: Mapping[str, Pairing],
    say: Callable[[str], None],
) -> Perturbed:
    """A row for every metric that a rule guards on a set; of a set without rules, its first metric.

    Args:
        examined: both models on the holdout itself, and the rules.
        sets: the candidate's, by name.
        pairings: both models on a set, for those that the baseline has, too.
        say: told what is looked at.
    """
    found = Perturbed()
    rules = examined.rules.gate.rules
    for name, model in sets.items():
        aspect = f"on {name}"
        guarded = {rule.metric for rule in rules if rule.on == name}
        shown = guarded or set(examined.names[:1])
        baseline = replace(examined.baseline, metrics={}, predictions=None) if examined.baseline else None
        here = replace(
            examined,
            candidate=model.predictions,
            metrics={metric: value for metric, value in model.metrics.items() if metric in shown},
            baseline=baseline,
            pairing=pairings.get(name),
            aspect=aspect,
        )
        say(aspect)
        found.rows.extend(comparison.comparisons(here, say))
        values = {here.title(metric): comparison.value_of(here, metric) for metric in here.names}
        found.values.update({title: value for title, value in values.items() if value is not None})
        for title in (title for title, value in values.items() if value is None):
            found.missing[title] = "it has no value on this set"
        if examined.pairing is not None and name not in pairings:
            found.remarks.append(f"The baseline has no predictions on '{name}' to compare with")
        elif here.pairing is not None and here.pairing.shared_examples < model.predictions.n:
            of_all = f"{here.pairing.shared_examples:,} of {model.predictions.n:,} examples"
            found.remarks.append(f"On '{name}' the models are compared on {of_all}: those that both were scored on")
    for rule in rules:
        if rule.on is not None and rule.on not in sets:
            found.missing[rule.title] = f"the candidate has no predictions on '{rule.on}' (evaluation.perturbed)"
        elif rule.on is not None and rule.title not in found.values:
            found.missing.setdefault(rule.title, f"no metric '{rule.metric}' of these predictions")
    return found
