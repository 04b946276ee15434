"""A closed gate of the default branch is told to whom mlgate.yaml names: over real HTTP, once, without its secret in any output."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlgate import evidence as records
from mlgate import stages
from mlgate.evidence import ReportFindings
from mlgate.notify import webhook
from mlgate.stages import report
from mlgate.workspace import Workspace
from report_cases import Evidences, better, infrastructure, worse
from support import MINIMAL_CONFIG, commit_files, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

TOKEN_IN_PATH = "T00/B00/s3cr3tw0rd"


@dataclass
class Receiver:
    """What a webhook got, and what it answers: the last of `statuses` again and again."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    location: str = ""
    delay_s: float = 0.0
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


def serve(receiver: Receiver) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.paths.append(self.path)
            receiver.got.append(json.loads(body))
            time.sleep(receiver.delay_s)
            status = receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0]
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A connection that we drop is part of what is tested."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/services/{TOKEN_IN_PATH}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    server = serve(made)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(webhook, "PAUSE_S", 0.01)


def told_by(tmp_path: Path, evidences: Evidences, notify: str, github: StandIn, **options: Any) -> tuple[list[tuple[str, str, bool]], str]:
    """The part of the report that tells: who was told, and what the summary says of it."""
    workspace = workspace_of(tmp_path, evidences, notify, github, **options)
    published = report._Published()
    found, refused = report._evidence(workspace)
    report._tell(workspace, report._view(workspace, found, refused), found, published)
    return [(one.kind, one.to, one.is_sent) for one in published.notified], "\n".join(published.said)


def workspace_of(
    tmp_path: Path,
    evidences: Evidences,
    notify: str,
    github: StandIn,
    *,
    event: str = "push",
    base_notify: str | None = None,
    attempt: int = 1,
) -> Workspace:
    """A run on GitHub with this `notify`, up to its report; `base_notify` is that of the commit before."""
    root = tmp_path / "repository"
    if not root.exists():
        make_repository(root, {"mlgate.yaml": MINIMAL_CONFIG + (notify if base_notify is None else base_notify)})
        commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG + notify, "x.txt": "2"}, "second")
    base, head = git(root, "rev-parse", "HEAD^"), git(root, "rev-parse", "HEAD")
    document: dict[str, Any] = {"repository": {"default_branch": "main"}}
    if event == "pull_request":
        document["pull_request"] = {
            "number": 7,
            "head": {"sha": head, "repo": {"full_name": "octo/models"}},
            "base": {"sha": base, "ref": "main"},
        }
        github.add_pull_request(7, head_sha=head, base_sha=base)
    (tmp_path / "event.json").write_text(json.dumps(document))
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "octo/models",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_RUN_ID": "100",
        "GITHUB_RUN_ATTEMPT": str(attempt),
        "GITHUB_REF": "refs/heads/main" if event == "push" else "refs/pull/7/merge",
        "GITHUB_SHA": head,
        "GITHUB_API_URL": github.url,
        "MLGATE_GITHUB_TOKEN": github.token,
    }
    workspace = Workspace.open(root, "mlgate.yaml", environ)
    workspace.empty_state()
    for stage, found in evidences.items():
        findings = found.findings
        if isinstance(findings, records.GateFindings) and findings.baseline is not None:
            findings = findings.model_copy(update={"baseline": findings.baseline.model_copy(update={"commit": base})})
        subject = workspace.subject(found.subject.data)
        records.write(found.model_copy(update={"subject": subject, "findings": findings}), workspace.evidence_path(stage))
    return workspace


SLACK = "notify: {webhooks: [{kind: slack, env: TEAM_CHAT}]}\n"


def test_a_closed_gate_of_the_default_branch_is_told_to_slack(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLGATE_NOTIFY_ENV", f"# of the chat\nTEAM_CHAT={receiver.url}\n")
    evidence = stages.run("report", workspace_of(tmp_path, worse(), SLACK, github))
    assert isinstance(evidence.findings, ReportFindings)
    [sent] = evidence.findings.notified
    assert (evidence.status, sent.kind, sent.to, sent.is_sent) == ("passed", "slack", "TEAM_CHAT", True)
    assert "slack webhook of TEAM_CHAT told: answered 200" in evidence.summary
    [message] = receiver.got
    assert message["text"].startswith("*digits: does not pass the gate — worse than the baseline*\naccuracy is worse by 5.8")
    assert "|report and log>" in message["text"]
    assert "on main of octo/models" in message["text"]


def test_pagerduty_gets_one_incident_for_a_model_and_branch(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLGATE_NOTIFY_ENV", "PD=0123456789abcdef0123456789abcdef")
    notify = f"notify: {{webhooks: [{{kind: pagerduty, env: PD, url: '{receiver.url}'}}]}}\n"
    told, said = told_by(tmp_path, infrastructure(), notify, github)
    assert told == [("pagerduty", "PD", True)]
    [event] = receiver.got
    assert event["routing_key"] == "0123456789abcdef0123456789abcdef"
    assert (event["event_action"], event["dedup_key"]) == ("trigger", "mlgate/octo/models/main/digits")
    assert event["payload"]["severity"] == "warning"  # a remote was down: no verdict on the model
    assert set(event["payload"]) >= {"summary", "source", "severity"}
    assert "0123456789abcdef" not in said


def test_plain_json_says_everything_there_is_to_say(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.url)
    told_by(tmp_path, worse(), "notify: {webhooks: [{kind: json, env: HOOK}]}\n", github)
    [event] = receiver.got
    assert (event["event"], event["model"], event["verdict"], event["branch"]) == ("gate-closed", "digits", "worse", "main")
    assert event["run_url"] == "https://github.com/octo/models/actions/runs/100"


def test_nobody_is_told_of_an_open_gate(tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    assert told_by(tmp_path, better(), SLACK, github)[0] == []
    assert receiver.got == []


def test_nobody_is_told_of_a_pull_request(tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    assert told_by(tmp_path, worse(), SLACK, github, event="pull_request")[0] == []
    assert receiver.got == []


def test_a_pull_request_cannot_decide_who_is_told(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    own = "notify: {when: always, mention: '@octo/everyone', webhooks: [{kind: slack, env: TEAM_CHAT}]}\n"
    assert told_by(tmp_path, worse(), own, github, event="pull_request", base_notify="")[0] == []
    assert receiver.got == []
    assert github.state.commit_comments == []


def test_where_the_base_says_always_pull_requests_are_told_too(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    base = "notify: {when: always, webhooks: [{kind: slack, env: TEAM_CHAT}]}\n"
    told, _ = told_by(tmp_path, worse(), "", github, event="pull_request", base_notify=base)
    assert told == [("slack", "TEAM_CHAT", True)]


def test_a_team_is_mentioned_once_in_a_comment_on_the_commit(tmp_path: Path, github: StandIn) -> None:
    told, _ = told_by(tmp_path, worse(), "notify: {mention: '@octo/ml-team'}\n", github)
    assert told == [("mention", "@octo/ml-team", True)]
    [comment] = github.state.commit_comments
    marker, text, *_ = comment.body.split("\n")
    assert marker.startswith("<!-- mlgate:digits run=100 ")
    assert text == "@octo/ml-team **digits: does not pass the gate — worse than the baseline**"
    told_by(tmp_path, worse(), "notify: {mention: '@octo/ml-team'}\n", github, attempt=2)  # run again: nobody is called a second time
    [again] = github.state.commit_comments
    assert (again.id, " attempt=2 " in again.body) == (comment.id, True)


def test_a_mention_that_the_token_may_not_make_is_a_remark(tmp_path: Path, github: StandIn) -> None:
    github.fail("POST", r"/commits/[0-9a-f]+/comments$", status=403, message="Resource not accessible by integration")
    told, said = told_by(tmp_path, worse(), "notify: {mention: '@octo/ml-team'}\n", github)
    assert told == [("mention", "@octo/ml-team", False)]
    assert "It needs 'contents: write'" in said


@pytest.mark.parametrize(
    ("statuses", "tries", "is_sent", "said"),
    [
        ([500, 0, 200], 3, True, "answered 200"),
        ([429, 200], 2, True, "answered 200"),
        ([503], 3, False, "answered 503, after 3 tries"),
        ([0], 3, False, "no answer"),
        ([404], 1, False, "answered 404; is the secret right?"),
    ],
)
def test_a_webhook_that_fails_is_tried_again_where_that_may_help_and_is_never_more_than_a_remark(
    tmp_path: Path,
    github: StandIn,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    statuses: list[int],
    tries: int,
    is_sent: bool,
    said: str,
) -> None:
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    receiver.statuses = statuses
    told, words = told_by(tmp_path, worse(), SLACK, github)
    assert (told, len(receiver.got)) == ([("slack", "TEAM_CHAT", is_sent)], tries)
    assert said in words
    written = "".join(path.read_text(errors="replace") for path in (tmp_path / "repository" / ".mlgate").rglob("*") if path.is_file())
    assert "s3cr3tw0rd" not in words + written + "".join(capfd.readouterr())


def test_a_webhook_that_leads_elsewhere_is_not_followed(
    tmp_path: Path, github: StandIn, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Receiver()
    server = serve(elsewhere)
    monkeypatch.setenv("TEAM_CHAT", receiver.url)
    receiver.statuses, receiver.location = [307], elsewhere.url
    told, said = told_by(tmp_path, worse(), SLACK, github)
    server.shutdown()
    server.server_close()
    assert (told, elsewhere.got) == ([("slack", "TEAM_CHAT", False)], [])
    assert "answered 307, which leads elsewhere" in said


def test_a_webhook_that_never_answers_does_not_keep_the_verdict_waiting(receiver: Receiver) -> None:
    receiver.delay_s = 5
    started = time.monotonic()
    with pytest.raises(webhook.NotSentError, match="no answer in time, after"):
        webhook.post(receiver.url, {}, patience_s=0.6)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example/s3cr3tw0rd", "not encrypted"),
        ("ftp://hooks.example/s3cr3tw0rd", "not encrypted"),
        ("s3cr3tw0rd", "no web address"),
        ("https://", "no web address"),
        ("https://a b/s3cr3tw0rd", "no web address"),
        ("https://host:port/s3cr3tw0rd", "no web address"),
        ("http://[::1/s3cr3tw0rd", "no web address"),
    ],
)
def test_a_secret_travels_encrypted_or_not_at_all(url: str, reason: str) -> None:
    with pytest.raises(webhook.NotSentError, match=reason) as caught:
        webhook.checked_url(url)
    assert "s3cr3tw0rd" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://hooks.example/x", "http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:9/x"])
def test_an_address_that_may_have_the_secret(url: str) -> None:
    assert webhook.checked_url(url) == url


def test_a_secret_that_was_not_handed_over_is_named(tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_CHAT", raising=False)
    _, said = told_by(tmp_path, worse(), SLACK, github)
    assert "slack webhook of TEAM_CHAT not told: TEAM_CHAT is not set; put TEAM_CHAT=… into the secret `notify-env`" in said


def test_a_secret_of_another_form_is_named_by_its_line(tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_NOTIFY_ENV", "https://hooks.example/s3cr3tw0rd")
    _, said = told_by(tmp_path, worse(), SLACK, github)
    assert "secret notify-env: line 1: expected KEY=value" in said
    assert "s3cr3tw0rd" not in said
