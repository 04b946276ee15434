"""Data that is missing, damaged or not what its contract says: one line that names it, and nothing is trained."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.data.conftest import FILES, Project
from integration.mistakes.commands import PLANTED, evidence_of, mlgate, refused, stopped
from integration.mistakes.conftest import CONTRACT, TRAIN

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
NAME = "data/train.csv"


@pytest.fixture
def model(project: Project) -> Project:
    """The DVC repository with a model to train and a contract of its data."""
    (project.root / "train.py").write_text(TRAIN)
    (project.root / "contract.yaml").write_text(CONTRACT)
    text = "data: {pull: [data/train.csv], contracts: [{data: data/train.csv, schema: contract.yaml}]}\n"
    project.configure(text)
    config = project.root / "mlgate.yaml"
    config.write_text(config.read_text().replace("command: python", f"command: {sys.executable}"))
    return project


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("how", [corrupt, truncate, empty, Path.unlink])
def test_a_damaged_object_on_the_remote(model: Project, how: Callable[[Path], None]) -> None:
    stored = model.object_of(hashlib.md5(FILES[NAME].encode()).hexdigest())
    stored.chmod(0o644)
    how(stored)
    what = "missing" if how is Path.unlink else "corrupted"
    line = refused(model.root, "pull-data", code=3)
    assert line.startswith(f"{NAME}: {what} on remote 'storage' ({model.remote}): ")
    assert not (model.root / NAME).exists()


def test_a_damaged_object_ends_the_whole_run_before_training(model: Project) -> None:
    stored = model.object_of(hashlib.md5(FILES[NAME].encode()).hexdigest())
    stored.chmod(0o644)
    corrupt(stored)
    line = stopped(model.root, "pull-data", code=3)
    assert line.startswith(f"{NAME}: corrupted on remote 'storage'")
    assert not (model.root / "trained").exists()


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ("", 2, f"{NAME}: not in DVC's cache, and no default DVC remote is configured; run 'dvc remote add -d "),
        ("[core]\n    remote = stroage\n['remote \"storage\"']\n    url = ../../remote\n", 2, "stroage"),
        ("[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../away\n", 3, "there is nothing at remote 'storage'"),
    ],
    ids=["no remote", "a default remote that is not there", "a remote with nothing in it"],
)
def test_a_dvc_remote_that_is_not_there(model: Project, config: str, code: int, said: str) -> None:
    (model.root / ".dvc" / "config").write_text(config)
    assert said in refused(model.root, "pull-data", code=code)


def test_a_misspelt_remote(model: Project) -> None:
    config = model.root / "mlgate.yaml"
    config.write_text(config.read_text().replace("data: {", "data: {remote: stroage, "))
    assert refused(model.root, "pull-data", code=2) == "data.remote: no DVC remote 'stroage'; did you mean 'storage'?"


def test_a_remote_that_cannot_be_reached_is_named_without_its_password(model: Project) -> None:
    config = f"[core]\n    remote = far\n['remote \"far\"']\n    url = http://ada:{PLANTED}@127.0.0.1:9/data\n"
    (model.root / ".dvc" / "config").write_text(config)
    line = refused(model.root, "pull-data", code=3)
    assert "far" in line
    assert "127.0.0.1:9" in line


def test_data_that_nobody_tracks(model: Project) -> None:
    config = model.root / "mlgate.yaml"
    config.write_text(config.read_text().replace("pull: [data/train.csv]", "pull: [data/trian.csv]"))
    line = refused(model.root, "pull-data", code=2)
    assert line == "no data 'data/trian.csv': neither DVC nor Git tracks it, and there is no such file; did you mean 'data/train.csv'?"


def test_a_broken_contract_is_never_trained_on(model: Project) -> None:
    (model.root / "contract.yaml").write_text(CONTRACT.replace("max_value: 1", "max_value: 0"))
    line = stopped(model.root, "validate-data", code=1)
    assert line.startswith(f"{NAME} ")
    assert line.endswith(" Nothing was trained.")
    assert not (model.root / "trained").exists()
    assert not (model.root / ".mlgate" / "digits" / "evidence" / "train.json").exists()


def test_data_that_changed_after_it_was_validated(model: Project) -> None:
    for stage in ("pull-data", "validate-data"):
        assert mlgate(model.root, stage).code == 0
    data = model.root / NAME
    data.unlink()  # DVC may have made it a link into its cache
    data.write_text(FILES[NAME] + "0,1\n")
    line = refused(model.root, "train", code=2)
    assert line.startswith(f"data is not what was validated: {NAME} ")
    assert line.endswith("run 'mlgate validate-data' again. Nothing was trained.")
    assert not (model.root / "trained").exists()


def test_training_without_validation(model: Project) -> None:
    assert refused(model.root, "train", code=2) == "train: the data was not validated; run 'mlgate validate-data' first"
    assert not (model.root / "trained").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("contract.yaml", "columns: [x", "contract.yaml: "),
        ("contract.yaml", "columns:\n  x: {dtype: imaginary}\n", "contract.yaml"),
        (NAME, "", f"{NAME}: "),
        (NAME, 'a,b\n1,2,3\n"', f"{NAME}: "),
    ],
)
def test_a_contract_or_data_that_cannot_be_read(model: Project, name: str, text: str, said: str) -> None:
    (model.root / name).parent.mkdir(exist_ok=True)
    (model.root / name).write_text(text)
    line = refused(model.root, "validate-data", code=2)
    assert said in line
    assert evidence_of(model.root, "validate-data")["summary"] == line


def test_a_preparation_that_fails(model: Project) -> None:
    config = model.root / "mlgate.yaml"
    config.write_text(config.read_text().replace("data: {", "data: {prepare: 'echo no room >&2; exit 4', "))
    line = refused(model.root, "validate-data", code=1)
    assert line == "data.prepare: 'echo no room >&2; exit 4' failed (exit 4): no room. Nothing was trained."
