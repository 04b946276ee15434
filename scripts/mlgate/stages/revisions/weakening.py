"""Which settings of mlgate.yaml a change weakens: a model or data pass by the new ones that did not pass by the old. Pure.

The gate decides by the baseline's rules, but after the merge the new ones are the baseline's: so a weakening closes the gate until
somebody overrides it. What cannot be compared (another baseline, another direction of a metric) counts as a weakening. `changes` names
the settings as this module does.
"""

from __future__ import annotations

from collections.abc import Callable

from mlgate.config import (
    CLASSIFICATION_METRICS,
    MAIN_METRIC,
    REGRESSION_METRICS,
    Config,
    GateConfig,
    LatencyConfig,
    RuleConfig,
    metric_name,
)
from mlgate.stages.revisions import drift_changes, screen_changes

_ROLES = ("write", "maintain", "admin")
_STRICTEST: dict[str, Callable[[list[float]], float]] = {"min": max, "max": min, "margin": min, "max_gap": min}


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
    for metric, aspect in dict.fromkeys(subject for rule in old.gate.rules for subject in subjects(old, rule)):
        before, after = (_about(config, _resolved(old, metric), aspect) for config in (old, new))
        title = f"{metric} {aspect}" if aspect else metric
        for bound, strictest in _STRICTEST.items():
            was, now = _strictest(before, bound, strictest), _strictest(after, bound, strictest)
            if was is not None and (now is None or (now < was if bound == "min" else now > was)):
                found.append(f"gate.rules {title} {bound}")
        # By the old `gate.cannot_tell` on both sides: another is told of by itself.
        was, now = (_blocking(rules, old.gate.cannot_tell) for rules in (before, after))
        is_guarded = any(map(_limits, after)) and f"gate.rules {title} margin" not in found
        if is_guarded and ((was is not None and (now is None or now > was)) or (_says_warn(after) and not _says_warn(before))):
            found.append(f"gate.rules {title} cannot_tell")
        # Of a metric that mlgate knows, `better` is never asked.
        has_margin = any(rule.margin is not None for rule in before)
        if has_margin and metric not in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS) and _directions(before) != _directions(after):
            found.append(f"gate.rules {title} better")
    return found


def subjects(config: Config, rule: RuleConfig) -> list[tuple[str, str]]:
    """What a rule is about, as (metric, aspect): of one on slices, each column for itself."""
    if rule.fairness is not None:
        return [(rule.fairness, rule.aspect)]
    if rule.slices is None:
        return [(rule.metric, rule.aspect)]
    columns = config.evaluation.slices if rule.slices == "all" else rule.slices
    return [(rule.metric, f"by {column}") for column in columns]


def _about(config: Config, metric: str, aspect: str) -> list[RuleConfig]:
    return [
        rule for rule in config.gate.rules if any((_resolved(config, name), of) == (metric, aspect) for name, of in subjects(config, rule))
    ]


def _resolved(config: Config, metric: str) -> str:
    """The name of the main metric, where the configuration itself says which it is."""
    return config.evaluation.metric_names[0] if metric == MAIN_METRIC and config.evaluation.metric_names else metric


def _strictest(rules: list[RuleConfig], bound: str, strictest: Callable[[list[float]], float]) -> float | None:
    values = [value for rule in rules if (value := getattr(rule, bound)) is not None]
    return strictest(values) if values else None


def _blocking(rules: list[RuleConfig], otherwise: str) -> float | None:
    """The strictest margin that blocks a pull request where the holdout cannot tell."""
    return min((limit for rule in rules for limit in _limits(rule) if (rule.cannot_tell or otherwise) == "block"), default=None)


def _says_warn(rules: list[RuleConfig]) -> bool:
    """Whether all margins let doubt pass by their own word, in a release, too."""
    doubtful = [rule for rule in rules if _limits(rule)]
    return bool(doubtful) and all(rule.cannot_tell == "warn" for rule in doubtful)


def _limits(rule: RuleConfig) -> list[float]:
    """What the holdout can be unable to settle."""
    return [limit for limit in (rule.margin, rule.max_gap) if limit is not None]


def _directions(rules: list[RuleConfig]) -> set[str]:
    return {rule.better for rule in rules if rule.better is not None}


def _gate(old: Config, new: Config) -> list[str]:
    before, after = old.gate, new.gate
    found = []
    if before.baselines[0] != after.baselines[0] or set(before.baselines) - set(after.baselines):
        found.append("gate.baseline")  # one more beside it asks more; another, one less or a later release asks something else
    if _is_other_confidence(after, before.confidence, after.confidence):
        found.append("gate.confidence")
    found += _holdout(before, after)
    if before.cannot_tell == "block" and after.cannot_tell == "warn":
        found.append("gate.cannot_tell")
    if before.rebuild_baseline and not after.rebuild_baseline:
        found.append("gate.rebuild_baseline")  # without a baseline, thresholds decide alone
    if _ROLES.index(after.override.permission) < _ROLES.index(before.override.permission):
        found.append("gate.override.permission")
    return found


def _is_other_confidence(after: GateConfig, was: float, now: float) -> bool:
    """Whether tests at another confidence let something pass: less sure ones do, and surer ones where doubt only warns, since wider bounds
    make "cannot tell" of "worse"."""
    return now < was or (now > was and is_doubt_passing(after))


def is_doubt_passing(gate: GateConfig) -> bool:
    """Whether wider intervals let something pass: "cannot tell" in place of "worse"."""
    return any(rule.margin is not None and not gate.is_blocking(rule) for rule in gate.rules)


def _holdout(before: GateConfig, after: GateConfig) -> list[str]:
    """What is done about a holdout that was used before. Less of it lets pass what only luck made look good."""
    old, new = before.holdout, after.holdout
    tests = (before.test_confidence, after.test_confidence)
    if old.reuse != new.reuse:
        stated = before.confidence == after.confidence
        is_other = stated and _is_other_confidence(after, *tests)
        return ["gate.holdout.reuse"] if old.reuse == "ladder" or is_other or tests[1] < tests[0] else []
    if old.reuse == "ladder":
        return ["gate.holdout.budget"] if new.budget < old.budget else []
    is_same_promise = before.confidence == after.confidence
    return ["gate.holdout.budget"] if is_same_promise and _is_other_confidence(after, *tests) else []


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
    is_wider = is_doubt_passing(new.gate)
    if before.group != after.group and (before.group is not None or is_wider):
        found.append("evaluation.group")  # rows that count as more examples than they are make every interval narrower, groups wider
    if before.seeds is None and after.seeds is not None and is_wider:
        found.append("evaluation.seeds")  # the noise of training comes on top, and two runs that differ say nothing at all
    found += [f"evaluation.{key}" for key in ("seeds", "seed_metrics") if getattr(before, key) is not None and getattr(after, key) is None]
    found += [f"evaluation.perturbed.{name}" for name in before.perturbed if name not in after.perturbed]
    found += _latency(old, after.latency)
    ruled = _ruled(old)
    references = {metric_name(reference): reference for reference in after.references}
    has_main = any(rule.metric == MAIN_METRIC and rule.fairness is None for rule in old.gate.rules)
    is_another_main = has_main and before.metric_names[:1] != after.metric_names[:1]
    if is_another_main or any(references.get(metric_name(one)) != one for one in before.references if metric_name(one) in ruled):
        found.append("evaluation.metrics")
    return found


def _latency(old: Config, after: LatencyConfig | None) -> list[str]:
    """What a rule on latency rests on. Fewer requests make "cannot tell" of "worse"; of other batches the same times are no promise."""
    before = old.evaluation.latency
    if before is None or not set(before.metric_names) & _ruled(old):
        return []
    if after is None:
        return ["evaluation.latency"]
    if after.samples is not None and before.samples is None:
        return ["evaluation.latency.samples"]  # what we measured, the project measures itself
    found = [f"evaluation.latency.{key}" for key in ("rounds", "requests") if getattr(after, key) < getattr(before, key)]
    return found + [f"evaluation.latency.{key}" for key in ("batch", "data") if getattr(after, key) != getattr(before, key)]


def _ruled(config: Config) -> set[str]:
    """Metrics that a rule rests on."""
    return {_resolved(config, rule.metric) for rule in config.gate.rules if rule.fairness is None}


def _rest(old: Config, new: Config) -> list[str]:
    found = [*screen_changes.weakened(old, new), *drift_changes.weakened(old, new)]
    if old.model != new.model:
        found.append("model")
    if old.store != new.store:
        found.append("store")  # what was recorded of earlier models lies in the old one
    if set(old.checks) - set(new.checks):
        found.append("checks")
    if new.inputs is not None and (old.inputs is None or set(old.inputs) - set(new.inputs)):
        found.append("inputs")  # of several models: what is no input is not looked at
    return found
