"""Evidence of other jobs: which artifacts are taken, and what in them is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate import artifacts
from mlgate.errors import InputError


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    return tmp_path / "downloaded"


def leave(downloaded: Path, artifact: str, **files: str) -> None:
    for name, content in files.items():
        path = downloaded / artifact / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def taken(downloaded: Path, attempt: int = 1, model: str = "digits") -> dict[str, str]:
    state = downloaded.parent / "state"
    artifacts.collect(downloaded, state, model, attempt)
    return {path.relative_to(state).as_posix(): path.read_text() for path in sorted(state.rglob("*")) if path.is_file()}


def test_artifacts_of_all_jobs_are_merged(downloaded: Path) -> None:
    leave(downloaded, "mlgate-digits-data-1", evidence__pull="p", files__logs__check="log")
    leave(downloaded, "mlgate-digits-train-1", evidence__train="t")

    assert taken(downloaded) == {"evidence/pull": "p", "evidence/train": "t", "files/logs/check": "log"}


def test_the_content_of_a_single_artifact_is_taken_where_it_lies_without_a_folder(downloaded: Path) -> None:
    leave(downloaded, ".", evidence__pull="p", files__log="l")

    assert taken(downloaded) == {"evidence/pull": "p", "files/log": "l"}


def test_of_each_job_the_newest_attempt_not_above_ours_counts(downloaded: Path) -> None:
    for attempt in (1, 2, 3, 10):
        leave(downloaded, f"mlgate-digits-train-{attempt}", evidence__train=str(attempt))
    leave(downloaded, "mlgate-digits-data-1", evidence__pull="1")

    assert taken(downloaded, attempt=9) == {"evidence/pull": "1", "evidence/train": "3"}


def test_ten_is_newer_than_nine(downloaded: Path) -> None:
    for attempt in (9, 10):
        leave(downloaded, f"mlgate-digits-train-{attempt}", evidence__train=str(attempt))

    assert taken(downloaded, attempt=10) == {"evidence/train": "10"}


def test_another_model_whose_name_begins_alike_is_left_alone(downloaded: Path) -> None:
    leave(downloaded, "mlgate-digits-train-data-1", evidence__pull="of the model digits-train")
    leave(downloaded, "mlgate-digits-v2-train-1", evidence__train="of the model digits-v2")
    leave(downloaded, "mlgate-digitsX-train-1", evidence__train="of the model digitsX")

    assert taken(downloaded) == {}
    assert taken(downloaded, model="digits-train") == {"evidence/pull": "of the model digits-train"}


def test_a_dot_in_the_models_name_stands_for_itself(downloaded: Path) -> None:
    leave(downloaded, "mlgate-axb-train-1", evidence__train="x")

    assert taken(downloaded, model="a.b") == {}


@pytest.mark.parametrize(
    "name",
    ["mlgate-digits-train-0", "mlgate-digits-train-01", "mlgate-digits-train-", "mlgate-digits-other-1", "mlgate-digits-train-1\n", "x"],
)
def test_folders_of_other_names_are_left_alone(downloaded: Path, name: str) -> None:
    leave(downloaded, name, evidence__train="x")

    assert taken(downloaded) == {}


def test_only_evidence_and_files_are_taken(downloaded: Path) -> None:
    leave(downloaded, "mlgate-digits-data-1", evidence__pull="p", report="r", other__x="x")

    assert taken(downloaded) == {"evidence/pull": "p"}


def test_what_the_job_has_already_is_not_replaced(downloaded: Path) -> None:
    leave(downloaded.parent, "state", evidence__pull="mine")
    leave(downloaded, "mlgate-digits-data-1", evidence__pull="theirs", evidence__check="new")

    assert taken(downloaded) == {"evidence/check": "new", "evidence/pull": "mine"}


def test_the_training_job_cannot_replace_what_the_data_job_found(downloaded: Path) -> None:
    leave(downloaded, "mlgate-digits-data-1", evidence__validate="failed")
    leave(downloaded, "mlgate-digits-train-1", evidence__validate="passed")

    assert taken(downloaded) == {"evidence/validate": "failed"}


def test_no_downloads_at_all_is_no_error(downloaded: Path) -> None:
    assert artifacts.collect(downloaded, downloaded.parent / "state", "digits", 1) == []


@pytest.mark.parametrize("at", ["evidence/link", "files/deep/link", "evidence", "files"])
def test_a_link_is_refused_wherever_it_lies(downloaded: Path, tmp_path: Path, at: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    link = downloaded / "mlgate-digits-train-1" / at
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)

    with pytest.raises(InputError, match=r"such an artifact is refused"):
        taken(downloaded)

    assert not (tmp_path / "state" / "evidence" / "key").exists()


def test_an_artifact_that_is_itself_a_link_is_left_alone(downloaded: Path, tmp_path: Path) -> None:
    leave(tmp_path, "elsewhere", evidence__train="x")
    downloaded.mkdir()
    (downloaded / "mlgate-digits-train-1").symlink_to(tmp_path / "elsewhere")

    assert taken(downloaded) == {}


def test_nothing_is_written_through_a_link_in_the_state_folder(downloaded: Path, tmp_path: Path) -> None:
    leave(downloaded, "mlgate-digits-train-1", evidence__train="x")
    (tmp_path / "state" / "evidence").mkdir(parents=True)
    (tmp_path / "state" / "evidence" / "train").symlink_to(tmp_path / "outside")

    taken(downloaded)

    assert not (tmp_path / "outside").exists()


def test_a_file_too_large_is_refused(downloaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MAX_FILE_BYTES", 10)
    leave(downloaded, "mlgate-digits-train-1", files__big="x" * 11)

    with pytest.raises(InputError, match=r"files/big is larger than 10 bytes; such an artifact is refused"):
        taken(downloaded)


def test_a_file_where_another_job_left_a_folder_is_refused_in_a_line(downloaded: Path) -> None:
    leave(downloaded, "mlgate-digits-data-1", files__a="file")
    leave(downloaded, "mlgate-digits-train-1", files__a__b="in a folder")

    with pytest.raises(InputError, match=r"mlgate-digits-train-1: files/a/b cannot be taken"):
        taken(downloaded)
