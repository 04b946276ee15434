"""The token of this run, given to git: through its environment, since arguments are visible to every process and files stay, and for the
run's own server only."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from mlgate.context import RunContext


def authorization(url: str, context: RunContext) -> str | None:
    """Value of the HTTP header that lets git in at a URL; None without a token, and for another server than the run's, whatever it is."""
    if not context.token or server(url) is None or server(url) != server(context.server_url):
        return None
    return "basic " + base64.b64encode(f"x-access-token:{context.token}".encode()).decode()


def header(url: str, value: str) -> list[tuple[str, str]]:
    """Settings that have git send an `authorization` to the server of a URL."""
    key = f"http.{server(url)}/.extraheader"
    # Empty first: a header of the user's own configuration beside ours would make two, which GitHub refuses.
    return [(key, ""), (key, f"AUTHORIZATION: {value}")]


def environment(settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Settings of git as variables of its environment, behind those that the user has there."""
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    numbered = list(enumerate(settings, first))
    keys = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in numbered}
    values = {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in numbered}
    return {"GIT_CONFIG_COUNT": str(first + len(numbered)), **keys, **values}


def server(url: str) -> str | None:
    """Scheme, host and port of a web address; None for anything else."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}" if parts.scheme in ("http", "https") else None
