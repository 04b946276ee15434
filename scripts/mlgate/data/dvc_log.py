"""What DVC only tells its log: why a remote could not be asked. Captured, and sorted into what a user can do about it."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from mlgate import git
from mlgate.console import plain

Kind = Literal["transient", "credentials", "missing", "disk", "other"]

_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
# "client was not closed", on standard error, whenever the garbage collector comes by; each retry of Google's clients with a traceback
_NOISE = ("aiohttp_retry", "gcsfs", "google.auth")
_PROGRESS_BARS = ("dvc.progress", "dvc_data.callbacks", "dvc_objects.fs.callbacks")

# Names, not classes: the clients of S3, Azure, Google and SSH are there only where a remote needs them.
_CREDENTIALS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError", "ProfileNotFound",
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError",
    "CredentialUnavailableError", "PermissionDenied", "AuthError", "HTTPUnauthorized", "HTTPForbidden",
    "KeyImportError",
})  # fmt: skip
_TRANSIENT = frozenset({
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError",
    "ResponseStreamingError", "IncompleteReadError", "ClientConnectionError", "ClientConnectorError", "ClientOSError", "SSLError",
    "ServerDisconnectedError", "ServerTimeoutError", "ClientPayloadError", "ServiceRequestError", "ServiceResponseError", "ConnectionLost",
    "TransportError",
})  # fmt: skip
_CREDENTIAL_CODES = frozenset({
    "AccessDenied", "403", "401", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
    "AllAccessDisabled", "Forbidden", "Unauthorized", "TokenRefreshRequired",
})  # fmt: skip
_TRANSIENT_CODES = frozenset(
    {
        "SlowDown",
        "InternalError",
        "ServiceUnavailable",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "429",
        "500",
        "502",
        "503",
        "504",
    }
)


@dataclass(frozen=True)
class Reason:
    """Why a transfer failed."""

    kind: Kind
    text: str
    """In one line, without credentials."""


class Captured(logging.Handler):
    """What DVC's log said."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.errors: list[BaseException] = []
        self.removed: set[str] = set()
        """Paths of corrupted objects that DVC removed by itself: in a folder it checks those that are not write-protected."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])
        elif isinstance(record.msg, str) and record.msg.startswith("corrupted cache file") and isinstance(record.args, tuple):
            self.removed.update(str(argument) for argument in record.args)


def hush() -> None:
    """Have the clients of stores log nothing, tracebacks among it: what they raise is told in words of ours."""
    for name in _NOISE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def captured() -> Iterator[Captured]:
    """Have what DVC logs meanwhile, instead of seeing it printed. Its progress bars are silent, too."""
    collector = Captured()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    bars = [logging.getLogger(name) for name in _PROGRESS_BARS]
    hush()
    import dvc  # noqa: F401 -- its import sets up the handlers that are put aside here

    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in (*loggers, *bars)]
    for logger in loggers:
        logger.handlers = [collector]
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    for bar in bars:
        bar.setLevel(logging.CRITICAL)
    try:
        yield collector
    finally:
        for logger, level, propagate, handlers in before:
            logger.setLevel(level)
            logger.propagate = propagate
            logger.handlers = handlers


def reason(errors: Iterable[BaseException]) -> Reason | None:
    """The one that explains most: what a user must change comes before what may pass. None where nothing was logged."""
    found = [_classified(error) for error in errors]
    for kind in ("credentials", "disk", "transient", "other", "missing"):
        for candidate in found:
            if candidate.kind == kind:
                return candidate
    return None


def _classified(error: BaseException) -> Reason:
    chain = list(_chain(error))
    text = one_line(chain[-1] if str(chain[-1]).strip() else error)
    if any(_is_unanswered_prompt(link) for link in chain):
        return Reason("credentials", "it asks for a password or passphrase, and there is nobody to type it")
    kinds = [(kind, link) for link in chain if (kind := _kind(link)) is not None]
    # clients say "not found" of whatever kept them from looking; what did is its cause
    for kind, link in sorted(kinds, key=lambda found: found[0] == "missing"):
        return Reason(kind, one_line(link) if str(link).strip() else text)
    return Reason("other", text)


def _is_unanswered_prompt(error: BaseException) -> bool:
    """What `getpass` ends with where there is no terminal."""
    return isinstance(error, EOFError) or getattr(error, "filename", None) == "/dev/tty" or type(error).__module__ == "termios"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _kind(error: BaseException) -> Kind | None:
    names = {cls.__name__ for cls in type(error).__mro__}
    code = _code(error)
    if names & _CREDENTIALS or code in _CREDENTIAL_CODES or (names & {"ConfigError"} and "authentication" in str(error)):
        return "credentials"
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError):
        return "credentials"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE):
        return "disk"
    if names & _TRANSIENT or code in _TRANSIENT_CODES or isinstance(error, (TimeoutError, ConnectionError, socket.gaierror)):
        return "transient"
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ESTALE, errno.EBUSY, errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "transient"
    return None


def _code(error: BaseException) -> str:
    """The service's error code: botocore keeps it in `response`, aiohttp in `status`, Azure in `status_code`."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    for name in ("status", "status_code", "code"):
        if isinstance(value := getattr(error, name, None), int):
            return str(value)
    return ""


def one_line(error: BaseException) -> str:
    """An exception as one line fit for a log: without credentials, control characters and overlong parts."""
    text = git.without_credentials(plain(str(error)) or type(error).__name__)
    return text if len(text) <= 300 else text[:297] + "..."
