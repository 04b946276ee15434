"""Where MLflow keeps runs: mlgate.yaml, else MLFLOW_TRACKING_URI, else SQLite below the model's folder. Asked before a training begins."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.console import plain
from mlgate.errors import InfrastructureError, InputError
from mlgate.git import without_credentials

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_LOCAL = Path(".mlgate") / "mlflow"
_ATTEMPTS = 3


@dataclass(frozen=True)
class Tracking:
    """A place where MLflow keeps runs."""

    uri: str = field(repr=False)
    """As MLflow takes it; may hold a password."""
    shown: str
    """As a person may read it."""
    source: str
    """What set it: `mlflow.tracking_uri`, `MLFLOW_TRACKING_URI`, or nothing."""
    artifacts: Path | None = None
    """Folder for the files of runs, where it is ours to say."""

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    @property
    def is_required(self) -> bool:
        """Whether the user asked for this place: then a run that is not recorded there is an error."""
        return bool(self.source)

    def run_url(self, experiment_id: str, run_id: str) -> str | None:
        """Page of a run, where the server has pages."""
        return f"{self.shown.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}" if self.is_server else None


def resolve(setting: str | None, environ: Mapping[str, str], root: Path) -> Tracking:
    """Which place is meant.

    Args:
        setting: `mlflow.tracking_uri` of mlgate.yaml.
        environ: of this process.
        root: the working directory; paths in the URI are relative to it.

    Raises:
        InputError: MLflow has no tracking of that scheme.
    """
    source = "mlflow.tracking_uri" if setting else "MLFLOW_TRACKING_URI"
    uri = (setting or environ.get("MLFLOW_TRACKING_URI") or "").strip()
    if not uri:
        folder = root / _LOCAL
        return Tracking(f"sqlite:///{folder / 'mlflow.db'}", f"sqlite:///{folder / 'mlflow.db'}", "", folder / "artifacts")
    scheme, colon, rest = uri.partition(":")
    shown = without_credentials(uri)
    if scheme in ("http", "https"):
        if not urllib.parse.urlsplit(uri).hostname:
            raise InputError(f"{source}: '{shown}' names no server; expected http(s)://host[:port]")
        return Tracking(uri, shown, source)
    if scheme == "sqlite" and rest.startswith("///"):
        path = root / rest.removeprefix("///")  # an absolute path has a slash more and stays what it is
        return Tracking(f"sqlite:///{path}", f"sqlite:///{path}", source, path.parent / "artifacts")
    if colon and scheme.split("+")[0] in _DATABASES[1:] and rest.startswith("//"):
        return Tracking(uri, shown, source)
    if uri == "databricks" or scheme == "databricks":
        return Tracking(uri, shown, source)
    raise InputError(
        f"{source}: '{shown}' is no place for runs; expected http(s)://host, sqlite:///file.db, {', '.join(_DATABASES[1:])} or databricks"
    )


def check(tracking: Tracking, environ: Mapping[str, str], timeout_s: float = 8, wait_s: float = 1, attempts: int = _ATTEMPTS) -> None:
    """Ask a tracking server whether it is there and lets us in, so that no training is spent on a run that cannot be recorded.

    Raises:
        InfrastructureError: the server cannot be reached, or fails.
        InputError: it refuses our credentials, or is no MLflow server.
    """
    if not tracking.is_server:
        return
    for attempt in range(1, attempts + 1):
        problem = _problem(tracking, environ, timeout_s)
        if problem is None:
            return
        if attempt < attempts:
            time.sleep(wait_s * attempt)
    raise InfrastructureError(f"{tracking.source}: the MLflow server {tracking.shown} cannot be reached ({problem}); nothing was trained")


def server_version(tracking: Tracking, environ: Mapping[str, str], timeout_s: float = 8) -> str | None:
    """Version of a tracking server, `3.17.0`; None where it does not say (a service that only speaks MLflow's protocol)."""
    url, headers = _address(tracking.uri, environ)
    request = urllib.request.Request(f"{url}/version", headers=headers)  # noqa: S310 -- http(s), checked
    handlers: list[Any] = [_NoRedirect, urllib.request.HTTPSHandler(context=_tls(environ))]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as response:
            said = response.read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    return said if re.fullmatch(r"\d+\.\d+[\w.+-]{0,40}", said) else None


def _problem(tracking: Tracking, environ: Mapping[str, str], timeout_s: float) -> str | None:
    """Why a server cannot be had now; None when it can. Raises InputError for what does not pass by waiting."""
    url, headers = _address(tracking.uri, environ)
    handlers: list[Any] = [_NoRedirect, urllib.request.HTTPSHandler(context=_tls(environ))]
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/experiments/search?max_results=1", headers=headers)  # noqa: S310 -- http(s), checked
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as response:
            body = response.read(1_000_000)
        if isinstance(json.loads(body), dict):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return _refusal(tracking, error)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        return plain(str(reason))[:200] if str(reason) else type(reason).__name__
    except ValueError:
        pass
    raise InputError(f"{tracking.source}: {tracking.shown} answers, but not as an MLflow server does; is it a login page?")


def _refusal(tracking: Tracking, error: urllib.error.HTTPError) -> str:
    said = plain(error.read(500).decode(errors="replace"))[:150]
    if error.code in (401, 403):
        hint = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        raise InputError(f"{tracking.source}: the MLflow server {tracking.shown} refuses us (HTTP {error.code}: {said}); {hint}")
    if 300 <= error.code < 400:
        target = without_credentials(plain(error.headers.get("Location", "")))[:200]
        raise InputError(f"{tracking.source}: {tracking.shown} sends us on to {target or 'nowhere'}; name the server itself")
    if error.code >= 500 or error.code in (408, 425, 429):
        return f"HTTP {error.code}{': ' if said else ''}{said}"
    raise InputError(f"{tracking.source}: {tracking.shown} is no MLflow server (HTTP {error.code}: {said}); name one that is")


def _address(uri: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """URL without user and password, and the headers that carry them, in MLflow's own order of precedence."""
    parts = urllib.parse.urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    if not (user and password) and parts.username:
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    headers = {"Accept": "application/json", "User-Agent": "mlgate"}
    if user and password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    elif token := environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), headers


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    """As MLflow's client verifies servers."""
    context = ssl.create_default_context(
        cafile=environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or environ.get("REQUESTS_CA_BUNDLE") or None
    )
    if re.fullmatch("true|1", environ.get("MLFLOW_TRACKING_INSECURE_TLS", ""), re.IGNORECASE):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would hand our credentials to whatever host it is sent on to."""

    def redirect_request(self, *_: Any) -> None:
        return None
