"""Where MLflow keeps runs, and what is said when that place cannot be had. Real HTTP servers, no MLflow."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlgate.errors import InfrastructureError, InputError
from mlgate.registry import tracking


class Server:
    """An HTTP server that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization")))
                code, headers, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


OK = (200, {"Content-Type": "application/json"}, b'{"experiments": []}')


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    started.answers = [OK]
    yield started
    started.close()


def check(uri: str, environ: dict[str, str] | None = None, timeout_s: float = 5) -> None:
    tracking.check(tracking.resolve(uri, {}, Path("/root")), environ or {}, timeout_s=timeout_s, wait_s=0.01)


class TestResolve:
    def test_left_out_it_is_sqlite_below_the_models_folder(self, tmp_path: Path) -> None:
        place = tracking.resolve(None, {}, tmp_path)
        assert place.uri == f"sqlite:///{tmp_path}/.mlgate/mlflow/mlflow.db"
        assert place.artifacts == tmp_path / ".mlgate" / "mlflow" / "artifacts"
        assert not place.is_required

    def test_the_environment_comes_after_the_configuration(self, tmp_path: Path) -> None:
        environ = {"MLFLOW_TRACKING_URI": "http://b"}
        assert tracking.resolve("http://a", environ, tmp_path).uri == "http://a"
        assert tracking.resolve(None, environ, tmp_path).source == "MLFLOW_TRACKING_URI"

    def test_paths_of_sqlite_are_relative_to_the_working_directory(self, tmp_path: Path) -> None:
        assert tracking.resolve("sqlite:///runs/m.db", {}, tmp_path).uri == f"sqlite:///{tmp_path}/runs/m.db"
        assert tracking.resolve("sqlite:////var/m.db", {}, tmp_path).uri == "sqlite:////var/m.db"

    def test_a_password_is_never_shown(self, tmp_path: Path) -> None:
        place = tracking.resolve("https://ada:s3cr3t@mlflow.example.org/x", {}, tmp_path)
        assert place.shown == "https://mlflow.example.org/x"
        assert "s3cr3t" not in repr(place) + str(place.run_url("1", "2"))
        assert place.run_url("1", "2") == "https://mlflow.example.org/x/#/experiments/1/runs/2"

    @pytest.mark.parametrize(
        "uri", ["ftp://x", "mlflow.example.org:5000", "./mlruns", "sqlite://x", "postgresql:x", "http://", "https:///x"]
    )
    def test_a_place_mlflow_does_not_have_is_refused(self, uri: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"^mlflow.tracking_uri: '"):
            tracking.resolve(uri, {}, tmp_path)


class TestCheck:
    def test_a_server_that_answers_is_fine(self, server: Server) -> None:
        check(f"http://{server.address}/")
        assert server.asked == [("/api/2.0/mlflow/experiments/search?max_results=1", None)]

    def test_credentials_travel_as_mlflow_sends_them(self, server: Server) -> None:
        basic = "Basic " + base64.b64encode(b"ada:p@ss").decode()
        check(f"http://ada:p%40ss@{server.address}", {"MLFLOW_TRACKING_TOKEN": "t"})
        check(f"http://{server.address}", {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "p@ss"})
        check(f"http://{server.address}", {"MLFLOW_TRACKING_TOKEN": "t"})
        assert [sent for _, sent in server.asked] == [basic, basic, "Bearer t"]

    def test_one_that_is_not_there_is_named_quickly(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(InfrastructureError) as error:
            check(f"http://ada:s3cr3t@127.0.0.1:{port}")
        assert time.monotonic() - began < 5
        assert f"http://127.0.0.1:{port}" in str(error.value)
        assert "refused" in str(error.value)
        assert "s3cr3t" not in str(error.value)

    def test_one_that_never_answers_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(InfrastructureError, match="timed out"):
            check(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)

    def test_a_name_that_does_not_resolve_is_said(self) -> None:
        with pytest.raises(InfrastructureError, match=r"no-such-host\.invalid cannot be reached"):
            check("http://no-such-host.invalid")

    def test_a_passing_failure_is_waited_for(self, server: Server) -> None:
        server.answers = [(503, {}, b"warming up"), (429, {}, b""), OK]
        check(f"http://{server.address}")
        assert len(server.asked) == 3

    def test_a_lasting_failure_is_said_with_its_status(self, server: Server) -> None:
        server.answers = [(502, {}, b"<html>bad gateway</html>")]
        with pytest.raises(InfrastructureError, match="HTTP 502"):
            check(f"http://{server.address}")

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ((401, {}, b"no"), "refuses us.*MLFLOW_TRACKING_TOKEN"),
            ((403, {}, b"Invalid Host header"), "refuses us.*Invalid Host header"),
            ((404, {}, b""), "is no MLflow server"),
            ((200, {}, b"<html>log in"), "not as an MLflow server does"),
            ((200, {}, b"[]"), "not as an MLflow server does"),
            ((302, {"Location": "https://u:p@sso.example.org/login"}, b""), "sends us on to https://sso.example.org/login"),
        ],
    )
    def test_what_waiting_does_not_mend_is_the_users_to_mend(
        self, answer: tuple[int, dict[str, str], bytes], said: str, server: Server
    ) -> None:
        server.answers = [answer]
        with pytest.raises(InputError, match=said):
            check(f"http://{server.address}", {"MLFLOW_TRACKING_TOKEN": "t"})
        assert len(server.asked) == 1
