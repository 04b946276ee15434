"""A Git host over HTTP, for tests: the bare repositories in a folder, served by git's own `http-backend`, behind a door as GitHub's."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DROPPED, A_PAGE = -1, -2


class GitServer(ThreadingHTTPServer):
    """Args:
    folder: bare repositories, `owner/name`.
    token: what GitHub's GITHUB_TOKEN would be; left out, everybody may do everything.
    is_public: whether reading needs none.
    """

    daemon_threads = True  # a client that keeps its connection does not keep the test

    def __init__(self, folder: Path, token: str | None, *, is_public: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.token, self.is_public = folder, token, is_public
        self.status = 200
        """What is answered in place of the answer: an HTTP status (403 to pushes alone), DROPPED, or A_PAGE of something else."""
        self.seen: list[list[str]] = []
        """Of each request, its Authorization headers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def admits(self, path: str, authorization: str | None) -> bool:
        expected = "basic " + base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        return self.token is None or authorization == expected or (self.is_public and "receive-pack" not in path)


@contextmanager
def git_server(folder: Path, token: str | None = None, *, is_public: bool = False) -> Iterator[GitServer]:
    """The server while it runs."""
    with GitServer(folder, token, is_public=is_public) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the client hangs up, not we: git does not like a TLS connection that breaks off
    server: GitServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(self.headers.get_all("Authorization") or [])
        status = self.server.status
        if status == DROPPED:
            self.close_connection = True
            self.connection.shutdown(2)
        elif status == A_PAGE:
            self._say(200, b"<html>We will be right back</html>")
        elif status != 200 and (status != 403 or "receive-pack" in self.path):
            self._say(status, b"Write access to repository not granted.\n")
        elif not self.server.admits(self.path, self.headers.get("Authorization")):
            self._say(401, b"Write access to repository not granted.\n")
        else:
            self._serve(body)

    def _say(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _serve(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "x",
        }
        output = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=True).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 -- the names that http.server calls

    def log_message(self, *_: object) -> None:
        pass
