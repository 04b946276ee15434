"""What report did."""

from __future__ import annotations

from typing import Literal

from mlgate.evidence.record import FileRef, Record, Text


class Notification(Record):
    """One attempt to tell somebody that the gate closed."""

    kind: Literal["slack", "pagerduty", "json", "mention"]
    to: Text
    """Name of the environment variable with the secret, or who is mentioned."""
    is_sent: bool
    detail: Text
    """Status of the answer or address of the comment; why not, where it was not sent. Never the secret."""


class ReportFindings(Record):
    comment_url: Text | None
    comment_action: Literal["created", "updated", "kept", "none"]
    status_set: bool
    files: list[FileRef]
    outdated: Text | None = None
    """Why this run changed nothing in the pull request: `the pull request is at 4f1c2d3e4a5b now`; None where its verdict stands."""
    notified: list[Notification] = []
    """Who was told that the gate closed, and who could not be."""
