"""doctor: the workflow files that use mlgate: pinned, allowed what they need, with the whole history, on the right events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlgate
from mlgate import git
from mlgate.config import Config
from mlgate.config.values import duration_text
from mlgate.forge import workflow_files
from mlgate.forge.workflow_files import Job, Use, Workflow
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject

REUSABLE = Path(__file__).resolve().parents[4] / ".github" / "workflows"
_ROOM_MINUTES = 30
"""For what a training job does besides: evaluation, data, checkpoints."""
# Where a job calls actions of ours itself: what gate and report do with the token.
_OF_GATE = {"contents": "read", "actions": "read"}
# What compares no commits, and so needs no history: with what it needs of the token.
_ON_THE_TIP = {
    "requeue": {"actions": "write", "checks": "read", "contents": "read", "pull-requests": "read"},
    "slash-command": {"actions": "write", "contents": "write", "pull-requests": "write", "statuses": "read"},
}


def look(subject: Subject) -> Iterator[Finding]:
    """Whether a workflow runs this model on pull requests and on the default branch, and may do what it has to."""
    if subject.top is None:
        return
    found, unreadable = workflow_files.read(subject.top)
    for path, reason in unreadable.items():
        yield problem(f"{path}: cannot be read: {reason}", "correct it; GitHub does not run it like this")
    ours = [workflow for workflow in found if any(_is_of(job, subject) for job in workflow.jobs)]
    if not found:
        yield problem("no workflow uses mlgate", "let 'mlgate init' write .github/workflows/mlgate.yml, and commit it")
        return
    if not ours:
        yield problem(
            f"no workflow runs the model in '{subject.folder}'",
            f"set working-directory: {subject.folder} in {found[0].path}, or use reusable-monorepo",
        )
        return
    for workflow in ours:
        if git.try_text(subject.top, "ls-files", "--error-unmatch", "--", f":(literal){workflow.path}") is None:
            yield warning(f"{workflow.path}: not in Git", "commit it: GitHub runs what is committed")
        yield from _workflow(workflow, subject)
    yield from _events(ours, subject)


def expected_checks(subject: Subject) -> list[str]:
    """Names of checks any of which blocks the merge where a branch requires it: of the job that decides, and the commit status."""
    if subject.top is None:
        return []
    found, _ = workflow_files.read(subject.top)
    names = []
    is_apart = is_for_all = False
    for job in (job for workflow in found for job in workflow.jobs if _is_of(job, subject) and job.decides):
        for use in job.uses:
            if use.reusable in ("pull-request", "monorepo", "train"):
                names.append(f"{job.name} / verdict")
                is_apart = is_apart or use.inputs.get("verdict-apart") == "true"
                is_for_all = is_for_all or use.reusable == "monorepo"
            elif use.reusable is None:
                names.append(job.name)
    status = ["mlgate"] if is_apart and is_for_all else [f"mlgate/{subject.config.model}"] if subject.config else []
    # Of pull requests of forks the job is skipped, and a skipped job counts as passed: there only the status blocks.
    return status if is_apart else list(dict.fromkeys([*names, *status]))


def runs_in_merge_queue(subject: Subject) -> bool:
    found, _ = workflow_files.read(subject.top) if subject.top else ([], {})
    return any("merge_group" in workflow.triggers for workflow in found)


def _is_of(job: Job, subject: Subject) -> bool:
    """Whether a job is of this model: of its folder and file, or of all there are."""
    if any(use.reusable == "monorepo" or use.action in ("changed", "aggregate") for use in job.uses):
        return True
    folders = {_folder(use) for use in job.uses}
    files = {use.inputs.get("config") for use in job.uses if "${{" not in use.inputs.get("config", "")} - {None}
    return (subject.folder in folders or None in folders) and (not files or subject.config_path in files)


def _folder(use: Use) -> str | None:
    """The model's folder that is named; None for an expression."""
    given = use.inputs.get("working-directory", ".")
    return None if "${{" in given else Path(given or ".").as_posix()


def _workflow(workflow: Workflow, subject: Subject) -> Iterator[Finding]:
    uses = [use for job in workflow.jobs for use in job.uses]
    loose = sorted({use.text for use in uses if not use.is_pinned})
    versions = sorted({use.ref for use in uses})
    if loose:
        yield warning(f"{workflow.path}: {', '.join(loose)}: not a fixed version", f"pin one: @v{mlgate.__version__}, or a full commit SHA")
    elif len(versions) > 1:
        yield problem(f"{workflow.path}: mixes versions of mlgate: {', '.join(versions)}", "use one version in all places")
    else:
        yield ok(f"{workflow.path}: uses mlgate {versions[0]}")
    for job in workflow.jobs:
        yield from _job(workflow, job, subject)
    if not workflow.has_concurrency and "pull_request" in workflow.triggers:
        yield warning(
            f"{workflow.path}: no concurrency group: pushes to a pull request run side by side", "take it over from templates/workflows"
        )


def _job(workflow: Workflow, job: Job, subject: Subject) -> Iterator[Finding]:
    where = f"{workflow.path}: job '{job.name}'"
    wanted = _permissions(job, subject.config)
    if wanted and job.permissions is None:
        listed = ", ".join(f"{name}: {level}" for name, level in sorted(wanted.items()))
        yield warning(f"{where}: no permissions stated, so the repository's default decides", f"state them: {listed}")
    elif lacking := [f"{name}: {level}" for name, level in sorted(wanted.items()) if not job.allows(name, level)]:
        yield problem(f"{where}: lacks permissions", f"add {', '.join(lacking)} to its permissions")
    elif wanted:
        yield ok(f"{where}: its permissions suffice")
    if job.shallow_checkout and any(use.action not in _ON_THE_TIP for use in job.uses):
        yield problem(f"{where}: checks out without history, so there is no commit to compare with", "give actions/checkout fetch-depth: 0")
    if job.persists_credentials:
        yield warning(
            f"{where}: the checkout leaves the token on the disk, where code of the pull request finds it", "set persist-credentials: false"
        )
    yield from _time(where, job, subject.config)
    if job.decides and not job.runs_always:
        yield problem(f"{where}: skipped when a job before it fails, and a skipped check counts as passed", "give it if: always()")


def _time(where: str, job: Job, config: Config | None) -> Iterator[Finding]:
    """Whether mlgate ends a training that takes too long, or the runner, which leaves it ten seconds."""
    train = config.train if config else None
    if train is None or job.training_minutes is None:
        return
    asked = {"train.gpu.wait": train.gpu.wait if train.gpu else 0, "train.timeout": train.timeout}
    needed = sum(asked.values())
    if needed <= job.training_minutes * 60:
        return
    key = "train-timeout-minutes" if any(use.reusable for use in job.uses) else "timeout-minutes"
    named = " and ".join(f"{name} ({duration_text(seconds)})" for name, seconds in asked.items() if seconds)
    yield warning(
        f"{where}: the runner ends it after {job.training_minutes:,} minutes, which is less than {named} take, and leaves it ten seconds",
        f"set {key}: {(needed + 59) // 60 + _ROOM_MINUTES}, or shorten {'them' if ' and ' in named else 'it'} in mlgate.yaml",
    )


def _permissions(job: Job, config: Config | None) -> dict[str, str]:
    """What a job needs, by name."""
    for use in job.uses:
        if use.reusable is not None:
            file = REUSABLE / f"reusable-{use.reusable}.yml"
            return workflow_files.permissions_asked(file) if file.is_file() else {}
        if use.action in _ON_THE_TIP:
            is_kept_elsewhere = config is not None and config.store != "git"
            return {**_ON_THE_TIP[use.action], **({"contents": "read"} if is_kept_elsewhere else {})}
    if not job.decides or any(use.action == "aggregate" for use in job.uses):
        return {}
    wanted = dict(_OF_GATE)
    if config is None or config.report.comment:
        wanted["pull-requests"] = "write"
    if config is not None and config.store == "git":
        wanted["contents"] = "write"
    return wanted


def _events(workflows: list[Workflow], subject: Subject) -> Iterator[Finding]:
    if not any("pull_request" in workflow.triggers for workflow in workflows):
        yield problem("no workflow of this model runs on pull_request", "add the event: it is what the gate is for")
    branch = subject.branch
    if branch is not None and not any(workflow.pushes_of(branch) for workflow in workflows):
        yield problem(
            f"no workflow of this model runs on pushes to {branch}: no baseline is ever recorded",
            f"add push: {{branches: [{branch}]}} to 'on'",
        )
    needs_secrets = subject.config is not None and (subject.config.mlflow.tracking_uri or _has_private_remote(subject))
    if needs_secrets and not any(job.has_secrets for workflow in workflows for job in workflow.jobs):
        yield unneeded("no secret is handed to mlgate", "where data or MLflow ask for credentials, pass the secret MLGATE_ENV as 'env'")


def _has_private_remote(subject: Subject) -> bool:
    config = subject.root / ".dvc" / "config"
    return config.is_file() and "://" in config.read_text(encoding="utf-8", errors="replace")
