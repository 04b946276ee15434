"""slash-command: answers `/mlgate …` in a comment on a pull request. `override` opens a closed gate for one commit.

It runs on the default branch in a job that may write, and runs no code of anybody: the comment is text, read from the event file. Who may
is asked of GitHub. The answer always is a comment, so that nobody wonders; errors are for the log.
"""

from __future__ import annotations

import fnmatch
import posixpath
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

import mlgate
from mlgate import config as configuration
from mlgate import git
from mlgate.config import Config
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import Override
from mlgate.forge import slash_commands
from mlgate.forge.comments import Marker
from mlgate.forge.conversation import Conversation, Rerun, SeenComment, SeenRun
from mlgate.forge.slash_commands import NAME, USAGE, Misunderstood
from mlgate.mistakes import did_you_mean
from mlgate.render import escape
from mlgate.stages.decision import override
from mlgate.store import open_store

RUN_PATIENCE_S = 60.0
"""How long a run that has just judged is waited for: GitHub runs nothing again before all of it has ended."""
_POLL_S = 5.0


@dataclass(frozen=True)
class Handled:
    """What became of a comment."""

    outcome: Literal["ignored", "helped", "refused", "overridden"]
    line: str
    """For the log."""
    reply_url: str | None = None


@dataclass(frozen=True)
class _Model:
    root: Path
    config: Config


@dataclass(frozen=True)
class _Judged:
    """A model's closed gate at the head commit."""

    model: _Model
    run: SeenRun


@dataclass(frozen=True)
class _Asked:
    """A command that was understood, and what is needed to carry it out."""

    context: RunContext
    github: Conversation
    comment: SeenComment
    command: slash_commands.Override
    workflow: str
    sleep: Callable[[float], None]


class _User(BaseModel):
    login: str = ""
    type: str = "User"


class _Comment(BaseModel):
    id: int
    body: str | None = None
    user: _User | None = None


class _Issue(BaseModel):
    number: int
    state: str = "open"
    pull_request: dict[str, object] | None = None


class _Event(BaseModel):
    """What of an `issue_comment` event counts."""

    action: str
    comment: _Comment
    issue: _Issue


class _RefusedError(Exception):
    """A command is not carried out; the message is Markdown for the person who gave it."""


def run(
    folder: Path,
    name: str,
    context: RunContext,
    environ: Mapping[str, str],
    *,
    workflow: str = "mlgate.yml",
    sleep: Callable[[float], None] = time.sleep,
) -> Handled:
    """Read the comment of the event and do what it asks.

    Args:
        folder: of a model, or of several, in a checkout of the default branch.
        name: of their configurations; may be a pattern.
        context: the run.
        environ: for the event file.
        workflow: file name of the workflow that judges; asked for where no report was posted.
        sleep: how to wait.

    Raises:
        InputError: this is no run for a comment.
        InfrastructureError: GitHub or the store cannot be asked, or refuses.
    """
    event = _event(context, environ)
    body = event.comment.body or ""
    command = slash_commands.parse(body)
    author = event.comment.user or _User()
    if event.action != "created" or author.type == "Bot" or event.issue.pull_request is None or command is None:
        return Handled("ignored", f"no command for mlgate: {_why_ignored(event, author)}")
    github = Conversation(context, sleep=sleep)
    number, comment_id = event.issue.number, event.comment.id
    if command == "help":
        return Handled("helped", "told what commands there are", github.reply(number, comment_id, _help()))
    if isinstance(command, Misunderstood):
        return _refused(github, event, f"{_text(command.why)}.\n\n{_usage()}", "confused")
    try:
        asked = _Asked(context, github, _still_there(github, event, body), command, workflow, sleep)
        said = _override(asked, _models(folder, name))
    except _RefusedError as refusal:
        return _refused(github, event, str(refusal), "-1")
    reply = github.reply(number, comment_id, said)
    github.react(comment_id, "+1")
    return Handled("overridden", said.splitlines()[0], reply)


def _refused(github: Conversation, event: _Event, why: str, reaction: Literal["-1", "confused"]) -> Handled:
    reply = github.reply(event.issue.number, event.comment.id, why)
    github.react(event.comment.id, reaction)
    return Handled("refused", f"refused: {why.splitlines()[0]}", reply)


# --- the event ---------------------------------------------------------------------------------------------------------


def _event(context: RunContext, environ: Mapping[str, str]) -> _Event:
    if context.event != "issue_comment":
        raise InputError(f"GITHUB_EVENT_NAME: expected issue_comment, got '{context.event}'; this command answers comments")
    path = environ.get("GITHUB_EVENT_PATH", "")
    try:
        return _Event.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"GITHUB_EVENT_PATH: the event file cannot be read: {error.strerror}") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
        raise InputError(f"GITHUB_EVENT_PATH: not the event of a comment: {where}") from None


def _why_ignored(event: _Event, author: _User) -> str:
    if event.action != "created":
        return f"it was {event.action}, not created; a command is a new comment"
    if author.type == "Bot":
        return "it is of a bot"
    return "it is on an issue" if event.issue.pull_request is None else f"it does not begin with {NAME}"


def _still_there(github: Conversation, event: _Event, body: str) -> SeenComment:
    """The comment as it stands now: the record names it, and the gate will ask for it again."""
    comment = github.comment(event.comment.id)
    if comment is None or comment.body != body:
        raise _RefusedError("The command was changed or deleted before it was read. Write a new comment.")
    return comment


# --- override ----------------------------------------------------------------------------------------------------------


def _override(asked: _Asked, models: list[_Model]) -> str:
    """Record the override and run the verdict again; what to answer."""
    github, comment = asked.github, asked.comment
    chosen = _chosen(models, asked.command.model)
    role = github.role(comment.author)
    allowed = [model for model in chosen if slash_commands.is_at_least(role, model.config.gate.override.permission)]
    if not allowed:
        raise _RefusedError(_may_not(comment.author, role, chosen))
    pull = github.pull_request(comment.number)
    if pull.state != "open":
        raise _RefusedError("This pull request is closed: there is no gate left to open.")
    head, base = pull.head.sha, pull.base.ref if pull.base else None
    judged = _judged(asked, allowed, head, base)
    for each in judged:
        _record(asked.context, each.model, _given(asked, role, head, base, each.model))
    names = ", ".join(f"**{_text(each.model.config.model)}**" for each in judged)
    lines = [
        f"Overridden by **{_text(comment.author)}** ({role}) for {names} at `{head[:12]}`, and recorded in the store.",
        *(_run_again(asked, found) for found in {each.run.id: each.run for each in judged}.values()),
        "It holds for this commit only: a new push is judged anew. Delete the comment and run the verdict again to take it back.",
    ]
    return "\n\n".join(lines)


def _models(folder: Path, name: str) -> list[_Model]:
    """Models of the default branch, as it is checked out. One whose configuration cannot be read has no rule to override."""
    top = git.require_repository(folder)
    prefix = folder.resolve().relative_to(top.resolve()).as_posix()
    listed = git.run(top, "ls-files", "-z", "--", prefix).decode("utf-8", "surrogateescape").split("\0")
    found = []
    for path in listed:
        file = top / path
        if path and fnmatch.fnmatchcase(posixpath.basename(path), posixpath.basename(name)) and file.is_file() and not file.is_symlink():
            try:
                found.append(_Model(file.parent, configuration.load(file, shown_as=path)))
            except InputError:
                continue
    return found


def _chosen(models: Sequence[_Model], wanted: str | None) -> list[_Model]:
    known = [model.config.model for model in models]
    if not models:
        raise _RefusedError(
            "There is no model on the default branch yet, so there is nothing to override: the pull request that brings the first one "
            "brings its rules, too."
        )
    if wanted is None:
        return list(models)
    chosen = [model for model in models if model.config.model == wanted]
    if not chosen:
        raise _RefusedError(f"{_text(f'There is no model {wanted[:100]!r} on the default branch{did_you_mean(wanted[:100], known)}')}")
    return chosen


def _judged(asked: _Asked, models: Iterable[_Model], head: str, base: str | None) -> list[_Judged]:
    """The closed gates of the head commit, which its author saw.

    Somebody who pushes after the comment was written must not have it count for what nobody has looked at. GitHub's time of the run tells:
    a run of the head that began after the comment is of a push after it.
    """
    github = asked.github
    markers = {marker.name: marker for marker in github.reports(asked.comment.number) if marker.commit == head}
    statuses = github.statuses(head)
    into = replace(asked.context, base_ref=base)
    found, later, unfit = [], False, []
    for model in models:
        name = model.config.model
        run = _run_of(asked, model, markers.get(name), head)
        state = statuses.get(into.status_name(name)) or ("success" if run is not None and run.conclusion == "success" else "failure")
        if run is None or state == "success":
            continue
        if run.created_at > asked.comment.created_at:
            later = True
        elif state == "error":
            unfit.append(name)
        else:
            found.append(_Judged(model, run))
    if found:
        return found
    shown = f"`{head[:12]}`"
    if later:
        raise _RefusedError(f"{shown} was pushed after you wrote this. Look at its verdict, then comment again.")
    if unfit:
        names = ", ".join(map(_text, unfit))
        raise _RefusedError(
            f"{names}: no rule closed the gate at {shown}. Its run failed or ended in an error, and no override opens that."
        )
    raise _RefusedError(f"No gate of mlgate is closed at {shown}. While its run is still going, wait for the verdict, then comment again.")


def _run_of(asked: _Asked, model: _Model, marker: Marker | None, head: str) -> SeenRun | None:
    """The run that judged a model at the head commit: the report names it. Where none is posted, the workflow's newest."""
    if marker is not None:
        return asked.github.run(marker.run_id)
    return None if model.config.report.comment else asked.github.newest_run(head, asked.workflow)


def _given(asked: _Asked, role: str, head: str, base: str | None, model: _Model) -> Override:
    comment = asked.comment
    return Override(
        model=model.config.model,
        head_sha=head,
        pull_request=comment.number,
        into=base,
        by=comment.author,
        permission=role,
        at=datetime.now(UTC).replace(microsecond=0),
        reason=asked.command.reason,
        comment_id=comment.id,
        comment_url=comment.html_url,
    )


def _record(context: RunContext, model: _Model, given: Override) -> None:
    store = open_store(model.config.store, root=model.root, model=given.model, context=context)
    content = (given.model_dump_json(indent=1) + "\n").encode()
    store.write({override.record_name(given.head_sha): content}, f"override for {given.head_sha[:12]} by {given.by}")


def _run_again(asked: _Asked, run: SeenRun) -> str:
    waited = 0.0
    while not run.is_finished and waited < RUN_PATIENCE_S:
        asked.sleep(_POLL_S)
        waited += _POLL_S
        run = asked.github.run(run.id) or run
    link = escape.link("The run", run.html_url)
    if not run.is_finished:
        return f"{link} has not ended: if it has judged already, run its failed jobs again when it has."
    try:
        again = asked.github.rerun(run)
    except InfrastructureError as error:  # the override stands: whoever gave it can start the run by hand
        again = Rerun(is_started=False, reason=str(error))
    if again.is_started:
        return f"{link} is started again. Unless something failed before the gate (a check, a contract, training), its verdict will say so."
    return f"{link} could not be started again ({_text(again.reason)}). Run its failed jobs again by hand, or push."


# --- words -------------------------------------------------------------------------------------------------------------


def _may_not(author: str, role: str, models: Sequence[_Model]) -> str:
    wanted = min((model.config.gate.override.permission for model in models), key=slash_commands.ROLES.index)
    higher = [name for name in slash_commands.ROLES if slash_commands.is_at_least(name, wanted)]
    mine = f"your role is **{role}**" if role != "none" else "you have none on this repository"
    return (
        f"Sorry, **{_text(author)}**, you may not override the gate: it takes the role {' or '.join(f'**{name}**' for name in higher)}, "
        f"and {mine}. Ask somebody who has it. `gate.override.permission` of the default branch's `mlgate.yaml` says who may."
    )


def _help() -> str:
    return f"{_usage()}\n\n<sub>mlgate {mlgate.__version__}</sub>"


def _usage() -> str:
    return f"`{USAGE}` opens a gate that a rule or a weakened rule closed, for the commit that is the head now. The reason is recorded."


def _text(value: str) -> str:
    return escape.text(value, is_line_start=False)
