"""Remotes with nothing of ours beneath: OpenSSH's server and git-lfs from Debian, DVC's extras from a fresh environment, 10,000 files."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_servers import s3_server, sftp_server
from support import GIT_IDENTITY, MINIMAL_CONFIG, commit_files, git, make_repository

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
pytestmark = pytest.mark.timeout(900)
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


def run(*command: str | Path, cwd: Path, code: int = 0, **environ: str) -> str:
    """What a command prints that ends with the given code."""
    environment = {**os.environ, **GIT_IDENTITY, "DVC_NO_ANALYTICS": "true", **environ}
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == code, f"{command}: {finished.stdout}{finished.stderr}"
    return finished.stdout + finished.stderr


def pushed(root: Path, config: str, files: dict[str, bytes], target: str, **environ: str) -> Path:
    """A repository with data on its remote; returns a fresh clone."""
    make_repository(root, {"mlgate.yaml": MINIMAL_CONFIG + f"data: {{pull: [{target}]}}\n"})
    run(TOOLS / "dvc", "init", "-q", cwd=root)
    (root / ".dvc" / "config").write_text(config)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    run(TOOLS / "dvc", "add", "-q", target, cwd=root)
    run(TOOLS / "dvc", "push", "-q", cwd=root, **environ)
    commit_files(root, {}, "data")
    git(root.parent, "clone", "--quiet", str(root), str(root.parent / "clone"))
    return root.parent / "clone"


@dataclass(frozen=True)
class OpenSsh:
    """A running sshd that lets one key in."""

    port: int
    keyfile: Path

    def config(self, folder: Path, keyfile: Path | None = None) -> str:
        user = os.environ.get("USER") or "root"
        return (
            f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = ssh://{user}@127.0.0.1:{self.port}{folder}\n"
            f"    keyfile = {keyfile or self.keyfile}\n    allow_agent = false\n"
        )


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[OpenSsh]:
    if SSHD is None:
        pytest.skip("OpenSSH's server is not installed (Debian: openssh-server)")
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "id", "stranger"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name, cwd=tmp_path)
    shutil.copy(tmp_path / "id.pub", tmp_path / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host", "AuthorizedKeysFile": tmp_path / "authorized",
        "StrictModes": "no", "PidFile": "none", "UsePAM": "no", "PasswordAuthentication": "no", "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
    }  # fmt: skip
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield OpenSsh(port, tmp_path / "id")
    finally:
        server.terminate()
        server.wait()


def test_openssh_serves_data_and_refuses_strangers(openssh: OpenSsh, tmp_path: Path) -> None:
    clone = pushed(tmp_path / "r", openssh.config(tmp_path / "served"), {"t.csv": b"a\n1\n"}, "t.csv")
    assert "1 from remote 'storage'" in run(TOOLS / "mlgate", "pull-data", cwd=clone)
    (clone / "t.csv").unlink()
    shutil.rmtree(clone / ".dvc/cache")
    (clone / ".dvc/config").write_text(openssh.config(tmp_path / "served", tmp_path / "stranger"))
    said = run(TOOLS / "mlgate", "pull-data", cwd=clone, code=3)
    assert f"✗ remote 'storage' (ssh://127.0.0.1:{openssh.port}{tmp_path}/served) refuses access: " in said
    assert "Traceback" not in said


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed (Debian: git-lfs)")
def test_git_lfs_beside_dvc(tmp_path: Path) -> None:
    content = "x,y\n" + "1,0\n" * 100
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "data: {pull: [data.csv]}\n"})
    run("git", "lfs", "install", "--local", cwd=root)
    run("git", "lfs", "track", "*.csv", cwd=root)
    (root / "data.csv").write_text(content)
    run("git", "add", "--all", cwd=root)
    run("git", "commit", "--quiet", "-m", "data", cwd=root)
    oid = hashlib.sha256(content.encode()).hexdigest()
    assert f"oid sha256:{oid}" in git(root, "show", "HEAD:data.csv")
    git(tmp_path, "clone", "--quiet", str(root), "clone")  # without git-lfs in its configuration: as `lfs: false`
    said = run(TOOLS / "mlgate", "pull-data", cwd=tmp_path / "clone", code=2)
    assert f"✗ data.csv: a Git LFS pointer, not the data (sha256:{oid[:12]}…)" in said
    run("git", "lfs", "install", "--local", cwd=tmp_path / "clone")
    run("git", "lfs", "pull", cwd=tmp_path / "clone")
    assert "1 file" in run(TOOLS / "mlgate", "pull-data", cwd=tmp_path / "clone")


def test_a_fresh_environment_has_what_the_remotes_url_asks_for(tmp_path: Path) -> None:
    """From the lock file, with hashes, nothing of the development environment: S3 and SFTP are really read."""
    with s3_server() as s3:
        clone = pushed(tmp_path / "r", s3.config(), {"t.csv": b"a\n1\n"}, "t.csv", **s3.environment())
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"} or name.startswith(("PIP_", "SSL_", "HTTP"))}
        environ = {**kept, **s3.environment(), "HOME": str(tmp_path / "home"), "MLGATE_ENVIRONMENT": str(tmp_path / "environment")}
        assert "installing what pull-data, dvc-s3 needs" in _pulled_by_script(clone, environ)
    shutil.copytree(tmp_path / "r/.dvc/cache", tmp_path / "served/dvc")
    with sftp_server(tmp_path / "served", tmp_path / "keys") as sftp:
        (clone / "t.csv").unlink()
        shutil.rmtree(clone / ".dvc/cache")
        (clone / ".dvc/config").write_text(sftp.config(f"    keyfile = {sftp.keyfile}\n"))
        assert "installing what pull-data, dvc-ssh needs" in _pulled_by_script(clone, environ)


def _pulled_by_script(clone: Path, environ: dict[str, str]) -> str:
    """What scripts/mlgate.sh says while it pulls one file from the remote."""
    finished = subprocess.run(
        ["bash", ROOT / "scripts/mlgate.sh", "pull-data"], cwd=clone, env=environ, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1 from remote 'storage'" in finished.stdout
    return finished.stderr


def test_a_folder_of_10000_files_is_verified_and_its_evidence_stays_small(tmp_path: Path) -> None:
    files = {f"images/{number}.bin": number.to_bytes(4, "big") * 500 for number in range(10_000)}
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path / 'remote'}\n"
    clone = pushed(tmp_path / "r", config, files, "images")
    started = time.perf_counter()
    assert "10,000 files, 20.0 MB, each one's hash verified; 10,000 from remote 'storage'" in run(TOOLS / "mlgate", "pull-data", cwd=clone)
    pulled_s = time.perf_counter() - started
    assert (clone / ".mlgate/digits/evidence/pull-data.json").stat().st_size < 10_000
    started = time.perf_counter()
    run(TOOLS / "mlgate", "pull-data", cwd=clone)  # all there: nothing but hashing
    assert time.perf_counter() - started < max(5.0, pulled_s / 2)
    md5 = hashlib.md5(files["images/7777.bin"]).hexdigest()
    (tmp_path / "remote/files/md5" / md5[:2] / md5[2:]).chmod(0o644)
    (tmp_path / "remote/files/md5" / md5[:2] / md5[2:]).unlink()
    shutil.rmtree(clone / "images")
    shutil.rmtree(clone / ".dvc/cache")
    said = run(TOOLS / "mlgate", "pull-data", cwd=clone, code=3)
    assert "✗ images/7777.bin: missing on remote 'storage'" in said
    assert "run 'dvc push images' where the data is" in said
