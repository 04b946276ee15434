"""Drift as a team meets it: what data is held against, where that comes from, what is said when it is not to be had."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from dvc.repo import Repo

from mlgate import stages
from mlgate.console import Console, plain
from mlgate.drift import profile
from mlgate.evidence import DriftFindings, Evidence
from mlgate.stages.validation import profiles
from mlgate.store import open_store
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

from .conftest import Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
DATA = "data/people.csv"


def table(seed: int, shift: float = 0.0, rows: int = 600) -> str:
    generator = np.random.default_rng(seed)
    columns = {"age": generator.normal(40 + 10 * shift, 10, rows).round(1), "y": generator.integers(0, 2, rows)}
    return pl.DataFrame(columns).write_csv()


def entry(more: str = "") -> str:
    return MINIMAL_CONFIG + f"data:\n  drift:\n    - {{data: {DATA}, label: y{more}}}\n"


def workspace(root: Path) -> Workspace:
    return Workspace.open(root, "mlgate.yaml", {}, Console(io.StringIO()))


def run(root: Path) -> Evidence[Any]:
    return stages.run("validate-data", workspace(root))


def found(evidence: Evidence[Any]) -> DriftFindings:
    one: DriftFindings = evidence.findings.drift[0]
    return one


@pytest.fixture
def in_git(tmp_path: Path) -> Path:
    """Data in Git: a first commit, and a branch on which it may change."""
    root = make_repository(tmp_path / "repository", {"mlgate.yaml": entry(), DATA: table(1)})
    git(root, "checkout", "--quiet", "-b", "feature")
    return root


@pytest.fixture(scope="session")
def _people(_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    shutil.copytree(_template, folder, dirs_exist_ok=True, symlinks=True)
    root = folder / "repository"
    (root / DATA).write_text(table(1))
    (root / "mlgate.yaml").write_text(entry())
    _track(root)
    commit_files(root, {}, "people")
    git(root, "checkout", "--quiet", "-b", "feature")
    (root / DATA).write_text(table(2, shift=1))
    _track(root)
    commit_files(root, {}, "older people")
    return folder


@pytest.fixture
def in_dvc(_people: Path, tmp_path: Path) -> Project:
    """The same in DVC, pushed to its remote; the branch has shifted data."""
    shutil.copytree(_people, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Project(tmp_path / "repository", tmp_path / "remote")


def _track(root: Path) -> None:
    with Repo(str(root)) as repo:
        repo.add([str(root / DATA)])
        repo.push([str(root / DATA)])


def test_data_of_git_is_held_against_the_base_and_a_shift_is_told(in_git: Path) -> None:
    commit_files(in_git, {DATA: table(2, shift=1)}, "older people")
    evidence = run(in_git)
    one = found(evidence)
    assert (evidence.status, one.verdict, one.source) == ("passed", "alert", "git")
    assert plain(evidence.summary).startswith(f"warning: drift of {DATA} against the base ")
    assert "age: PSI" in evidence.summary
    assert [column.name for column in one.columns] == ["y", "age"]
    assert sum(each.current for each in one.columns[1].bins) == 600
    remark = evidence.annotations[0]
    assert (remark.path, remark.line, remark.level) == ("mlgate.yaml", 9, "warning")
    assert git(in_git, "status", "--porcelain") == ""


def test_a_resample_is_no_drift(in_git: Path) -> None:
    commit_files(in_git, {DATA: table(2)}, "others")
    evidence = run(in_git)
    assert found(evidence).verdict == "stable"
    assert plain(evidence.summary) == f"{DATA}: no drift"
    assert evidence.annotations == []


def test_fail_stops_the_run_before_training(in_git: Path) -> None:
    commit_files(in_git, {"mlgate.yaml": entry(", level: fail"), DATA: table(2, shift=1)}, "older people")
    evidence = run(in_git)
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.summary.splitlines()[0].endswith("Nothing was trained.")
    assert evidence.annotations[0].level == "error"


def test_off_compares_nothing(in_git: Path) -> None:
    commit_files(in_git, {"mlgate.yaml": entry(", level: off"), DATA: table(2, shift=1)}, "older people")
    assert run(in_git).findings.drift == []


def test_the_very_same_data_is_not_read(in_git: Path) -> None:
    commit_files(in_git, {"other.txt": "x"}, "something else")
    evidence = run(in_git)
    assert found(evidence).verdict == "unchanged"
    assert evidence.findings.profiles == []


def test_data_of_dvc_comes_from_its_remote_without_a_checkout(in_dvc: Project) -> None:
    shutil.rmtree(in_dvc.root / ".dvc" / "cache")
    evidence = run(in_dvc.root)
    assert (found(evidence).verdict, found(evidence).source) == ("alert", "dvc outputs")
    assert evidence.annotations[0].path == f"{DATA}.dvc"
    assert (in_dvc.root / DATA).read_text() == table(2, shift=1)


def test_the_same_data_in_dvc_is_unchanged_without_asking_the_remote(in_dvc: Project) -> None:
    git(in_dvc.root, "checkout", "--quiet", "-B", "feature", "main")
    (in_dvc.root / DATA).write_text(table(1))
    commit_files(in_dvc.root, {"other.txt": "x"}, "something else")
    shutil.rmtree(in_dvc.root / ".dvc" / "cache")
    shutil.rmtree(in_dvc.remote)
    assert found(run(in_dvc.root)).verdict == "unchanged"


def test_data_that_is_nowhere_to_be_had_is_said_and_not_skipped(in_dvc: Project) -> None:
    shutil.rmtree(in_dvc.root / ".dvc" / "cache")
    shutil.rmtree(in_dvc.remote)
    evidence = run(in_dvc.root)
    assert found(evidence).verdict == "not compared"
    assert "not compared: its rows are not to be had" in evidence.summary


def test_a_recorded_profile_takes_the_place_of_the_old_data(in_dvc: Project) -> None:
    root = in_dvc.root
    git(root, "checkout", "--quiet", "main")
    (root / DATA).write_text(table(1))
    base = commit_files(root, {"other.txt": "x"}, "something else")
    first = workspace(root)
    stages.run("validate-data", first)  # unchanged, and yet on the default branch its profile is to be kept
    recorded = profiles.records(first, base)
    store = open_store(None, root=root, model="digits", context=first.context)
    store.write(recorded, "profiles")
    assert list(recorded) == [profiles.of_commit(base, DATA)]
    git(root, "checkout", "--quiet", "-b", "later")
    (root / DATA).write_text(table(2, shift=1))
    _track(root)
    commit_files(root, {}, "older people")
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(in_dvc.remote)
    evidence = run(root)
    assert (found(evidence).verdict, found(evidence).source) == ("alert", "profile in the store")
    assert found(evidence).multivariate is None
    kept = evidence.findings.profiles[0]
    assert kept.data == DATA
    assert profile.load((root / ".mlgate/digits" / kept.file.path).read_bytes(), "x").rows == 600


def test_the_champion_is_compared_by_its_profile_once_it_has_one(in_git: Path) -> None:
    commit_files(in_git, {"mlgate.yaml": entry(", against: champion"), DATA: table(2, shift=1)}, "older people")
    evidence = run(in_git)
    assert found(evidence).verdict == "not compared"
    assert "no profile of this data is kept with the champion yet" in evidence.summary
    before = profile.dump(profile.of_frame(pl.read_csv(io.StringIO(table(1)))))
    open_store(None, root=in_git, model="digits", context=workspace(in_git).context).write({profiles.of_champion(DATA): before}, "champion")
    assert found(run(in_git)).verdict == "alert"


@pytest.mark.parametrize("kind", ["table", "profile"])
def test_a_path_is_a_reference_too(in_git: Path, kind: str) -> None:
    name = "reference.csv" if kind == "table" else "reference.profile.json"
    before = pl.read_csv(io.StringIO(table(1)))
    content = before.write_csv() if kind == "table" else profile.dump(profile.of_frame(before)).decode()
    commit_files(in_git, {name: content, "mlgate.yaml": entry(f", against: {name}"), DATA: table(2, shift=1)}, "older people")
    evidence = run(in_git)
    assert found(evidence).verdict == "alert"
    assert (found(evidence).multivariate is not None) == (kind == "table")
    assert f"against {name}" in evidence.summary


def test_new_data_has_nothing_to_be_compared_with(in_git: Path) -> None:
    config = entry().replace(DATA, "data/new.csv")
    commit_files(in_git, {"data/new.csv": table(1), "mlgate.yaml": config}, "more")
    evidence = run(in_git)
    assert evidence.status == "passed"
    assert "neither in DVC nor in Git" in evidence.summary
    commit_files(in_git, {"mlgate.yaml": config.replace("label: y", "label: yy")}, "a slip")
    assert "data.drift[0].label: no column 'yy'" in run(in_git).summary, "told before there is anything to compare with"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (entry(", against: nowhere.csv"), "data.drift[0].against: 'nowhere.csv': no such file"),
        (entry().replace("label: y", "label: z"), "data.drift[0].label: no column 'z'"),
        (entry(", columns: [aeg]"), "data.drift[0].columns: no column 'aeg' in the data; did you mean 'age'?"),
        (entry(", thresholds: {aeg: {alert: 1}}"), "data.drift[0].thresholds: no column 'aeg'"),
        (entry().replace(DATA, "data/nothing.csv"), "data/nothing.csv: no such file"),
    ],
)
def test_what_is_wrong_ends_with_one_line_and_exit_2(in_git: Path, config: str, said: str) -> None:
    commit_files(in_git, {"mlgate.yaml": config, DATA: table(2)}, "wrong")
    evidence = run(in_git)
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert said in evidence.summary
    assert len(evidence.summary.splitlines()) == 1
