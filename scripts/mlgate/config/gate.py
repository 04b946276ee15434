"""`gate`: what must hold for a merge, and against which baseline."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mlgate.config.metrics import MAIN_METRIC
from mlgate.config.values import NonEmpty, Number, Section, no_boolean
from mlgate.mistakes import kind_of

_PREDICTIONS = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")


def _baselines(value: object) -> object:
    """One baseline, or a list of two different ones."""
    named = value if isinstance(value, list) else [value]
    names = [name.strip() for name in named if isinstance(name, str) and name.strip()]
    if len(names) != len(named) or not 1 <= len(names) <= 2:
        raise ValueError(
            "expected `base`, `champion`, a release (a tag, or a commit's SHA in quotes) or the path of a predictions file, or a list of "
            f"two, got {kind_of(value)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"'{names[0]}' stands there twice; expected two different baselines, such as [base, v1.4.0]")
    return value


def _columns_or_all(value: object) -> object:
    """`all`, or names of columns; said here, since of a union pydantic explains both halves."""
    if value is None or value == "all" or (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        return value
    raise ValueError(f"expected a list of columns such as [country], or `all`, got {kind_of(value) if value != [] else 'an empty list'}")


def kind_of_baseline(name: str) -> Literal["base", "champion", "path", "release"]:
    """What `gate.baseline` means by a name: one that ends like a file of predictions is a path, any other a tag or a commit's SHA."""
    match name:
        case "base":
            return "base"
        case "champion":
            return "champion"
        case _:
            return "path" if PurePosixPath(name).suffix.lower() in _PREDICTIONS else "release"


class RuleConfig(Section):
    metric: NonEmpty = MAIN_METRIC
    """Name of a metric of the evaluation. Left out: the main one, which is the first of evaluation.metrics."""
    min: Number | None = None
    """The candidate's value must not be below this."""
    max: Number | None = None
    """The candidate's value must not be above this."""
    margin: Annotated[float, Field(ge=0), BeforeValidator(no_boolean)] | None = None
    """The candidate must not be worse than the baseline by more than this (non-inferiority margin, in units of the metric)."""
    better: Literal["higher", "lower"] | None = None
    """Which direction is better; needed for `margin` on a metric mlgate does not know."""
    cannot_tell: Literal["warn", "block"] | None = None
    """What this rule does when the holdout cannot settle its margin, of a pull request and of a release. Left out: gate.cannot_tell for a
    pull request, `block` for a release."""
    on: NonEmpty | None = None
    """Name of a set of evaluation.perturbed: the rule is about the predictions on that one instead of the holdout's."""
    slices: Annotated[Literal["all"] | list[NonEmpty] | None, BeforeValidator(_columns_or_all)] = None
    """Columns of evaluation.slices, or `all` of them: no slice of theirs may lose more than `margin`."""
    fairness: NonEmpty | None = None
    """In place of `metric`: the rule is about the largest gap between groups in this one. Any metric mlgate knows, and for two classes
    `recall` (or `tpr`), `fpr`, `selection_rate`."""
    group: NonEmpty | None = None
    """With `fairness`: the column of evaluation.slices that names the groups."""
    max_gap: Annotated[float, Field(ge=0), BeforeValidator(no_boolean)] | None = None
    """With `fairness`: the candidate's largest gap must not be above this; `margin` is then about the change of the gap."""

    @property
    def aspect(self) -> str:
        """What of the metric the rule is about, where it is not its value on the holdout."""
        if self.fairness is not None:
            return f"gap by {self.group}"
        if self.slices is not None:
            return f"by {'slice' if self.slices == 'all' else ', '.join(self.slices)}"
        return f"on {self.on}" if self.on is not None else ""

    @property
    def title(self) -> str:
        """Names the row of the comparison that the rule is about; of a rule on slices, the rule itself."""
        metric = self.metric if self.fairness is None else self.fairness
        return f"{metric} {self.aspect}" if self.aspect else metric

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [key for key in ("on", "slices", "fairness") if getattr(self, key) is not None]
        if len(kinds) > 1:
            raise ValueError(f"'{kinds[0]}' and '{kinds[1]}' in one rule; write a rule for each")
        if self.fairness is None:
            if orphan := next((key for key in ("group", "max_gap") if getattr(self, key) is not None), None):
                raise ValueError(f"'{orphan}' belongs to 'fairness', which names the metric whose gap is guarded")
        else:
            if self.group is None:
                raise ValueError("fairness: expected `group`, the column of evaluation.slices that names the groups")
            if other := next((key for key in ("metric", "min", "max", "better") if key in self.model_fields_set), None):
                raise ValueError(f"'{other}' beside 'fairness'; expected fairness, group, max_gap and margin")
            if self.max_gap is None and self.margin is None:
                raise ValueError("fairness: expected at least one of max_gap, margin")
        if self.slices is not None:
            if other := next((key for key in ("min", "max") if getattr(self, key) is not None), None):
                raise ValueError(f"'{other}' beside 'slices'; a rule on slices has a margin")
            if self.margin is None:
                raise ValueError("slices: expected `margin`, what a slice may lose at most")
        return self

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.fairness is not None:
            return self
        if self.min is None and self.max is None and self.margin is None:
            raise ValueError("expected at least one of min, max, margin")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class OverrideConfig(Section):
    permission: Literal["write", "maintain", "admin"] = "maintain"
    """Role on the repository that the author of `/mlgate override` must have, or a higher one."""


class HoldoutConfig(Section):
    budget: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(no_boolean)] = 50
    """How many different candidates one holdout is meant to judge; beyond, the report warns. Code, data and parameters that were tested
    before count once."""
    reuse: Literal["report", "bonferroni", "ladder"] = "report"
    """What is done about it: `report` only says what the uses did to the promise; `bonferroni` makes every test so strict that `budget` of
    them together keep `gate.confidence`; `ladder` calls a model no worse only where it beats the best so far by more than the noise."""


class GateConfig(Section):
    baseline: Annotated[NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=2)], BeforeValidator(_baselines)] = "base"
    """`base` (the commit the pull request would change), `champion` (the registry's), a release (a tag, or a commit's SHA), or the path of
    a predictions file. A list of two, such as `[base, v1.4.0]`: no rule's margin may be lost against either, so that small losses cannot
    add up."""
    confidence: Annotated[float, Field(gt=0.5, lt=1), BeforeValidator(no_boolean)] = 0.95
    """One-sided confidence of every bound."""
    cannot_tell: Literal["warn", "block"] = "warn"
    """What a pull request does when the holdout cannot settle a margin; a release blocks, unless the rule itself says otherwise."""
    rebuild_baseline: bool = False
    """Train the baseline commit when its evaluation is not to be had anywhere."""
    rules: list[RuleConfig] = []
    """All must hold for the gate to open."""
    holdout: HoldoutConfig = HoldoutConfig()
    """How often one holdout may be asked, and what is done about it."""
    override: OverrideConfig = OverrideConfig()
    """Who may open a closed gate for one commit."""

    @property
    def baselines(self) -> tuple[str, ...]:
        """What a candidate is compared with: one, or two of which the first is the one it would replace."""
        named = [self.baseline] if isinstance(self.baseline, str) else self.baseline
        return tuple(sorted(named, key=lambda name: name != "base"))

    @property
    def test_confidence(self) -> float:
        """One-sided confidence of every bound, after `holdout.reuse`."""
        spent = self.holdout.budget if self.holdout.reuse == "bonferroni" else 1
        return 1 - (1 - self.confidence) / spent if spent > 1 else self.confidence

    def is_blocking(self, rule: RuleConfig) -> bool:
        """Whether a rule closes the gate where the holdout cannot settle it."""
        return (rule.cannot_tell or self.cannot_tell) == "block"
