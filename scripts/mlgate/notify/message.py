"""What is said when a gate closes, in the form each kind of receiver takes. Pure: the words come cleaned of control characters."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

MAX_TEXT = 600
MAX_VALUE = 2000
"""Of one value of the plain JSON."""
MAX_SUMMARY = 1024
"""PagerDuty refuses a longer summary."""
MAX_KEY = 255
"""PagerDuty refuses a longer deduplication key."""
_CALLS = re.compile(r"@|#|://|\bwww\.|\bmailto:|\]\(", re.IGNORECASE)


@dataclass(frozen=True)
class Notice:
    """A closed gate, in words."""

    model: str
    repository: str
    """`owner/name`."""
    branch: str
    """Name of the branch, or of the event where there is none."""
    commit: str
    statement: str
    """`does not pass the gate`."""
    because: str
    headline: str
    """Why, in one sentence."""
    verdict: str | None
    is_judged: bool
    """False where no verdict was reached: a job died, a remote was not to be had."""
    run_url: str
    commit_url: str

    @property
    def title(self) -> str:
        return f"{self.model}: {self.statement} — {self.because}"


def payload(kind: Literal["slack", "pagerduty", "json"], notice: Notice, routing_key: str = "") -> dict[str, Any]:
    """The body of the request, as JSON.

    Args:
        kind: what the receiver understands.
        notice: what is to be said.
        routing_key: of PagerDuty only.
    """
    match kind:
        case "slack":
            return _slack(notice)
        case "pagerduty":
            return _pagerduty(notice, routing_key)
        case "json":
            said = {name: _short(value, MAX_VALUE) if isinstance(value, str) else value for name, value in asdict(notice).items()}
            return {"schema_version": 1, "event": "gate-closed", **said}


def _slack(notice: Notice) -> dict[str, Any]:
    """An incoming webhook's message: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""
    where = f"<{notice.commit_url}|{_slack_text(notice.commit[:7])}> on {_slack_text(notice.branch)} of {_slack_text(notice.repository)}"
    lines = [f"*{_slack_text(notice.title)}*", _slack_text(notice.headline), f"{where} · <{notice.run_url}|report and log>"]
    # Nothing is fetched for a preview, whatever a text may name.
    return {"text": "\n".join(line for line in lines if line), "unfurl_links": False, "unfurl_media": False}


def _slack_text(text: str) -> str:
    """Slack reads `<!channel>`, `<@U1>` and links between angle brackets, and makes links of addresses; Mattermost and Rocket.Chat, which
    take the same messages, call whoever stands behind an `@`, and read Markdown's links. None of them looks into code."""
    words = (f"`{word}`" if _CALLS.search(word) else word for word in _short(text.replace("`", "'"), MAX_TEXT).split(" "))
    return " ".join(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _key(text: str) -> str:
    """Cut where it would be refused, and still one of its own."""
    return text if len(text) <= MAX_KEY else f"{text[: MAX_KEY - 17]}…{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def _pagerduty(notice: Notice, routing_key: str) -> dict[str, Any]:
    """An alert of the Events API v2. Closed gates of one model and branch are one incident until somebody resolves it."""
    summary = f"{_short(notice.title, MAX_TEXT)} ({_short(notice.branch, MAX_KEY)} of {notice.repository})"
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": _key(f"mlgate/{notice.repository}/{notice.branch}/{notice.model}"),
        "client": "mlgate",
        "client_url": notice.run_url,
        "links": [{"href": notice.run_url, "text": "Report and log"}, {"href": notice.commit_url, "text": "Commit"}],
        "payload": {
            "summary": _short(summary, MAX_SUMMARY),
            "source": notice.repository,
            "severity": "error" if notice.is_judged else "warning",
            "component": notice.model,
            "class": "mlgate gate",
            "custom_details": {"why": _short(notice.headline, MAX_TEXT), "verdict": notice.verdict or "none", "commit": notice.commit},
        },
    }
