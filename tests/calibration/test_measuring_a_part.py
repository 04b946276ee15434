"""A part of the suite can be measured again; what is shown stays one figure for each population there is, and says which were held out."""

from __future__ import annotations

import json
from argparse import Namespace

from calibration import held_out, high_confidence, means, suite
from calibration.__main__ import RESULTS, _is_asked_for, _named, _with_new

RECORDED = json.loads(RESULTS.read_text())


def test_a_part_measured_again_replaces_its_own_figures_alone() -> None:
    scenarios = suite.scenarios()
    rows = [{key: getattr(one, key) for key in ("family", "metric", "n", "margin", "population")} for one in scenarios]
    gone = rows[0] | {"population": "of which the suite knows nothing any more"}
    before = {"alpha": 0.05, "intervals": [gone, *reversed(rows[:5])], "promises": [], "exact": [1]}
    again = rows[2] | {"false_pass": 0.04}
    found = _with_new(before, {2: again, 5: rows[5]})
    assert found["intervals"] == [rows[0], rows[1], again, rows[3], rows[4], rows[5]]
    labelled = _with_new(before | {"intervals": [rows[0] | {"beyond": "a reason of old", "is_held_out": True}]}, {})
    assert labelled["intervals"] == [rows[0]], "what is promised is the suite's to say, not the figures'"
    assert found["exact"] == [1]


def test_a_part_is_named_by_family_metric_and_being_held_out() -> None:
    items = [*suite.scenarios(), *suite.promises()]

    def asked(family: str, **of: object) -> list[str]:
        arguments = Namespace(**{"metric": "", "held_out": False} | of)
        return [item.name for item in items if _is_asked_for(item, family, arguments)]

    assert asked("") == [item.name for item in items]
    assert asked("at 99.9") == [promise.name for promise in high_confidence.promises()]
    assert asked("", held_out=True) == [scenario.name for scenario in held_out.scenarios()]
    assert all("| kappa |" in name for name in asked("confusion", metric="kappa"))


def test_every_mean_loss_and_every_held_out_population_is_shown_and_marked() -> None:
    shown = {_named(row): row for row in RECORDED["intervals"]}
    for scenario in (*means.scenarios(), *held_out.scenarios()):
        row = shown[_named(vars(scenario))]
        assert row.get("is_held_out", False) == scenario.is_held_out
        if scenario.family == "mean losses":
            assert row.get("beyond", "") == scenario.beyond
    assert {promise.name for promise in high_confidence.promises()} <= {row["name"] for row in RECORDED["promises"]}


def test_nothing_promised_of_mean_losses_is_broken() -> None:
    broken = [row for row in RECORDED["intervals"] if row["family"] == "mean losses" and not row["holds"]]
    assert [(row["population"], row["n"]) for row in broken if "beyond" not in row] == []
    assert all(row["runs"] > row["at_first"]["runs"] for row in broken), "run again with more runs before it is called broken"


def test_no_population_is_both_held_out_and_tuned_on() -> None:
    tuned = {(one.family, one.metric, one.population) for one in suite.scenarios() if not one.is_held_out}
    fresh = {(one.family, one.metric, one.population) for one in held_out.scenarios()}
    assert not tuned & fresh
    assert len(fresh) >= 15
