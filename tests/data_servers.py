"""What data lies on, for tests: an S3 server (moto's), a web server, an SFTP server (asyncssh's). On free ports of this machine, ended
with the test. Each checks the credentials it is given, as the real thing does."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BUCKET = "models"
USER, PASSWORD = "ada", "hunter2-only-for-tests"


@dataclass(frozen=True)
class S3:
    """A running S3 server with one bucket."""

    endpoint: str
    client: Any
    """boto3's, of somebody who may do everything."""
    access_key_id: str = ""
    """Of a user who may do everything in the bucket."""
    secret_access_key: str = ""
    reader: tuple[str, str] = ("", "")
    """Access key of a user who may only read there."""

    def config(self, prefix: str = "dvc", name: str = "storage", more: str = "") -> str:
        """`.dvc/config` of a repository whose remote this is."""
        return (
            f"[core]\n    remote = {name}\n['remote \"{name}\"']\n    url = s3://{BUCKET}/{prefix}\n    endpointurl = {self.endpoint}\n"
            f"    region = us-east-1\n{more}"
        )

    def environment(self, key: tuple[str, str] | None = None) -> dict[str, str]:
        """Credentials as a CI job has them."""
        key_id, secret = key or (self.access_key_id, self.secret_access_key)
        return {
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def objects(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


_MOTO = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
input()
"""


@contextmanager
def s3_server() -> Iterator[S3]:
    """An S3 server that checks signatures and policies (IAM's). In a process of its own: moto's servers of one process share their users
    and buckets, so that a second one would forget the first one's."""
    import boto3

    with subprocess.Popen(
        [sys.executable, "-c", _MOTO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
            options = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "root", "aws_secret_access_key": "root"}
            iam = boto3.client("iam", **options)
            keys = [_user(iam, name, allowed) for name, allowed in (("ada", '"s3:*"'), ("reader", '["s3:GetObject*","s3:ListBucket*"]'))]
            ada, reader = keys
            client = boto3.client("s3", **{**options, "aws_access_key_id": ada[0], "aws_secret_access_key": ada[1]})
            client.create_bucket(Bucket=BUCKET)
            _check_everybody_from_now_on(endpoint)
            yield S3(endpoint, client, *ada, reader=reader)
        finally:
            server.stdin.close()  # ends its input(), and with it the process


def _check_everybody_from_now_on(endpoint: str) -> None:
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    with urllib.request.urlopen(request):
        pass


def _user(iam: Any, name: str, allowed: str) -> tuple[str, str]:
    iam.create_user(UserName=name)
    policy = f'{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{allowed},"Resource":"*"}}]}}'
    iam.put_user_policy(UserName=name, PolicyName="data", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@dataclass
class Web:
    """A running web server that shows a folder to who gives the password, and takes no uploads."""

    port: int
    asked: list[str] = field(default_factory=list)
    """Paths that were asked for."""
    refusals: list[int] = field(default_factory=list)
    """Codes the next requests are answered with."""

    def config(self, more: str = "    auth = basic\n    user = ada\n") -> str:
        return f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = http://127.0.0.1:{self.port}\n{more}"


@contextmanager
def web_server(folder: Path) -> Iterator[Web]:
    """A web server for what lies in a folder."""
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def send_head(self) -> Any:
            web.asked.append(self.path)
            if self.headers.get("Authorization") != expected:
                self.send_error(401)
                return None
            if web.refusals and self.path != "/":
                self.send_error(web.refusals.pop(0))
                return None
            return super().send_head()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web = Web(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Sftp:
    """A running SFTP server."""

    port: int
    keyfile: Path
    """Private key of a user it knows."""

    def config(self, more: str = "") -> str:
        return (
            f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = ssh://{USER}@127.0.0.1:{self.port}/dvc\n"
            f"    allow_agent = false\n{more}"
        )


@contextmanager
def sftp_server(folder: Path, keys: Path) -> Iterator[Sftp]:
    """An SFTP server for what lies in a folder, for a user with a password or a key."""
    import asyncssh

    keys.mkdir(parents=True, exist_ok=True)
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key.write_private_key(keys / "id")
    (keys / "id").chmod(0o600)
    (keys / "authorized").write_bytes(client_key.export_public_key())

    connections: list[Any] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            connections.append(conn)

        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(keys / "authorized"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder).encode()),
            process_factory=None,
        )

    async def end() -> None:
        acceptor.close()
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in connections))
        await acceptor.wait_closed()
        await asyncio.sleep(0.01)  # the transports close in the loop's next round

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield Sftp(acceptor.get_port(), keys / "id")
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
