"""Pulling with real DVC: what comes is verified, and what does not come is named."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dvc.repo import Repo

from mlgate.data.pull import Options, Pulled, fetch
from mlgate.errors import InfrastructureError, InputError, MlgateError
from support import commit_files

from .conftest import FILES, Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
ALL = ["data/train.csv", "data/images"]


def md5(name: str) -> str:
    return hashlib.md5(FILES[name].encode()).hexdigest()


def listing(project: Project) -> str:
    """Name of the object that lists data/images."""
    return next(line.split()[-1] for line in (project.root / "data" / "images.dvc").read_text().splitlines() if "md5:" in line)


def origins(pulled: Pulled) -> dict[str, tuple[int, int]]:
    return {target.data.path: (target.files_from_cache, target.files_from_remote) for target in pulled.findings.targets}


def assert_data_is_right(project: Project) -> None:
    assert {name: (project.root / name).read_text() for name in FILES} == FILES


def refused(project: Project, names: list[str] = ALL, options: Options = Options()) -> MlgateError:  # noqa: B008 -- frozen
    """The error that pulling ends with: one line."""
    with pytest.raises(MlgateError) as error:
        fetch(project.root, names, options)
    assert "\n" not in str(error.value)
    return error.value


def test_a_fresh_checkout_gets_everything_from_the_remote(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    pulled = fetch(project.root, ALL)
    assert_data_is_right(project)
    assert origins(pulled) == {"data/train.csv": (0, 1), "data/images": (0, 3)}
    train, images = (target.data for target in pulled.findings.targets)
    assert (train.hash, train.size_bytes, train.files, train.tracked_by) == (f"md5:{md5('data/train.csv')}", 2004, 1, "dvc")
    assert (images.hash, images.size_bytes, images.files) == (f"md5:{listing(project)}", 11, 3)
    assert (pulled.findings.remote, pulled.findings.remote_url) == ("storage", str(project.remote))
    assert (pulled.notes, pulled.findings.attempts) == ([], 1)
    assert capfd.readouterr() == ("", "")  # DVC keeps its progress bars and remarks to itself


def test_what_the_cache_holds_is_not_asked_for_again(project: Project) -> None:
    fetch(project.root, ["data/images"])
    project.clear()
    shutil.move(project.remote / "files" / "md5" / md5("data/images/1.txt")[:2], project.root / "away")
    assert origins(fetch(project.root, ALL)) == {"data/train.csv": (0, 1), "data/images": (3, 0)}
    assert_data_is_right(project)


def test_what_lies_in_the_workspace_needs_no_remote(project: Project) -> None:
    fetch(project.root, ALL)
    shutil.rmtree(project.remote)
    assert origins(fetch(project.root, ALL)) == {"data/train.csv": (0, 0), "data/images": (0, 0)}


def test_only_what_was_asked_for_comes(project: Project) -> None:
    fetch(project.root, ["data/train.csv"])
    assert not (project.root / "data" / "images").exists()
    assert not (project.cache / md5("data/images/1.txt")[:2]).exists()


@pytest.mark.parametrize("name", ["data/images/sub", "data/images/sub/3.txt"])
def test_a_part_of_a_folder_comes_alone(project: Project, name: str) -> None:
    pulled = fetch(project.root, [name])
    assert [path.name for path in (project.root / "data" / "images").rglob("*.txt")] == ["3.txt"]
    assert origins(pulled) == {name: (0, 1)}


@pytest.mark.parametrize("name", ["data/train.csv.dvc", "data/train.csv"])
def test_a_target_may_be_named_by_its_dvc_file(project: Project, name: str) -> None:
    assert list(origins(fetch(project.root, [name]))) == ["data/train.csv"]


def test_a_folder_that_holds_targets_means_all_of_them(project: Project) -> None:
    assert sorted(origins(fetch(project.root, ["data"]))) == ["data/images", "data/train.csv"]


def test_files_of_git_and_of_nobody_are_described_as_they_are(project: Project) -> None:
    (project.root / "loose.csv").write_text("1")
    pulled = fetch(project.root, ["notes.csv", "loose.csv"])
    assert [(target.data.path, target.data.tracked_by) for target in pulled.findings.targets] == [
        ("notes.csv", "git"),
        ("loose.csv", "none"),
    ]
    assert pulled.findings.remote is None


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage(path: Path, how: Callable[[Path], None], mode: int) -> None:
    path.chmod(0o644)
    how(path)
    path.chmod(mode)


@pytest.mark.parametrize("mode", [0o444, 0o644], ids=["write-protected", "writable"])
@pytest.mark.parametrize("how", [empty, truncate, alter])
@pytest.mark.parametrize("name", ["data/train.csv", "data/images/1.txt"])
def test_a_corrupted_object_on_the_remote_ends_with_one_line_that_names_the_file(
    project: Project, name: str, how: Callable[[Path], None], mode: int
) -> None:
    original = project.object_of(md5(name)).read_bytes()
    damage(project.object_of(md5(name)), how, mode)
    error = refused(project)
    assert error.exit_code == 3
    assert str(error).startswith(f"{name}: corrupted on remote 'storage' ({project.remote}): ")
    assert not (project.root / name).exists()
    assert not (project.cache / md5(name)[:2] / md5(name)[2:]).exists()
    project.object_of(md5(name)).unlink(missing_ok=True)
    project.object_of(md5(name)).write_bytes(original)
    fetch(project.root, ALL)  # once the remote is right, a re-run is all it takes
    assert_data_is_right(project)


@pytest.mark.parametrize("how", [empty, truncate, alter])
def test_a_corrupted_listing_of_a_folder_ends_with_one_line_that_names_the_folder(project: Project, how: Callable[[Path], None]) -> None:
    damage(project.object_of(listing(project)), how, 0o444)
    error = refused(project)
    assert error.exit_code == 3
    assert str(error).startswith(f"data/images: corrupted on remote 'storage' ({project.remote}): the folder's listing has ")
    assert not (project.root / "data" / "images").exists()


@pytest.mark.parametrize("name", ["data/train.csv", "data/images/1.txt"])
def test_a_missing_object_ends_with_one_line_that_names_the_file(project: Project, name: str) -> None:
    project.object_of(md5(name)).unlink()
    error = refused(project)
    assert error.exit_code == 3
    object_name = f"files/md5/{md5(name)[:2]}/{md5(name)[2:]}"
    assert str(error) == f"{name}: missing on remote 'storage' ({project.remote}): no object {object_name}; " + (
        "run 'dvc push data/train.csv' where the data is" if name == "data/train.csv" else "run 'dvc push data/images' where the data is"
    )


def test_a_missing_listing_ends_with_one_line_that_names_the_folder(project: Project) -> None:
    project.object_of(listing(project)).unlink()
    assert str(refused(project)).startswith("data/images: missing on remote 'storage'")


def test_of_many_missing_objects_the_first_is_named_and_the_others_counted(project: Project) -> None:
    shutil.rmtree(project.remote / "files")
    (project.remote / "files").mkdir()
    assert str(refused(project)).startswith("data/train.csv (and 1 more): missing on remote 'storage'")


@pytest.mark.parametrize("how", [empty, truncate, alter])
@pytest.mark.parametrize("name", ["data/train.csv", "data/images/1.txt"])
def test_a_corrupted_cache_is_noticed_and_replaced_from_the_remote(project: Project, name: str, how: Callable[[Path], None]) -> None:
    fetch(project.root, ALL)
    project.clear()
    damage(project.cache / md5(name)[:2] / md5(name)[2:], how, 0o444)
    pulled = fetch(project.root, ALL)
    assert_data_is_right(project)
    assert pulled.notes == [f"{name}: corrupted in DVC's cache or on the way there; removed and fetched again"]


def test_a_corrupted_listing_in_the_cache_is_noticed_and_replaced_from_the_remote(project: Project) -> None:
    fetch(project.root, ALL)
    project.clear()
    damage(project.cache / listing(project)[:2] / listing(project)[2:], alter, 0o444)
    pulled = fetch(project.root, ALL)
    assert_data_is_right(project)
    assert pulled.notes == ["data/images: corrupted in DVC's cache; removed there and fetched again"]


def test_a_workspace_that_dvc_filled_from_a_corrupted_cache_is_put_right(project: Project) -> None:
    fetch(project.root, ALL)
    project.clear()
    damage(project.cache / md5("data/train.csv")[:2] / md5("data/train.csv")[2:], alter, 0o444)
    with Repo(str(project.root)) as repo:
        repo.checkout()
    assert (project.root / "data" / "train.csv").read_text() != FILES["data/train.csv"]
    fetch(project.root, ALL)
    assert_data_is_right(project)


def test_local_changes_are_never_overwritten(project: Project) -> None:
    fetch(project.root, ALL)
    (project.root / "data" / "train.csv").write_text("mine")
    error = refused(project)
    assert error.exit_code == 2
    assert str(error).startswith("data/train.csv: changed here and not what DVC recorded")
    assert (project.root / "data" / "train.csv").read_text() == "mine"


def test_a_target_that_does_not_exist_is_refused_with_the_nearest_name(project: Project) -> None:
    error = refused(project, ["data/trian.csv"])
    assert error.exit_code == 2
    assert (
        str(error) == "no data 'data/trian.csv': neither DVC nor Git tracks it, and there is no such file; did you mean 'data/train.csv'?"
    )


def test_an_unknown_remote_is_refused_with_the_nearest_name(project: Project) -> None:
    error = refused(project, options=Options(remote="stroage"))
    assert (error.exit_code, str(error)) == (2, "data.remote: no DVC remote 'stroage'; did you mean 'storage'?")


def test_without_a_remote_the_command_to_add_one_is_named(project: Project) -> None:
    (project.root / ".dvc" / "config").write_text("")
    error = refused(project)
    assert error.exit_code == 2
    assert str(error).startswith(
        "data/train.csv, data/images: not in DVC's cache, and no default DVC remote is configured; run 'dvc remote add -d"
    )


def test_a_remote_that_is_no_default_is_proposed(project: Project) -> None:
    config = project.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("remote = storage", "autostage = false"))
    assert "run 'dvc remote default storage'" in str(refused(project))
    assert fetch(project.root, ALL, Options(remote="storage")).findings.remote == "storage"


def test_a_remote_folder_that_is_not_there_is_named(project: Project) -> None:
    shutil.rmtree(project.remote)
    error = refused(project)
    assert error.exit_code == 3
    assert f"there is nothing at remote 'storage' ({project.remote})" in str(error)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("dvc.yaml", "stages: {a: [}\n", "dvc.yaml"),
        ("data/train.csv.dvc", "outs: 3\n", "train.csv.dvc"),
        (".dvc/config", "[core]\nremote = \n[[[\n", ".dvc/config"),
    ],
)
def test_a_broken_file_of_dvc_is_one_line(project: Project, name: str, text: str, said: str) -> None:
    (project.root / name).write_text(text)
    error = refused(project)
    assert error.exit_code == 2
    assert said in str(error)


def test_outside_of_dvc_files_are_described_and_dvc_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("1")
    pulled = fetch(tmp_path, ["d.csv"])
    assert (pulled.findings.remote, origins(pulled)) == (None, {"d.csv": (0, 0)})
    with pytest.raises(InputError, match=r"no data .e\.csv."):
        fetch(tmp_path, ["e.csv"])
    with pytest.raises(InputError, match=r"is no DVC repository"):
        fetch(tmp_path, ["d.csv"], Options(remote="storage"))


def test_a_model_in_a_subfolder_names_its_data_from_there(project: Project) -> None:
    (project.root / "models" / "a").mkdir(parents=True)
    (project.root / "models" / "a" / "d.csv").write_text("1")
    with Repo(str(project.root)) as repo:
        repo.add(str(project.root / "models" / "a" / "d.csv"))
        repo.push()
    (project.root / "models" / "a" / "d.csv").unlink()
    assert origins(fetch(project.root / "models" / "a", ["d.csv"])) == {"d.csv": (1, 0)}


def test_hundreds_of_files_come_and_are_verified(project: Project) -> None:
    folder = project.root / "many"
    folder.mkdir()
    for number in range(200):
        (folder / str(number)).write_text(str(number))
    with Repo(str(project.root)) as repo:
        repo.add(str(folder))
        repo.push()
    shutil.rmtree(folder)
    shutil.rmtree(project.root / ".dvc" / "cache")
    assert origins(fetch(project.root, ["many"])) == {"many": (0, 200)}
    damage(project.object_of(hashlib.md5(b"177").hexdigest()), alter, 0o444)
    shutil.rmtree(folder)
    shutil.rmtree(project.root / ".dvc" / "cache")
    assert str(refused(project, ["many"])).startswith("many/177: corrupted on remote")


PIPELINE = """\
stages:
  prepare:
    cmd: sed s/1/2/ data/train.csv > made.csv
    deps: [data/train.csv]
    outs: [made.csv]
  train:
    cmd: cp made.csv model
    deps: [made.csv]
    outs: [model]
"""


@pytest.fixture
def pipeline(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose pipeline has run as far as `prepare`, but nothing of that was pushed."""
    monkeypatch.chdir(project.root)
    fetch(project.root, ["data/train.csv"])
    commit_files(project.root, {"dvc.yaml": PIPELINE}, "pipeline")
    with Repo(str(project.root)) as repo:
        repo.reproduce("prepare")
    (project.root / "made.csv").unlink()
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.clear()
    return project


def test_an_output_nobody_pushed_is_missing(pipeline: Project) -> None:
    assert str(refused(pipeline, ["made.csv"])).startswith("made.csv: missing on remote 'storage'")


def test_an_output_that_prepare_will_make_need_not_be_on_the_remote(pipeline: Project) -> None:
    pulled = fetch(pipeline.root, ["made.csv", "data/train.csv"], Options(is_made_later=True))
    assert list(origins(pulled)) == ["data/train.csv"]
    assert pulled.notes == ["made.csv: not on the remote; stage 'prepare' will make it"]


def test_an_output_that_was_pushed_is_pulled_by_file_or_by_stage(pipeline: Project) -> None:
    fetch(pipeline.root, ["data/train.csv"])
    with Repo(str(pipeline.root)) as repo:
        repo.reproduce("prepare", force=True)
        repo.push()
    for name in ("made.csv", "prepare", "dvc.yaml:prepare"):
        (pipeline.root / "made.csv").unlink()
        assert list(origins(fetch(pipeline.root, [name]))) == ["made.csv"]


def test_an_output_of_a_stage_that_changed_since_is_said_to_be_old(pipeline: Project) -> None:
    fetch(pipeline.root, ["data/train.csv"])
    with Repo(str(pipeline.root)) as repo:
        repo.reproduce("prepare", force=True)
    assert fetch(pipeline.root, ["made.csv"]).notes == []
    (pipeline.root / "dvc.yaml").write_text(PIPELINE.replace("s/1/2/", "s/1/3/"))
    (note,) = fetch(pipeline.root, ["made.csv"]).notes
    assert note.startswith("made.csv: stage 'prepare' changed since it made this; set data.prepare")
    assert fetch(pipeline.root, ["made.csv"], Options(is_made_later=True)).notes == []


def test_an_output_whose_stage_never_ran_is_said_to_have_no_hash(pipeline: Project) -> None:
    pulled = fetch(pipeline.root, ["model"])
    assert origins(pulled) == {}
    assert pulled.notes == ["model: not pulled, dvc.lock has no hash before the stage has run"]


def test_what_the_pipeline_reads_is_a_source_and_nothing_else(pipeline: Project) -> None:
    pulled = fetch(pipeline.root, [], Options(with_sources=True))
    assert list(origins(pulled)) == ["data/train.csv"]


def test_without_a_pipeline_everything_dvc_tracks_is_a_source(project: Project) -> None:
    assert sorted(origins(fetch(project.root, [], Options(with_sources=True)))) == ["data/images", "data/train.csv"]


class _Server(ThreadingHTTPServer):
    refusals: list[int]


@pytest.fixture
def served(project: Project) -> Iterator[_Server]:
    """The project's remote behind a web server that first answers with the codes in `refusals`."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(project.remote))  # type: ignore[arg-type]

        def send_head(self) -> object:  # type: ignore[override]
            if server.refusals and "/files/" in self.path:
                self.send_error(server.refusals.pop(0))
                return None
            return super().send_head()

        def log_message(self, *arguments: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        server.refusals = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://ada:hunter2@127.0.0.1:{server.server_port}"
        (project.root / ".dvc" / "config").write_text(f"[core]\n    remote = web\n['remote \"web\"']\n    url = {url}\n")
        yield server
        server.shutdown()
        thread.join()


def test_a_web_remote_is_named_without_its_password(project: Project, served: _Server) -> None:
    pulled = fetch(project.root, ALL)
    assert_data_is_right(project)
    assert pulled.findings.remote_url == f"http://127.0.0.1:{served.server_port}"


def test_a_remote_that_fails_at_first_is_asked_again(project: Project, served: _Server) -> None:
    served.refusals = [429, 429]
    said: list[str] = []
    pulled = fetch(project.root, ["data/train.csv"], Options(wait_s=0.01), said.append)
    assert (project.root / "data" / "train.csv").read_text() == FILES["data/train.csv"]
    assert pulled.findings.attempts > 1
    assert said[0].startswith(f"remote 'web' (http://127.0.0.1:{served.server_port}) does not answer (")


def test_a_remote_that_refuses_access_is_not_asked_again(project: Project, served: _Server) -> None:
    served.refusals = [403] * 1000
    error = refused(project, ["data/train.csv"], Options(wait_s=0.01))
    assert error.exit_code == 3
    assert "refuses access" in str(error)
    assert "hunter2" not in str(error)


def test_a_remote_that_nobody_answers_for_is_named_after_some_attempts(project: Project, served: _Server) -> None:
    served.shutdown()
    served.server_close()
    error = refused(project, ["data/train.csv"], Options(wait_s=0.01, attempts=2))
    assert isinstance(error, InfrastructureError)
    assert "does not answer, asked 2 times" in str(error)
    assert "hunter2" not in str(error)
