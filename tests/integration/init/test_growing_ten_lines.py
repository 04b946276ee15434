"""Ten lines grown into a full set-up: nothing is asked, the baseline is kept, and the margin is one that the holdout can see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mlgate import cli, config
from mlgate.config import Config
from mlgate.stages.adoption import init, ten_line_workflow
from support import commit_files, git, make_repository

TEN_LINES = (Path(__file__).resolve().parents[3] / "templates/ten-lines.yml").read_text()
WORKFLOW = ".github/workflows/checks.yml"


def predictions(wrong: int, n: int = 600, *, ids: str = "", start: int = 0) -> str:
    rows = [(f"{i + 5}," if ids else "") + f"{i % 3},{(i + 1) % 3 if start <= i < start + wrong else i % 3}\n" for i in range(n)]
    return f"{ids}y,y_pred\n" + "".join(rows)


def repository(folder: Path, files: dict[str, str], *, origin: str = "git@github.com:octo/credit-risk.git") -> Path:
    root = make_repository(folder / "clone", {"train.py": "", WORKFLOW: TEN_LINES, **files})
    git(root, "remote", "add", "origin", origin)
    return root


def grown(root: Path) -> tuple[Config, str, list[str]]:
    lines = init.run(root, "mlgate.yaml")
    return config.load(root / "mlgate.yaml"), (root / "mlgate.yaml").read_text(), lines


def test_the_full_set_up_says_what_the_ten_lines_said(tmp_path: Path) -> None:
    root = repository(tmp_path, {"predictions.csv": predictions(30)})
    found, _, lines = grown(root)
    assert (found.model, found.train and found.train.command) == ("credit-risk", "python train.py")
    assert found.evaluation.columns.model_dump() == {"id": None, "target": "y", "prediction": "y_pred", "score": None}
    assert (found.evaluation.task, found.evaluation.predictions) == ("classification", "predictions.csv")
    assert [(rule.metric, rule.margin) for rule in found.gate.rules] == [("accuracy", 0.01)]
    assert f"  {WORKFLOW}: was the ten lines; Git has them" in lines


def test_the_full_workflow_takes_the_place_of_the_ten_lines(tmp_path: Path) -> None:
    root = repository(tmp_path, {"predictions.csv": predictions(30)})
    grown(root)
    assert not (root / ".github/workflows/mlgate.yml").exists()
    job = yaml.safe_load((root / WORKFLOW).read_text())["jobs"]["mlgate"]
    assert job["uses"].startswith("mlgate/mlgate/.github/workflows/reusable-pull-request.yml@")
    assert job["with"]["setup-command"] == "pip install -r requirements.txt"


@pytest.mark.parametrize("change", ["uncommitted", "another job"])
def test_a_workflow_that_holds_more_or_is_not_in_git_stays(tmp_path: Path, change: str) -> None:
    root = repository(tmp_path, {"predictions.csv": predictions(30)})
    if change == "uncommitted":
        (root / WORKFLOW).write_text(TEN_LINES + "# mine\n")
    else:
        commit_files(root, {WORKFLOW: TEN_LINES + "  lint:\n    runs-on: ubuntu-latest\n    steps: [{run: make lint}]\n"}, "lint")
    before = (root / WORKFLOW).read_text()
    _, _, lines = grown(root)
    assert (root / WORKFLOW).read_text() == before
    assert (root / ".github/workflows/mlgate.yml").exists()
    assert f"  {WORKFLOW}: remove its mlgate step, the new workflow takes its place" in lines


def test_a_margin_too_small_for_the_holdout_stays_with_what_it_needs_beside_it(tmp_path: Path) -> None:
    _, text, _ = grown(repository(tmp_path, {"predictions.csv": predictions(30)}))
    assert (
        "    # 600 examples see a loss of 0.033 in accuracy four times out of five (one-sided confidence 95 %),\n"
        "    # assuming that of two models one alone is right on 10 % of them.\n"
        "    # 0.01 needs about 6,203; with fewer the verdict is often `cannot tell`.\n"
        "    # So either more examples, or margin: 0.033.\n"
        "    - {metric: accuracy, margin: 0.01}\n"
    ) in text


def test_without_a_margin_of_theirs_the_visible_one_is_proposed(tmp_path: Path) -> None:
    ten_lines = TEN_LINES.replace(", margin: 0.01", ", rules: 'mcc >= 0.5'")
    found, text, _ = grown(repository(tmp_path, {"predictions.csv": predictions(30), WORKFLOW: ten_lines}))
    assert [(rule.metric, rule.margin, rule.min) for rule in found.gate.rules] == [("accuracy", 0.033, None), ("mcc", None, 0.5)]
    assert found.evaluation.metrics == ["accuracy", "f1_macro", "mcc"]
    assert "# not worse than the baseline by more than this" in text


def test_an_earlier_models_predictions_in_git_are_measured_rather_than_assumed(tmp_path: Path) -> None:
    root = repository(tmp_path, {"predictions.csv": predictions(30)})
    first = git(root, "rev-parse", "HEAD")
    commit_files(root, {"predictions.csv": predictions(30, start=24)}, "another model")
    _, text, _ = grown(root)
    # right where the other is wrong: 24 + 24 of 600 examples
    assert "600 examples see a loss of 0.03 in accuracy" in text
    assert f"    # since this model and the one of commit {first[:7]} differ in being right on 8 % of them.\n" in text


def test_a_regression_gets_a_margin_in_its_own_unit(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    target = random.normal(50, 10, 500)
    table = "y,y_pred\n" + "".join(f"{y:.3f},{y + e:.3f}\n" for y, e in zip(target, random.normal(0, 4, 500), strict=True))
    ten_lines = TEN_LINES.replace(", margin: 0.01", "")
    found, text, _ = grown(repository(tmp_path, {"predictions.csv": table, WORKFLOW: ten_lines}))
    assert found.evaluation.metrics == ["rmse", "mae", "r2"]
    [rule] = found.gate.rules
    assert rule.metric == "rmse"
    assert rule.margin == pytest.approx(0.24, abs=0.04)  # as wide as the gate's own interval of 500 squares
    assert "assuming that squared errors of two models correlate by 0.9" in text


def test_predictions_that_are_not_there_leave_the_task_to_be_recognised(tmp_path: Path) -> None:
    found, text, lines = grown(repository(tmp_path, {}))
    assert (found.evaluation.task, found.evaluation.metrics) == (None, None)
    assert [(rule.metric, rule.margin) for rule in found.gate.rules] == [("main", 0.01)]
    assert "as in the ten lines" in text
    assert any(line.startswith("  predictions.csv: not here yet; columns and task are guesses") for line in lines)


def test_a_column_of_ids_is_used_where_rows_are_in_its_order(tmp_path: Path) -> None:
    root = repository(tmp_path, {"predictions.csv": predictions(30, ids="id,")})
    assert grown(root)[0].evaluation.columns.id == "id"
    header, *rows = predictions(30, ids="id,").splitlines()
    (root / "mlgate.yaml").unlink()
    git(root, "checkout", "--quiet", ".")
    commit_files(root, {"predictions.csv": "\n".join([header, *reversed(rows)]) + "\n"}, "reversed")
    assert grown(root)[0].evaluation.columns.id is None


def test_metric_files_alone_are_told_what_they_lack(tmp_path: Path) -> None:
    ten_lines = TEN_LINES.replace(
        "predictions: predictions.csv, target: y, prediction: y_pred, margin: 0.01", "metrics: m.json, rules: 'a >= 1'"
    )
    found, _, lines = grown(repository(tmp_path, {WORKFLOW: ten_lines, "m.json": '{"a": 2}'}))
    assert (found.evaluation.predictions, found.evaluation.metrics_files) == (None, ["m.json"])
    assert [(rule.metric, rule.min) for rule in found.gate.rules] == [("a", 1)]
    assert any("metric files alone certify nothing" in line for line in lines)


def test_what_grew_runs_on_a_laptop(tmp_path: Path) -> None:
    train = "import pathlib; pathlib.Path('predictions.csv').write_text('y,y_pred\\n' + 'a,a\\nb,b\\n' * 50)\n"
    root = repository(tmp_path, {"train.py": train, ".gitignore": "predictions.csv\nmlgate.yaml\n"})
    (root / "predictions.csv").write_text("y,y_pred\n" + "a,a\nb,b\n" * 50)
    grown(root)
    assert cli.main(["run", "-C", str(root)]) == 0


STEP: dict[str, Any] = {"uses": "mlgate/mlgate@v0.1.0", "with": {"predictions": "p.csv"}}


@pytest.mark.parametrize(
    ("steps", "command", "setup", "is_alone"),
    [
        (
            [{"run": "pip install x\npython prepare.py\npython train.py --fast"}],
            "python prepare.py && python train.py --fast",
            "pip install x",
            True,
        ),
        ([{"run": "pip install x"}, {"run": "make model"}], "make model", "pip install x", True),
        ([{"run": "if true; then python train.py; fi"}], None, None, True),
        ([{"run": "python train.py ${{ inputs.x }}"}], None, None, True),
        ([{"uses": "someone/else@v1"}, {"run": "python train.py"}], "python train.py", None, False),
    ],
)
def test_what_trains_is_told_from_what_installs(
    tmp_path: Path, steps: list[dict[str, Any]], command: str | None, setup: str | None, is_alone: bool
) -> None:
    root = make_repository(tmp_path / "r", {WORKFLOW: yaml.safe_dump({"jobs": {"a": {"steps": [*steps, STEP]}}})})
    found = ten_line_workflow.find(root, root)
    assert found is not None
    assert (found.command, found.setup, found.is_alone, found.inputs) == (command, setup, is_alone, {"predictions": "p.csv"})


@pytest.mark.parametrize(
    "text",
    [
        "jobs: [",
        "jobs: {a: {steps: 3}, b: 4}",
        "on: push",
        yaml.safe_dump({"jobs": {"a": {"steps": [{"uses": "mlgate/mlgate@v1", "with": {"config": "mlgate.yaml"}}]}}}),
        yaml.safe_dump({"jobs": {"a": {"steps": [{**STEP, "with": {"predictions": "p.csv", "working-directory": "other"}}]}}}),
    ],
)
def test_other_workflows_are_none_of_ours(tmp_path: Path, text: str) -> None:
    root = make_repository(tmp_path / "r", {WORKFLOW: text})
    assert ten_line_workflow.find(root, root) is None
