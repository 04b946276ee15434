"""One request to GitHub's REST API and everything that can become of it: an answer, a retry, or one line for the user.

PyGithub's requester brings the token, the base URL and the connection. Its own retry is off: it repeats a POST whose answer got lost,
which posts a comment twice, and it sleeps for as long as GitHub likes.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from mlgate.console import plain
from mlgate.errors import InfrastructureError, InputError, MlgateError, RefusedError

if TYPE_CHECKING:
    from github.Requester import Requester

TRIES = 5
SECONDARY_LIMIT_WAIT_S = 60.0  # what GitHub asks for where a secondary limit names no time
PAGE_SIZE = 100
MAX_PAGES = 1000
CHUNK = 1 << 20
FORK_HINT = "; a pull request from a fork has a read-only token, whatever the job asks for"

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An answer below 400, or one of the statuses that the caller said it can handle."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    data: Any = None


@dataclass(frozen=True)
class Need:
    """What a request needs of the token, as a workflow's `permissions:` name it, and what it is for."""

    permission: str
    purpose: str


class PassingError(Exception):
    """A failure that may pass.

    Args:
        reason: what happened, to follow "GitHub: GET /repos/…".
        wait_s: how long GitHub asks to wait; None where it does not say.
        may_have_happened: whether the request may have taken effect although its answer is lost.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, may_have_happened: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
        self.may_have_happened = may_have_happened


@dataclass
class Api:
    """Requests with the token of this run.

    Args:
        base_url: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server.
        token: what the workflow gave to the action.
        patience_s: time that all waiting of this object together may take; what GitHub asks beyond it ends in exit 3.
        timeout_s: how long one answer may keep us waiting; whole seconds, PyGithub insists.
        sleep: how to wait.
    """

    base_url: str
    token: str = field(repr=False)
    patience_s: float
    timeout_s: int = 15
    is_fork: bool = False
    sleep: Callable[[float], None] = time.sleep
    _requester: Requester | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"GITHUB_API_URL: expected an address such as https://api.github.com, got '{plain(self.base_url)[:100]}'")
        if not re.fullmatch(r"[\x21-\x7e]+", self.token):
            raise InputError("MLGATE_GITHUB_TOKEN: holds blanks or characters that no token has; set it anew, without a line break")
        self.base_url = self.base_url.rstrip("/")

    def request(
        self,
        method: str,
        path: str,
        need: Need,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        handled: Collection[int] = (),
        already_done: Callable[[], Any] | None = None,
    ) -> Answer:
        """The answer to a request, which is repeated while GitHub's trouble looks like one that passes.

        Args:
            path: from `/repos/…` on.
            need: for the message where the token does not suffice.
            handled: statuses from 400 that the caller handles.
            already_done: for a request that must not take effect twice: called before it is repeated after a failure that may have
                hidden its success. What it returns, if not None, becomes the answer's data.

        Raises:
            InfrastructureError: GitHub refused, cannot be reached, or goes on failing.
            InputError: GitHub finds what we sent wrong.
        """

        def before_repeating(trouble: PassingError) -> Answer | None:
            if already_done is None or not trouble.may_have_happened:
                return None
            found = already_done()
            return None if found is None else Answer(200, {}, found)

        return self._patiently(f"{method} {path}", lambda: self._once(method, path, need, query or {}, body, handled), before_repeating)

    def graphql(self, query: str, need: Need) -> Any:
        """`data` of the answer to a GraphQL query; None where GitHub does not answer it for this token. Raises InfrastructureError."""
        # Of an Enterprise Server it lies beside the REST API, not below it.
        path = f"{self.base_url.removesuffix('/v3')}/graphql"
        answer = self.request("POST", path, need, body={"query": query}, handled=(400, 401, 403, 404, 422))
        return answer.data.get("data") if answer.status == 200 and isinstance(answer.data, dict) else None

    def download(self, path: str, need: Need, max_bytes: int) -> bytes | None:
        """What GitHub redirects to another host for; None where it is gone. That host refuses our token, and must not get it."""

        def attempt() -> bytes | None:
            answer = self._once("GET", path, need, {}, None, handled=(404, 410))
            if answer.status in (404, 410):
                return None
            location = answer.headers.get("location")
            if answer.status != 302 or not location:
                raise self.unexpected("GET", path)
            return self._fetch(location, path, max_bytes)

        return self._patiently(f"GET {path}", attempt)

    def pages(self, path: str, need: Need, *, query: Mapping[str, str] | None = None, key: str | None = None) -> Iterator[Any]:
        """Items of a list, of every page; `key` where the list has a name in the answer."""
        asked = {**(query or {}), "per_page": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            answer = self.request("GET", path, need, query=asked)
            items = answer.data.get(key) if key is not None and isinstance(answer.data, dict) else answer.data
            if not isinstance(items, list):
                raise self.unexpected("GET", path)
            yield from items
            # Only the query of the next page's address is taken: behind a proxy its host may be one that we cannot reach.
            following = re.search(r'<([^>]*)>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
            if following is None:
                return
            asked = dict(parse_qsl(urlsplit(following[1]).query))

    def refused(self, method: str, path: str, need: Need, answer: Answer) -> MlgateError:
        """The error for an answer from 400 that the caller handles but finds to be a refusal after all."""
        refusal = self._refusal(method, path, need, answer.status, self._public(_message(answer.data)))
        return refusal if isinstance(refusal, MlgateError) else self.unexpected(method, path)

    def unexpected(self, method: str, path: str) -> InfrastructureError:
        return InfrastructureError(f"GitHub: {method} {path}: the answer is not what GitHub describes; is {self.base_url} its REST API?")

    def _patiently(self, label: str, attempt: Callable[[], T], before_repeating: Callable[[PassingError], T | None] = lambda _: None) -> T:
        """The first result that `attempt` gives, or that `before_repeating` finds to be there after a failure."""
        for tried in range(1, TRIES + 1):
            started = time.monotonic()
            try:
                return attempt()
            except PassingError as trouble:
                self.patience_s -= time.monotonic() - started
                self._wait(trouble, tried, label)
                if (found := before_repeating(trouble)) is not None:
                    return found
        raise AssertionError("unreachable: the last try returns or raises")

    def _fetch(self, location: str, path: str, max_bytes: int) -> bytes:
        import requests

        content = bytearray()
        try:
            # A callable for `auth` also keeps ~/.netrc out of it.
            with requests.get(location, auth=lambda request: request, stream=True, timeout=self.timeout_s) as response:
                if response.status_code != 200:
                    raise PassingError(f"led to {urlsplit(location).hostname}, which answered {response.status_code}")
                for chunk in response.iter_content(CHUNK):
                    content += chunk
                    if len(content) > max_bytes:
                        raise InputError(f"GitHub: GET {path}: larger than {max_bytes:,} bytes; such an artifact is refused")
        except requests.exceptions.RequestException as error:
            raise _lost(error, self.timeout_s) from None
        return bytes(content)

    def _once(
        self, method: str, path: str, need: Need, query: Mapping[str, str], body: Mapping[str, Any] | None, handled: Collection[int]
    ) -> Answer:
        import requests

        requester = self._requester = self._requester or _requester(self.base_url, self.token, self.timeout_s)
        try:
            status, headers, text = requester.requestJson(method, path, parameters=dict(query), input=body)
        except requests.exceptions.SSLError:
            raise InfrastructureError(
                f"GitHub: {method} {path}: the certificate of {urlsplit(self.base_url).hostname} is not trusted; "
                "REQUESTS_CA_BUNDLE names the file of your own authority"
            ) from None
        except requests.exceptions.RequestException as error:
            raise _lost(error, self.timeout_s) from None
        except RuntimeError as error:  # how PyGithub reports a redirect to another host or protocol
            raise InfrastructureError(f"GitHub: {method} {path}: {self._public(str(error))}; correct GITHUB_API_URL") from None
        data = _json(text)
        if status < 300 and text and data is None:
            raise PassingError(f"answered {status} with something that is no JSON")
        if status < 300 or status == 302:
            return Answer(status, headers, data)
        said = self._public(_message(data))
        if (wait_s := _rate_limit_wait(status, headers, said)) is not None:
            raise PassingError(f"answered {status}: rate limit ({said})", wait_s=wait_s, may_have_happened=False)
        if status in handled:
            return Answer(status, headers, data)
        raise self._refusal(method, path, need, status, said)

    def _refusal(self, method: str, path: str, need: Need, status: int, said: str) -> MlgateError | PassingError:
        if status >= 500 or status in (408, 409, 425):
            return PassingError(f"answered {status}{f' ({said})' if said else ''}")
        what = f"GitHub: {method} {path} answered {status}{f' ({said})' if said else ''}"
        if status == 401:
            return InfrastructureError(f"{what}: GitHub refused the token; it is wrong, expired or revoked. Check the input 'github-token'")
        if status == 403 and "locked" in said:
            return InfrastructureError(f"{what}: unlock the conversation of the pull request, or set 'report.comment: false'")
        if status in (403, 404):
            absent = "there is no such thing, or " if status == 404 else ""
            return RefusedError(
                f"{what}: {absent}the token may not {need.purpose}. It needs '{need.permission}': add it to 'permissions:' of the job "
                f"and of every workflow that calls it{FORK_HINT if self.is_fork else ''}"
            )
        if status == 422:
            return InputError(f"{what}: GitHub does not accept what it was asked for, to {need.purpose}")
        return InfrastructureError(f"{what}, which was not expected; has the repository been moved or renamed?")

    def _wait(self, trouble: PassingError, tried: int, request: str) -> None:
        """Wait before the next try, or give up: too many tries, or longer than there is patience for."""
        wait_s = trouble.wait_s if trouble.wait_s is not None else min(2.0 ** (tried - 1), 15.0)
        tries = f"{tried} {'try' if tried == 1 else 'tries'}"
        if tried == TRIES:
            raise InfrastructureError(f"GitHub: {request} {trouble.reason}, {tries}. Run the job again later")
        if wait_s > self.patience_s:
            asked = f"; GitHub asks to wait {wait_s:.0f} s" if trouble.wait_s is not None else ""
            raise InfrastructureError(f"GitHub: {request} {trouble.reason}, {tries}{asked}. Run the job again later")
        self.patience_s -= wait_s
        self.sleep(wait_s)

    def _public(self, text: str) -> str:
        return plain(text.replace(self.token, "***"))[:200]


def _requester(base_url: str, token: str, timeout_s: int) -> Requester:
    import github

    logging.getLogger("github").setLevel(logging.WARNING)  # PyGithub sends what is below to standard error
    return github.Github(
        auth=github.Auth.Token(token),
        base_url=base_url,
        timeout=timeout_s,
        retry=None,
        user_agent="mlgate",
        seconds_between_requests=0,
        seconds_between_writes=0,  # a run writes two or three times; GitHub asks for a second between many
    ).requester


def _lost(error: Exception, timeout_s: int) -> PassingError:
    """A connection that failed, in our own words: those of the library may hold a proxy's password."""
    import requests

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return PassingError(f"could not connect within {timeout_s} s", may_have_happened=False)
    if isinstance(error, requests.exceptions.Timeout):
        return PassingError(f"got no answer within {timeout_s} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return PassingError("did not get through the proxy")
    if isinstance(error, requests.exceptions.ConnectionError):
        return PassingError("got no answer: no connection, or it was dropped")
    return PassingError(f"got no answer ({type(error).__name__})")


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _message(data: Any) -> str:
    """What GitHub says was wrong, with the details of a failed validation."""
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    details = [str(error.get("message") or error.get("code") or "") if isinstance(error, dict) else str(error) for error in errors or ()]
    return ": ".join(filter(None, [str(data.get("message") or ""), ", ".join(filter(None, details))]))


def _rate_limit_wait(status: int, headers: Mapping[str, str], said: str) -> float | None:
    """Seconds to wait for a rate limit to pass; None where the answer is about something else."""
    is_limit = status == 429 or (status == 403 and ("rate limit" in said.lower() or "retry-after" in headers))
    is_used_up = headers.get("x-ratelimit-remaining") == "0" and status in (403, 429)
    if not (is_limit or is_used_up):
        return None
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if is_used_up and (reset := headers.get("x-ratelimit-reset", "")).isdecimal():
        return max(1.0, int(reset) - time.time() + 1)
    return SECONDARY_LIMIT_WAIT_S
