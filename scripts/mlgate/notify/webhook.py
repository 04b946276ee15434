"""One POST of JSON to a webhook, tried a few times within seconds. Its address is a secret: no message here holds a part of it."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

TRIES = 3
PATIENCE_S = 10.0
"""For all tries together: a verdict must not wait for a chat."""
PAUSE_S = 0.5


class NotSentError(Exception):
    """Why nothing was sent, in words that hold no part of the address."""


def checked_url(url: str) -> str:
    """The address, where it is one that a secret may travel to: https, or http on this very machine.

    Raises:
        NotSentError: it is none, or has no encryption.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise NotSentError("no web address; expected https://…") from None
    if not host or any(ord(letter) < 0x21 or ord(letter) > 0x7E for letter in url):
        raise NotSentError("no web address; expected https://…")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise NotSentError("the address is not encrypted; expected https://…")
    return url


def post(url: str, body: Mapping[str, Any], *, patience_s: float = PATIENCE_S, sleep: Callable[[float], None] = time.sleep) -> int:
    """Send JSON; what looks as if it may pass is tried again.

    Args:
        url: as `checked_url` has it.
        body: of the request.
        patience_s: for all tries and pauses together.
        sleep: how to wait.

    Returns:
        The status of the answer, from 200 to 299. The answer itself is not read.

    Raises:
        NotSentError: nobody took it.
    """
    import requests

    deadline = time.monotonic() + patience_s
    reason = "there was no time left"
    for tried in range(1, TRIES + 1):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            with requests.post(
                url,
                json=dict(body),
                auth=lambda request: request,  # keeps ~/.netrc out of it
                allow_redirects=False,  # the secret is for this host alone
                stream=True,
                timeout=max(0.1, min(left, patience_s / 2)),
            ) as answer:
                status = answer.status_code
        except requests.exceptions.Timeout:
            reason = "no answer in time"
        except requests.exceptions.SSLError:
            raise NotSentError("its certificate is not trusted; REQUESTS_CA_BUNDLE names the file of your own authority") from None
        except requests.exceptions.RequestException as error:
            reason = f"no answer ({type(error).__name__})"  # the library's words hold the address
        else:
            if 200 <= status < 300:
                return status
            if 300 <= status < 400:
                raise NotSentError(f"answered {status}, which leads elsewhere; give the address it leads to")
            reason = f"answered {status}"
            if status < 500 and status not in (408, 425, 429):
                raise NotSentError(f"{reason}; is the secret right?")
        if tried < TRIES and time.monotonic() + PAUSE_S * tried < deadline:
            sleep(PAUSE_S * tried)
    raise NotSentError(f"{reason}, after {tried} {'try' if tried == 1 else 'tries'}")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
