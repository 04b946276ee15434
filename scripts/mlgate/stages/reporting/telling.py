"""Telling the team that a gate closed: whom, according to which commit's mlgate.yaml, with which secret. A part of `report`.

Nothing here changes a verdict: what could not be sent is a remark. Who is told is decided by the default branch's own mlgate.yaml, or by
the baseline's, never by a pull request's: it could mention anybody, and spend the secret of another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from mlgate.config import NotifyConfig, WebhookConfig
from mlgate.errors import InputError, MlgateError
from mlgate.evidence import GateFindings, Notification
from mlgate.notify import message, webhook
from mlgate.render import escape, terminal
from mlgate.render.document import ReportView
from mlgate.stages.job import secret_env
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
SECRETS = "MLGATE_NOTIFY_ENV"
"""The secret `notify-env` of the reusable workflows: KEY=value lines."""


def tell(workspace: Workspace, view: ReportView, gate: GateFindings | None, environ: Mapping[str, str] = os.environ) -> list[Notification]:
    """Tell whom `notify` names, if this run's gate is closed and is one that is told of.

    Returns:
        What was sent and what was not; empty where nobody is to be told.
    """
    settings = _settings(workspace, gate)
    if settings is None or view.answer.is_passed or not (settings.webhooks or settings.mention):
        return []
    notice = _notice(workspace, view, gate)
    told = [_post(one, notice, environ) for one in settings.webhooks]
    return [*told, _mention(workspace, settings.mention, notice)] if settings.mention else told


def words(notification: Notification) -> str:
    """One line for the stage's summary."""
    if notification.kind == "mention":
        return f"{notification.to} {'told' if notification.is_sent else 'not told'}: {notification.detail}"
    return f"{notification.kind} webhook of {notification.to} {'told' if notification.is_sent else 'not told'}: {notification.detail}"


def _settings(workspace: Workspace, gate: GateFindings | None) -> NotifyConfig | None:
    """Whom to tell; None where this run's gate concerns nobody."""
    context = workspace.context
    if not context.is_github or context.is_fork or context.head_sha is None:
        return None
    if context.is_default_branch:
        return workspace.config.notify
    baseline = gate.baseline.commit if gate is not None and gate.baseline is not None else None
    if baseline is None:
        try:
            baseline = lineage.baseline_commit(workspace).commit
        except MlgateError:
            return None  # the gate has said what is wrong
    config, whose = lineage.rules_of(workspace, baseline)
    return config.notify if whose == "baseline" and config.notify.when == "always" else None


def _notice(workspace: Workspace, view: ReportView, gate: GateFindings | None) -> message.Notice:
    context = workspace.context
    commit = context.head_sha or ""
    branch = (context.ref or context.event).removeprefix("refs/heads/")
    return message.Notice(
        model=workspace.config.model,
        repository=context.repository or "",
        branch=escape.clean(branch, 100),
        commit=commit,
        statement=view.answer.statement,
        because=terminal.spans(view.answer.because),
        headline=escape.clean(view.headline, escape.SENTENCE_LIMIT),
        verdict=gate.verdict if gate is not None else None,
        is_judged=view.answer.tone == "bad",
        run_url=context.run_url or "",
        commit_url=f"{context.server_url}/{context.repository}/commit/{commit}",
    )


def _post(target: WebhookConfig, notice: message.Notice, environ: Mapping[str, str]) -> Notification:
    def outcome(detail: str, *, is_sent: bool = False) -> Notification:
        return Notification(kind=target.kind, to=target.env, is_sent=is_sent, detail=detail)

    try:
        secret = _secret(target.env, environ)
        if not secret:
            return outcome(f"{target.env} is not set; put {target.env}=… into the secret `notify-env`")
        is_pagerduty = target.kind == "pagerduty"
        url = webhook.checked_url((target.url or PAGERDUTY_URL) if is_pagerduty else secret)
        status = webhook.post(url, message.payload(target.kind, notice, routing_key=secret if is_pagerduty else ""))
    except webhook.NotSentError as error:
        return outcome(str(error))
    except InputError as error:
        return outcome(str(error).replace("secret env:", "secret notify-env:"))
    return outcome(f"answered {status}", is_sent=True)


def _secret(name: str, environ: Mapping[str, str]) -> str:
    handed = secret_env.parse(environ.get(SECRETS, ""))
    return (handed.get(name) or environ.get(name) or "").strip()


def _mention(workspace: Workspace, who: str, notice: message.Notice) -> Notification:
    """A comment on the commit: the default branch has no pull request to comment on."""

    def outcome(detail: str, *, is_sent: bool = False) -> Notification:
        kind: Literal["mention"] = "mention"
        return Notification(kind=kind, to=who, is_sent=is_sent, detail=detail)

    try:
        from mlgate.forge.client import Forge

        url = Forge(workspace.context).comment_on_commit(notice.commit, workspace.config.model, _mentioning(who, notice))
    except MlgateError as error:
        return outcome(str(error))
    return outcome(url, is_sent=True)


def _mentioning(who: str, notice: message.Notice) -> str:
    """Markdown in which `who`, of the form that the configuration checked, is the only thing alive."""
    return f"{who} **{escape.text(notice.title)}**\n\n{escape.text(notice.headline)}\n\n{escape.link('Report and log', notice.run_url)}\n"
