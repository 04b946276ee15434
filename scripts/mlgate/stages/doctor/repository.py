"""doctor: the Git repository, its history, origin, and the store that keeps evaluations."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from mlgate import git, store
from mlgate.console import plain
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject
from mlgate.stages.revisions import history, lineage

_TIMEOUT_S = 9.0


def look(subject: Subject) -> Iterator[Finding]:
    """Whether there is a repository with the history that a baseline is found in."""
    root = subject.root
    if subject.git_problem is not None:
        yield problem(subject.git_problem)
        return
    if subject.top is None:
        yield problem(f"{root}: not inside a Git repository", "run 'git init', or name the model's folder with -C")
        return
    branch = subject.branch
    if git.commit(root) is None:
        yield problem("no commit yet, so there is nothing to compare with", "commit what is here")
        return
    if branch is None:
        yield warning("the default branch is not known here", "run 'git remote set-head origin --auto'")
    else:
        yield ok(f"repository {subject.top}, default branch {branch}")
    if git.is_shallow(root):
        text = "this clone is shallow: a run fetches the rest where it may, and has no baseline where it may not"
        yield warning(text, "run 'git fetch --unshallow'; in a workflow, fetch-depth: 0")
    else:
        yield ok("the history is complete")
    if git.try_text(root, "ls-files", "--", ".mlgate"):
        yield problem(".mlgate: mlgate's own folder, and Git tracks files in it", "run 'git rm -r --cached .mlgate' and commit")
    yield from _checkpoints(subject)
    if subject.workspace is not None and not git.is_shallow(root):  # to find it there would fetch history
        try:
            base = lineage.baseline_commit(subject.workspace)
        except InputError as error:
            yield problem(str(error))
            return
        if base.commit is None:
            yield unneeded(f"baseline: none yet ({base.how}); thresholds alone will decide")
        else:
            yield ok(f"baseline of a run from here: {base.commit[:12]} ({base.how})")


def _checkpoints(subject: Subject) -> Iterator[Finding]:
    """Whether Git leaves the folder alone that the training writes to: what was committed there, every later training would begin with."""
    train = subject.config.train if subject.config else None
    if train is None or train.checkpoints is None:
        return
    path = train.checkpoints.path
    if git.try_text(subject.root, "check-ignore", "--", f"{path}/checkpoint") is None:
        yield warning(
            f"train.checkpoints.path: Git does not ignore {path}/, and 'git add' takes the checkpoints", f"put {path}/ into .gitignore"
        )


def look_at_origin(subject: Subject) -> Iterator[Finding]:
    """Whether origin is there and answers."""
    if subject.top is None:
        return
    if subject.origin is None:
        yield warning("no remote 'origin': pull requests need one", "run 'git remote add origin URL'")
        return
    shown = git.without_credentials(subject.origin)
    # Only an answer counts: nobody is asked for a password, a passphrase or a host key, on whatever terminal. In a job, whose checkout
    # kept none, the token opens the run's own server.
    context = subject.workspace.context if subject.workspace else RunContext()
    with_token = history.environment(subject.origin, context) if context.is_github else {}
    environ = {**with_token, "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "SSH_ASKPASS_REQUIRE": "force"}
    try:
        git.run(subject.root, "ls-remote", "--heads", "origin", env=environ, timeout_s=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        said = git.without_credentials(plain(subject.public(error.stderr.decode(errors="replace"))))[:300]
        yield problem(f"origin {shown} does not answer: {said}", "check the address, your network and your access", 3)
    else:
        yield ok(f"origin {shown} answers")


def look_at_store(subject: Subject) -> Iterator[Finding]:
    """Whether the store can be read, and has a baseline."""
    workspace = subject.workspace
    if workspace is None or subject.top is None:
        return
    config = workspace.config
    kept = store.open_store(config.store, root=subject.root, model=config.model, context=workspace.context, environ=subject.environ)
    count = len(kept.names("evaluations/"))
    if count:
        yield ok(f"store ({kept.description}): {count:,} evaluation{'s' if count != 1 else ''} recorded")
    else:
        yield unneeded(f"store ({kept.description}): no evaluation yet", "a run of the default branch records the first")
