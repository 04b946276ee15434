"""`mlgate doctor` on DVC: the remote, whether it answers, and whether it has everything. Real DVC, an S3 server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_servers import S3, s3_server
from integration.doctor.diagnoses import examined, said, the_one
from integration.evaluation.dvc_projects import copy_project, dvc, make_project, object_path
from support import MINIMAL_CONFIG, commit_files, git, make_repository

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie, used by DVC
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
]


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def root(pushed: Path, tmp_path: Path) -> Path:
    return copy_project(pushed, tmp_path / "copy")


def remote_of(root: Path) -> str:
    return f"remote 'storage' ({root.parent / 'remote'})"


def test_all_is_pushed(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    assert said(examined(root, "Data")) == [
        f"✓ {remote_of(root)} answers; all 3 files of 3 outputs are there",
        (
            "– remote 'storage' is a folder: only machines that mount it can pull from it"
            " → for runners of GitHub's, use S3, GCS, Azure, SSH or HTTP"
        ),
    ]


def test_no_dvc_is_no_problem(tmp_path: Path) -> None:
    assert [finding.status for finding in examined(make_repository(tmp_path / "r"), "Data")] == ["open"]
    root = make_repository(tmp_path / "s", {"mlgate.yaml": MINIMAL_CONFIG + "data: {remote: x}\n"})
    assert said(examined(root, "Data")) == [
        "✗ data.remote: 'x' would be a DVC remote, and this is no DVC repository → run 'dvc init', or remove the key"
    ]


def test_data_that_was_never_pushed_is_named_with_the_command(root: Path) -> None:
    (root / "data.csv").unlink()
    (root / "data.csv").write_text("1\n")
    dvc(root, "add", "--quiet", "data.csv")
    commit_files(root, {}, "new data")
    finding = the_one(examined(root, "Data"), "no runner can get it")
    assert (finding.status, finding.exit_code) == ("problem", 2)
    assert finding.text == f"data.csv: not on {remote_of(root)}: no runner can get it"
    assert finding.advice == "run 'dvc push data.csv'"
    dvc(root, "push", "--quiet", "data.csv")
    assert {finding.status for finding in examined(root, "Data")} == {"ok", "open"}


def test_data_that_is_nowhere_is_to_be_pushed_from_where_it_is(root: Path) -> None:
    lock = (root / "data.csv.dvc").read_text()
    md5 = lock.partition("md5: ")[2].split()[0]
    object_path(root.parent / "remote", md5).unlink()
    object_path(root / ".dvc" / "cache", md5).unlink()
    assert the_one(examined(root, "Data"), "data.csv").advice == "run 'dvc push prepared data.csv', on a machine that has the data"


def test_what_the_pipeline_makes_need_not_be_there(root: Path) -> None:
    md5 = git(root, "show", "HEAD:dvc.lock").partition("eval/predictions.csv")[2].partition("md5: ")[2].split()[0]
    object_path(root.parent / "remote", md5).unlink()
    finding = the_one(examined(root, "Data"), "eval/predictions.csv")
    assert finding.status == "warning"
    assert "runners make it again" in finding.text


def test_an_empty_remote_before_the_first_push(root: Path) -> None:
    shutil.rmtree(root.parent / "remote")
    findings = examined(root, "Data")
    assert "there is nothing at all yet" in findings[0].text
    assert the_one(findings, "data.csv").advice.startswith("run 'dvc push")


def test_no_remote_at_all(root: Path) -> None:
    dvc(root, "remote", "remove", "storage")
    finding = the_one(examined(root, "Data"), "there is no default remote")
    assert finding.status == "problem"
    assert "dvc remote add -d NAME URL" in finding.advice


def test_a_remote_that_only_this_clone_knows(root: Path) -> None:
    dvc(root, "remote", "remove", "storage")
    dvc(root, "remote", "add", "--quiet", "--local", "-d", "mine", str(root.parent / "remote"))
    finding = the_one(examined(root, "Data"), "config.local")
    assert finding.status == "problem"
    assert "without --local" in finding.advice


def test_a_remote_that_is_none_is_named_with_the_nearest(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": (root / "mlgate.yaml").read_text() + "data: {remote: storrage}\n"}, "typo")
    [finding] = examined(root, "Data")
    assert finding.text == "data.remote: no DVC remote 'storrage'; did you mean 'storage'?"


def test_changes_that_are_not_committed(root: Path) -> None:
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text() + "# x\n")
    assert the_one(examined(root, "Data"), "not as committed").text.startswith("dvc.yaml")


def test_a_remote_that_does_not_answer(root: Path) -> None:
    dvc(root, "remote", "modify", "storage", "url", "http://127.0.0.1:9/x")
    [finding] = [one for one in examined(root, "Data") if one.status == "problem"]
    assert finding.exit_code == 3
    assert finding.text.startswith("remote 'storage' (http://127.0.0.1:9/x) cannot be asked: ")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


def test_an_s3_remote_with_and_without_credentials(root: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".dvc" / "config").write_text(s3.config())
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    assert "no runner can get it" in the_one(examined(root, "Data"), "data.csv").text
    dvc(root, "push", "--quiet")
    assert "all 3 files of 3 outputs are there" in the_one(examined(root, "Data"), "answers").text
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    [finding] = [one for one in examined(root, "Data") if one.status == "problem"]
    assert finding.exit_code == 3
    assert "refuses access" in finding.text
    assert "AWS_ACCESS_KEY_ID" in finding.text
