"""The address at which clouds answer their machines, as they document it: tokens and headers are insisted on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "QVdTLXRva2Vu"


@dataclass
class Cloud:
    """What it says now."""

    endpoint: str = ""
    instance_action: dict[str, str] | None = None
    rebalance: dict[str, str] | None = None
    preempted: bool = False
    events: list[dict[str, str]] = field(default_factory=list)
    tokens: int = 0
    is_token_stale: bool = False

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        if path.startswith("/latest/"):
            return self._aws(method, path, headers)
        if path == "/computeMetadata/v1/instance/preempted":
            return (200, "TRUE" if self.preempted else "FALSE") if headers.get("metadata-flavor") == "Google" else (403, "")
        if path.startswith("/metadata/scheduledevents?api-version="):
            known = {"DocumentIncarnation": 1, "Events": self.events}
            return (200, json.dumps(known)) if headers.get("metadata") == "true" else (400, "")
        return 404, "no such page"

    def _aws(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        if path == "/latest/api/token":
            self.tokens += 1
            has_ttl = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdecimal()
            return (200, f"{TOKEN}{self.tokens}") if method == "PUT" and has_ttl else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != f"{TOKEN}{self.tokens}" or self.is_token_stale:
            self.is_token_stale = False
            return 401, ""
        said = {"spot/instance-action": self.instance_action, "events/recommendations/rebalance": self.rebalance}
        found = said.get(path.removeprefix("/latest/meta-data/"))
        return (200, json.dumps(found)) if found else (404, "")


@contextmanager
def cloud() -> Iterator[Cloud]:
    """A cloud on a free port of this machine."""
    said = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = said.answer(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815 -- as the server looks for it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        said.endpoint = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield said
        server.shutdown()
