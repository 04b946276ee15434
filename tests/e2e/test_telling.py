"""A gate that closes on the default branch is told to the team, a pull request's to nobody; and a report of the caller's own is a comment.

Three runs: a push, a pull request with both workflows of the caller, and the second push to it with the caller's own report alone.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from support import git

SECRET = "B00.s3cr3t-of-the-chat"
TEAM = "@octo/ml-team"
BOT = "github-actions[bot]"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
OWN_REPORT = """\
on: pull_request
permissions: {}
jobs:
  own:
    runs-on: ubuntu-latest
    permissions:
      contents: write
      pull-requests: write
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {persist-credentials: false}
      - uses: mlgate/mlgate/actions/comment@v0.1.0
        with: {file: own/report.md}
"""
NOTIFY = f"""\
notify:
  webhooks: [{{kind: slack, env: TEAM_CHAT_URL}}]
  mention: "{TEAM}"
"""


@dataclass
class Chat:
    """The team's chat: an incoming webhook on this machine."""

    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        got = self.got

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200 if self.path == f"/services/{SECRET}" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/{SECRET}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class World:
    """The machine, the caller's repository, GitHub and the chat, over all runs."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    chat: Chat
    folder: Path
    ran: int = 0

    def run(self, name: str, event_name: str, event: dict[str, Any], sha: str, ref: str, workflow: str) -> act.Run:
        self.ran += 1
        notes = self.folder / "notes" / name
        notes.mkdir(parents=True)
        return act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=workflow,
            event_name=event_name,
            event=event,
            env=caller.environment(
                self.caller.origin,
                self.github,
                sha=sha,
                ref=ref,
                run_id=5000 + self.ran,
                E2E_NOTES=str(notes),
                MLGATE_ASSETS_URL=str(self.caller.origin),
            ),
            secrets={
                "GITHUB_TOKEN": self.github.token,
                "MLGATE_ENV": f"MLFLOW_TRACKING_URI=sqlite:///{self.folder / 'mlflow.db'}",
                "MLGATE_NOTIFY_ENV": f"TEAM_CHAT_URL={self.chat.url}",
            },
            name=name,
        )

    def pull_request(self, name: str, files: dict[str, str], workflow: str) -> act.Run:
        """A push to the one pull request, which is opened by the first."""
        self.caller.push("topic", files, name)
        pull = self.caller.pull_request(1, "topic")
        self.github.add_pull_request(1, head_sha=pull.head, base_sha=pull.base)
        return self.run(name, "pull_request", caller.pull_request_event(pull), pull.merge, "refs/pull/1/merge", workflow)

    def own_comments(self) -> list[str]:
        """The caller's own reports in the pull request, without the marker."""
        bodies = [comment.body for comment in self.github.comments(1, BOT)]
        return [body.partition("\n")[2] for body in bodies if body.startswith("<!-- mlgate:comment.report ")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("telling")
    env = "      env: ${{ secrets.MLGATE_ENV }}"
    changes = {
        "pip install -r requirements.txt": "python note.py setup",
        env: f"{env}\n      notify-env: ${{{{ secrets.MLGATE_NOTIFY_ENV }}}}",
    }
    with StandIn(caller.REPOSITORY) as github, Chat() as chat:
        made = caller.Caller.make(folder, changes)
        yield World(act.Machine.prepare(folder), made, github, chat, folder)
        assert github.violations == []


@pytest.fixture(scope="module")
def pushed(world: World) -> act.Run:
    """A model that is right 320 times of 400 on the default branch, whose rules ask for more and which names the team."""
    clone = world.caller.clone
    workflows = clone / ".github/workflows"
    for other in workflows.glob("*.yml"):
        if other.name != "pull-request.yml":
            other.unlink()
    shutil.rmtree(clone / "simple")
    (clone / "own").mkdir()
    (clone / "own/loss.png").write_bytes(PNG)
    settings = (clone / "mlgate.yaml").read_text().replace("min: 0.75", "min: 0.9") + NOTIFY
    files = {
        "mlgate.yaml": settings,
        "own/report.md": "# Loss\n\n![loss curve](loss.png)\n",
        ".github/workflows/own-report.yml": OWN_REPORT,
    }
    before = world.caller.push("main", files, "rules, which hold from the next push on")
    after = world.caller.push("main", caller.errors(80), "a model that is not good enough")
    return world.run("pushed", "push", caller.push_event(before, after), after, "refs/heads/main", ".github/workflows")


@pytest.fixture(scope="module")
def proposed(world: World, pushed: act.Run) -> act.Run:
    """A pull request with as bad a model, through all workflows of the repository."""
    return world.pull_request("proposed", caller.errors(81), ".github/workflows")


@pytest.fixture(scope="module")
def again(world: World, proposed: act.Run) -> act.Run:
    """The next push to it, with another report and a mlgate.yaml that wants pictures on the branch; only the caller's own workflow."""
    settings = (world.caller.clone / "mlgate.yaml").read_text() + "report: {plots: branch}\n"
    files = {"mlgate.yaml": settings, "own/report.md": "# Loss, again\n\n![loss curve](loss.png)\n"}
    return world.pull_request("again", files, ".github/workflows/own-report.yml")


class TestClosedGateOfTheDefaultBranch:
    def test_is_one_message_in_the_chat_with_model_verdict_and_link(self, world: World, pushed: act.Run) -> None:
        assert pushed.results() == {"data": "success", "train": "success", "verdict": "failure"}
        [message] = world.chat.got
        assert list(message) == ["text", "unfurl_links", "unfurl_media"]
        title, why, where = message["text"].split("\n")
        assert title.startswith("*toy: does not pass the gate — ")
        assert "accuracy" in f"{title} {why}"
        main = git(world.caller.clone, "rev-parse", "main")
        assert f"<https://github.com/octo/models/commit/{main}|{main[:7]}> on main of octo/models" in where
        assert where.endswith("<https://github.com/octo/models/actions/runs/5001|report and log>")

    def test_calls_the_team_in_one_comment_on_the_commit(self, world: World, pushed: act.Run) -> None:
        [comment] = world.github.state.commit_comments
        assert (comment.sha, comment.login) == (git(world.caller.clone, "rev-parse", "main"), BOT)
        told = comment.body.partition("\n")[2]
        assert told.startswith(f"{TEAM} **toy: does not pass the gate")
        assert "https://github.com/octo/models/actions/runs/5001" in told

    def test_is_in_the_evidence_with_whom_it_told(self, world: World, pushed: act.Run) -> None:
        told = act.evidence(world.machine, "pushed", "report")["findings"]["notified"]
        assert [(one["kind"], one["to"], one["is_sent"]) for one in told] == [("slack", "TEAM_CHAT_URL", True), ("mention", TEAM, True)]


class TestClosedGateOfAPullRequest:
    def test_tells_nobody(self, world: World, pushed: act.Run, proposed: act.Run) -> None:
        assert {name: proposed.results().get(name) for name in ("data", "train", "verdict")} == {
            "data": "success",
            "train": "success",
            "verdict": "failure",
        }
        report, gate = act.evidence(world.machine, "proposed", "report"), act.evidence(world.machine, "proposed", "gate")
        assert (gate["status"], report["findings"]["notified"]) == ("failed", [])
        assert len(world.chat.got) == 1
        assert len(world.github.state.commit_comments) == 1
        assert not [comment for comment in world.github.comments(1) if TEAM in comment.body]


class TestOwnReport:
    def test_is_a_comment_with_a_link_in_place_of_its_picture(self, world: World, proposed: act.Run) -> None:
        assert proposed.results()["own"] == "success"
        created = [
            exchange.body["body"] for exchange in world.github.requests if exchange.method == "POST" and "/issues/1/" in exchange.path
        ]
        [own] = [body for body in created if body.startswith("<!-- mlgate:comment.report run=5002 ")]
        link = "[loss curve (picture, left out)](<https://github.com/octo/models/actions/runs/5002>)"
        assert own.partition("\n")[2] == f"# Loss\n\n{link}\n"

    def test_is_edited_by_the_next_run_and_shows_its_picture_where_mlgate_yaml_says_so(self, world: World, again: act.Run) -> None:
        assert again.results() == {"own": "success"}
        [body] = world.own_comments()
        head = git(world.caller.clone, "rev-parse", "topic")
        pattern = rf"# Loss, again\n\n!\[loss curve\]\(https://github\.com/octo/models/blob/mlgate-assets/({head}/loss-[0-9a-f]+\.png)\?raw=true\)\n"
        shown = re.fullmatch(pattern, body)
        assert shown is not None, body
        published = subprocess.run(["git", "show", f"mlgate-assets:{shown[1]}"], cwd=world.caller.origin, capture_output=True, check=True)
        assert published.stdout == PNG

    def test_leaves_the_comment_of_the_gate_alone(self, world: World, again: act.Run) -> None:
        assert len(world.github.comments(1, BOT)) == 2


def test_the_address_of_the_chat_is_nowhere(world: World, pushed: act.Run, proposed: act.Run, again: act.Run) -> None:
    """In no log, artifact, comment or status, nor in anything that was pushed."""
    runs = world.machine.folder / "runs"
    seen = {path.relative_to(runs).as_posix(): path.read_bytes() for path in runs.glob("*/log.jsonl")}
    for run in ("pushed", "proposed", "again"):
        seen |= {f"{run}/{name}": content for name, content in act.artifacts(world.machine, run).items()}
    seen["github"] = json.dumps(world.github.dump() | {"commits": [one.body for one in world.github.state.commit_comments]}).encode()
    everything = ["git", "cat-file", "--batch-all-objects", "--batch"]
    seen["origin"] = subprocess.run(everything, cwd=world.caller.origin, capture_output=True, check=True).stdout
    assert sum(name.endswith("log.jsonl") for name in seen) == 3
    assert sum(name.endswith(".json") for name in seen) > 10
    assert [name for name, content in seen.items() if SECRET.encode() in content] == []
