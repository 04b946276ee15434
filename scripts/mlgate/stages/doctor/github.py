"""doctor: the repository's settings on GitHub: whether the check is required, and who has to agree to other rules."""

from __future__ import annotations

from collections.abc import Iterator

from mlgate.forge import code_owners, workflow_files
from mlgate.forge.settings import BranchRules, Settings
from mlgate.stages.doctor import workflows
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import TOKENS, Subject


def modules(subject: Subject) -> tuple[str, ...]:
    """What asking GitHub takes."""
    return ("github",) if subject.hosted and subject.token else ()


def look(subject: Subject) -> Iterator[Finding]:
    """Ask GitHub, where there is a token to ask with."""
    if subject.top is None:
        return
    yield from _owners(subject)
    at = subject.hosted
    if at is None and subject.origin is None:
        yield unneeded("not asked: there is no remote 'origin'")
        return
    if at is None:
        yield unneeded("origin is no repository on GitHub", "of an Enterprise Server, name it in GH_HOST")
        return
    if subject.token is None:
        yield unneeded(
            f"no token in {', '.join(TOKENS)}: whether {at.name} requires the check was not asked", "run it with GH_TOKEN=$(gh auth token)"
        )
        return
    name, token = subject.token
    settings = Settings(at, token)
    found = settings.repository()
    if found is None:
        yield problem(f"{name}: this token does not see {at.name}, or there is no such repository", "give it access to the repository", 3)
        return
    yield ok(f"{name} sees {found.name} ({'private' if found.is_private else 'public'}, default branch {found.default_branch})")
    if found.is_archived:
        yield problem(f"{found.name} is archived: no workflow runs there", "unarchive it")
    if subject.branch is not None and subject.branch != found.default_branch:
        yield warning(
            f"this clone takes {subject.branch} for the default branch, GitHub has {found.default_branch}",
            "run 'git remote set-head origin --auto'",
        )
    yield from _rules(subject, found.default_branch, settings.branch_rules(found.default_branch))


def _rules(subject: Subject, branch: str, rules: BranchRules) -> Iterator[Finding]:
    expected = workflows.expected_checks(subject) or ["mlgate / verdict"]
    required = [name for name in expected if name in rules.required_checks]
    if required:
        yield ok(f"'{required[0]}' is required on {branch}: a closed gate blocks the merge")
    elif rules.is_complete:
        yield problem(
            f"'{expected[0]}' is not required on {branch}: a closed gate does not block the merge", "require it in a branch ruleset"
        )
    else:
        yield warning(
            f"no ruleset of {branch} requires '{expected[0]}'; this token may not read its classic protection",
            "require it in a branch ruleset, or look with a token that may (administration: read)",
        )
    if rules.has_merge_queue and not workflows.runs_in_merge_queue(subject):
        yield problem(
            f"{branch} has a merge queue, and no workflow runs on merge_group: the check never comes there", "add merge_group to 'on'"
        )
    if subject.top and code_owners.find(subject.top) and not rules.is_code_owner_review_required:
        yield warning(f"no ruleset of {branch} requires the review of code owners", "require it, so that CODEOWNERS counts")


def _owners(subject: Subject) -> Iterator[Finding]:
    """Whether somebody has to agree to a change of the rules and of the workflows."""
    if subject.top is None:
        return
    file = code_owners.find(subject.top)
    prefix = "" if subject.folder == "." else f"{subject.folder}/"
    wanted = [*([f"{prefix}{subject.config_path}"] if subject.is_configured else []), f"{workflow_files.FOLDER}/mlgate.yml"]
    if file is None:
        yield warning(
            "no CODEOWNERS: a pull request's author may change rules and workflows unseen",
            f"write .github/CODEOWNERS with owners of {' and '.join(wanted)}",
        )
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    shown = file.relative_to(subject.top).as_posix()
    for path in wanted:
        names = code_owners.owners(text, path)
        yield (
            ok(f"{shown}: {path} is owned by {' '.join(names)}")
            if names
            else warning(f"{shown}: nobody owns {path}", f"add a line '/{path} @OWNER'")
        )
