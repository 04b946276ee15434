"""`train.checkpoints` in a repository: which training is the same, where checkpoints go, what is said. Real Git, DVC, S3 and SFTP."""

from __future__ import annotations

import io
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_servers import BUCKET, S3, s3_server, sftp_server
from mlgate import process
from mlgate.console import Console
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import DataRef
from mlgate.stages.training import checkpoint_places, resume
from mlgate.training import params
from mlgate.training.checkpoints.places import FolderPlace
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in (aiohttp 4.0|v4):DeprecationWarning"),  # as DVC calls aiohttp
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
]

CONFIG = """\
model: digits
train: {command: python train.py, params: [params.yaml], checkpoints: %s}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
"""
FILES = {"train.py": "print(1)\n", "params.yaml": "lr: 0.1\n", ".gitignore": "/checkpoints\n/eval\n"}
DATA = DataRef(path="data.csv", hash="md5:" + "0" * 32, size_bytes=1, files=1, tracked_by="dvc")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of this machine stay out; its cache is a folder of the test."""
    for name in [
        "GITHUB_ACTIONS", "RUNNER_TOOL_CACHE", "DVC_SYSTEM_CONFIG_DIR", "MLGATE_DVC_CACHE", "DVC_CONFIG", "MLGATE_PARAMS", "MLGATE_RESUME",
        "SSH_AUTH_SOCK", *(name for name in os.environ if name.startswith("AWS_")),
    ]:  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machine"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return tmp_path / "machine"


class Job:
    """What a job does with checkpoints, and what it said."""

    def __init__(self, root: Path, **more: Any) -> None:
        self.log = io.StringIO()
        self.workspace = Workspace.open(root, "mlgate.yaml", os.environ, Console(self.log))
        self.saver = resume.checkpoints(self.workspace, **{"data": [DATA], "params": params.read(root, ["params.yaml"]), **more})
        self.opened = self.saver.__enter__()
        self.folder = Path(self.opened.environ["MLGATE_CHECKPOINTS"])

    def interrupted(self, **files: str) -> Job:
        for name, content in files.items():
            (self.folder / name).write_text(content)
        self.opened.ended(143, "SIGTERM", time.monotonic())
        self.saver.__exit__(None, None, None)
        return self

    def content(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir() if not path.name.startswith(".")}


def repository(root: Path, store: str = "checkpoints", config: str = "", **files: str) -> Path:
    make_repository(root, {**FILES, "mlgate.yaml": CONFIG % store, **files})
    if config:
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text(config)
        commit_files(root, {}, "dvc")
    return root


def another_machine(root: Path, machine: Path) -> Path:
    """A fresh checkout on a machine that has nothing."""
    shutil.rmtree(machine, ignore_errors=True)
    target = root.parent / f"{root.name}-{time.monotonic_ns()}"
    git(root.parent, "clone", "--quiet", str(root), str(target))
    if (root / ".dvc" / "config.local").exists():
        shutil.copy(root / ".dvc" / "config.local", target / ".dvc")
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, and beside it a folder with the checkpoint that an interrupted job saved."""
    base = tmp_path_factory.mktemp("made")
    root = repository(base / "first", "{path: checkpoints, store: ../place}", **{".gitignore": "/checkpoints\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_ACTIONS", raising=False)
        Job(root).interrupted(model="weights")
    shutil.rmtree(root / "checkpoints")
    return base


@pytest.fixture
def interrupted(made: Path, tmp_path: Path) -> Path:
    """The repository as a fresh checkout, with the place beside it."""
    shutil.copytree(made, tmp_path / "made", symlinks=True)
    return tmp_path / "made" / "first"


def test_a_job_with_mlgate_resume_false_gets_on_when_it_is_run_again(
    interrupted: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/models", "GITHUB_RUN_ID": "7", "GITHUB_EVENT_NAME": "push"}
    for name, value in {**run, "GITHUB_SHA": git(interrupted, "rev-parse", "HEAD"), "MLGATE_RESUME": "false"}.items():
        monkeypatch.setenv(name, value)
    for number, there in ((1, {}), (2, {"model": "after attempt 1"}), (3, {"model": "after attempt 2"})):
        monkeypatch.setenv("GITHUB_RUN_ATTEMPT", str(number))
        job = Job(interrupted)
        assert job.content() == there
        job.interrupted(model=f"after attempt {number}")
        shutil.rmtree(interrupted / "checkpoints")
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    assert Job(interrupted).content() == {}


def test_without_a_remote_it_is_this_machine_and_said_so(tmp_path: Path, machine: Path) -> None:
    root = repository(tmp_path / "first")
    first = Job(root).interrupted(model="weights")
    assert first.opened.remarks == ["there is no DVC remote: checkpoints are kept on this machine, and no other can go on from them"]
    findings = first.opened.findings
    assert findings is not None
    assert findings.last is not None
    assert findings.place == f"{machine}/mlgate on this machine"
    assert "s after the training ended, 0." in first.log.getvalue()
    assert "s after SIGTERM: " in first.log.getvalue()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    second = Job(clone)
    assert second.content() == {"model": "weights"}
    assert second.opened.findings is not None
    assert second.opened.findings.resumed_from == findings.last
    assert "goes on from a checkpoint: " in second.log.getvalue()
    assert Job(another_machine(root, machine)).content() == {}


def change_code(root: Path) -> None:
    commit_files(root, {"train.py": "print(2)\n"}, "other code")


def change_code_uncommitted(root: Path) -> None:
    (root / "train.py").write_text("print(2)\n")


def add_code_uncommitted(root: Path) -> None:
    (root / "model.py").write_text("print(2)\n")


def remove_code_uncommitted(root: Path) -> None:
    (root / "train.py").unlink()


def change_a_parameter_by_form(root: Path) -> None:
    overrides = params.overrides("lr=0.2", root, ["params.yaml"])
    params.apply(overrides, root)


def change_the_command(root: Path) -> None:
    text = (root / "mlgate.yaml").read_text().replace("python train.py", "python train.py --fast")
    commit_files(root, {"mlgate.yaml": text}, "other command")


@pytest.mark.parametrize(
    "change",
    [
        change_code, change_code_uncommitted, add_code_uncommitted, remove_code_uncommitted, change_a_parameter_by_form, change_the_command,
        {"data": [DATA.model_copy(update={"hash": "md5:" + "1" * 32})]},
        {"data": []},
        {"params": {"lr": "0.2"}},
    ],
)  # fmt: skip
def test_another_training_begins_from_nothing(interrupted: Path, change: Callable[[Path], None] | dict[str, Any]) -> None:
    if callable(change):
        change(interrupted)
        assert Job(interrupted).content() == {}
    else:
        assert Job(interrupted, **change).content() == {}


def no_change(root: Path) -> None:
    commit_files(root, {"README.md": "about\n"}, "a readme")


def change_what_judges(root: Path) -> None:
    text = (root / "mlgate.yaml").read_text() + "gate: {rules: [{metric: accuracy, margin: 0.01}]}\n"
    commit_files(root, {"mlgate.yaml": text}, "another rule")


def leave_what_a_training_writes(root: Path) -> None:
    (root / "eval").mkdir()
    (root / "eval" / "predictions.csv").write_text("id\n")
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "train.pyc").write_text("")


def save_more_often(root: Path) -> None:
    text = (root / "mlgate.yaml").read_text().replace("{path: checkpoints,", "{path: checkpoints, every: 5m, keep: 3,")
    commit_files(root, {"mlgate.yaml": text}, "more often")


@pytest.mark.parametrize("change", [no_change, change_what_judges, leave_what_a_training_writes, save_more_often])
def test_the_same_training_goes_on_though_something_else_changed(interrupted: Path, change: Callable[[Path], None]) -> None:
    change(interrupted)
    assert Job(interrupted).content() == {"model": "weights"}


def test_torchrun_with_another_number_of_processes_is_another_training(tmp_path: Path) -> None:
    root = repository(tmp_path / "first", f"{{path: checkpoints, store: {tmp_path}/place}}")
    text = (root / "mlgate.yaml").read_text().replace("{command: python train.py", "{command: train.py, launcher: torchrun")
    commit_files(root, {"mlgate.yaml": text}, "torchrun")
    Job(root, processes=2).interrupted(model="weights")
    for processes, expected in ((4, {}), (2, {"model": "weights"})):
        clone = tmp_path / f"clone-{processes}"
        git(tmp_path, "clone", "--quiet", str(root), str(clone))
        assert Job(clone, processes=processes).content() == expected


def test_checkpoints_that_were_committed_are_said(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository", **{".gitignore": "/eval\n", "checkpoints/.gitkeep": "", "checkpoints/model.pt": "weights"})
    job = Job(root)
    assert "checkpoints: a file there is tracked by Git (model.pt)" in job.log.getvalue()
    assert any("git rm -r --cached checkpoints" in remark for remark in job.opened.remarks)
    job.saver.__exit__(None, None, None)


def test_a_training_that_came_to_its_end_is_not_gone_on_from(interrupted: Path) -> None:
    second = Job(interrupted)
    assert second.content() == {"model": "weights"}
    second.opened.ended(0)
    second.saver.__exit__(None, None, None)
    shutil.rmtree(interrupted / "checkpoints")
    third = Job(interrupted)
    assert third.content() == {}
    assert "passed over" not in third.log.getvalue()
    assert third.opened.findings is not None
    assert third.opened.findings.passed_over == []


@pytest.mark.parametrize(
    ("code", "ended_by", "is_gone_on_from"),
    [
        (1, None, False),
        (2, None, False),
        (137, None, True),
        (139, None, True),
        (0, "SIGTERM", True),  # it saved and ended as it was asked to, and is not trained
        (1, "spot notice", True),
    ],
)
def test_after_an_error_of_its_own_it_begins_anew_after_a_signal_it_goes_on(
    interrupted: Path, code: int, ended_by: str | None, is_gone_on_from: bool
) -> None:
    shutil.rmtree(interrupted.parent / "place")
    first = Job(interrupted)
    (first.folder / "model").write_text("weights after the error")
    first.opened.ended(code, ended_by)
    first.saver.__exit__(None, None, None)
    shutil.rmtree(interrupted / "checkpoints")
    assert Job(interrupted).content() == ({"model": "weights after the error"} if is_gone_on_from else {})


def test_an_exception_while_it_runs_saves_as_an_interruption(tmp_path: Path) -> None:
    root = repository(tmp_path / "first", f"{{path: checkpoints, store: {tmp_path}/place}}")
    workspace = Workspace.open(root, "mlgate.yaml", os.environ, Console(io.StringIO()))

    def train() -> None:
        with resume.checkpoints(workspace, [DATA], params.read(root, ["params.yaml"])) as saver:
            (Path(saver.environ["MLGATE_CHECKPOINTS"]) / "model").write_text("weights")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    assert Job(clone).content() == {"model": "weights"}


def test_a_fork_saves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "first", f"{{path: checkpoints, store: {tmp_path}/place}}")
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"number": 1, "head": {"sha": "x", "repo": {"full_name": "stranger/fork"}}, "base": {}}}')
    for name, value in {"ACTIONS": "true", "REPOSITORY": "o/r", "EVENT_PATH": str(event), "EVENT_NAME": "pull_request"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    job = Job(root).interrupted(model="weights")
    assert job.opened.findings is None
    assert job.opened.remarks == [
        "no checkpoints: this run is of a fork's or Dependabot's pull request, which has no credentials for the place that keeps them"
    ]
    assert not (tmp_path / "place").exists()


def test_without_git_nothing_is_saved(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    for name, text in {**FILES, "mlgate.yaml": CONFIG % "checkpoints"}.items():
        (root / name).write_text(text)
    job = Job(root).interrupted(model="weights")
    assert job.opened.remarks == ["no checkpoints: without a commit of Git nobody can tell whether another run trains the same"]


def test_a_folder_that_dvc_would_remove_is_said(tmp_path: Path) -> None:
    pipeline = "stages: {train: {cmd: python train.py, deps: [train.py], outs: [checkpoints%s]}}\n"
    remote = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path}/remote\n"
    for name, more in (("removed", ""), ("kept", ": {persist: true}")):
        root = repository(tmp_path / name, config=remote, **{"dvc.yaml": pipeline % more})
        (root / "mlgate.yaml").write_text((root / "mlgate.yaml").read_text().replace("python train.py", "dvc repro"))
        job = Job(root).interrupted(model="weights")
        removed = "checkpoints is an output of DVC's stage 'train', which removes it and the checkpoint before it runs"
        advice = "take it out of `outs`, or give it `persist: true`"
        assert job.opened.remarks == ([f"{removed}; {advice}"] if name == "removed" else [])


@pytest.mark.parametrize("path", [".git/x", ".mlgate", ".dvc/cache"])
def test_a_folder_that_is_not_its_own_is_refused(tmp_path: Path, path: str) -> None:
    root = repository(tmp_path / "first", path)
    with pytest.raises(InputError, match=r"train\.checkpoints\.path: .*: expected a folder of its own"):
        Job(root)


def test_on_github_a_link_out_of_the_checkout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "first")
    (root / "checkpoints").symlink_to(tmp_path / "elsewhere")
    for name, value in {"ACTIONS": "true", "REPOSITORY": "o/r", "EVENT_NAME": "push"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    with pytest.raises(InputError, match="it is a link that leads out of it"):
        Job(root)


def test_on_a_runner_the_machines_folder_is_in_its_tool_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "first")
    workspace = Workspace.open(root, "mlgate.yaml", os.environ)
    environ = {"GITHUB_ACTIONS": "true", "RUNNER_TOOL_CACHE": str(tmp_path / "tools"), "HOME": str(tmp_path)}
    assert checkpoint_places.machine_folder(workspace, environ) == tmp_path / "tools" / "mlgate"
    assert checkpoint_places.machine_folder(workspace, {"HOME": "/proc/nowhere"}) == root / ".mlgate"


def test_what_nothing_was_written_to_for_a_month_is_removed_from_this_machine(tmp_path: Path, machine: Path) -> None:
    root = repository(tmp_path / "first")
    Job(root).interrupted(model="weights")
    (kept,) = (machine / "mlgate" / "mlgate-checkpoints" / "digits").iterdir()
    for path in [kept, *kept.rglob("*")]:
        os.utime(path, (0, 0))
    month_s = 30 * 86_400.0
    for now, model, key in ((month_s - 9, "digits", "f" * 64), (month_s + 9, "letters", "f" * 64), (month_s + 9, "digits", kept.name)):
        checkpoint_places.forget_old(FolderPlace(machine / "mlgate", "x"), model, key, now)
        assert kept.exists()
    change_code(root)
    Job(root).interrupted(model="weights of other code")
    assert not kept.exists()


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as s3:
        yield s3


def use(server: S3, monkeypatch: pytest.MonkeyPatch, key: tuple[str, str] | None = None) -> None:
    for name, value in server.environment(key).items():
        monkeypatch.setenv(name, value)


def test_the_dvc_remote_on_s3(server: S3, tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(server, monkeypatch)
    root = repository(tmp_path / "first", config=server.config(tmp_path.name))
    first = Job(root).interrupted(model="weights " * 100_000, optimizer="state")
    assert first.opened.remarks == []
    assert first.opened.findings is not None
    assert first.opened.findings.place == f"remote 'storage' (s3://{BUCKET}/{tmp_path.name})"
    assert list(machine.rglob("files/*/*")) == []
    second = Job(another_machine(root, machine))
    assert second.content() == {"model": "weights " * 100_000, "optimizer": "state"}
    second.interrupted(model="more")
    for key in server.objects(tmp_path.name):
        if "/files/" in key:
            server.client.put_object(Bucket=BUCKET, Key=key, Body=b"damaged")
    third = Job(another_machine(root, machine))
    assert third.content() == {}
    assert third.log.getvalue().count("checkpoint passed over: ") == 2
    assert "7 bytes instead of " in third.log.getvalue()


def test_an_address_on_s3(server: S3, tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(server, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    root = repository(tmp_path / "first", f"{{path: checkpoints, store: 's3://{BUCKET}/kept/{tmp_path.name}'}}")
    Job(root).interrupted(model="weights")
    clone = another_machine(root, machine)
    assert Job(clone).content() == {"model": "weights"}


def test_credentials_that_may_only_read_go_on_and_say_that_nothing_is_saved(
    server: S3, tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(server, monkeypatch)
    root = repository(tmp_path / "first", config=server.config(tmp_path.name))
    Job(root).interrupted(model="weights")
    use(server, monkeypatch, server.reader)
    second = Job(another_machine(root, machine))
    assert second.content() == {"model": "weights"}
    second.interrupted(model="more")
    (remark,) = second.opened.remarks
    assert remark.startswith(f"checkpoint not saved: remote 'storage' (s3://{BUCKET}/{tmp_path.name}): ")
    assert remark.endswith(f"; it lies in {machine}/mlgate on this machine, and only a run there goes on from it")
    for secret in (*server.reader, server.access_key_id, server.secret_access_key):
        assert secret not in second.log.getvalue() + remark
    clone = tmp_path / "same machine"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    assert Job(clone).content() == {"model": "more"}


def test_a_store_that_cannot_be_reached_costs_a_remark_and_never_the_training(
    tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlgate.training.checkpoints.patience._PAUSE_S", 0.01)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEONLY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-only-for-tests")
    nobody = S3("http://127.0.0.1:1", None)
    root = repository(tmp_path / "first", config=nobody.config(more="    connect_timeout = 1\n"))
    job = Job(root).interrupted(model="weights")
    assert len(job.opened.remarks) == 2
    assert job.opened.remarks[0].startswith(f"remote 'storage' (s3://{BUCKET}/dvc) could not be asked for checkpoints: ")
    assert "hunter2" not in str(job.opened.remarks) + job.log.getvalue()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    assert Job(clone).content() == {"model": "weights"}


def refused(root: Path) -> tuple[str, type[BaseException]]:
    workspace = Workspace.open(root, "mlgate.yaml", os.environ, Console(io.StringIO()))
    with pytest.raises((InputError, InfrastructureError)) as caught:
        resume.ensure_store(workspace)
    return str(caught.value), caught.type


def test_a_store_that_is_no_folder_is_told_before_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    root = repository(tmp_path / "first", "{path: checkpoints, store: ../file/below}")
    what = "folder ../file/below takes no checkpoints: Not a directory; name a place that can be written, or leave the key out"
    assert refused(root) == (f"train.checkpoints.store: {what}", InputError)


def test_a_store_that_does_not_take_what_it_is_to_keep_is_told_before_anything_begins(
    server: S3, tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlgate.training.checkpoints.patience._PAUSE_S", 0.01)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    use(server, monkeypatch)
    missing = repository(tmp_path / "missing", "{path: checkpoints, store: 's3://no-such-bucket/kept'}")
    said, kind = refused(missing)
    assert said.startswith("train.checkpoints.store: s3://no-such-bucket/kept takes no checkpoints: not found: ")
    assert kind is InputError
    there = repository(tmp_path / "there", f"{{path: checkpoints, store: 's3://{BUCKET}/probed'}}")
    resume.ensure_store(Workspace.open(there, "mlgate.yaml", os.environ, Console(io.StringIO())))
    assert server.objects("probed") == []
    for key in (server.reader, ("AKIAEXAMPLEONLY", "hunter2-only-for-tests")):
        use(server, monkeypatch, key)
        said, kind = refused(there)
        assert said.startswith(f"train.checkpoints.store: s3://{BUCKET}/probed takes no checkpoints: ")
        assert kind is InfrastructureError
        assert not any(secret in said for secret in key)


def test_a_store_that_nobody_answers_for_is_told_before_anything_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgate.training.checkpoints.patience.MOST_ANSWERING_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        said, kind = refused(repository(tmp_path / "first", f"{{path: checkpoints, store: 's3://{BUCKET}/kept'}}"))
    assert said.startswith(f"train.checkpoints.store: s3://{BUCKET}/kept takes no checkpoints: no answer within 0 s")
    assert kind is InfrastructureError


def test_a_run_that_saves_nothing_asks_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    root = repository(tmp_path / "first", "{path: checkpoints, store: ../file/below}")
    workspace = Workspace.open(root, "mlgate.yaml", os.environ, Console(io.StringIO()))
    resume.ensure_store(workspace, rank=1)
    shutil.rmtree(root / ".git")
    resume.ensure_store(Workspace.open(root, "mlgate.yaml", os.environ, Console(io.StringIO())))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".mlgate")] == []


def test_the_dvc_remote_behind_ssh(tmp_path: Path, machine: Path) -> None:
    (tmp_path / "served" / "dvc").mkdir(parents=True)
    with sftp_server(tmp_path / "served", tmp_path / "keys") as sftp:
        root = repository(tmp_path / "first", config=sftp.config(f"    keyfile = {sftp.keyfile}\n"))
        for number in range(3):
            job = Job(another_machine(root, machine))
            assert job.content() == ({"model": f"weights {number - 1}"} if number else {})
            job.interrupted(model=f"weights {number}")
            assert job.opened.remarks == []
        assert [path.name for path in (tmp_path / "served").rglob(".incoming-*")] == []
        assert len(list((tmp_path / "served").rglob("saved/*"))) == 2


def test_the_dvc_remote_in_a_folder(tmp_path: Path, machine: Path) -> None:
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path}/remote\n"
    root = repository(tmp_path / "first", config=config)
    Job(root).interrupted(model="weights")
    assert not machine.exists() or list(machine.rglob("saved/*")) == []
    assert Job(another_machine(root, machine)).content() == {"model": "weights"}


def test_a_remote_that_is_only_a_web_server_is_said_and_this_machine_taken(tmp_path: Path, machine: Path) -> None:
    config = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = http://127.0.0.1:1/dvc\n"
    job = Job(repository(tmp_path / "first", config=config)).interrupted(model="weights")
    (remark,) = job.opened.remarks
    assert remark.startswith("remote 'storage' (http://127.0.0.1:1/dvc): cannot be listed; name another place in train.checkpoints.store: ")


def test_a_signal_while_the_last_checkpoint_is_saved_does_not_cut_it(tmp_path: Path) -> None:
    root = repository(tmp_path / "first", f"{{path: checkpoints, store: {tmp_path}/place}}")
    job = Job(root)
    (job.folder / "model").write_bytes(b"x" * 50_000_000)
    killer = threading.Timer(0.01, lambda: os.kill(os.getpid(), 15))
    killer.start()
    with process.signals_noted(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlgate.training.checkpoints.snapshot.write_all", lambda handle, chunk: (time.sleep(0.001), os.write(handle, chunk)))
        job.opened.ended(143, "SIGTERM")
    killer.join()
    assert job.opened.findings is not None
    assert job.opened.findings.last is not None


def test_a_store_that_never_answers_costs_neither_the_training_nor_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled on GitHub there are ten seconds in all: what is on this machine by then is kept, and the stage goes on to its evidence."""
    monkeypatch.setattr("mlgate.training.checkpoints.patience.MOST_ANSWERING_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = S3(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        root = repository(tmp_path / "first", config=nobody.config(more="    access_key_id = a\n    secret_access_key = b\n"))
        told_at: list[float] = []
        job = Job(root, left_s=lambda: told_at[0] + 1 - time.monotonic())
        told_at.append(time.monotonic())
        job.interrupted(model="weights")
        assert time.monotonic() - told_at[0] < 3
        assert [remark.partition(";")[0] for remark in job.opened.remarks] == [
            f"remote 'storage' (s3://{BUCKET}/dvc) could not be asked for checkpoints: no answer within 0 s",
            f"checkpoint not saved: remote 'storage' (s3://{BUCKET}/dvc): not sent in the time that was left",
        ]
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "--quiet", str(root), str(clone))
        assert Job(clone, left_s=lambda: 0).content() == {"model": "weights"}
