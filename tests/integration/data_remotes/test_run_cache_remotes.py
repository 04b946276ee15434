"""Nothing is trained twice, also where the remote is an S3 server, a web server that can only be read, or an SFTP server."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.repo import Repo

from data_servers import BUCKET, PASSWORD, S3, sftp_server, web_server
from mlgate.training import run_cache
from support import commit_files, git, make_repository

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in (aiohttp 4.0|v4):DeprecationWarning"),  # as DVC calls aiohttp
    pytest.mark.usefixtures("machine"),
]
PIPELINE = """\
stages:
  prepare: {cmd: mkdir -p made && cp raw.txt made/a.txt && echo 2 > made/b.txt, deps: [raw.txt], outs: [made]}
  train: {cmd: cat made/a.txt made/b.txt > model.txt, deps: [made], outs: [model.txt]}
"""


def trained(root: Path, config: str) -> Path:
    """A machine on which the pipeline ran, and nothing was pushed."""
    make_repository(root, {"dvc.yaml": PIPELINE, "raw.txt": "raw\n"})
    Repo.init(str(root)).close()
    (root / ".dvc" / "config").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with Repo(str(root)) as repo:
            repo.reproduce()
    commit_files(root, {}, "trained")
    return root


def another(root: Path, to: str, local: str = "") -> Path:
    target = root.parent / to
    git(root.parent, "clone", "--quiet", str(root), str(target))
    (target / ".dvc" / "config.local").write_text(local)
    return target


def reused(root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether `dvc repro` would run nothing: its stages' files are checked out from what was recalled."""
    monkeypatch.chdir(root)
    with Repo(str(root)) as repo:
        repo.reproduce(pull=False)
    return (root / "model.txt").read_text() == "raw\n2\n"


def test_on_s3(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    root = trained(tmp_path / "first", s3.config(tmp_path.name))
    kept = run_cache.keep(root, root)
    assert (kept.stages, kept.problem) == (["prepare", "train"], None)
    assert any("/runs/" in key for key in s3.objects(tmp_path.name))
    assert run_cache.keep(root, root).objects == 0  # all there already
    second = another(root, "second")
    recalled = run_cache.recall(second, second)
    assert (recalled.stages, recalled.problem) == (["prepare", "train"], None)
    assert reused(second, monkeypatch)
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    third = another(root, "third")
    assert run_cache.recall(third, third).stages == ["prepare", "train"]
    (third / "raw.txt").write_text("other\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(third)
        with Repo(str(third)) as repo:
            repo.reproduce()
    assert run_cache.keep(third, third).problem  # who may only read is told that it was not kept


def test_a_corrupted_output_on_s3_is_not_taken(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    root = trained(tmp_path / "first", s3.config(tmp_path.name))
    run_cache.keep(root, root)
    md5 = (root / "dvc.lock").read_text().split("path: model.txt")[1].split("md5: ")[1].split()[0]
    s3.client.put_object(Bucket=BUCKET, Key=f"{tmp_path.name}/files/md5/{md5[:2]}/{md5[2:]}", Body=b"poison")
    second = another(root, "second")
    assert run_cache.recall(second, second).stages == ["prepare"]


@pytest.mark.parametrize("kind", ["http", "ssh"])
def test_on_a_web_and_an_sftp_server(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = tmp_path / "served" / "dvc"
    folder = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {served}\n"
    root = trained(tmp_path / "first", folder)
    assert run_cache.keep(root, root).problem is None
    local = f"['remote \"storage\"']\n    password = {PASSWORD}\n"
    with web_server(served) as web, sftp_server(served.parent, tmp_path / "keys") as sftp:
        config = web.config() if kind == "http" else sftp.config()
        commit_files(root, {".dvc/config": config}, "remote")
        second = another(root, "second", local)
        recalled = run_cache.recall(second, second)
        assert (recalled.stages, recalled.problem) == (["prepare", "train"], None)  # dvc.lock says what to ask for
        assert reused(second, monkeypatch)
        (root / ".dvc" / "config.local").write_text(local)
        (root / "raw.txt").write_text("other\n")
        monkeypatch.chdir(root)
        with Repo(str(root)) as repo:
            repo.reproduce()
        kept = run_cache.keep(root, root)
        if kind == "ssh":
            assert (kept.stages, kept.problem) == (["prepare", "train"], None)
        else:
            assert kept.problem
        third = another(root, "third", local)
        (third / ".dvc" / "config.local").write_text("['remote \"storage\"']\n    password = wrong\n")
        refused = run_cache.recall(third, third)
        assert refused.stages == []
        assert refused.problem
        assert PASSWORD not in f"{kept.problem}{refused.problem}"
