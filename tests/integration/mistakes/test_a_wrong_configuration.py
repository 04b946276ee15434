"""A mistake in mlgate.yaml, or in where it is looked for: exit 2, and one line with the file, the key and what was expected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.mistakes.commands import mlgate, refused
from integration.mistakes.conftest import CONFIG

Make = Callable[..., Path]


@pytest.mark.parametrize("command", ["run", "setup", "dispatch"])
def test_no_configuration(tmp_path: Path, command: str) -> None:
    assert refused(tmp_path, command, code=2) == "mlgate.yaml: no such file; write one, or let 'mlgate init' propose it"
    assert not (tmp_path / ".mlgate").exists()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("gate:\n", "gaet:\n", "mlgate.yaml: gaet: unknown key; did you mean 'gate'?"),
        ("timeout: 20s", "timeuot: 20s", "mlgate.yaml: train.timeuot: unknown key; did you mean 'timeout'?"),
        ("[accuracy]", "accuracy", "mlgate.yaml: evaluation.metrics: expected a list, such as [accuracy], got the text 'accuracy'"),
        ("min: 0.5", "min: high", "mlgate.yaml: gate.rules[1].min: "),
        ("timeout: 20s", "timeout: soon", "mlgate.yaml: train.timeout: "),
        (
            "task: classification",
            "task: clasification",
            "mlgate.yaml: evaluation.task: 'clasification' is not possible; did you mean",
        ),
        (
            "{metric: accuracy, min",
            "{metric: acuracy, min",
            "mlgate.yaml: gate.rules[1].metric: no metric 'acuracy' in evaluation",
        ),
        ("[accuracy]", "[acuracy]", "mlgate.yaml: evaluation.metrics: no metric 'acuracy' for classification; did you mean 'accuracy'?"),
        ("eval/predictions.csv", "../predictions.csv", "mlgate.yaml: evaluation.predictions: "),
        ("model: digits", "model: [digits", "mlgate.yaml: line "),
        ("model: digits\n", "", "mlgate.yaml: model: missing; this key is required"),
        (CONFIG, "", "mlgate.yaml: expected keys such as 'model', 'train' and 'evaluation', got nothing"),
    ],
)
def test_a_mistake_in_it(repository: Make, old: str, new: str, line: str) -> None:
    root = repository()
    (root / "mlgate.yaml").write_text(CONFIG.replace(old, new))
    assert refused(root, "run", code=2).startswith(line)
    assert not (root / ".mlgate").exists()
    assert not (root / "trained").exists()


def test_mistakes_in_several_places_are_a_line_each(repository: Make) -> None:
    root = repository("repotr: {}\nstroe: null\n")
    ended = mlgate(root, "check")
    assert ended.code == 2
    assert ended.complaints == [
        "mlgate.yaml: repotr: unknown key; did you mean 'report'?",
        "mlgate.yaml: stroe: unknown key; did you mean 'store'?",
    ]


def test_a_folder_where_the_configuration_should_be(repository: Make) -> None:
    root = repository()
    (root / "mlgate.yaml").unlink()
    (root / "mlgate.yaml").mkdir()
    line = "mlgate.yaml: expected a file, found a folder; name the configuration itself in --config"
    assert refused(root, "check", code=2) == line
    assert refused(root, "run", code=2) == line


def test_text_that_is_no_utf8(repository: Make) -> None:
    root = repository()
    (root / "mlgate.yaml").write_bytes(b"model: \xff\xfe\n")
    assert refused(root, "check", code=2) == "mlgate.yaml: not UTF-8 text at byte 7; save the file as UTF-8"


@pytest.mark.parametrize("command", ["check", "run", "gate", "setup", "init"])
def test_a_working_directory_that_does_not_exist(repository: Make, command: str) -> None:
    root = repository()
    line = refused(root, command, "-C", "models/digits", code=2)
    assert line.startswith("working-directory: no folder '")
    assert line.endswith("models/digits'")


def test_a_configuration_outside_the_working_directory(repository: Make) -> None:
    root = repository()
    shutil.copy(root / "mlgate.yaml", root.parent / "other.yaml")
    line = refused(root, "check", "--config", "../other.yaml", code=2)
    assert line == "config: expected a path inside the working directory, got '../other.yaml'"


def test_a_number_in_the_environment_that_is_none(repository: Make) -> None:
    on_github = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/models"}
    line = refused(repository(), "check", code=2, MLGATE_GITHUB_PATIENCE_S="long", **on_github)
    assert line == "MLGATE_GITHUB_PATIENCE_S: expected seconds as a number from 0, got 'long'"
