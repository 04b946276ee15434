"""What a repository on GitHub asks for before a merge: required checks, reviews of code owners, the merge queue. Nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from mlgate.forge.api import Api, Need

READ_RULES = Need("metadata: read", "read the rules of a branch")
READ_PROTECTION = Need("administration: read", "read the protection of a branch")
_PATIENCE_S = 4.0
_TIMEOUT_S = 8

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Hosted:
    """Where a repository is."""

    name: str
    """`owner/name`."""
    api_url: str


@dataclass(frozen=True)
class BranchRules:
    """What a branch asks for."""

    required_checks: list[str]
    """Their names, of rulesets and of classic branch protection."""
    is_complete: bool
    """Whether both could be read; else there may be more."""
    has_merge_queue: bool = False
    is_code_owner_review_required: bool = False


class _Repository(BaseModel):
    full_name: str
    default_branch: str
    private: bool
    archived: bool = False


class _Rule(BaseModel):
    type: str
    parameters: dict[str, Any] = {}


class _Protection(BaseModel):
    contexts: list[str] = []


@dataclass(frozen=True)
class Repository:
    """A repository as GitHub knows it."""

    name: str
    default_branch: str
    is_private: bool
    is_archived: bool


def hosted(remote_url: str, environ: Mapping[str, str]) -> Hosted | None:
    """The repository on GitHub that a Git remote is; None where the address is of no such host.

    Args:
        remote_url: `https://github.com/o/r.git`, `git@github.com:o/r.git`, `ssh://git@host/o/r`.
        environ: for GITHUB_SERVER_URL or GH_HOST, which name an Enterprise Server, and GITHUB_API_URL. No token goes to any other host,
            whatever its name.
    """
    scp = re.fullmatch(r"(?:[^@/]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)", remote_url)
    if "://" in remote_url:
        parts = urlsplit(remote_url)
        host, path = parts.hostname or "", parts.path
    elif scp:
        host, path = scp["host"], scp["path"]
    else:
        return None
    named = re.fullmatch(r"/*([^/]+/[^/]+?)(\.git)?/*", path)
    servers = {environ.get("GH_HOST"), urlsplit(environ.get("GITHUB_SERVER_URL") or "").hostname}
    if named is None or not host:
        return None
    if host in ("github.com", "ssh.github.com", "www.github.com"):
        return Hosted(named[1], environ.get("GITHUB_API_URL") or "https://api.github.com")
    if host in servers:
        return Hosted(named[1], environ.get("GITHUB_API_URL") or f"https://{host}/api/v3")
    return None


class Settings:
    """The settings of one repository, asked for with somebody's token. Raises InfrastructureError as `Api` does."""

    def __init__(self, at: Hosted, token: str) -> None:
        self._api = Api(at.api_url, token, _PATIENCE_S, _TIMEOUT_S)
        self._path = f"/repos/{at.name}"

    def repository(self) -> Repository | None:
        """The repository; None where there is none that this token sees."""
        answer = self._api.request("GET", self._path, READ_RULES, handled=(403, 404))
        if answer.status != 200:
            return None
        found = self._parse(_Repository, answer.data, self._path)
        return Repository(found.full_name, found.default_branch, found.private, found.archived)

    def branch_rules(self, branch: str) -> BranchRules:
        """What rulesets and classic protection of a branch ask for."""
        path = f"{self._path}/rules/branches/{quote(branch, safe='')}"
        rules = [self._parse(_Rule, item, path) for item in self._api.pages(path, READ_RULES)]
        checks = [
            str(check.get("context"))
            for rule in rules
            if rule.type == "required_status_checks"
            for check in rule.parameters.get("required_status_checks", [])
            if isinstance(check, dict)
        ]
        reviews = [rule for rule in rules if rule.type == "pull_request" and rule.parameters.get("require_code_owner_review")]
        protected = self._protected_checks(branch)
        return BranchRules(
            required_checks=list(dict.fromkeys([*checks, *(protected or [])])),
            is_complete=protected is not None,
            has_merge_queue=any(rule.type == "merge_queue" for rule in rules),
            is_code_owner_review_required=bool(reviews),
        )

    def _protected_checks(self, branch: str) -> list[str] | None:
        """Checks that classic protection requires; None where the token may not know."""
        path = f"{self._path}/branches/{quote(branch, safe='')}/protection/required_status_checks"
        answer = self._api.request("GET", path, READ_PROTECTION, handled=(403, 404))
        if answer.status == 200:
            return self._parse(_Protection, answer.data, path).contexts
        said = str(answer.data.get("message", "")) if isinstance(answer.data, dict) else ""
        # "Not Found" is what GitHub says to a token that may not ask.
        return [] if answer.status == 404 and ("not protected" in said or "not enabled" in said) else None

    def _parse(self, model: type[T], data: Any, path: str) -> T:
        try:
            return model.model_validate(data)
        except ValidationError:
            raise self._api.unexpected("GET", path) from None
