"""report: what all stages found, as files, a job summary, a comment on the pull request and a commit status. After the gate, always.

Its own exit code says whether the report was written and published, not what it says: the gate's exit code blocks the merge.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlgate import evidence as records
from mlgate import git
from mlgate.errors import InputError, MlgateError, RefusedError
from mlgate.evidence import STAGES, Evidence, FileRef, GateFindings, Notification, ReportFindings
from mlgate.render import html, markdown, terminal
from mlgate.render import view as views
from mlgate.render.document import Figure, ReportView
from mlgate.stages.job import step_files
from mlgate.stages.reporting import drawing, telling
from mlgate.workspace import StageResult, Workspace

if TYPE_CHECKING:
    from mlgate.forge.client import PublishedComment


def run(workspace: Workspace) -> StageResult:
    """Write the report from whatever evidence there is, then publish it.

    Raises:
        InfrastructureError: the disk refuses a file, or the pictures cannot be drawn.
    """
    evidences, refused = _evidence(workspace)
    view = _view(workspace, evidences, refused)
    workspace.prepare_state()
    shows_pictures = _shows_pictures(workspace)
    with drawing.draw(view.figures, workspace.state, has_png=shows_pictures) as pictures:
        view, remarks = _with_pictures(workspace, view, pictures) if shows_pictures else (view, [])
        _write(workspace.state / "report.md", markdown.full(view))
        _write(workspace.state / "report.json", _document(view))
        published = _publish(workspace, view)
        published.said += remarks
        if published.outdated:
            view = with_remark(view, published.outdated)
            _write(workspace.state / "report.md", markdown.full(view))
        step_files.add_to_summary(markdown.comment(view, markdown.SUMMARY_LIMIT), os.environ)
        _tell(workspace, view, evidences, published)
        _write(workspace.state / "report.html", html.page(view, pictures.result()))
    return _result(workspace, view, published, _incomplete(evidences, refused))


def terminal_answer(workspace: Workspace) -> str:
    """The answer for a terminal, from the evidence as it lies there, and where the HTML is."""
    view = _view(workspace, *_evidence(workspace))
    report = workspace.evidence("report")
    if report is not None and isinstance(report.findings, ReportFindings) and report.findings.outdated:
        view = with_remark(view, report.findings.outdated)
    page = workspace.state / "report.html"
    return terminal.summary(view, str(page) if page.exists() else None)


def _evidence(workspace: Workspace) -> tuple[dict[str, Evidence[Any]], dict[str, str]]:
    """Evidence by stage, and the reasons why some may not be used."""
    found: dict[str, Evidence[Any]] = {}
    refused: dict[str, str] = {}
    for stage in STAGES:
        if stage == "report":
            continue
        try:
            evidence = workspace.evidence(stage)
        except InputError as error:
            refused[stage] = str(error)
            continue
        if evidence is not None:
            found[stage] = evidence
    return found, refused


def _view(workspace: Workspace, evidences: Mapping[str, Evidence[Any]], refused: Mapping[str, str]) -> ReportView:
    top = git.toplevel(workspace.root)
    directory = workspace.root.relative_to(top.resolve()).as_posix() if top and workspace.root.is_relative_to(top.resolve()) else "."
    return views.build(
        evidences,
        model=workspace.config.model,
        report=workspace.config.report,
        context=workspace.context,
        refused=refused,
        directory=directory,
        config_path=workspace.config_path,
    )


def with_remark(view: ReportView, outdated: str) -> ReportView:
    """The report of a run whose verdict does not stand, which says so first."""
    said = (f"it said: {view.answer.statement} — ", *view.answer.because)
    answer = replace(view.answer, tone="unsure", statement="outdated", because=said)
    note = f"Outdated: {outdated}. The comment in the pull request was left as it is."
    return replace(view, answer=answer, notes=((note,), *view.notes))


def _incomplete(evidences: Mapping[str, Evidence[Any]], refused: Mapping[str, str]) -> str | None:
    """Why the report cannot say whether the model may be merged; None where it can."""
    if refused:
        return "; ".join(refused.values())
    if "gate" in evidences or any(evidence.status in {"failed", "error"} for evidence in evidences.values()):
        return None
    return "gate.json: no evidence of the gate; run 'mlgate gate' before the report"


# --- files -----------------------------------------------------------------------------------------------------------


def _write(path: Path, text: str) -> None:
    records.write_bytes(path, text.encode())


def _document(view: ReportView) -> str:
    """report.json: the decision and all evidence in one document."""
    document = {
        "schema_version": 1,
        "model": view.model,
        "decision": view.decision,
        "run_url": view.run_url,
        "evidence": view.evidence,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


# --- pictures --------------------------------------------------------------------------------------------------------


def _shows_pictures(workspace: Workspace) -> bool:
    context, settings = workspace.context, workspace.config.report
    is_commenting = context.is_github and settings.comment and context.pull_request is not None and context.head_sha is not None
    return settings.plots == "branch" and is_commenting and not context.is_fork


def _with_pictures(workspace: Workspace, view: ReportView, pictures: drawing.Pictures) -> tuple[ReportView, list[str]]:
    """The report with its pictures pushed to the assets branch; as characters, and a remark, where that cannot be done."""
    from mlgate.stages.reporting import assets

    shown = {block.key for section in view.sections for block in section.blocks if isinstance(block, Figure)}
    contents = {key: content for key, content in pictures.pngs().items() if key in shown}
    names = {key: f"{view.model}-{key}-{hashlib.sha256(content).hexdigest()[:10]}.png" for key, content in contents.items()}
    if not names:
        return view, []
    try:
        urls = assets.publish({names[key]: content for key, content in contents.items()}, workspace.root, workspace.context)
    except MlgateError as error:
        return view, [f"pictures shown as text: {error}"]
    return replace(view, picture_urls={key: urls[name] for key, name in names.items()}), []


# --- publishing ------------------------------------------------------------------------------------------------------


@dataclass
class _Published:
    comment_url: str | None = None
    comment_action: Literal["created", "updated", "kept", "none"] = "none"
    status_set: bool = False
    outdated: str | None = None
    said: list[str] = field(default_factory=list)
    errors: list[MlgateError] = field(default_factory=list)
    notified: list[Notification] = field(default_factory=list)


def _publish(workspace: Workspace, view: ReportView) -> _Published:
    """Comment and status, each tried even if the other failed."""
    published = _Published()
    context, settings = workspace.context, workspace.config.report
    wants_comment = context.is_github and settings.comment and context.pull_request is not None
    wants_status = context.is_github and settings.status and context.head_sha is not None
    if not (wants_comment or wants_status):
        return published
    if context.is_fork:
        published.said.append("not posted: a run of a fork or of Dependabot has a token that may only read; the job summary has the report")
        return published
    try:
        from mlgate.forge.client import Forge

        forge = Forge(context)
    except MlgateError as error:
        published.errors.append(error)
        return published
    if wants_comment and context.pull_request is not None:
        try:
            with workspace.console.progress("publishing the comment"):
                comment = forge.publish_comment(context.pull_request, workspace.config.model, markdown.comment(view))
            published.comment_url, published.comment_action, published.outdated = comment.url, comment.action, comment.outdated
            published.said.append(_comment_words(comment))
            # A status belongs to its commit: that of an outdated commit harms nobody, that of an older run would replace a newer verdict.
            wants_status = wants_status and (comment.action != "kept" or comment.is_commit_outdated)
        except MlgateError as error:
            published.errors.append(error)
    if wants_status and context.head_sha is not None:
        name = context.status_name(workspace.config.model)
        try:
            state = _state(view)
            url = context.run_url if published.outdated else published.comment_url or context.run_url
            forge.set_status(context.head_sha, state, name, _description(view), url)
            published.status_set = True
            published.said.append(f"status {name}: {state}")
        except RefusedError as error:
            # Nobody asked for it by name, and the job's own result says the same: ten lines have no `statuses: write`.
            is_asked_for = "status" in settings.model_fields_set or published.errors
            (published.errors.append(error) if is_asked_for else published.said.append(f"status {name} not set: {error}"))
        except MlgateError as error:
            published.errors.append(error)
    return published


def _tell(workspace: Workspace, view: ReportView, evidences: Mapping[str, Evidence[Any]], published: _Published) -> None:
    """Whoever is to be told that the gate closed; that nobody could be reached is a remark."""
    if published.outdated:
        return
    found = evidences["gate"].findings if "gate" in evidences else None
    published.notified += telling.tell(workspace, view, found if isinstance(found, GateFindings) else None)
    published.said += [telling.words(notification) for notification in published.notified]


def _comment_words(comment: PublishedComment) -> str:
    if comment.outdated is None:
        return f"comment {comment.action}: {comment.url}"
    return f"outdated: {comment.outdated}; " + (f"comment left as it is: {comment.url}" if comment.url else "no comment made")


def _state(view: ReportView) -> Literal["success", "failure", "error"]:
    if view.answer.is_passed:
        return "success"
    return "failure" if view.answer.tone == "bad" else "error"


def _description(view: ReportView) -> str:
    return f"{view.answer.statement}: {terminal.spans(view.answer.because)}"


def _result(workspace: Workspace, view: ReportView, published: _Published, incomplete: str | None) -> StageResult:
    files: list[FileRef] = [
        records.file_ref(workspace.state / name, workspace.state) for name in ("report.md", "report.html", "report.json")
    ]
    findings = ReportFindings(
        comment_url=published.comment_url,
        comment_action=published.comment_action,
        status_set=published.status_set,
        outdated=published.outdated,
        files=files,
        notified=published.notified,
    )
    folder = workspace.state.relative_to(workspace.root).as_posix()
    said = [f"report written to {folder}/report.html; it says: {view.answer.statement}", *published.said]
    problems = [str(error) for error in published.errors] + ([incomplete] if incomplete else [])
    if not problems:
        return StageResult(status="passed", summary="\n".join(said), findings=findings, files=files)
    # Wrong input first: a retry does not mend it.
    exit_code = 2 if incomplete else min(error.exit_code for error in published.errors)
    return StageResult(status="error", summary="\n".join([*problems, *said]), findings=findings, files=files, exit_code=exit_code)
