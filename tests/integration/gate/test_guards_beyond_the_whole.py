"""Slices, groups and perturbed sets at the gate: what closes it, what is only listed, and what nobody can talk their way around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.gate import gate_runs
from integration.gate.gate_runs import classified, leave, next_commit, open_workspace, project, scored
from mlgate import stages
from mlgate.evaluation import predictions as normalised
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import CarriedBaseline, EvaluateFindings, Evidence, GateFindings, MetricValue, PerturbedSet, ScoredModel, file_ref
from mlgate.workspace import Workspace

CONFIG = """\
model: loans
train: {command: python train.py}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
  slices: [country, sex]
  perturbed: {noise: eval/noise.csv}
gate:
  rules:
"""
ON_SLICES = "    - {metric: accuracy, slices: [country], margin: 0.05}\n"
ON_GROUPS = "    - {fairness: recall, group: sex, max_gap: 0.3, margin: 0.1}\n"
ON_NOISE = "    - {metric: accuracy, on: noise, margin: 0.05, min: 0.5}\n"
N = 4000
COUNTRIES = np.array(["DE", "FR", "IT", "ES"])


def model(wrong: float, seed: int, extra: dict[str, float] | None = None, tiny: int = 0) -> Predictions:
    """Wrong on a share of the examples, on more of them in some slices; the same examples are hard for every model of a seed."""
    random = np.random.default_rng(5)
    target = random.integers(0, 2, N)
    country, sex = COUNTRIES[random.integers(0, 4, N)], np.where(random.random(N) < 0.5, "f", "m")
    country[:tiny] = "MT"
    hard = np.random.default_rng(seed).random(N)
    share = np.full(N, wrong)
    for value, more in (extra or {}).items():
        share[(country == value) | (sex == value)] += more
    slices = {"country": country.astype(np.str_), "sex": sex.astype(np.str_)}
    return classified(target, np.where(hard < share, 1 - target, target), slices=slices)


def kept(workspace: Workspace, predicted: Predictions, path: str, commit: str | None, noise: Predictions | None) -> ScoredModel:
    metrics = {"accuracy": float(np.mean(predicted.target == predicted.prediction))}
    found = scored(predicted, workspace.files / path, workspace.state, metrics, commit)
    if noise is None:
        return found
    place = workspace.files / path.replace(".parquet", "-perturbed-0.parquet")
    normalised.write(noise, place)
    value = MetricValue(name="accuracy", value=0.5, better="higher", source="predictions")
    part = PerturbedSet(name="noise", n=noise.n, classes=["0", "1"], metrics=[value], predictions=file_ref(place, workspace.state))
    return found.model_copy(update={"perturbed": [part]})


def decide(
    tmp_path: Path,
    rules: str,
    candidate: Predictions,
    baseline: Predictions | None,
    *,
    noise: Predictions | None = None,
    baseline_noise: Predictions | None = None,
    config: str = CONFIG,
) -> tuple[Evidence[Any], GateFindings]:
    root = project(tmp_path / "repository", config + rules)
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    carried = None
    if baseline is not None:
        base = gate_runs.git(root, "rev-parse", "main")
        carried = CarriedBaseline(
            model=kept(workspace, baseline, "baseline/predictions.parquet", base, baseline_noise), source="dvc outputs"
        )
    mine = kept(workspace, candidate, "predictions.parquet", workspace.commit, noise)
    leave(workspace, "evaluate", EvaluateFindings(candidate=mine, baseline=carried))
    evidence = stages.run("gate", workspace)
    assert isinstance(evidence.findings, GateFindings), evidence.summary
    return evidence, evidence.findings


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("−", "-")


def test_harm_on_one_slice_closes_the_gate_and_is_named(tmp_path: Path) -> None:
    evidence, found = decide(tmp_path, ON_SLICES, model(0.1, 1, {"FR": 0.15}), model(0.1, 1))
    assert (evidence.exit_code, found.is_open, found.verdict) == (1, False, "worse")
    assert "accuracy by country is worse by more than 5 pt on 1 of 4 slices: country = FR (-1" in plain(found.headline)
    rows = {row.value: row for row in found.slices if row.is_guarded}
    assert rows["FR"].comparison.verdict == "worse"
    assert {rows[name].comparison.verdict for name in ("DE", "IT", "ES")} == {"no worse"}


def test_a_slice_too_small_is_unprotected_told_and_closes_nothing(tmp_path: Path) -> None:
    evidence, found = decide(tmp_path, ON_SLICES, model(0.1, 1, tiny=12), model(0.1, 1, tiny=12))
    assert (evidence.exit_code, found.is_open) == (0, True)
    (rule,) = found.rules
    assert (rule.is_passed, rule.is_warning) == (True, True)
    assert "no worse by more than 5 pt on 4 of 5 slices; 1 unprotected, with too few examples" in plain(rule.reason)
    assert rule.reason.endswith("country = MT (12 examples)")
    assert [row.value for row in found.slices if row.is_unprotected] == ["MT"]


def test_a_rule_that_says_so_blocks_on_slices_that_cannot_be_told(tmp_path: Path) -> None:
    rules = ON_SLICES.replace("0.05}", "0.05, cannot_tell: block}")
    _, found = decide(tmp_path, rules, model(0.1, 1, tiny=12), model(0.1, 1, tiny=12))
    assert (found.is_open, found.verdict) == (False, "cannot tell")


def test_a_change_cannot_move_examples_to_another_slice(tmp_path: Path) -> None:
    candidate = model(0.1, 1, {"FR": 0.15})
    moved = replace(candidate, slices={**candidate.slices, "country": np.random.default_rng(1).permutation(candidate.slices["country"])})
    _, found = decide(tmp_path, ON_SLICES, moved, model(0.1, 1))
    assert "country = FR" in found.headline
    assert any("have another 'country' than in the baseline's predictions" in remark for remark in found.remarks)


def test_a_change_cannot_drop_the_guarded_column(tmp_path: Path) -> None:
    candidate = replace(model(0.1, 1, {"FR": 0.15}), slices={})
    _, found = decide(tmp_path, ON_SLICES, candidate, model(0.1, 1))
    assert "country = FR" in found.headline
    baseline = replace(model(0.1, 1), slices={})
    _, found = decide(tmp_path / "both", ON_SLICES, candidate, baseline)
    assert (found.is_open, found.headline) == (False, "accuracy by country: no predictions with 'country' to compare on")


def test_alarms_on_many_slices_are_corrected_for_their_number(tmp_path: Path) -> None:
    """Of 40 slices of an unchanged model some look worse by themselves, and none is called so."""
    random = np.random.default_rng(8)
    site = np.array([f"s{code:02}" for code in random.integers(0, 40, N)])
    one, other = (replace(model(0.1, seed), slices={"country": site}) for seed in (21, 22))
    _, found = decide(
        tmp_path, "    - {metric: accuracy, margin: 0.05}\n", one, other, config=CONFIG.replace("[country, sex]", "[country]")
    )
    rows = [row.comparison for row in found.slices]
    assert any(row.high < 0 for row in rows), "an alarm, if each were looked at for itself"
    assert {row.verdict for row in rows} <= {"no worse", "cannot tell"}


def test_a_wider_gap_closes_the_gate(tmp_path: Path) -> None:
    evidence, found = decide(tmp_path, ON_GROUPS, model(0.1, 1, {"f": 0.3}), model(0.1, 1))
    assert (evidence.exit_code, found.verdict) == (1, "worse")
    row = next(row for row in found.comparisons if row.title == "recall gap by sex")
    assert row.better == "lower"
    assert row.difference == pytest.approx(0.3, abs=0.07)
    assert "recall gap by sex is worse by" in plain(found.headline)


def test_a_gap_above_its_limit_closes_the_gate_of_a_first_model_too(tmp_path: Path) -> None:
    _, found = decide(tmp_path, ON_GROUPS.replace("0.3", "0.1"), model(0.1, 1, {"f": 0.3}), None)
    assert (found.is_open, found.is_first_model) == (False, True)
    assert plain(found.headline).startswith("recall gap by sex ")
    assert plain(found.headline).endswith(" is above 10 pt")


def test_a_limit_that_the_groups_are_too_small_for_is_a_warning(tmp_path: Path) -> None:
    small = model(0.1, 1)
    sex = np.where(np.arange(N) < 60, "x", small.slices["sex"]).astype(np.str_)
    small = replace(small, slices={**small.slices, "sex": sex})
    _, found = decide(tmp_path, ON_GROUPS.replace("0.3", "0.05"), small, small)
    limit = next(rule for rule in found.rules if rule.rule == "recall gap by sex at most 0.05")
    assert (limit.is_passed, limit.is_warning) == (True, True)
    assert "cannot tell whether it is at most 5 pt" in plain(limit.reason)
    counted = int(np.sum((sex == "x") & (small.target == 1)))
    assert plain(limit.reason).endswith(f"; least is known of sex = x ({counted} examples)"), "a group is named with what recall looks at"


def test_a_group_of_six_rows_that_leaves_a_gap_open_is_named_with_its_size(tmp_path: Path) -> None:
    small = model(0.1, 1)
    positive = np.flatnonzero(small.target == 1)[:6]
    sex = small.slices["sex"].copy()
    sex[positive] = "x"
    small = replace(small, slices={**small.slices, "sex": sex})
    _, found = decide(tmp_path, ON_GROUPS.replace("0.1}", "0.001}"), small, small)
    row = next(row for row in found.comparisons if row.title == "recall gap by sex")
    assert (row.verdict, row.open_by) == ("cannot tell", "least is known of sex = x (6 examples)")
    reason = next(rule.reason for rule in found.rules if rule.rule.startswith("recall gap by sex not worse"))
    assert "least is known of sex = x (6 examples)" in reason
    assert "least is known of sex = x (6 examples)" in found.headline


def test_a_rate_of_three_classes_is_refused_with_what_to_write(tmp_path: Path) -> None:
    three = classified(*gate_runs.labels(800), slices={"country": np.full(1000, "x"), "sex": np.full(1000, "f")})
    with pytest.raises(AssertionError) as refused:
        decide(tmp_path, ON_GROUPS, three, None)
    assert (
        "gate.rules[0].fairness: 'recall' is a rate of the positive class of two, the predictions are of 3 classes; use 'recall_macro'"
        in str(refused.value)
    )


def test_a_model_that_noise_hurts_more_closes_the_gate(tmp_path: Path) -> None:
    evidence, found = decide(tmp_path, ON_NOISE, model(0.1, 1), model(0.1, 1), noise=model(0.3, 1), baseline_noise=model(0.15, 1))
    assert (evidence.exit_code, found.verdict) == (1, "worse")
    rows = {row.title: row for row in found.comparisons}
    assert rows["accuracy"].difference == 0
    assert rows["accuracy on noise"].difference == pytest.approx(-0.15, abs=0.02)
    assert "accuracy on noise is worse by" in plain(found.headline)


def test_the_gate_computes_what_is_asked_of_a_set_itself(tmp_path: Path) -> None:
    """The evidence says 0.5; the predictions say 0.7."""
    _, found = decide(
        tmp_path, ON_NOISE.replace("0.5}", "0.65}"), model(0.1, 1), model(0.1, 1), noise=model(0.3, 1), baseline_noise=model(0.3, 1)
    )
    assert found.is_open
    assert next(row for row in found.comparisons if row.title == "accuracy on noise").candidate == pytest.approx(0.7, abs=0.02)


def test_a_baseline_without_the_set_cannot_be_told_from_and_that_is_said(tmp_path: Path) -> None:
    _, found = decide(tmp_path, ON_NOISE, model(0.1, 1), model(0.1, 1), noise=model(0.15, 1))
    assert (found.is_open, found.verdict) == (True, "cannot tell")
    row = next(row for row in found.comparisons if row.title == "accuracy on noise")
    assert (row.baseline, row.low, row.high, row.verdict) == (None, None, None, "cannot tell")
    assert "The baseline has no predictions on 'noise' to compare with" in found.remarks


def test_a_candidate_without_the_set_fails_the_rule_and_an_override_could_open_it(tmp_path: Path) -> None:
    evidence, found = decide(tmp_path, ON_NOISE, model(0.1, 1), model(0.1, 1), baseline_noise=model(0.1, 1))
    assert (evidence.exit_code, found.is_open) == (1, False)
    assert "accuracy on noise is not to be had: the candidate has no predictions on 'noise'" in found.headline


def test_predictions_on_other_examples_are_no_perturbed_copy(tmp_path: Path) -> None:
    other = replace(model(0.1, 1), ids=np.arange(10_000, 10_000 + N))
    with pytest.raises(AssertionError, match="predictions on 'noise' are not of the holdout's examples"):
        decide(tmp_path, ON_NOISE, model(0.1, 1), model(0.1, 1), noise=other)
