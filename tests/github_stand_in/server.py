"""The stand-in itself: an HTTP server in a thread that routes, checks, injects faults and keeps a journal."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from github_stand_in import description, operations
from github_stand_in.state import Answers, Artifact, Comment, Job, PullRequest, Run, State, Status, Token, zipped


@dataclass(frozen=True)
class Exchange:
    """One request and what it was answered; `status` is None where the connection was dropped."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str | None
    status: int | None


@dataclass
class Fault:
    """What to do to the next requests that match, in place of the answer or, with `is_late`, after the request took effect."""

    method: str
    path: re.Pattern[str]
    times: int
    status: int | None
    headers: dict[str, str]
    body: bytes
    is_late: bool
    delay_s: float
    skipped: int
    is_truncated: bool

    @property
    def is_merely_slow(self) -> bool:
        return self.status is None and self.delay_s > 0

    @property
    def lets_it_happen(self) -> bool:
        return self.is_late or self.is_merely_slow or self.is_truncated

    def answer(self, real: Answer | None) -> Answer | None:
        """What is answered in place of the real answer; None drops the connection."""
        if self.is_truncated and real is not None:
            return Answer(real.status, real.body[: len(real.body) // 2], real.headers)
        return None if self.status is None else Answer(self.status, self.body, self.headers)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(status: int, data: Any, headers: dict[str, str] | None = None) -> Answer:
        return Answer(status, json.dumps(data).encode(), {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


class StandIn:
    """GitHub for one repository. A context manager; every violation of GitHub's description is in `violations`.

    Args:
        repository: `owner/name`.
        port: 0 takes a free one.
        prefix: `/api/v3` makes the URL that of a GitHub Enterprise Server.
        is_private: whether reading the repository needs a permission too.
        default_branch: name of the default branch.
    """

    def __init__(
        self, repository: str = "octo/models", *, port: int = 0, prefix: str = "", is_private: bool = True, default_branch: str = "main"
    ) -> None:
        self.state = State(repository, default_branch, is_private)
        self.requests: list[Exchange] = []
        self.violations: list[str] = []
        self.storage_refusals: list[str] = []
        """Downloads that the storage host refused because they carried the token."""
        self._tokens: dict[str, Token] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._prefix = prefix
        self._graphql_path = "/graphql" if not prefix else "/api/graphql"  # of an Enterprise Server, beside /api/v3
        self._servers = [_Server(("127.0.0.1", port), _ApiHandler, self), _Server(("127.0.0.1", 0), _StorageHandler, self)]
        self.url = f"http://127.0.0.1:{self._servers[0].server_port}{prefix}"
        """What goes into GITHUB_API_URL."""
        self.storage_url = f"http://localhost:{self._servers[1].server_port}"
        self.answers = Answers(self.state, self.url)
        self.token = self.add_token("stand-in-workflow-token").value
        """A GITHUB_TOKEN with every permission that mlgate asks for."""
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    # ---- what a test sets up

    def add_token(self, value: str, login: str = "github-actions[bot]", permissions: dict[str, str] | None = None) -> Token:
        """A token. Left out, the permissions are all that mlgate asks for; one whose login is no bot's is a personal one."""
        token = Token(value, login) if permissions is None else Token(value, login, permissions)
        self._tokens[value] = token
        return token

    def add_pull_request(
        self, number: int | None = None, head_sha: str = "1" * 40, base_sha: str = "0" * 40, **details: Any
    ) -> PullRequest:
        """A pull request; `details` are those of `state.PullRequest`. One with the same number is replaced: a push."""
        number = number or max(self.state.pull_requests, default=0) + 1
        self.state.pull_requests[number] = PullRequest(number, head_sha, base_sha, **details)
        return self.state.pull_requests[number]

    def add_comments(self, pull_request: int, number: int = 1, *, body: str = "Looks good", login: str = "ada") -> list[Comment]:
        """Comments that were there before, all alike."""
        return [self.state.add_comment(pull_request, login, body) for _ in range(number)]

    def add_run(
        self, head_sha: str, *, run_id: int | None = None, event: str = "push", attempt: int = 1, head_repository: str | None = None
    ) -> Run:
        state = self.state
        run = Run(
            run_id or next(state.ids), head_sha, event, attempt, state.default_branch, head_repository or state.repository, state.now()
        )
        state.runs[run.id] = run
        return run

    def add_job(self, run: Run, name: str, conclusion: str | None = "success", **details: Any) -> Job:
        """A job of a run's newest attempt; `details` are those of `state.Job`."""
        job = Job(next(self.state.ids), run.id, run.attempt, name, conclusion, **details)
        self.state.jobs[job.id] = job
        return job

    def add_run_artifact(
        self, commit: str, name: str, content: dict[str, bytes] | bytes, *, run: Run | None = None, is_expired: bool = False
    ) -> Artifact:
        """An artifact of a run of that commit (a new run on the default branch, unless one is given): files, or the zip's own bytes."""
        run = run or self.add_run(commit)
        packed = zipped(content) if isinstance(content, dict) else content
        artifact = Artifact(next(self.state.ids), run.id, name, packed, self.state.now(), is_expired)
        self.state.artifacts[artifact.id] = artifact
        return artifact

    def fail(
        self,
        method: str = ".*",
        path: str = ".*",
        *,
        times: int = 1,
        status: int | None = None,
        message: str = "Injected",
        headers: dict[str, str] | None = None,
        is_html: bool = False,
        is_late: bool = False,
        delay_s: float = 0,
        skip: int = 0,
        is_truncated: bool = False,
    ) -> None:
        """Let the next requests fail whose method and path (without the prefix) these expressions match.

        Args:
            times: how many requests.
            status: what they are answered; left out, the connection is dropped, or with `delay_s` the answer is merely slow.
            message: of the JSON answer.
            headers: of the answer.
            is_html: whether the answer is a web page, as a proxy gives.
            is_late: whether the request takes effect before it fails.
            delay_s: how long the answer takes.
            skip: how many such requests are answered as ever before.
            is_truncated: whether the answer is the real one, and ends in its middle.
        """
        page = b"<html><body><h1>We will be right back</h1></body></html>"
        body = page if is_html else json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"}).encode()
        given = {"Content-Type": "text/html" if is_html else "application/json", **(headers or {})}
        self._faults.append(Fault(method, re.compile(path), times, status, given, body, is_late, delay_s, skip, is_truncated))

    # ---- what a test looks at

    def comments(self, pull_request: int, login: str | None = None) -> list[Comment]:
        """Comments of a pull request, oldest first; of one author where `login` is given."""
        return [c for c in self.state.comments.values() if c.pull_request == pull_request and login in (None, c.login)]

    def statuses(self, sha: str) -> list[Status]:
        """Statuses of a commit, oldest first."""
        return [status for status in self.state.statuses if status.sha == sha]

    def dump(self) -> dict[str, Any]:
        """All that happened, fit for JSON: what the process writes when it ends."""
        return {
            "comments": [asdict(comment) for comment in self.state.comments.values()],
            "statuses": [asdict(status) for status in self.state.statuses],
            "dispatches": [asdict(dispatch) for dispatch in self.state.dispatches],
            "requests": [{**asdict(exchange), "token": exchange.token and "given"} for exchange in self.requests],
            "violations": self.violations,
        }

    # ---- how a request is answered

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """The answer to a request; None drops the connection."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        path = url.path.removeprefix(self._prefix)
        path = re.sub(r"^/repositories/\d+/", f"/repos/{self.state.repository}/", path)  # GitHub's own links name repositories by id
        fault = self._next_fault(method, path)
        with self._lock:
            answer: Answer | None = None
            if fault is None or fault.lets_it_happen:
                answer = self._answer(method, path, url.path.startswith(self._prefix), query, headers, body)
            if fault is not None and not fault.is_merely_slow:
                answer = fault.answer(answer)
            self.requests.append(Exchange(method, path, query, _json(body), _token(headers), answer.status if answer else None))
        if fault is not None and fault.delay_s:
            time.sleep(fault.delay_s)
        return answer

    def _next_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and re.fullmatch(fault.method, method) and fault.path.search(path):
                    if fault.skipped > 0:
                        fault.skipped -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def _answer(self, method: str, path: str, is_below_prefix: bool, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        if (method, path) == ("POST", self._graphql_path):
            return self._graphql(headers, body)
        operation = description.find(method, path) if is_below_prefix else None
        if operation is None:
            return self._violation(f"{method} {path}: no operation the stand-in knows")
        content_type = headers.get("content-type", "")
        if found := description.request_violations(operation, query, body, content_type):
            return self._violation(f"{method} {path}: request: {' | '.join(found)}")
        answer = self._operate(operation, query, headers, body)
        if found := description.answer_violations(operation, query, body, content_type, answer.status, answer.headers, answer.body):
            return self._violation(f"{method} {path}: answer {answer.status}: {' | '.join(found)}")
        return answer

    def _graphql(self, headers: dict[str, str], body: bytes) -> Answer:
        """The queries that mlgate sends: whose token it is, and whether a comment was edited. GitHub answers every kind of token."""
        token = self._tokens.get(_token(headers) or "")
        if token is None:
            return Answer.of(401, {"message": "Bad credentials"})
        query = (_json(body) or {}).get("query", "")
        if query == "query { viewer { login } }":
            return Answer.of(200, {"data": {"viewer": {"login": token.login}}})
        edited = re.fullmatch(r'query { node\(id: "IC_(\d+)"\) { \.\.\. on IssueComment { lastEditedAt } } }', query)
        if edited is None:
            return self._violation(f"POST {self._graphql_path}: a query the stand-in does not know")
        comment = self.state.comments.get(int(edited[1]))
        return Answer.of(200, {"data": {"node": comment and {"lastEditedAt": comment.updated_at if comment.is_edited else None}}})

    def _operate(self, operation: description.Operation, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        token = self._tokens.get(_token(headers) or "")
        if token is None:
            return Answer.of(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"})
        if f"{operation.values.get('owner')}/{operation.values.get('repo')}" != self.state.repository and "owner" in operation.values:
            return Answer.of(404, operations.error("Not Found", 404))
        result = operations.call(self.state, self.answers, operation, query, _json(body), token, self.storage_url)
        if isinstance(result.data, operations.Page):
            items, more = result.data.cut(query)
            link = self._links(operation, query, more)
            data = items if result.data.key is None else {"total_count": len(result.data.items), result.data.key: items}
            return Answer.of(result.status, data, {"Link": link} if link else None)
        if result.data is None:
            return Answer(result.status, headers=result.headers)
        return Answer.of(result.status, result.data, result.headers)

    def _links(self, operation: description.Operation, query: dict[str, str], pages: dict[str, int]) -> str:
        path = operation.quoted_path.replace(f"/repos/{self.state.repository}/", "/repositories/1296269/")
        return ", ".join(f'<{self.url}{path}?{urlencode({**query, "page": page})}>; rel="{name}"' for name, page in pages.items())

    def _violation(self, text: str) -> Answer:
        self.violations.append(text)
        return Answer.of(500, {"message": f"Not as GitHub describes it: {text}", "documentation_url": "https://docs.github.com/rest"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], stand_in: StandIn) -> None:
        super().__init__(address, handler)
        self.stand_in = stand_in

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two cost 40 ms of delayed acknowledgement
    disable_nagle_algorithm = True
    server: _Server
    answer: Callable[[bytes], Answer | None]

    def log_message(self, *_: object) -> None:
        """The journal is the log."""

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.answer(body)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = serve  # noqa: N815 -- the names http.server calls


class _ApiHandler(_Handler):
    def answer(self, body: bytes) -> Answer | None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.server.stand_in.handle(self.command, self.path, headers, body)


class _StorageHandler(_Handler):
    """The other host that artifacts are downloaded from: it refuses a request that carries the token, as GitHub's does."""

    def answer(self, body: bytes) -> Answer | None:
        stand_in = self.server.stand_in
        if self.headers.get("Authorization"):
            stand_in.storage_refusals.append(self.path)
            return Answer(
                400, b"<?xml version='1.0'?><Error><Code>InvalidAuthenticationInfo</Code></Error>", {"Content-Type": "application/xml"}
            )
        fault = stand_in._next_fault(self.command, f"/storage{self.path}")
        if fault is not None:
            time.sleep(fault.delay_s)
        artifact = stand_in.state.artifacts.get(int(self.path.strip("/").split("?")[0]))
        answer = Answer(200, artifact.content, {"Content-Type": "application/zip"}) if artifact else Answer(404)
        return answer if fault is None or fault.is_merely_slow else fault.answer(answer)


def _token(headers: dict[str, str]) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value if scheme.lower() in ("bearer", "token") else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
