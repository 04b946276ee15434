"""Which settings of mlgate.yaml a change weakens: a model or data pass by the new ones that did not pass by the old. Pure.

The gate decides by the baseline's rules, but after the merge the new ones are the baseline's: so a weakening closes the gate until
somebody overrides it. What cannot be compared (another baseline, another direction of a metric) counts as a weakening. `changes` names
the settings as this module does.
"""

from __future__ import annotations

from collections.abc import Callable

from mlgate.config import CLASSIFICATION_METRICS, MAIN_METRIC, REGRESSION_METRICS, Config, RuleConfig, metric_name

_ROLES = ("write", "maintain", "admin")
_STRICTEST: dict[str, Callable[[list[float]], float]] = {"min": max, "max": min, "margin": min}


def weakened(old: Config, new: Config) -> frozenset[str]:
    """Names of the settings that let pass what did not pass before; contracts are compared by their content (`contract_changes`).

    Args:
        old: the baseline's configuration.
        new: the candidate's.
    """
    return frozenset((*_rules(old, new), *_gate(old, new), *_evaluation(old, new), *_rest(old, new)))


def guarded_code(old: Config) -> frozenset[str]:
    """Files with metrics of the user's own that a rule rests on: other code there is another rule."""
    ruled = _ruled(old)
    return frozenset(
        reference.rpartition(":")[0] for reference in old.evaluation.references if ":" in reference and metric_name(reference) in ruled
    )


def _rules(old: Config, new: Config) -> list[str]:
    found = []
    for metric in dict.fromkeys(rule.metric for rule in old.gate.rules):
        before, after = _of_metric(old, _resolved(old, metric)), _of_metric(new, _resolved(old, metric))
        for bound, strictest in _STRICTEST.items():
            was, now = _strictest(before, bound, strictest), _strictest(after, bound, strictest)
            if was is not None and (now is None or (now < was if bound == "min" else now > was)):
                found.append(f"gate.rules {metric} {bound}")
        # Of a metric that mlgate knows, `better` is never asked.
        has_margin = any(rule.margin is not None for rule in before)
        if has_margin and metric not in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS) and _directions(before) != _directions(after):
            found.append(f"gate.rules {metric} better")
    return found


def _of_metric(config: Config, metric: str) -> list[RuleConfig]:
    return [rule for rule in config.gate.rules if _resolved(config, rule.metric) == metric]


def _resolved(config: Config, metric: str) -> str:
    """The name of the main metric, where the configuration itself says which it is."""
    return config.evaluation.metric_names[0] if metric == MAIN_METRIC and config.evaluation.metric_names else metric


def _strictest(rules: list[RuleConfig], bound: str, strictest: Callable[[list[float]], float]) -> float | None:
    values = [value for rule in rules if (value := getattr(rule, bound)) is not None]
    return strictest(values) if values else None


def _directions(rules: list[RuleConfig]) -> set[str]:
    return {rule.better for rule in rules if rule.better is not None}


def _gate(old: Config, new: Config) -> list[str]:
    before, after = old.gate, new.gate
    found = []
    if before.baseline != after.baseline:
        found.append("gate.baseline")
    if after.confidence < before.confidence:
        found.append("gate.confidence")
    elif after.confidence > before.confidence and after.cannot_tell == "warn" and any(rule.margin is not None for rule in after.rules):
        # Wider bounds make "cannot tell" of "worse", and that passes.
        found.append("gate.confidence")
    if before.cannot_tell == "block" and after.cannot_tell == "warn":
        found.append("gate.cannot_tell")
    if before.rebuild_baseline and not after.rebuild_baseline:
        found.append("gate.rebuild_baseline")  # without a baseline, thresholds decide alone
    if _ROLES.index(after.override.permission) < _ROLES.index(before.override.permission):
        found.append("gate.override.permission")
    return found


def _evaluation(old: Config, new: Config) -> list[str]:
    before, after = old.evaluation, new.evaluation
    found = []
    if before.stated_task is not None and after.stated_task is not None and before.stated_task != after.stated_task:
        found.append("evaluation.task")
    if str(before.positive) != str(after.positive):
        found.append("evaluation.positive")
    if before.predictions is not None and after.predictions is None:
        found.append("evaluation.predictions")  # numbers of a file certify nothing
    if before.columns.target != after.columns.target:
        found.append("evaluation.columns.target")
    if before.columns.id not in (None, after.columns.id):
        found.append("evaluation.columns.id")  # which examples are gone cannot be told any more
    if set(before.slices) - set(after.slices):
        found.append("evaluation.slices")
    ruled = _ruled(old)
    references = {metric_name(reference): reference for reference in after.references}
    is_another_main = MAIN_METRIC in {rule.metric for rule in old.gate.rules} and before.metric_names[:1] != after.metric_names[:1]
    if is_another_main or any(references.get(metric_name(one)) != one for one in before.references if metric_name(one) in ruled):
        found.append("evaluation.metrics")
    return found


def _ruled(config: Config) -> set[str]:
    """Metrics that a rule rests on."""
    return {_resolved(config, rule.metric) for rule in config.gate.rules}


def _rest(old: Config, new: Config) -> list[str]:
    found = []
    if old.model != new.model:
        found.append("model")
    if old.store != new.store:
        found.append("store")  # what was recorded of earlier models lies in the old one
    if set(old.checks) - set(new.checks):
        found.append("checks")
    if new.inputs is not None and (old.inputs is None or set(old.inputs) - set(new.inputs)):
        found.append("inputs")  # of several models: what is no input is not looked at
    return found
