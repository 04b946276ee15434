"""Which changes of `data.screens` let training data pass that did not pass before."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.config import Config
from mlgate.stages.revisions import screen_changes, weakening

BASE = """\
model: digits
data:
  screens:
    - train: data/train.csv
      holdout: data/holdout.csv
      label: y
      protected: [sex]
      duplicates: {level: fail, at_most: 0.01}
      target_leakage: {level: warn, at_least: 0.98, except: [code]}
      bias: {level: warn, smallest: 30}
      formulas: off
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
"""
WEAKER = {
    "an entry": ("    - train: data/train.csv", "    - train: data/other.csv", ""),
    "the holdout": ("data/holdout.csv", "data/easier.csv", "holdout"),
    "the label": ("label: y", "label: z", "label"),
    "an id": ("label: y", "label: y\n      id: code", "id"),
    "a protected column": ("protected: [sex]", "protected: []", "protected"),
    "a column left out": ("label: y", "label: y\n      except: [x]", "except"),
    "a level, written": ("duplicates: {level: fail", "duplicates: {level: warn", "duplicates level"),
    "a level, by default": ("label: y", "label: y\n      leakage: warn", "leakage level"),
    "a screen": ("label: y", "label: y\n      shift: off", "shift level"),
    "more tolerated": ("at_most: 0.01", "at_most: 0.2", "duplicates at_most"),
    "less told": ("at_least: 0.98", "at_least: 0.999", "target_leakage at_least"),
    "another column that may": ("except: [code]", "except: [code, site]", "target_leakage except"),
    "smaller groups": ("smallest: 30", "smallest: 3", "bias smallest"),
}
NOT_WEAKER = {
    "a level up": ("level: warn, smallest", "level: fail, smallest"),
    "less tolerated": ("at_most: 0.01", "at_most: 0"),
    "a screen that was off": ("formulas: off", "formulas: fail"),
    "one that stays off": ("formulas: off", "formulas: {level: off}"),
    "fewer exceptions": ("except: [code]", "except: []"),
    "one more group": ("protected: [sex]", "protected: [sex, age]"),
    "the default, written": ("label: y", "label: y\n      leakage: fail"),
}


def parsed(text: str) -> Config:
    return config.parse(text.encode(), "mlgate.yaml")


@pytest.mark.parametrize(("old", "new", "name"), WEAKER.values(), ids=WEAKER)
def test_what_lets_more_data_pass_is_a_weakening_and_is_told_by_its_name(old: str, new: str, name: str) -> None:
    assert BASE.count(old) == 1
    changed = weakening.weakened(parsed(BASE), parsed(BASE.replace(old, new)))
    assert changed == {f"data.screens data/train.csv {name}".strip().removesuffix(" holdout")}


@pytest.mark.parametrize(("old", "new"), NOT_WEAKER.values(), ids=NOT_WEAKER)
def test_what_asks_more_of_the_data_is_none(old: str, new: str) -> None:
    assert BASE.count(old) == 1
    assert weakening.weakened(parsed(BASE), parsed(BASE.replace(old, new))) == frozenset()


@pytest.mark.parametrize(("before", "after"), [("polars", "auto"), ("polars", "spark"), ("auto", "spark")])
def test_an_engine_whose_rows_no_screen_looks_at_is_a_weakening(before: str, after: str) -> None:
    old, new = (parsed(BASE.replace("data:\n", f"data:\n  engine: {engine}\n", 1)) for engine in (before, after))
    assert weakening.weakened(old, new) == {"data.engine"}
    assert weakening.weakened(new, old) == frozenset()


def test_settings_are_told_where_they_are_not_the_usual_ones() -> None:
    assert screen_changes.settings(parsed(BASE)) == {
        "data.screens data/train.csv": "beside data/holdout.csv",
        "data.screens data/train.csv label": "y",
        "data.screens data/train.csv protected": "sex",
        "data.screens data/train.csv duplicates level": "fail",
        "data.screens data/train.csv target_leakage except": "code",
        "data.screens data/train.csv formulas level": "off",
    }
