"""Commands in comments: `/mlgate override because …`. Reading them and ranking roles; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mlgate.mistakes import did_you_mean

NAME = "/mlgate"
MAX_REASON = 1000
MAX_MODEL = 100
ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""Of a repository, each with all that the ones before may do."""
COMMANDS = ("override", "help")
USAGE = f"{NAME} override [--model NAME] REASON"


@dataclass(frozen=True)
class Override:
    """Open the closed gate for the head commit."""

    reason: str
    model: str | None
    """None: all whose gate is closed."""


@dataclass(frozen=True)
class Misunderstood:
    """A command that there is not, or that lacks something; `why` says what to write instead."""

    why: str


Command = Override | Literal["help"] | Misunderstood


def parse(body: str) -> Command | None:
    """The command a comment gives; None where it gives none. Only one that begins the comment counts: a quoted one is somebody else's."""
    text = body.replace("\r\n", "\n").strip()
    first, _, rest = _word(text)
    if first != NAME:
        return None
    word, _, rest = _word(rest)
    match word:
        case "" | "help":
            return "help"
        case "override":
            return _override(rest)
        case _:
            return Misunderstood(f"there is no command '{word[:40]}'{did_you_mean(word[:40], COMMANDS)}")


def is_at_least(role: str, wanted: str) -> bool:
    """Whether somebody with a role may do what another role may. A role that GitHub does not have may nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


def _override(rest: str) -> Override | Misunderstood:
    model = None
    if match := re.match(r"--model(?:=|\s+)(\S+)\s*", rest):
        model, rest = match[1], rest[match.end() :]
        if len(model) > MAX_MODEL:
            return Misunderstood(f"the name of the model has {len(model):,} characters; at most {MAX_MODEL}")
    elif rest.startswith("--"):
        option = _word(rest)[0][:40]
        return Misunderstood(f"there is no option '{option}'{did_you_mean(option, ['--model'])}")
    if not re.search(r"\w", rest):
        return Misunderstood("an override needs a reason: it is what an audit will read")
    if len(rest) > MAX_REASON:
        return Misunderstood(f"the reason has {len(rest):,} characters; at most {MAX_REASON:,}")
    return Override(rest, model)


def _word(text: str) -> tuple[str, str, str]:
    """The first word, what parts it from the rest, and the rest."""
    match = re.match(r"(\S*)(\s*)(.*)", text, re.DOTALL)
    return (match[1], match[2], match[3]) if match else ("", "", "")
