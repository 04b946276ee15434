"""A store in a Git ref, `refs/mlgate/<model>` of the user's repository: nothing to set up, and who may push may write.

The records are the files of the ref's tree, each write is one commit upon the last. A push that is no fast-forward is refused by the
remote; then the new tip is fetched and the same records are put upon that. This is the compare-and-set: nobody's write is lost.

All of it happens in a bare repository of our own in a temporary folder. The user's clone would become a shallow one by our fetch, and
a folder left in the workspace could come from a pull request, with hooks in it. Contents are fetched when they are read (a partial
clone where the remote can; GitHub can), so that a store of years costs no more than one of a day.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from mlgate import git, git_token
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.store.names import checked, is_record_name

MAX_RECORD_BYTES = 100_000_000
WRITE_PATIENCE_S = 90.0
"""How long a write tries again while other writers are faster."""
NETWORK_TIMEOUT_S = 300.0
NETWORK_PAUSE_S = 0.5
_NETWORK_ATTEMPTS = 3


class _Trouble(Enum):
    """What git's message about the remote comes down to."""

    REF_ABSENT = auto()
    OVERTAKEN = auto()
    REFUSED = auto()
    NOT_THERE = auto()
    UNREACHABLE = auto()


# In this order: a refusal may go on to say that the ref failed to update.
_SIGNS = (
    (_Trouble.REF_ABSENT, re.compile(r"couldn't find remote ref")),
    (
        _Trouble.REFUSED,
        re.compile(
            r"\b40[13]\b|permission|denied|not granted|not authorized|could not read Username|Authentication failed|read-only file system"
            r"|hook declined|rule violations|unable to create temporary",
            re.IGNORECASE,
        ),
    ),
    (
        _Trouble.OVERTAKEN,
        re.compile(
            r"\[rejected\]|cannot lock ref|failed to update ref|reference already exists|incorrect old value|shallow update not allowed"
        ),
    ),
    (_Trouble.REFUSED, re.compile(r"\[remote rejected\]|remote unpack failed")),
    (_Trouble.NOT_THERE, re.compile(r"repository .*not found|does not appear to be a git repository|\b404\b", re.IGNORECASE)),
)
_PLAIN_FILES = frozenset({"100644", "100755"})
_WHO_WRITES = "find out who wrote there but mlgate, then run it again"
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "gc.auto": "0",
    "maintenance.auto": "false",
    "push.gpgSign": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
}
_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "mlgate"), ("EMAIL", "mlgate@mlgate.invalid"))
}


@dataclass(frozen=True)
class Remote:
    """The repository the ref is in."""

    url: str = field(repr=False)
    push_url: str = field(repr=False)
    """The same, but where a clone has its own URL for pushes."""
    authorization: str | None = field(default=None, repr=False)
    """Value of the HTTP header, from the token; handed to git through its environment only."""

    @property
    def shown(self) -> str:
        return git.without_credentials(self.url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        if self.authorization is None:
            return ()
        encoded = self.authorization.removeprefix("basic ")
        return (encoded, base64.b64decode(encoded).decode().partition(":")[2])

    @property
    def access(self) -> list[tuple[str, str]]:
        """Settings of git that let it in with the token, and by nothing else; none without a token."""
        return [*git_token.header(self.url, self.authorization), ("credential.helper", "")] if self.authorization else []

    def hidden_in(self, text: str) -> str:
        """What git said, without the URL and without anything secret."""
        for secret in filter(None, (self.url, self.push_url, self.shown, *self.secrets)):
            text = text.replace(secret, "…")
        return git.without_credentials(text)


def remote_of(root: Path, context: RunContext, url: str | None = None) -> Remote:
    """Where the ref is: `url` if given, with a token the repository of the run, else the clone's `origin`.

    The token goes to the run's own server only, whatever `url` says.

    Raises:
        InputError: there is no such repository to be found.
    """
    if not url and context.is_github and context.token:
        url = f"{context.server_url.rstrip('/')}/{context.repository}"
    if url:
        if url.startswith("-"):
            raise InputError("MLGATE_STORE_URL: expected the URL or the path of a Git repository")
        return Remote(url=url, push_url=url, authorization=git_token.authorization(url, context))
    top = git.require_repository(root)
    fetch, push = (git.try_text(root, "remote", "get-url", *option, "origin") for option in ((), ("--push",)))
    if not fetch or not push:
        raise InputError("mlgate.yaml: store: the Git ref needs a remote 'origin', and there is none; add one, or name a folder")
    return Remote(url=_absolute(fetch, top), push_url=_absolute(push, top))


class GitRefStore:
    """Records in the tree of one ref. What was fetched once is what this process sees, until it writes."""

    def __init__(self, remote: Remote, model: str) -> None:
        self._remote = remote
        self._ref = f"refs/mlgate/{model}"
        self._own_repository: Path | None = None
        self._tip: str | None = None
        self._entries: dict[str, str] | None = None
        """Name and `mode oid` of every file of the tip's tree; None before the first fetch."""

    @property
    def description(self) -> str:
        return f"Git ref {self._ref} of {self._remote.shown}"

    def read(self, name: str) -> bytes | None:
        """One record; None where there is none. Raises InfrastructureError."""
        entry = self._fetched().get(checked(name))
        if entry is None:
            return None
        mode, oid = entry.split()
        if mode not in _PLAIN_FILES:
            raise InfrastructureError(f"store: {self.description}: record '{name}' was damaged, it is no plain file; {_WHO_WRITES}")
        return self._over_network("read", "cat-file", "blob", oid)

    def names(self, prefix: str = "") -> list[str]:
        """Names of all records that begin with `prefix`, sorted. Raises InfrastructureError."""
        return sorted(name for name in self._fetched() if name.startswith(prefix) and is_record_name(name))

    def write(self, records: Mapping[str, bytes], message: str) -> None:
        """Add or replace records, all of them in one commit upon whatever the ref is by then.

        Raises:
            InputError: a name no record can have, or a record that GitHub would refuse for its size.
            InfrastructureError: the remote cannot be reached or refuses the push, others were faster for too long, or somebody rewrote
                the ref since this process read it.
        """
        for name, content in records.items():
            if len(content) > MAX_RECORD_BYTES:
                raise InputError(
                    f"store: record '{checked(name)}' has {len(content):,} bytes, and Git hosts take {MAX_RECORD_BYTES:,} a file;"
                    " set `store` in mlgate.yaml to a folder"
                )
        changed = {checked(name): f"100644 {self._put(content)}" for name, content in records.items()}
        deadline, wait, is_fresh = time.monotonic() + WRITE_PATIENCE_S, 0.05, self._entries is None
        while True:
            entries = {**self._fetched(), **changed}
            if entries != self._entries:
                commit = self._commit(entries, message)
                if self._push(commit):
                    self._tip, self._entries = commit, entries
                    return
                if time.monotonic() > deadline:
                    raise InfrastructureError(f"store: {self.description}: others kept writing for {WRITE_PATIENCE_S:.0f} s; run it again")
                time.sleep(random.uniform(0.2, 1) * wait)  # noqa: S311 -- spreads writers, guards nothing
                wait = min(2 * wait, 4.0)
            elif is_fresh:
                return
            self._entries, is_fresh = None, True

    def _fetched(self) -> dict[str, str]:
        if self._entries is None:
            self._tip = self._fetch()
            listed = self._local("ls-tree", "-r", "-z", self._tip) if self._tip else b""
            self._entries = {}
            for line in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
                described, _, name = line.partition("\t")
                mode, _, oid = described.split()
                self._entries[name] = f"{mode} {oid}"
        return self._entries

    def _fetch(self) -> str | None:
        """The tip of the ref, fetched without history and without contents; None where there is no such ref yet.

        A tip that we knew must be in the history of the new one, of which then only what came since is fetched: whoever takes records away
        by force must not have us write upon what is left.
        """
        known, depth = self._tip, [] if self._tip else ["--depth=1"]
        options = ("--quiet", "--no-tags", *depth, "--filter=blob:none", "--no-write-fetch-head")
        if self._over_network("read", "fetch", *options, "store", f"+{self._ref}:{self._ref}", but=_Trouble.REF_ABSENT) is None:
            if known:
                raise InfrastructureError(f"store: {self.description}: was deleted while this run used it; {_WHO_WRITES}")
            return None
        kind = self._local("cat-file", "-t", self._ref).decode().strip()
        if kind != "commit":
            raise InfrastructureError(f"store: {self.description}: was damaged, it leads to a {kind} and not to a commit; {_WHO_WRITES}")
        tip = self._local("rev-parse", "--verify", self._ref).decode().strip()
        if known and not self._contains(tip, known):
            raise InfrastructureError(
                f"store: {self.description}: was rewritten while this run used it, {known[:12]} is no longer in it; {_WHO_WRITES}"
            )
        return tip

    def _contains(self, tip: str, commit: str) -> bool:
        return self._local("merge-base", commit, tip, allowed=(1,)).decode().strip() == commit

    def _put(self, content: bytes) -> str:
        return self._local("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def _commit(self, entries: Mapping[str, str], message: str) -> str:
        index = {"GIT_INDEX_FILE": str(self._folder() / "index.new")}
        listed = "".join(f"{entry}\t{name}\0" for name, entry in sorted(entries.items())).encode("utf-8", "surrogateescape")
        self._local("read-tree", "--empty", env=index)
        self._local("update-index", "-z", "--index-info", stdin=listed, env=index)
        tree = self._local("write-tree", "--missing-ok", env=index).decode().strip()
        parents = ("-p", self._tip) if self._tip else ()
        return self._local("commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), env=_IDENTITY).decode().strip()

    def _push(self, commit: str) -> bool:
        """Whether the remote took the commit; False where somebody else was faster."""
        pushed = self._over_network("write", "push", "--quiet", "--no-verify", "store", f"{commit}:{self._ref}", but=_Trouble.OVERTAKEN)
        return pushed is not None

    def _folder(self) -> Path:
        """Our own repository, made when it is first needed and gone with this object or the process."""
        if self._own_repository is None:
            folder = Path(tempfile.mkdtemp(prefix="mlgate-store-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            git.run(folder, "init", "--quiet", "--bare", "--template=", ".", env={"GIT_DIR": str(folder)})
            self._own_repository = folder
        return self._own_repository

    def _local(
        self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, allowed: tuple[int, ...] = ()
    ) -> bytes:
        try:
            return git.run(self._folder(), *arguments, stdin=stdin, env={"GIT_DIR": str(self._folder()), **(env or {})})
        except subprocess.CalledProcessError as error:
            if error.returncode in allowed:
                return bytes(error.stdout)
            raise InfrastructureError(f"store: {self.description}: git {arguments[0]}: {self._said(error)[0]}") from None

    def _over_network(self, aim: str, *arguments: str, but: _Trouble | None = None) -> bytes | None:
        """Output of a git command that may have to ask the remote; None when it meets the trouble `but`.

        A remote that cannot be reached is tried again, one that says no is not.
        """
        environment = {"GIT_DIR": str(self._folder()), **self._git_settings()}
        for attempt in range(1, _NETWORK_ATTEMPTS + 1):
            try:
                return git.run(self._folder(), *arguments, env=environment, timeout_s=NETWORK_TIMEOUT_S)
            except subprocess.CalledProcessError as error:
                said = self._said(error)
                trouble = next((kind for kind, sign in _SIGNS if any(map(sign.search, said))), _Trouble.UNREACHABLE)
                if trouble is but:
                    return None
                if trouble is not _Trouble.UNREACHABLE or attempt == _NETWORK_ATTEMPTS:
                    raise self._explained(trouble, aim, said[0]) from None
            time.sleep(NETWORK_PAUSE_S * attempt * random.uniform(0.5, 1.5))  # noqa: S311 -- spreads writers, guards nothing
        raise AssertionError

    def _explained(self, trouble: _Trouble, aim: str, reason: str) -> InfrastructureError:
        permission = f"`contents: {aim}`"
        match trouble:
            case _Trouble.REFUSED:
                advice = f"refused to {aim} ({reason}); the job needs the permission {permission}, and the action the input github-token"
                return RefusedError(f"store: {self.description}: {advice}")
            case _Trouble.NOT_THERE:
                advice = f"no such repository, or one that the token cannot see: it needs {permission} ({reason})"
            case _:
                advice = f"cannot be reached ({reason})"
        return InfrastructureError(f"store: {self.description}: {advice}")

    def _said(self, error: subprocess.CalledProcessError) -> list[str]:
        """What git said went wrong, line by line: without the remote's URL (whose words are not git's), without anything secret, and
        without what the user's tracing adds."""
        text = self._remote.hidden_in(error.stderr.decode(errors="replace"))
        lines = [" ".join(line.split())[:300] for line in text.splitlines()]
        return [line for line in lines if line.startswith(("remote:", "fatal:", "error:", "!"))] or [f"exit code {error.returncode}"]

    def _git_settings(self) -> dict[str, str]:
        """For this remote, through git's environment."""
        settings = [*_SETTINGS.items(), ("remote.store.url", self._remote.url), ("remote.store.pushurl", self._remote.push_url)]
        return git_token.environment([*settings, *self._remote.access])


def _absolute(url: str, top: Path) -> str:
    """A remote's URL as it means the same from any folder."""
    is_path = "://" not in url and (":" not in url.split("/")[0])
    return str((top / url).resolve()) if is_path else url
