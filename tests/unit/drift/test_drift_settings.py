"""`data.drift` in mlgate.yaml: what is accepted, and which edits let drift pass."""

from __future__ import annotations

import pytest

from mlgate.config import Config, parse
from mlgate.errors import InputError
from mlgate.stages.revisions import drift_changes, weakening
from support import MINIMAL_CONFIG

FULL = "{data: d.csv, level: fail, label: y, warn: 0.1, alert: 0.2, thresholds: {age: {warn: 0.1, alert: 0.3}}, multivariate: true}"


def config(*entries: str) -> Config:
    text = "".join(f"    - {entry}\n" for entry in entries)
    return parse((MINIMAL_CONFIG + (f"data:\n  drift:\n{text}" if text else "")).encode(), "mlgate.yaml")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{data: d.csv, against: d.csv}", "against: expected other data than 'data'"),
        ("{data: d.csv, warn: 0.3}", "warn: expected at most alert"),
        ("{data: d.csv, columns: [a], except: [b]}", "columns and except: expected one of them"),
        ("{data: d.csv, thresholds: {a: {warn: 0.5}}}", "thresholds.a.warn: expected at most its alert"),
        ("{data: d.csv, level: stop}", "level"),
        ("{data: d.csv, min_rows: 1}", "min_rows"),
        ("{data: d.csv, agianst: base}", "did you mean 'against'"),
    ],
)
def test_a_mistake_is_named(entry: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        config(entry)


def test_off_without_quotes_is_a_level() -> None:
    assert config("{data: d.csv, level: off}").data.drift[0].level == "off"


def test_a_threshold_of_a_column_takes_the_entrys_warning_with_it() -> None:
    entry = config("{data: d.csv, thresholds: {age: {alert: 0.05}, plan: {alert: 0.5}}}").data.drift[0]
    assert (entry.of_column("age"), entry.of_column("plan"), entry.of_column("x")) == ((0.05, 0.05), (0.1, 0.5), (0.1, 0.2))


@pytest.mark.parametrize(
    ("edit", "weaker"),
    [
        (("level: fail", "level: warn"), "data.drift d.csv level"),
        (("level: fail", "level: off"), "data.drift d.csv level"),
        (("alert: 0.2,", "alert: 0.4,"), "data.drift d.csv alert"),
        (("warn: 0.1, alert: 0.2", "warn: 0.2, alert: 0.2"), "data.drift d.csv warn"),
        (("label: y", "min_rows: 5000"), "data.drift d.csv min_rows"),
        (("label: y", "label: z"), "data.drift d.csv label"),
        (("label: y", "label: y, rows: 3"), "data.drift d.csv rows"),
        (("label: y", "label: y, rows: null"), "data.drift d.csv rows"),
        (("label: y", "label: y, except: [age]"), "data.drift d.csv except"),
        (("label: y", "label: y, columns: [age]"), "data.drift d.csv columns"),
        (("label: y", "label: y, against: champion"), "data.drift d.csv"),
        (("alert: 0.3", "alert: 0.5"), "data.drift d.csv thresholds age"),
        (("multivariate: true", "multivariate: false"), "data.drift d.csv multivariate"),
        ((FULL, "{data: other.csv}"), "data.drift d.csv"),
    ],
)
def test_an_edit_that_lets_drift_pass_is_a_weakening(edit: tuple[str, str], weaker: str) -> None:
    old, new = config(FULL), config(FULL.replace(*edit))
    assert weaker in weakening.weakened(old, new)
    assert weaker in drift_changes.settings(old) | drift_changes.settings(new) or weaker.endswith(("warn", "alert"))


def test_an_engine_that_has_no_rows_for_the_classifier_is_a_weakening() -> None:
    old, new = config("{data: d.csv}"), config("{data: d.csv}")
    new = new.model_copy(update={"data": new.data.model_copy(update={"engine": "spark"})})
    assert weakening.weakened(old, new) == {"data.engine"}
    assert weakening.weakened(new, old) == frozenset()


@pytest.mark.parametrize(
    "edit",
    [
        ("alert: 0.2,", "alert: 0.15,"),
        ("label: y", "label: y, min_rows: 100"),
        ("label: y", "label: y, rows: 0.2"),
        ("alert: 0.3", "alert: 0.2"),
    ],
)
def test_an_edit_that_tells_of_more_is_none(edit: tuple[str, str]) -> None:
    assert not weakening.weakened(config(FULL), config(FULL.replace(*edit)))
    assert not weakening.weakened(config("{data: d.csv, level: off}"), config())
    assert not weakening.weakened(config(), config(FULL))
