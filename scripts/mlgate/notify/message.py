"""What is said when a gate closes, in the form each kind of receiver takes. Pure: the words come cleaned of control characters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

MAX_TEXT = 600
MAX_SUMMARY = 1024
"""PagerDuty refuses a longer summary."""
MAX_KEY = 255
"""PagerDuty refuses a longer deduplication key."""


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
            return {"schema_version": 1, "event": "gate-closed", **asdict(notice)}


def _slack(notice: Notice) -> dict[str, Any]:
    """An incoming webhook's message: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""
    where = f"<{notice.commit_url}|{_slack_text(notice.commit[:7])}> on {_slack_text(notice.branch)} of {_slack_text(notice.repository)}"
    lines = [f"*{_slack_text(notice.title)}*", _slack_text(notice.headline), f"{where} · <{notice.run_url}|report and log>"]
    return {"text": "\n".join(line for line in lines if line)}


def _slack_text(text: str) -> str:
    """Slack reads `<!channel>`, `<@U1>` and links between angle brackets, and nothing else that could call somebody."""
    short = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(notice: Notice, routing_key: str) -> dict[str, Any]:
    """An alert of the Events API v2. Closed gates of one model and branch are one incident until somebody resolves it."""
    summary = f"{notice.title} ({notice.branch} of {notice.repository})"
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": f"mlgate/{notice.repository}/{notice.branch}/{notice.model}"[:MAX_KEY],
        "client": "mlgate",
        "client_url": notice.run_url,
        "links": [{"href": notice.run_url, "text": "Report and log"}, {"href": notice.commit_url, "text": "Commit"}],
        "payload": {
            "summary": summary if len(summary) <= MAX_SUMMARY else f"{summary[: MAX_SUMMARY - 1]}…",
            "source": notice.repository,
            "severity": "error" if notice.is_judged else "warning",
            "component": notice.model,
            "class": "mlgate gate",
            "custom_details": {"why": notice.headline[:MAX_TEXT], "verdict": notice.verdict or "none", "commit": notice.commit},
        },
    }
