"""One repository with data, and remotes of every kind that hold it: an S3 server, a web server, an SFTP server, a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dvc.repo import Repo

from data_servers import BUCKET, PASSWORD, S3, Sftp, Web, s3_server, sftp_server, web_server
from support import MINIMAL_CONFIG, commit_files, make_repository

FILES = {"data/train.csv": "x,y\n" + "1,0\n" * 500, "data/images/1.txt": "one", "data/images/2.txt": "two"}
ALL = ["data/train.csv", "data/images"]
KINDS = ["s3", "http", "ssh", "folder"]


def md5(name: str) -> str:
    return hashlib.md5(FILES[name].encode()).hexdigest()


def object_of(name: str) -> str:
    """Where DVC keeps a file below a remote's URL."""
    return f"files/md5/{md5(name)[:2]}/{md5(name)[2:]}"


@dataclass
class Remote:
    """A remote that has the data, whatever its kind."""

    kind: str
    folder: Path
    """What it serves; of S3 a copy that `put` and `remove` keep up to date."""
    config: str
    """Of `.dvc/config`."""
    local: str = ""
    """Of `.dvc/config.local`: what is secret."""
    environment: dict[str, str] = field(default_factory=dict)
    s3: S3 | None = None
    web: Web | None = None
    sftp: Sftp | None = None

    @property
    def shown(self) -> str:
        """As messages call it."""
        url = next(line.split(" = ")[1] for line in self.config.splitlines() if line.strip().startswith("url"))
        return f"remote 'storage' ({url.replace('ada@', '')})"

    def put(self, name: str, content: bytes) -> None:
        if self.s3:
            self.s3.client.put_object(Bucket=BUCKET, Key=f"{self.folder.name}/{name}", Body=content)
        else:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            path.chmod(0o444)  # in a folder, DVC itself checks what is not write-protected, and removes it

    def remove(self, name: str) -> None:
        if self.s3:
            self.s3.client.delete_object(Bucket=BUCKET, Key=f"{self.folder.name}/{name}")
        else:
            (self.folder / name).unlink()


@dataclass(frozen=True)
class Checkout:
    """A fresh checkout: `.dvc` files, no data, an empty cache."""

    root: Path
    remote: Remote

    def configure(self, config: str, local: str = "") -> None:
        (self.root / ".dvc" / "config").write_text(config)
        (self.root / ".dvc" / "config.local").write_text(local)

    def data(self) -> dict[str, str]:
        return {name: (self.root / name).read_text() for name in FILES if (self.root / name).exists()}


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """DVC's, SSH's and AWS's settings of this machine stay out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("machine")))
        for name in [
            "DVC_SYSTEM_CONFIG_DIR", "GITHUB_ACTIONS", "MLGATE_DVC_CACHE", "RUNNER_TOOL_CACHE", "RUNNER_TEMP", "SSH_AUTH_SOCK",
            "DVC_CONFIG",
            *(name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")),
        ]:  # fmt: skip
            patch.delenv(name, raising=False)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("DVC_NO_ANALYTICS", "true")
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, machine: None) -> Path:
    """`repository`, as a fresh checkout has it, and `objects`, what `dvc push` sends."""
    base = tmp_path_factory.mktemp("made")
    root = make_repository(base / "repository", {"mlgate.yaml": MINIMAL_CONFIG})
    Repo.init(str(root)).close()
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with Repo(str(root)) as repo:
        repo.add([str(root / name) for name in ALL])
    commit_files(root, {}, "data")
    shutil.move(root / ".dvc" / "cache", base / "objects")
    for path in (base / "objects").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (root / "data" / "train.csv").unlink()
    shutil.rmtree(root / "data" / "images")
    return base


@pytest.fixture(scope="session")
def s3(machine: None) -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def remote(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Iterator[Remote]:
    """The remote of the kind a test asks for by parameter, with all data on it."""
    kind = request.param
    folder = tmp_path / "served" / f"dvc-{request.node.name.encode().hex()[-40:]}"
    shutil.copytree(made / "objects", folder)
    with ExitStack() as stack:
        if kind == "s3":
            server = request.getfixturevalue("s3")
            found = Remote(kind, folder, server.config(folder.name), environment=server.environment(), s3=server)
            for path in folder.rglob("*"):
                if path.is_file():
                    found.put(path.relative_to(folder).as_posix(), path.read_bytes())
        elif kind == "http":
            web = stack.enter_context(web_server(folder))
            found = Remote(kind, folder, web.config(), f"['remote \"storage\"']\n    password = {PASSWORD}\n", web=web)
        elif kind == "ssh":
            sftp = stack.enter_context(sftp_server(folder.parent, tmp_path / "keys"))
            config = sftp.config().replace("/dvc\n", f"/{folder.name}\n")
            found = Remote(kind, folder, config, f"['remote \"storage\"']\n    password = {PASSWORD}\n", sftp=sftp)
        else:
            found = Remote(kind, folder, f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {folder}\n")
        yield found


@pytest.fixture
def checkout(remote: Remote, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root = tmp_path / "repository"
    shutil.copytree(made / "repository", root, symlinks=True)
    for name, value in remote.environment.items():
        monkeypatch.setenv(name, value)
    found = Checkout(root, remote)
    found.configure(remote.config, remote.local)
    return found
