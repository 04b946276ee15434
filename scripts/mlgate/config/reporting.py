"""`report` and `notify`: what is published, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema, model_validator

from mlgate.config.values import DURATION, NonEmpty, Section, parse_duration
from mlgate.mistakes import MistakeAtKeyError

LEAST_LIVE_S = 30
"""The shortest time between two live statuses: all jobs of a repository share GitHub's limit of requests."""


def _live_interval(value: object) -> object:
    """Seconds; 0 for `off`, which YAML 1.1 takes for a no."""
    if value in ("off", 0) and not isinstance(value, float):  # 0 is False
        return 0
    seconds = parse_duration(value)
    if not isinstance(seconds, int) or not LEAST_LIVE_S <= seconds <= 86400:
        raise ValueError(f"expected 'off', or a duration of at least {LEAST_LIVE_S}s such as 2m")
    return seconds


LiveInterval = Annotated[
    int,
    BeforeValidator(_live_interval),
    WithJsonSchema({"anyOf": [{"const": "off"}, {"type": "string", "pattern": DURATION}, {"type": "integer", "minimum": LEAST_LIVE_S}]}),
]


class ReportConfig(Section):
    title: NonEmpty | None = None
    """Heading of the report. Left out: the model's name."""
    comment: bool = True
    """Post the report as a comment on the pull request."""
    status: bool = True
    """Set the commit status mlgate/<model>."""
    live: LiveInterval = 120
    """How often the comment says, while the model is trained, how far that is: `2m`, or `off`. Only where the training has a token that may
    comment, and never for forks."""
    plots: Literal["mermaid", "text", "branch", "none"] = "mermaid"
    """How the comment shows plots; `branch` pushes pictures to the branch mlgate-assets. The HTML always has pictures."""
    examples: bool = False
    """Whether reports may show values of the data."""


class WebhookConfig(Section):
    kind: Literal["slack", "pagerduty", "json"]
    """`slack` (or what takes Slack's incoming webhooks), `pagerduty` (Events API v2), or `json`: what there is to say as plain JSON."""
    env: Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")]
    """Name of the environment variable that holds the webhook's URL, or PagerDuty's routing key; never the secret itself."""
    url: NonEmpty | None = None
    """Of PagerDuty only: its events endpoint. Left out: https://events.pagerduty.com/v2/enqueue."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.env.startswith(("GITHUB_", "ACTIONS_", "RUNNER_", "MLGATE_")):
            raise MistakeAtKeyError("notify.webhooks", f"env '{self.env}' is not yours to send; choose another name for the secret")
        if self.url is not None and self.kind != "pagerduty":
            raise MistakeAtKeyError("notify.webhooks", f"the URL of a {self.kind} webhook is a secret: put it into '{self.env}', not here")
        return self


class NotifyConfig(Section):
    when: Literal["default-branch", "always"] = "default-branch"
    """Whose closed gate is told: only that of a push to the default branch, or that of every run."""
    webhooks: list[WebhookConfig] = []
    """Who is told over the web."""
    mention: Annotated[str, StringConstraints(pattern=r"^@[A-Za-z0-9][A-Za-z0-9-]{0,38}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?$")] | None = None
    """Team or user (`@org/team`) who is told by a comment on the commit."""
