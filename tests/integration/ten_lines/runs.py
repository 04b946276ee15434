"""A model's repository as the ten lines run it, in this process: real Git, GitHub stood in for, no configuration in the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate import git as our_git
from mlgate import stages
from mlgate.console import Console
from mlgate.context import RunContext
from mlgate.evidence import Evidence, GateFindings
from mlgate.stages.adoption import action_inputs
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

TEN_LINES = {"predictions": "predictions.csv", "target": "y", "prediction": "y_pred", "margin": "0.01"}
TOKEN = {"contents": "read", "pull-requests": "write", "actions": "read"}
N = 600


def predictions(wrong: int, n: int = N, shift: int = 0) -> str:
    """Three classes, of which the first `wrong` examples are wrong."""
    rows = [(target := (i + shift) % 3, (target + 1) % 3 if i < wrong else target) for i in range(n)]
    return "y,y_pred\n" + "".join(f"{target},{predicted}\n" for target, predicted in rows)


class Repository:
    """On branch main with one commit; its origin refuses our ref, as it does to a token with `contents: read`."""

    def __init__(self, folder: Path, github: StandIn) -> None:
        self.root = make_repository(
            folder / "credit-risk", {"train.py": "print('first')\n", ".gitignore": "predictions.csv\nmetrics.json\n"}
        )
        self.origin = folder / "origin.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(self.root, "remote", "add", "origin", str(self.origin))
        git(self.root, "push", "--quiet", "origin", "main")
        hook = self.origin / "hooks/update"
        hook.write_text("#!/bin/sh\necho 'Permission to octo/credit-risk.git denied to github-actions[bot].' >&2\nexit 1\n")
        hook.chmod(0o755)
        self.github = github
        self.token = github.add_token("ghs_ten_lines", permissions=TOKEN).value
        self.run_id = 100

    def commit(self, text: str, branch: str | None = None) -> str:
        if branch:
            git(self.root, "checkout", "--quiet", "-B", branch)
        return commit_files(self.root, {"train.py": f"print({text!r})\n"}, text)

    def main(self) -> None:
        git(self.root, "checkout", "--quiet", "main")

    def write(self, **files: str) -> None:
        """Predictions, or another file the training would have left."""
        for name, text in files.items():
            (self.root / f"{name}.{'csv' if name == 'predictions' else 'json'}").write_text(text)

    def _workspace(self, context: RunContext, inputs: dict[str, str]) -> Workspace:
        environ = {"GITHUB_REPOSITORY": "octo/models", **{f"MLGATE_{name.upper()}": value for name, value in inputs.items()}}
        path = action_inputs.configure(self.root, "mlgate.yaml", environ)
        workspace = replace(Workspace.open(self.root, path, {}, Console()), context=context)
        workspace.empty_state()
        return workspace

    def _context(self, **more: Any) -> RunContext:
        self.run_id += 1
        return RunContext(
            repository="octo/models",
            run_id=self.run_id,
            default_branch="main",
            api_url=self.github.url,
            token=self.token,
            **more,
        )

    def run(self, workspace: Workspace, *, is_reported: bool) -> dict[str, Evidence[Any]]:
        """The stages of action.yml; the report takes longest, and few tests look at it."""
        return {stage: stages.run(stage, workspace) for stage in ("evaluate", "gate", *(("report",) if is_reported else ()))}

    def push(
        self, inputs: dict[str, str] | None = None, *, is_kept: bool = True, is_expired: bool = False, is_reported: bool = False
    ) -> dict[str, Evidence[Any]]:
        """The run of the commit that main is at, and the artifact it leaves."""
        head = our_git.commit(self.root)
        context = self._context(event="push", ref="refs/heads/main", head_sha=head)
        workspace = self._workspace(context, inputs or TEN_LINES)
        found = self.run(workspace, is_reported=is_reported)
        if is_kept:
            name = f"mlgate-{workspace.config.model}-verdict-1"
            left = {
                path.relative_to(workspace.state).as_posix(): path.read_bytes() for path in workspace.state.rglob("*") if path.is_file()
            }
            self.github.add_run_artifact(str(head), name, left, is_expired=is_expired)
        return found

    def pull_request(self, inputs: dict[str, str] | None = None, *, is_reported: bool = False) -> dict[str, Evidence[Any]]:
        """The run of pull request 7 with the head that is checked out."""
        number = 7
        head, base = git(self.root, "rev-parse", "HEAD"), git(self.root, "rev-parse", "main")
        self.github.add_pull_request(number, head_sha=head, base_sha=base)
        context = self._context(
            event="pull_request", ref=f"refs/pull/{number}/merge", pull_request=number, head_sha=head, base_sha=base, base_ref="main"
        )
        return self.run(self._workspace(context, inputs or TEN_LINES), is_reported=is_reported)


def gate_of(found: dict[str, Evidence[Any]]) -> GateFindings:
    findings = found["gate"].findings
    assert isinstance(findings, GateFindings), found["gate"].summary
    return findings


def exit_codes(found: dict[str, Evidence[Any]]) -> list[int]:
    return [evidence.exit_code for evidence in found.values()]


def comment_of(repository: Repository) -> str:
    """The one comment of pull request 7, its blanks plain ones."""
    [comment] = repository.github.comments(7, "github-actions[bot]")
    return str(comment.body.replace("\u00a0", " "))
