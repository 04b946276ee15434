"""The workflow files of a repository as far as they use mlgate: which jobs do, at which version, with which permissions and checkouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = ".github/workflows"
_USES = re.compile(r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]*mlgate[\w.-]*)(?P<path>/[^@\s]*)?@(?P<ref>\S+)")
_PINNED = re.compile(r"v?\d+\.\d+\.\d+([-+][\w.]+)?|[0-9a-f]{40}|[0-9a-f]{64}")
_REUSABLE = re.compile(r"/\.github/workflows/reusable-(?P<which>[\w-]+)\.ya?ml")
_DEFAULT_MINUTES = "360"
"""GitHub's own limit of a job, and that of our reusable workflows."""
LEVELS = {"none": 0, "read": 1, "write": 2}


class UnreadableWorkflowError(Exception):
    """No YAML, or no workflow; the message says why, in a line."""


@dataclass(frozen=True)
class Use:
    """One `uses:` of mlgate."""

    text: str
    """As it is written."""
    ref: str
    reusable: str | None
    """`pull-request` of `reusable-pull-request.yml`; None for an action."""
    action: str | None
    """`gate` of `actions/gate`, empty for the root action; None for a reusable workflow."""
    inputs: Mapping[str, str]

    @property
    def is_pinned(self) -> bool:
        """Whether the version can only change by a change of the file (tags of this project are never moved)."""
        return _PINNED.fullmatch(self.ref) is not None


@dataclass(frozen=True)
class Job:
    """One job that uses mlgate."""

    name: str
    """As the required check is called, the part behind the slash aside."""
    uses: list[Use]
    permissions: Mapping[str, str] | None
    """By name; None where neither job nor workflow say any."""
    shallow_checkout: bool
    """Whether it checks out, and not with the whole history."""
    persists_credentials: bool
    """Whether a checkout leaves the token on the disk."""
    runs_always: bool
    """Whether it runs whatever became of the jobs it needs."""
    has_secrets: bool
    """Whether secrets are handed to the called workflow, or to the action that takes them."""
    training_minutes: int | None = None
    """After how long the runner ends a training here; None where nothing is trained, or an expression says it."""

    @property
    def decides(self) -> bool:
        """Whether it is where the gate decides: the job to require."""
        return any(
            use.reusable is not None or use.action in ("", "gate", "aggregate") or (use.action == "run" and _runs_gate(use))
            for use in self.uses
        )

    def allows(self, permission: str, level: str) -> bool:
        given = (self.permissions or {}).get(permission, "none")
        return LEVELS.get(given, 0) >= LEVELS[level]


@dataclass(frozen=True)
class Workflow:
    """One file that uses mlgate."""

    path: str
    """Relative to the repository's top."""
    triggers: Mapping[str, Any]
    has_concurrency: bool
    jobs: list[Job]

    def pushes_of(self, branch: str) -> bool:
        """Whether it runs on pushes to a branch."""
        if "push" not in self.triggers:
            return False
        push = self.triggers["push"]
        branches = push.get("branches") if isinstance(push, dict) else None
        return branches is None or any(_fits(str(pattern), branch) for pattern in (branches if isinstance(branches, list) else [branches]))


def read(top: Path) -> tuple[list[Workflow], dict[str, str]]:
    """Every workflow of a repository that uses mlgate, and why other files could not be read, by their path."""
    found, unreadable = [], {}
    for path in sorted((top / FOLDER).glob("*.y*ml")):
        shown_as = path.relative_to(top).as_posix()
        try:
            workflow = parse(path.read_bytes(), shown_as)
        except (UnreadableWorkflowError, OSError) as error:
            unreadable[shown_as] = str(error)
            continue
        if workflow.jobs:
            found.append(workflow)
    return found, unreadable


def parse(content: bytes, path: str) -> Workflow:
    """A workflow from its file; only jobs that use mlgate are listed.

    Raises:
        UnreadableWorkflowError: it is none.
    """
    try:
        # All scalars as text: YAML 1.1 would read `on` as true, and 0 as a number.
        document = yaml.load(content.decode("utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506 -- makes nothing but text, lists, mappings
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnreadableWorkflowError(" ".join(str(error).split())[:200]) from None
    if not isinstance(document, dict):
        raise UnreadableWorkflowError("not a workflow: expected a mapping")
    jobs = [_job(str(key), job, document) for key, job in _mapping(document.get("jobs")).items() if isinstance(job, dict)]
    return Workflow(
        path=path,
        triggers=_triggers(document.get("on")),
        has_concurrency="concurrency" in document or all("concurrency" in job for job in _mapping(document.get("jobs")).values()),
        jobs=[job for job in jobs if job.uses],
    )


def permissions_asked(reusable: Path) -> dict[str, str]:
    """What the jobs of a reusable workflow ask for together, which its caller has to allow: GitHub refuses to start it otherwise."""
    document = yaml.load(reusable.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 -- as above
    asked: dict[str, str] = {}
    for job in _mapping(_mapping(document).get("jobs")).values():
        for name, level in _mapping(_mapping(job).get("permissions")).items():
            asked[name] = max(asked.get(name, "none"), level, key=lambda one: LEVELS.get(one, 0))
    return asked


def _job(key: str, job: dict[str, Any], document: dict[str, Any]) -> Job:
    steps = [step for step in _list(job.get("steps")) if isinstance(step, dict)]
    uses = [use for use in (_use(part) for part in (job, *steps)) if use is not None]
    checkouts = [_mapping(step.get("with")) for step in steps if str(step.get("uses", "")).startswith("actions/checkout@")]
    permissions = job.get("permissions", document.get("permissions"))
    return Job(
        name=str(job.get("name", key)),
        uses=uses,
        permissions=_permissions(permissions),
        shallow_checkout=any(checkout.get("fetch-depth") != "0" for checkout in checkouts),
        persists_credentials=any(checkout.get("persist-credentials") != "false" for checkout in checkouts),
        runs_always="needs" not in job or "always()" in str(job.get("if", "")),
        has_secrets="env" in _mapping(job.get("secrets")) or job.get("secrets") == "inherit" or any("env" in use.inputs for use in uses),
        training_minutes=_training_minutes(job, uses),
    )


def _training_minutes(job: Mapping[str, Any], uses: list[Use]) -> int | None:
    for use in uses:
        stages = use.inputs.get("stages", "").split()
        if use.reusable in ("pull-request", "train", "monorepo"):
            given = use.inputs.get("train-timeout-minutes", _DEFAULT_MINUTES)
        elif use.action == "train" or (use.action == "run" and (not stages or "train" in stages)):
            given = str(job.get("timeout-minutes", _DEFAULT_MINUTES))
        else:
            continue
        return int(given) if given.isascii() and given.isdigit() else None
    return None


def _use(part: dict[str, Any]) -> Use | None:
    text = str(part.get("uses", ""))
    match = _USES.fullmatch(text)
    if match is None:
        return None
    path = match["path"] or ""
    reusable = _REUSABLE.fullmatch(path)
    is_action = path in ("", "/") or path.startswith("/actions/")
    if reusable is None and not is_action:
        return None
    inputs = {str(name): str(value) for name, value in _mapping(part.get("with")).items()}
    return Use(
        text, match["ref"], reusable["which"] if reusable else None, None if reusable else path.removeprefix("/actions/").strip("/"), inputs
    )


def _runs_gate(use: Use) -> bool:
    stages = use.inputs.get("stages", "").split()
    return not stages or "gate" in stages


def _permissions(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    if given in ("read-all", "write-all"):
        level = given.removesuffix("-all")
        return dict.fromkeys(("actions", "contents", "pull-requests", "statuses", "checks", "issues"), level)
    return {str(name): str(level) for name, level in _mapping(given).items()}


def _triggers(on: Any) -> dict[str, Any]:
    if isinstance(on, str):
        return {on: None}
    if isinstance(on, list):
        return dict.fromkeys(map(str, on))
    return _mapping(on)


def _fits(pattern: str, branch: str) -> bool:
    """Whether a branch filter fits: `*` stops at a slash, `**` does not."""
    parts: Iterator[str] = iter(re.split(r"(\*\*|\*|\?)", pattern))
    expression = "".join({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, branch) is not None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
