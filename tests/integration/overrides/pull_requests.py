"""A pull request whose gate is closed, as tests of overrides need it: real Git, a store in a folder, GitHub stood in for."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from github_stand_in import StandIn
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, project
from mlgate import context, stages
from mlgate.evidence import Evidence
from mlgate.stages.decision import slash_command
from mlgate.stages.decision.slash_command import Handled
from mlgate.store import open_store
from mlgate.workspace import Workspace
from support import commit_files, git

NUMBER = 7
WEAKER = CONFIG.replace("min: 0.8", "min: 0.5")


@dataclass
class Project:
    """A repository whose model is on main and recorded, and its pull request."""

    root: Path
    github: StandIn
    config: str

    @classmethod
    def make(cls, folder: Path, github: StandIn, config: str = CONFIG) -> Project:
        config = config + f"store: {folder / 'store'}\n"
        made = cls(project(folder / "repository", config), github, config)
        made.record_main()
        git(made.root, "checkout", "--quiet", "-b", "feature")
        return made

    def record_main(self) -> None:
        """The run of the default branch, which is checked out."""
        workspace = self.workspace(event="push", ref="refs/heads/main")
        evaluated(workspace, classified(*labels(900)))
        assert stages.run("gate", workspace).findings.recorded_in_store

    @property
    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD")

    @property
    def events(self) -> Path:
        """Outside the clone, which stays clean."""
        folder = self.root.parent / "events"
        folder.mkdir(exist_ok=True)
        return folder

    def push(self, files: dict[str, str]) -> str:
        commit = commit_files(self.root, files, "a change")
        self.github.add_pull_request(NUMBER, head_sha=commit, base_sha=git(self.root, "rev-parse", "main"))
        return commit

    def workspace(
        self, *, event: str = "pull_request", ref: str = "refs/pull/7/merge", token: str | None = "", run_id: int = 5
    ) -> Workspace:
        pull = (
            {"pull_request": NUMBER, "base_sha": git(self.root, "rev-parse", "main"), "base_ref": "main"} if event == "pull_request" else {}
        )
        found = Workspace.open(self.root, "mlgate.yaml", {})
        run = context.RunContext(
            event=event,
            repository="octo/models",
            run_id=run_id,
            head_sha=self.head,
            ref=ref,
            default_branch="main",
            api_url=self.github.url,
            token=self.github.token if token == "" else token,
            github_patience_s=0,
            **pull,
        )
        return replace(found, context=run)

    def judged(self, right: int = 905, **more: Any) -> Evidence[Any]:
        """The verdict on a candidate with so many right answers."""
        workspace = self.workspace(**more)
        evaluated(workspace, classified(*labels(right)))
        return stages.run("gate", workspace)

    def closed(self, files: dict[str, str] | None = None, *, state: str = "failure", run_id: int = 5) -> str:
        """Push a change, and leave on GitHub what the run that closed the gate did: the comment, the status, the run."""
        head = self.push(files if files is not None else {"mlgate.yaml": self.config.replace("min: 0.8", "min: 0.5")})
        run = self.github.add_run(head, run_id=run_id, event="pull_request")
        run.conclusion = "failure"
        marker = f"<!-- mlgate:digits run={run_id} attempt=1 commit={head} -->\nclosed"
        self.github.add_comments(NUMBER, body=marker, login="github-actions[bot]")
        self.status(head, state)
        return head

    def status(self, sha: str, state: str, model: str = "digits") -> None:
        from github_stand_in.state import Status

        at = self.github.state
        at.statuses.append(Status(next(at.ids), sha, state, f"mlgate/{model}", None, None, "github-actions[bot]", at.now()))

    def say(self, body: str, login: str = "ada", role: str | None = "maintain", **event: Any) -> Handled:
        """Somebody comments, and the workflow for commands runs on main."""
        if role is not None:
            self.github.state.collaborators[login] = role
        [comment] = self.github.add_comments(NUMBER, body=body, login=login)
        return self.handle(comment.id, body, login, **event)

    def handle(self, comment_id: int, body: str, login: str = "ada", **event: Any) -> Handled:
        """The workflow for commands, for one event."""
        user = {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        issue = {"number": NUMBER, "state": "open", "pull_request": {"url": "x"}}
        written = {"action": "created", "issue": issue, "comment": {"id": comment_id, "body": body, "user": user}, **event}
        path = self.events / f"{comment_id}.json"
        path.write_text(json.dumps({**written, "repository": {"default_branch": "main"}}))
        branch = git(self.root, "rev-parse", "--abbrev-ref", "HEAD")
        git(self.root, "checkout", "--quiet", "main")
        try:
            environ = {
                "GITHUB_ACTIONS": "true",
                "GITHUB_EVENT_NAME": "issue_comment",
                "GITHUB_EVENT_PATH": str(path),
                "GITHUB_REPOSITORY": "octo/models",
                "GITHUB_RUN_ID": "99",
                "GITHUB_SHA": git(self.root, "rev-parse", "main"),
                "GITHUB_API_URL": self.github.url,
                "MLGATE_GITHUB_TOKEN": self.github.token,
                "MLGATE_GITHUB_PATIENCE_S": "20",
            }
            run = context.from_environment(environ)
            return slash_command.run(self.root, "mlgate.yaml", run, environ, sleep=lambda _: None)
        finally:
            git(self.root, "checkout", "--quiet", branch)

    def record(self, head: str, model: str = "digits") -> dict[str, Any] | None:
        store = open_store(str(self.root.parent / "store"), root=self.root, model=model, context=context.RunContext())
        content = store.read(f"overrides/{head}.json")
        return None if content is None else dict(json.loads(content))

    def write_record(self, head: str, **changes: Any) -> None:
        """As somebody with push rights could."""
        store = open_store(str(self.root.parent / "store"), root=self.root, model="digits", context=context.RunContext())
        store.write({f"overrides/{head}.json": json.dumps({**(self.record(head) or {}), **changes}).encode()}, "by hand")

    @property
    def replies(self) -> list[str]:
        return [comment.body for comment in self.github.comments(NUMBER) if comment.body.startswith("<!-- mlgate-reply:")]

    def reactions(self) -> list[str]:
        return [reaction for comment in self.github.comments(NUMBER) for reaction in comment.reactions]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
