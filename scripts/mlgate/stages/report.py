"""report: what all stages found, as files, a job summary, a comment on the pull request and a commit status. After the gate, always.

Its own exit code says whether the report was written and published, not what it says: the gate's exit code blocks the merge.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlgate import evidence as records
from mlgate import git
from mlgate.errors import InfrastructureError, InputError, MlgateError
from mlgate.evidence import STAGES, Evidence, FileRef, ReportFindings
from mlgate.render import html, markdown, terminal
from mlgate.render import view as views
from mlgate.render.document import ReportView
from mlgate.workspace import StageResult, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRAWING_TIMEOUT_S = 120


def run(workspace: Workspace) -> StageResult:
    """Write the report from whatever evidence there is, then publish it.

    Raises:
        InfrastructureError: the disk refuses a file, or the pictures cannot be drawn.
    """
    evidences, refused = _evidence(workspace)
    view = _view(workspace, evidences, refused)
    workspace.prepare_state()
    with _drawing(workspace, view) as drawing:
        _write(workspace.state / "report.md", markdown.full(view))
        _write(workspace.state / "report.json", _document(view))
        _add_job_summary(view, os.environ)
        published = _publish(workspace, view)
        _write(workspace.state / "report.html", html.page(view, drawing.result()))
    return _result(workspace, view, published, _incomplete(evidences, refused))


def terminal_answer(workspace: Workspace) -> str:
    """The answer for a terminal, from the evidence as it lies there, and where the HTML is."""
    view = _view(workspace, *_evidence(workspace))
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


def _add_job_summary(view: ReportView, environ: Mapping[str, str]) -> None:
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(markdown.comment(view, markdown.SUMMARY_LIMIT))
    except OSError as error:
        raise InfrastructureError(f"GITHUB_STEP_SUMMARY: the job summary cannot be written: {error.strerror}") from None


class _Drawing:
    """The pictures, being drawn by a process of their own: matplotlib's import costs as much as all the rest, and reads settings from
    the directory it runs in, so it runs beside ours and in its cache folder."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def result(self) -> dict[str, str]:
        """SVG by figure. Raises InfrastructureError."""
        try:
            drawn, complaint = self._process.communicate(timeout=_DRAWING_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise InfrastructureError(f"the pictures of the report took longer than {_DRAWING_TIMEOUT_S} s to draw") from None
        if self._process.returncode != 0:
            last = complaint.decode(errors="replace").strip().split("\n")[-1]
            raise InfrastructureError(f"the pictures of the report cannot be drawn: {last or f'exit code {self._process.returncode}'}")
        pictures: dict[str, str] = json.loads(drawn)
        return pictures


@contextmanager
def _drawing(workspace: Workspace, view: ReportView) -> Iterator[_Drawing]:
    cache = _cache_folder(workspace, os.environ)
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "mlgate.render.plots"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cache,
        env={name: value for name, value in os.environ.items() if "TOKEN" not in name} | {"MPLCONFIGDIR": str(cache), "MPLBACKEND": "agg"},
    )
    with process:
        try:
            _ask(process, pickle.dumps(list(view.figures)))
            yield _Drawing(process)
        except BaseException:
            process.kill()
            raise


def _ask(process: subprocess.Popen[bytes], request: bytes) -> None:
    """Hand over what is to be drawn at once, so that it is drawn while we publish; the process answers only after it has read all of it."""
    stream, process.stdin = process.stdin, None
    if stream is not None:
        with suppress(BrokenPipeError), stream:  # it died: its exit code tells
            stream.write(request)


def _cache_folder(workspace: Workspace, environ: Mapping[str, str]) -> Path:
    """Where matplotlib keeps its list of fonts, which takes it seconds to make."""
    base = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else None)
    folder = Path(base, "mlgate", "matplotlib") if base else workspace.state / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"{folder}: cannot be made: {error.strerror}; set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return folder


# --- publishing ------------------------------------------------------------------------------------------------------


@dataclass
class _Published:
    comment_url: str | None = None
    comment_action: Literal["created", "updated", "kept", "none"] = "none"
    status_set: bool = False
    said: list[str] = field(default_factory=list)
    errors: list[MlgateError] = field(default_factory=list)


def _publish(workspace: Workspace, view: ReportView) -> _Published:
    """Comment and status, each tried even if the other failed."""
    published = _Published()
    context, settings = workspace.context, workspace.config.report
    wants_comment = context.is_github and settings.comment and context.pull_request is not None
    wants_status = context.is_github and settings.status and context.head_sha is not None
    if not (wants_comment or wants_status):
        return published
    if context.is_fork:
        published.said.append("not posted: the pull request comes from a fork, whose token may only read; the job summary has the report")
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
            published.comment_url, published.comment_action = comment.url, comment.action
            published.said.append(_comment_words(comment.action, comment.url))
        except MlgateError as error:
            published.errors.append(error)
    if wants_status and context.head_sha is not None:
        name = f"mlgate/{workspace.config.model}"
        try:
            state = _state(view)
            forge.set_status(context.head_sha, state, name, _description(view), published.comment_url or context.run_url)
            published.status_set = True
            published.said.append(f"status {name}: {state}")
        except MlgateError as error:
            published.errors.append(error)
    return published


def _comment_words(action: str, url: str) -> str:
    return f"comment left as a newer run wrote it: {url}" if action == "kept" else f"comment {action}: {url}"


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
        comment_url=published.comment_url, comment_action=published.comment_action, status_set=published.status_set, files=files
    )
    folder = workspace.state.relative_to(workspace.root).as_posix()
    said = [f"report written to {folder}/report.html; it says: {view.answer.statement}", *published.said]
    problems = [str(error) for error in published.errors] + ([incomplete] if incomplete else [])
    if not problems:
        return StageResult(status="passed", summary="\n".join(said), findings=findings, files=files)
    # Wrong input first: a retry does not mend it.
    exit_code = 2 if incomplete else min(error.exit_code for error in published.errors)
    return StageResult(status="error", summary="\n".join([*problems, *said]), findings=findings, files=files, exit_code=exit_code)
