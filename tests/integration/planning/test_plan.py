"""`mlgate plan`: what a rule needs and whom it fails by chance, on what is at hand or on two numbers; one clear line where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.gate.gate_runs import classified, evaluated, labels, next_commit, open_workspace
from mlgate.cli import main
from support import commit_files, make_repository

CONFIG = """\
model: digits
evaluation:
  predictions: predictions.csv
  metrics: [accuracy, f1_macro]
gate:
  rules:
    - {metric: accuracy, margin: 0.01}
    - {metric: accuracy, min: 0.9}
    - {metric: f1_macro, margin: 0.02, cannot_tell: block}
"""


OR_SAY = "run 'mlgate evaluate' first, or say --examples 2000 --disagreement 0.04"


def table(first_wrong: int = 0, wrong: int = 100, n: int = 1000) -> str:
    random = np.random.default_rng(1)
    target = random.integers(0, 3, n)
    prediction = target.copy()
    prediction[first_wrong : first_wrong + wrong] = (prediction[first_wrong : first_wrong + wrong] + 1) % 3
    return "id,y,y_pred\n" + "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(zip(target, prediction, strict=True)))


def project(root: Path, config: str = CONFIG, **files: str) -> Path:
    return make_repository(root, {"mlgate.yaml": config, **files})


def plan(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["plan", "-C", str(root), *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def planned(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = plan(capsys, root, "--json", *arguments)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_two_models_at_hand_say_how_far_two_lie_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository", **{"predictions.csv": table()})
    commit_files(root, {"predictions.csv": table(first_wrong=80)}, "another model")
    found = planned(capsys, root)
    assert (found["examples"], found["disagreement"]) == (1000, 0.16)
    by_rule = {rule["rule"]: rule for rule in found["rules"]}
    margin = by_rule["accuracy not worse than the baseline by more than 0.01"]
    assert 0.03 < margin["visible_loss"] < 0.033
    assert 9_500 < margin["examples_needed"] < 10_500
    assert margin["fails_unchanged"] < 0.02
    assert margin["warning"] == ""
    threshold = by_rule["accuracy at least 0.9"]
    assert 0.45 < threshold["fails_unchanged"] < 0.5
    assert "would fail a model exactly as good as the baseline" in threshold["warning"]
    blocking = by_rule["f1_macro not worse than the baseline by more than 0.02"]
    assert blocking["fails_unchanged"] >= blocking["cannot_tell_unchanged"] > 0.2
    assert "“cannot tell” blocks" in blocking["warning"]


def test_one_model_alone_is_planned_for_with_what_is_assumed_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository", **{"predictions.csv": table()})
    code, out, _ = plan(capsys, root)
    assert code == 0
    assert out.startswith("digits: 1,000 examples; two models differ in being right on 10 % of them (assumed, since no other model's")
    assert "accuracy not worse than the baseline by more than 0.01" in out
    assert "73,778 by an estimator that does not pair (Hoeffding, as in ease.ml/ci), 517,392 for 32 uses" in out
    assert out == plan(capsys, root)[1]


def test_what_evaluate_left_serves_also_after_the_rules_were_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository")
    next_commit(root, 1, branch="feature")
    target, old = labels(900)
    _, new = labels(900, shuffled_by=30)
    evaluated(open_workspace(root), classified(target, new), classified(target, old), baseline_commit="a" * 40)
    (root / "mlgate.yaml").write_text(CONFIG.replace("0.01", "0.03"))
    found = planned(capsys, root)
    assert (found["examples"], found["disagreement"]) == (1000, 0.06)
    assert "the model of commit aaaaaaa" in found["basis"]


def test_another_holdout_can_be_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository", **{"predictions.csv": table()})
    here, four_times = planned(capsys, root), planned(capsys, root, "--examples", "4,000")
    assert four_times["basis"].startswith("4,000 examples, as asked, like the 1,000 at hand")
    for one, other in zip(here["rules"], four_times["rules"], strict=True):
        assert one["examples_needed"] == other["examples_needed"]
        if one["visible_loss"]:
            assert other["visible_loss"] == pytest.approx(one["visible_loss"] / 2, rel=0.05)
    surer = planned(capsys, root, "--power", "0.95")
    assert surer["rules"][0]["examples_needed"] > 1.5 * here["rules"][0]["examples_needed"]
    alike = planned(capsys, root, "--disagreement", "0.02")
    assert alike["rules"][0]["examples_needed"] < here["rules"][0]["examples_needed"] / 3


def test_a_regression_is_planned_for_in_its_own_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(3)
    target = random.normal(50, 10, 400)
    rows = "".join(f"{i},{y:.3f},{y + e:.3f}\n" for i, (y, e) in enumerate(zip(target, random.normal(0, 4, 400), strict=True)))
    config = (
        "model: heat\nevaluation: {predictions: predictions.csv}\ngate: {rules: [{metric: rmse, margin: 0.2}, {metric: r2, min: 0.5}]}\n"
    )
    found = planned(capsys, project(tmp_path / "repository", config, **{"predictions.csv": "id,y,y_pred\n" + rows}))
    assert found["disagreement"] is None
    assert found["unpaired"] == []
    assert found["rules"][0]["visible_loss"] == pytest.approx(0.36, abs=0.1)
    assert found["rules"][1]["fails_unchanged"] < 0.01


def test_two_numbers_are_enough_before_there_is_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = plan(capsys, tmp_path, "--examples", "2000", "--disagreement", "0.04", "--margin", "0.01")
    assert code == 0
    assert out.startswith("2,000 examples; two models differ in being right on 4.0 % of them (as asked)")
    assert "2,535" in out
    root = project(tmp_path / "repository")
    found = planned(capsys, root, "--examples", "2000", "--disagreement", "0.04")
    assert [rule["examples_needed"] for rule in found["rules"]] == [2535, None]
    assert found["remarks"] == ["Not planned without predictions: f1_macro."]


def test_the_published_estimator_stands_beside_ours_to_the_last_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository", CONFIG.replace("  rules:", "  confidence: 0.99\n  rules:"))
    [beside] = planned(capsys, root, "--examples", "2000", "--disagreement", "0.1")["unpaired"]
    assert (beside["one_use"], beside["uses_32"]) == (105_967, 549_581)
    assert beside["ours"] < 11_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--power", "80%"], "--power: expected a number above 0 and below 1, such as 0.8, got '80%'"),
        (["--power", "1"], "--power: expected a number above 0 and below 1, such as 0.8, got '1'"),
        (["--power", "nan"], "--power: expected a number above 0 and below 1, such as 0.8, got 'nan'"),
        (["--examples", "0"], "--examples: expected a whole number from 1 to 1,000,000,000, such as 2000, got '0'"),
        (["--examples", "1e3"], "--examples: expected a whole number from 1 to 1,000,000,000, such as 2000, got '1e3'"),
        (["--disagreement", "4"], "--disagreement: expected a number from 0 to 1, such as 0.04, got '4'"),
        (["--margin", "0"], "--margin: expected a number above 0, such as 0.01, got '0'"),
        (["--config", "no.yaml"], "no.yaml: no such file; write one, or let 'mlgate init' propose it"),
        (["--config", "no.yaml", "--examples", "9"], "no.yaml: no such file; to plan before there is one, say --margin 0.01 too"),
        (["-C", "nowhere", "--examples", "9", "--margin", "0.1"], "working-directory: no folder 'nowhere'"),
        (
            [],
            f"mlgate.yaml: evaluation: no predictions at 'predictions.csv', and none recorded of the baseline; {OR_SAY}",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path / "repository"))
    code = main(["plan", *arguments])
    assert (code, capsys.readouterr().err) == (2, f"✗ {said}\n")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG.partition("gate:")[0], "mlgate.yaml: gate.rules: nothing to plan for; write a rule, or try one with --margin 0.01"),
        (
            "model: m\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{metric: latency, max: 20}]}\n",
            f"mlgate.yaml: evaluation: only metric files, which carry no noise; {OR_SAY}",
        ),
    ],
)
def test_a_configuration_without_anything_to_plan_is_said(
    config: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = plan(capsys, project(tmp_path / "repository", config))
    assert (code, err) == (2, f"✗ {said}\n")


def test_a_rule_on_a_number_nothing_stands_behind_is_named_and_not_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = CONFIG.replace("gate:", "  metrics_files: [speed.json]\ngate:") + "    - {metric: latency_ms, max: 20}\n"
    root = project(tmp_path / "repository", config, **{"predictions.csv": table()})
    why = "it is one number of each model, and nothing says how far chance moves it"
    assert planned(capsys, root)["remarks"] == [f"Not planned: latency_ms: {why}."]


def test_a_rule_on_a_gap_is_planned_and_one_on_slices_says_where_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = "    - {fairness: accuracy, group: sex, margin: 0.05}\n    - {metric: accuracy, slices: [sex], margin: 0.05}\n"
    lines = table().splitlines()
    rows = [f"{lines[0]},sex"] + [f"{line},{'fm'[place % 2]}" for place, line in enumerate(lines[1:])]
    config = CONFIG.replace("gate:", "  slices: [sex]\ngate:") + rules
    found = planned(capsys, project(tmp_path / "repository", config, **{"predictions.csv": "\n".join(rows) + "\n"}))
    gap = next(rule for rule in found["rules"] if rule["metric"] == "accuracy gap by sex")
    assert 0 < gap["cannot_tell_unchanged"] < 1
    assert gap["visible_loss"] > 0.01
    assert found["remarks"] == ["Not planned: accuracy by sex: of every slice the gate's report says whether it has enough examples."]


@pytest.mark.parametrize("rows", ["id,y,y_pred\n1,a,a\n", "id,y,y_pred\n1,a,b\n2,b,b\n", "id,y,y_pred\n1,a,a\n2,a,a\n3,a,a\n"])
def test_a_holdout_of_next_to_nothing_is_planned_for_like_any_other(rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository", **{"predictions.csv": rows})
    code, _, err = plan(capsys, root)
    assert (code, err) == (0, "")


def test_the_docs_show_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/planning.md").read_text()
    arguments = ["--examples", "2000", "--disagreement", "0.04", "--margin", "0.01"]
    _, out, _ = plan(capsys, tmp_path, *arguments)
    assert f"```console\n$ mlgate plan {' '.join(arguments)}\n{out.replace(chr(160), ' ')}```" in page
