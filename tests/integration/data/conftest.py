"""A real DVC repository with a remote in a folder, made once and copied for each test."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from dvc.repo import Repo

from support import MINIMAL_CONFIG, commit_files, make_repository

FILES = {
    "data/train.csv": "x,y\n" + "1,0\n" * 500,
    "data/images/1.txt": "one",
    "data/images/2.txt": "two",
    "data/images/sub/3.txt": "three",
}


@dataclass(frozen=True)
class Project:
    """A repository as a fresh checkout has it: `.dvc` files, no data, an empty cache."""

    root: Path
    remote: Path

    @property
    def cache(self) -> Path:
        return self.root / ".dvc" / "cache" / "files" / "md5"

    def object_of(self, md5: str) -> Path:
        return self.remote / "files" / "md5" / md5[:2] / md5[2:]

    def clear(self) -> None:
        """Back to a fresh checkout; the cache stays."""
        (self.root / "data" / "train.csv").unlink(missing_ok=True)
        shutil.rmtree(self.root / "data" / "images", ignore_errors=True)

    def configure(self, text: str) -> None:
        (self.root / "mlgate.yaml").write_text(MINIMAL_CONFIG + text)


@pytest.fixture(scope="session")
def _own_dvc(tmp_path_factory: pytest.TempPathFactory) -> object:
    """DVC's state and configuration of this machine stay out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp("dvc")))
        for name in ("DVC_SYSTEM_CONFIG_DIR", "GITHUB_ACTIONS", "MLGATE_DVC_CACHE", "RUNNER_TOOL_CACHE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory, _own_dvc: None) -> Path:
    base = tmp_path_factory.mktemp("template")
    root = make_repository(base / "repository", {"mlgate.yaml": MINIMAL_CONFIG, "notes.csv": "a\n1\n"})
    Repo.init(str(root)).close()
    (root / ".dvc" / "config").write_text("[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../remote\n")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with Repo(str(root)) as repo:
        repo.add([str(root / "data" / "train.csv"), str(root / "data" / "images")])
        repo.push()
    commit_files(root, {}, "data")
    Project(root, base / "remote").clear()
    shutil.rmtree(root / ".dvc" / "cache")
    return base


@pytest.fixture
def project(_template: Path, tmp_path: Path) -> Project:
    shutil.copytree(_template, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Project(tmp_path / "repository", tmp_path / "remote")
