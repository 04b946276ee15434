"""The root action's inputs as a configuration: what they become, and one clear line for each that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate import cli, config
from mlgate.config import GENERATED_CONFIG
from mlgate.errors import InputError
from mlgate.stages.adoption import action_inputs
from support import MINIMAL_CONFIG, make_repository

ROOT = Path(__file__).resolve().parents[3]


def environ(**inputs: str) -> dict[str, str]:
    """As action.yml sets it: every input, most of them empty."""
    given_ = dict.fromkeys(action_inputs.INPUTS, "") | inputs
    return {"GITHUB_REPOSITORY": "octo/credit-risk", **{f"MLGATE_{name.upper()}": value for name, value in given_.items()}}


def configured(root: Path, **inputs: str) -> config.Config:
    path = action_inputs.configure(root, "mlgate.yaml", environ(**inputs))
    assert path == GENERATED_CONFIG
    return config.load(root / path)


def refusal(root: Path, config_path: str = "mlgate.yaml", **inputs: str) -> str:
    with pytest.raises(InputError) as refused:
        action_inputs.configure(root, config_path, environ(**inputs))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_ten_lines_become_a_configuration(tmp_path: Path) -> None:
    found = configured(tmp_path, predictions="predictions.csv", target="y", prediction="y_pred", margin="0.01")
    assert found.model == "credit-risk"
    assert (found.evaluation.predictions, found.evaluation.columns.target, found.evaluation.columns.prediction) == (
        "predictions.csv",
        "y",
        "y_pred",
    )
    assert (found.evaluation.columns.id, found.evaluation.task, found.evaluation.metrics, found.train) == (None, None, None, None)
    assert [(rule.metric, rule.margin) for rule in found.gate.rules] == [("main", 0.01)]


def test_every_input_has_its_place(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        predictions="out/p.parquet",
        target="truth",
        prediction="guess",
        id="key",
        score="p",
        metrics="speed.json sizes.yaml",
        rules="accuracy >= 0.9\nspeed.latency ms <= 2e2, mcc>=-.5",
        task="classification",
        model="risk",
    )
    assert (found.model, found.evaluation.task) == ("risk", "classification")
    assert found.evaluation.columns.model_dump() == {"id": "key", "target": "truth", "prediction": "guess", "score": "p"}
    assert found.evaluation.metrics_files == ["speed.json", "sizes.yaml"]
    assert [(rule.metric, rule.min, rule.max) for rule in found.gate.rules] == [
        ("accuracy", 0.9, None),
        ("speed.latency ms", None, 200.0),
        ("mcc", -0.5, None),
    ]


def test_a_metric_file_alone_is_enough(tmp_path: Path) -> None:
    found = configured(tmp_path, metrics="metrics.json", rules="accuracy >= 0.9")
    assert (found.evaluation.predictions, found.evaluation.metrics_files) == (None, ["metrics.json"])


def test_a_configuration_that_is_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)
    assert action_inputs.configure(tmp_path, "mlgate.yaml", environ()) == "mlgate.yaml"
    assert not (tmp_path / ".mlgate").exists()


def test_a_configuration_and_inputs_beside_it_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)
    assert refusal(tmp_path, target="y", margin="1") == (
        "mlgate.yaml: is there, and the step also gives `target`, `margin`; keep one of them: the file's own keys say the same, "
        "or take the file away"
    )


def test_neither_says_both_ways(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        "mlgate.yaml: no such file, and no inputs beside it: give the action `predictions:` (with `target:` and `prediction:`) or "
        "`metrics:`, or let 'mlgate init' write mlgate.yaml"
    )


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"target": "y"}, "input `target`: is about predictions; name their file in `predictions`"),
        ({"metrics": "m.json", "margin": "0.1"}, "input `margin`: is about predictions; name their file in `predictions`"),
        ({"rules": "a >= 1"}, "`rules`: nothing to evaluate; give the action `predictions:` or `metrics:`"),
        ({"predictions": "/etc/passwd"}, "input `predictions`: expected a path inside the working directory, got '/etc/passwd'"),
        (
            {"predictions": "p.csv", "metrics": "../m.json"},
            "input `metrics`: expected a path inside the working directory, got '../m.json'",
        ),
        ({"predictions": "p.csv", "margin": "1%"}, "input `margin`: expected a number, got '1%'"),
        ({"predictions": "p.csv", "margin": "nan"}, "input `margin`: expected a number, got 'nan'"),
        ({"predictions": "p.csv", "margin": "-1"}, "input `margin`: expected a number from 0, got '-1'"),
        ({"predictions": "p.csv", "task": "regresion"}, "input `task`: 'regresion' is not possible; did you mean 'regression'?"),
        ({"predictions": "p.csv", "rules": "accuracy > 1"}, "input `rules`: expected rules such as 'accuracy >= 0.9' or"),
        ({"predictions": "p.csv", "rules": "accuracy >= high"}, "input `rules`: expected a number, got 'high'"),
        ({"predictions": "p.csv", "rules": "acuracy >= 1"}, "input `rules`: no metric 'acuracy' in evaluation; did you mean 'accuracy'?"),
        ({"predictions": "p.csv", "model": "a/b"}, "input `model`: string should match pattern"),
        ({"predictions": "p.csv", "model": "store"}, "input `model`: the name 'store' is reserved; choose another"),
        ({"predictions": "p.csv", "target": "y", "prediction": "y"}, "input `target`: 'y' is both prediction and target;"),
    ],
)
def test_a_wrong_input_is_one_line_that_names_it(tmp_path: Path, inputs: dict[str, str], said: str) -> None:
    assert refusal(tmp_path, **inputs).startswith(said)
    assert not (tmp_path / ".mlgate").exists()


def test_a_configuration_of_another_name_that_is_not_there_is_missed(tmp_path: Path) -> None:
    assert refusal(tmp_path, "other.yaml", predictions="p.csv") == (
        "other.yaml: no such file, though the input `config` names it; leave `config` out, or the other inputs"
    )


@pytest.mark.parametrize(
    ("repository", "model"),
    [("octo/mlflow", "mlflow-model"), ("octo/.github", "github"), ("octo/a..b.lock", "a.b-model"), ("octo/_", "model")],
)
def test_any_repository_gives_a_model_its_name(tmp_path: Path, repository: str, model: str) -> None:
    assert action_inputs.model_name(tmp_path, {"GITHUB_REPOSITORY": repository}) == model


def test_a_link_in_place_of_our_folder_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/.mlgate").symlink_to(tmp_path / "outside")
    assert refusal(tmp_path / "model", predictions="p.csv").startswith(".mlgate: expected a folder of mlgate's own, found a link")
    assert list((tmp_path / "outside").iterdir()) == []


hostile = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    [
        "$(touch x)",
        "`id`",
        "y\nmodel: evil",
        "{a: b}",
        "!!python/object:os.system",
        "&a *a",
        "#",
        "null",
        "~",
        "yes",
        "0x1F",
        "1_000",
        "'\"",
        "\\",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(action_inputs.INPUTS), hostile, max_size=6), hostile)
def test_inputs_stay_data_whatever_they_hold(tmp_path: Path, inputs: dict[str, str], predictions: str) -> None:
    inputs = {"predictions": predictions, **inputs}
    try:
        path = action_inputs.configure(tmp_path, "mlgate.yaml", environ(**inputs))
    except InputError:
        return
    found = config.load(tmp_path / path)
    given_ = action_inputs.given(environ(**inputs))
    for name in ("target", "prediction", "id", "score"):
        if name in given_:
            assert getattr(found.evaluation.columns, name) == given_[name]
    assert set(yaml.safe_load((tmp_path / path).read_text())) <= {"model", "evaluation", "gate"}


def test_setup_tells_later_steps_which_configuration_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r", {"train.py": ""})
    for name, value in {**environ(predictions="p.csv"), "GITHUB_OUTPUT": str(tmp_path / "out")}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["setup", "-C", str(root)]) == 0
    assert (tmp_path / "out").read_text() == "model=credit-risk\nconfig=.mlgate/mlgate.yaml\n"
    assert (root / ".mlgate/.gitignore").read_text() == "*\n"


def test_the_action_hands_over_every_input_and_uses_what_setup_chose() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    setup, *others = action["runs"]["steps"]
    assert {name: setup["env"][f"MLGATE_{name.upper()}"] for name in action_inputs.INPUTS} == {
        name: f"${{{{ inputs.{name} }}}}" for name in action_inputs.INPUTS
    }
    assert set(action["inputs"]) == {*action_inputs.INPUTS, "config", "working-directory", "github-token"}
    assert {step["env"]["MLGATE_CONFIG"] for step in others if "run" in step} == {"${{ steps.setup.outputs.config }}"}


def test_the_ten_lines_are_ten() -> None:
    lines = (ROOT / "templates/ten-lines.yml").read_text().splitlines()
    assert len(lines) == 10
    assert [line for line in lines if len(line) > 140] == []
