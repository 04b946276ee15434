"""Notices that a rented machine will be taken away: asked of the cloud it stands in, at the address that clouds answer their machines at.

AWS (instance metadata v2: `spot/instance-action`, `events/recommendations/rebalance`), Google Cloud (`instance/preempted`), Azure
(scheduled events). Elsewhere nothing is asked.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlgate.errors import InputError

Cloud = Literal["aws", "gcp", "azure"]

POLL_S = 5.0
_TIMEOUT_S = 2.0
_MAX_BYTES = 64 * 1024
_TOKEN_S = 21_600
_ENDPOINTS: dict[Cloud, str] = {
    "aws": "http://169.254.169.254",
    "gcp": "http://metadata.google.internal",
    "azure": "http://169.254.169.254",
}
_DMI = Path("/sys/class/dmi/id")
_DMI_FILES = ("sys_vendor", "product_name", "bios_vendor", "board_vendor", "chassis_asset_tag")
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The chassis asset tag of Azure's machines; Hyper-V elsewhere has the same vendor."""


@dataclass(frozen=True)
class Notice:
    """That the machine goes."""

    said: str
    """By whom and what: `AWS: terminate at 2026-11-22T03:10:30Z`."""
    left_s: float | None
    """How long there is, by what the cloud promises; None where it may go, and only may."""


def cloud(environ: Mapping[str, str], dmi: Path = _DMI) -> Cloud | None:
    """Which cloud this machine says it stands in; MLGATE_SPOT says it where the machine does not, and `off` that nothing be asked.

    Raises:
        InputError: MLGATE_SPOT is none of them.
    """
    said = environ.get("MLGATE_SPOT", "").strip().lower()
    if said == "off":
        return None
    if said in ("aws", "gcp", "azure"):
        return said  # type: ignore[return-value]  # mypy does not narrow by a tuple
    if said:
        raise InputError(f"MLGATE_SPOT: expected aws, gcp, azure or off, got '{said[:20]}'")
    facts = {name: _fact(dmi / name) for name in _DMI_FILES}
    if any("amazon ec2" in fact.lower() for fact in facts.values()):
        return "aws"
    if facts["product_name"] == "Google Compute Engine":
        return "gcp"
    return "azure" if facts["chassis_asset_tag"] == _AZURE_TAG else None


def _fact(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


class Metadata:
    """A cloud's answers about the machine."""

    def __init__(self, of: Cloud, endpoint: str | None = None) -> None:
        self._cloud: Cloud = of
        self._endpoint = (endpoint or _ENDPOINTS[of]).rstrip("/")
        # never through the proxy of the environment: it would ask about its own machine
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token: str | None = None

    def notice(self) -> Notice | None:
        """What the cloud says now; None where it says nothing, or does not answer."""
        return {"aws": self._aws, "gcp": self._gcp, "azure": self._azure}[self._cloud]()

    def _aws(self) -> Notice | None:
        if self._token is None:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
            self._token = self._ask("/latest/api/token", headers, method="PUT")
        headers = {"X-aws-ec2-metadata-token": self._token} if self._token else {}
        if found := _object(self._ask("/latest/meta-data/spot/instance-action", headers)):
            return Notice(f"AWS: {found.get('action', 'interruption')} at {found.get('time', 'an unknown time')}", 120)
        if found := _object(self._ask("/latest/meta-data/events/recommendations/rebalance", headers)):
            return Notice(f"AWS: at risk since {found.get('noticeTime', 'an unknown time')} (rebalance recommendation)", None)
        return None

    def _gcp(self) -> Notice | None:
        said = self._ask("/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
        return Notice("Google Cloud: preempted", 30) if said == "TRUE" else None

    def _azure(self) -> Notice | None:
        found = _object(self._ask("/metadata/scheduledevents?api-version=2020-07-01", {"Metadata": "true"})) or {}
        events = found.get("Events")
        for event in events if isinstance(events, list) else []:
            if isinstance(event, dict) and event.get("EventType") in ("Preempt", "Terminate"):
                return Notice(f"Azure: {event['EventType']} not before {event.get('NotBefore') or 'now'}", 30)
        return None

    def _ask(self, path: str, headers: Mapping[str, str], method: str = "GET") -> str | None:
        request = urllib.request.Request(self._endpoint + path, headers=dict(headers), method=method)  # noqa: S310 -- a fixed address
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return str(answer.read(_MAX_BYTES).decode(errors="replace").strip())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:
                self._token = None  # it has run out
        except (OSError, ValueError):
            pass  # a cloud that does not answer has said nothing
        return None


def _object(text: str | None) -> dict[str, object] | None:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Watch:
    """A thread that asks the cloud every few seconds until the machine is to go, or the watch ends."""

    def __init__(self, metadata: Metadata, on_notice: Callable[[Notice], None], every_s: float = POLL_S) -> None:
        """Begin; `on_notice` is called, in the thread, once for a warning and once for the last word."""
        self._metadata, self._on_notice, self._every_s = metadata, on_notice, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="spot notices", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()  # a question that hangs is not waited for

    def _work(self) -> None:
        has_warned = False
        while not self._over.is_set():
            notice = self._metadata.notice()
            if notice is not None and not self._over.is_set() and not (notice.left_s is None and has_warned):
                self._on_notice(notice)
                has_warned = True
            if notice is not None and notice.left_s is not None:
                return
            self._over.wait(self._every_s)
