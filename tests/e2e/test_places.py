"""Everything awkward about a place at once, on a real runner: an Enterprise Server that only a proxy reaches, a machine of one's own with
what earlier runs left, blanks and letters of any alphabet in every path, Windows line endings, checkouts without history.

Three runs. What each of these does alone is told below this level, in tests/integration/places and tests/integration/doctor.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e import act, caller
from git_server import GitServer, git_server
from github_stand_in import StandIn
from integration.places.company_network import Network, company_network, folder_server
from support import GIT_IDENTITY, commit_files, git

FOLDER = "Modelle/größe 1"
NUMBER = 7
AN_HOUR_S = 3600
ARTIFACT = "mlgate-odd-verdict-1"
CONFIG = """\
model: odd
data:
  contracts: [{data: Daten/тест 1.csv, schema: Verträge/eins.yaml}]
train: {command: python "Übung 1.py", params: [params.yaml], timeout: 1m}
evaluation:
  task: classification
  predictions: vorher sagen/Prüfung 1.csv
  metrics: [accuracy]
  slices: [Ort]
gate: {rules: [{metric: accuracy, min: 0.5}, {metric: accuracy, margin: 0.02}]}
store: git
"""
CONTRACT = "columns:\n  größe: {dtype: int64, checks: {greater_than: 0}}\n"
TRAIN = """\
import pathlib, re
errors = int(re.search(r"errors: (\\d+)", pathlib.Path("params.yaml").read_text())[1])
rows = [f"{n},{n % 2},{n % 2 if n >= errors else 1 - n % 2},{'Süd Ost' if n % 4 < 2 else 'нет'}" for n in range(400)]
pathlib.Path("vorher sagen").mkdir(exist_ok=True)
with open("vorher sagen/Prüfung 1.csv", "w", newline="\\r\\n", encoding="utf-8") as stream:
    stream.write("id,y,y_pred,Ort\\n" + "\\n".join(rows) + "\\n")
"""
FORGETFUL = """\
on: pull_request
permissions: {}
jobs:
  verdict:
    runs-on: [self-hosted]
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {fetch-depth: 0, persist-credentials: false, clean: false}
      - uses: mlgate/mlgate@v0.1.0
        with: {working-directory: Modelle/größe 1}
"""


@dataclass
class World:
    """A company's server, its proxy, its machine, and a repository there."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    host: GitServer
    network: Network
    leftovers: Path
    """What the machine's workspace holds when a job begins."""
    pull: caller.PullRequest
    reports: list[str] = field(default_factory=list)
    """What the comment said after each run of the pull request."""

    def run(self, name: str, workflow: str, event_name: str, sha: str, run_id: int) -> act.Run:
        ref = f"refs/pull/{NUMBER}/merge" if event_name == "pull_request" else "refs/heads/main"
        given = caller.environment(
            "https://github.example/octo/models",
            self.github,
            sha=sha,
            ref=ref,
            run_id=run_id,
            GITHUB_API_URL="https://github.example/api/v3",
            GITHUB_SERVER_URL="https://github.example",
            E2E_LEFTOVERS=str(self.leftovers),
            HTTPS_PROXY=self.network.proxy,
            HTTP_PROXY=self.network.proxy,
            NO_PROXY="127.0.0.1,localhost",
            REQUESTS_CA_BUNDLE=str(self.network.authority),
            GIT_SSL_CAINFO=str(self.network.authority),  # the checkout's, which is no part of mlgate
        )
        del given["MLGATE_STORE_URL"]  # it is where the repository is
        finished = act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=f".github/workflows/{workflow}",
            event_name=event_name,
            event=caller.pull_request_event(self.pull) if event_name == "pull_request" else caller.dispatch_event(),
            env=given,
            secrets={"GITHUB_TOKEN": self.github.token, "MLGATE_ENV": ""},
            name=name,
        )
        self.reports += [comment.body for comment in self.github.comments(NUMBER, "github-actions[bot]")]
        return finished


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A first model on main, trained and recorded by its author; and a better one in a pull request."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "www/octo").mkdir(parents=True)
    (folder / "data").mkdir()
    clone, origin = caller.empty_repository(folder)
    origin.rename(folder / "www/octo/models")
    (folder / "origin.git").symlink_to(folder / "www/octo/models")  # of the author, who needs no network
    made = caller.Caller(clone, folder / "www/octo/models")
    _write(made, folder / "data")
    leftovers = _trained_by_the_author(made, folder / "leftovers")
    with (
        StandIn(caller.REPOSITORY, prefix="/api/v3") as github,
        git_server(folder / "www", github.token, is_public=True) as host,
        folder_server(folder / "data") as data,
    ):
        api = int(github.url.split(":")[2].partition("/")[0])
        servers = {"github.example": {"/api/": api, "": host.server_port}, "data.example": data}
        with company_network(folder, servers) as network:
            made.push("feature", {f"{FOLDER}/params.yaml": "errors: 10\r\n"}, "better")
            pull = made.pull_request(NUMBER, "feature")
            github.add_pull_request(NUMBER, head_sha=pull.head, base_sha=pull.base)
            machine = act.Machine.prepare(folder)
            mirrored = machine.product / "action.yml"
            mirrored.write_text(_for_enterprise_server(mirrored.read_text()))
            yield World(machine, made, github, host, network, leftovers, pull)
        assert github.violations == []


def _write(made: caller.Caller, remote: Path) -> None:
    """The repository as it is pushed from Windows; data on a web server of the company."""
    root = made.clone / FOLDER
    caller.dvc(made.clone, "init", "--quiet")
    texts = {"mlgate.yaml": CONFIG, "Verträge/eins.yaml": CONTRACT, "Übung 1.py": TRAIN, "params.yaml": "errors: 40\n"}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.replace("\n", "\r\n").encode())
    (root / "Daten").mkdir()
    (root / "Daten/тест 1.csv").write_bytes("größe\r\n1\r\n2\r\n".encode())
    caller.dvc(root, "add", "--quiet", "Daten/тест 1.csv")
    caller.dvc(made.clone, "remote", "add", "--local", "--default", "author", str(remote))
    caller.dvc(made.clone, "push", "--quiet")
    caller.dvc(made.clone, "remote", "add", "--default", "company", "https://data.example")
    template = _for_enterprise_server((act.ROOT / "templates/workflows/pull-request-self-hosted-gpu.yml").read_text())
    workflow = re.sub(r"( +)(stages: .*\n)", rf"\1\2\1working-directory: {FOLDER}\n", template)
    workflow = workflow.replace("path: .mlgate/", f"path: {FOLDER}/.mlgate/")
    workflow = workflow.replace("fetch-depth: 0", "fetch-depth: 1").replace("pip install -r requirements.txt", "python --version")
    doctor = (act.ROOT / "templates/workflows/mlgate-doctor.yml").read_text()
    files = {
        ".gitignore": "vorher sagen/\n",
        ".github/workflows/mlgate.yml": workflow,
        ".github/workflows/mlgate-doctor.yml": doctor.replace("# working-directory: models/digits", f"working-directory: {FOLDER}"),
        ".github/workflows/forgetful.yml": FORGETFUL,
    }
    commit_files(made.clone, files, "from Windows")
    git(made.clone, "push", "--quiet", "origin", "main")


def _for_enterprise_server(text: str) -> str:
    """A workflow or action as docs/ghes.md says to change it: artifact actions of version 3, downloads without a pattern."""
    text = re.sub(r"(actions/(?:upload|download)-artifact)@[0-9a-f]{40}.*", r"\1@v3", text)
    return re.sub(r"\n +pattern: mlgate-.*", "", text)


def _trained_by_the_author(made: caller.Caller, kept: Path) -> Path:
    """Record main's model, as its author may on a laptop, and put what that left where a runner's workspace will be, an hour old."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    environ |= {"PATH": f"{Path(sys.executable).parent}:{environ['PATH']}", **GIT_IDENTITY}
    for command in (["Übung 1.py"], ["-m", "mlgate.cli", "run", "evaluate", "gate", "report"]):
        called = [sys.executable, *command]
        ended = subprocess.run(called, cwd=made.clone / FOLDER, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    shutil.rmtree(made.clone / ".dvc/cache")
    (made.clone / FOLDER / "Daten/тест 1.csv").unlink()
    for name in (".mlgate", "vorher sagen"):
        shutil.move(made.clone / FOLDER / name, kept / FOLDER / name)
    for path in kept.rglob("*"):
        os.utime(path, (time.time() - AN_HOUR_S,) * 2)
    return kept


@pytest.fixture(scope="module")
def judged(world: World) -> act.Run:
    """The pull request, through all jobs of the template for machines of one's own."""
    return world.run("judged", "mlgate.yml", "pull_request", world.pull.merge, 500)


@pytest.fixture(scope="module")
def forgotten(world: World, judged: act.Run) -> act.Run:
    """The same pull request in a job that trains nothing, on a machine that still has predictions of an hour ago."""
    return world.run("forgotten", "forgetful.yml", "pull_request", world.pull.merge, 501)


@pytest.fixture(scope="module")
def examined(world: World) -> act.Run:
    """The doctor, as its template lets it look around on the machine."""
    main = git(world.caller.clone, "rev-parse", "main")
    return world.run("examined", "mlgate-doctor.yml", "workflow_dispatch", main, 502)


class TestPullRequest:
    def test_goes_all_the_way(self, world: World, judged: act.Run) -> None:
        assert judged.results() == {"data": "success", "train": "success", "verdict": "success"}
        assert world.github.statuses(world.pull.head)[0].state == "success"

    def test_is_compared_with_the_baseline_although_the_checkouts_have_one_commit(self, world: World, judged: act.Run) -> None:
        for job in ("train", "verdict"):
            assert "fetched the history that this shallow checkout lacked" in judged.jobs[job].log
        baseline = act.evidence(world.machine, "judged", "gate", ARTIFACT)["findings"]["baseline"]
        assert (baseline["source"], baseline["commit"]) == ("store", git(world.caller.clone, "rev-parse", "main"))

    def test_is_judged_by_what_it_trained_and_not_by_what_lay_there(self, world: World, judged: act.Run) -> None:
        accuracy = act.evidence(world.machine, "judged", "gate", ARTIFACT)["findings"]["comparisons"][0]
        assert (accuracy["metric"], accuracy["baseline"], accuracy["candidate"]) == ("accuracy", 0.9, 0.975)
        left = {path.relative_to(world.leftovers / FOLDER / ".mlgate/odd").as_posix() for path in world.leftovers.rglob("gate.json")}
        assert left == {"evidence/gate.json"}, "there was something to be misled by"
        of_data = {name for name in act.artifacts(world.machine, "judged") if name.startswith("mlgate-odd-data-1/")}
        assert of_data == {f"mlgate-odd-data-1/evidence/{stage}.json" for stage in ("check", "pull-data", "validate-data")}

    def test_names_and_values_have_their_letters_and_no_line_ending(self, world: World, judged: act.Run) -> None:
        gate = act.evidence(world.machine, "judged", "gate", ARTIFACT)["findings"]
        assert {(row["column"], row["value"]) for row in gate["slices"]} == {("Ort", "Süd Ost"), ("Ort", "нет")}
        assert [(change["kind"], change["name"], change["old"], change["new"]) for change in gate["changes"]] == [
            ("parameter", "errors", "40", "10")
        ]
        contracts = act.evidence(world.machine, "judged", "validate-data", ARTIFACT)["findings"]["contracts"]
        assert [(one["data"], one["rows"], one["is_passed"]) for one in contracts] == [("Daten/тест 1.csv", 2, True)]

    def test_links_lead_to_the_companys_server(self, world: World, judged: act.Run) -> None:
        body = world.reports[0]
        assert "better than `main`" in body
        assert "Süd Ost" in body
        assert "https://github.example/octo/models/" in body
        assert "github.com" not in body


class TestLeftovers:
    def test_predictions_of_an_earlier_run_are_refused(self, world: World, forgotten: act.Run) -> None:
        assert forgotten.results() == {"verdict": "failure"}
        refusal = "vorher sagen/Prüfung 1.csv: written before this job began, so it is left over from an earlier run"
        assert f"{refusal}; does a step of this job write it?" in forgotten.jobs["verdict"].log
        [comment] = world.github.comments(NUMBER, "github-actions[bot]")
        assert "cannot be merged yet" in comment.body
        assert refusal in comment.body
        assert world.github.statuses(world.pull.head)[-1].state == "error"


class TestDoctor:
    def test_finds_what_is_wrong_and_says_what_to_do(self, examined: act.Run) -> None:
        assert examined.results() == {"doctor": "failure"}
        problems = [line.strip() for line in examined.jobs["doctor"].lines if line.startswith("  ✗ ")]
        advice = "checks out without history, so there is no commit to compare with → give actions/checkout fetch-depth: 0"
        workflow = "✗ .github/workflows/mlgate.yml"
        assert problems[1:] == [f"{workflow}: job '{job}': {advice}" for job in ("data", "train", "verdict")]
        assert problems[0].startswith("✗ .github/workflows/forgetful.yml: job 'verdict': lacks permissions → add ")
        assert "4 problems and 3 warnings: mend what is marked ✗." in examined.jobs["doctor"].lines

    @pytest.mark.parametrize(
        "line",
        [
            "  ✓ mlgate.yaml: model odd",
            "  ✓ contract Verträge/eins.yaml: 1 column",
            "  ✓ origin https://github.example/octo/models answers",
            "  ✓ store (Git ref refs/mlgate/odd of https://github.example/octo/models): 1 evaluation recorded",
            "  ✓ remote 'company' (https://data.example) answers; all 1 file of 1 output are there",
            '  ✓ train.command: python "Übung 1.py"',
            "  ✓ MLGATE_GITHUB_TOKEN sees octo/models (private, default branch main)",
        ],
    )
    def test_sees_the_company_as_a_run_would(self, examined: act.Run, line: str) -> None:
        assert line in examined.jobs["doctor"].lines


def test_nothing_went_past_the_proxy(world: World, judged: act.Run, examined: act.Run) -> None:
    assert set(world.network.seen) == {"CONNECT github.example:443", "CONNECT data.example:443"}
    wrote = [headers for headers in world.host.seen if headers]
    assert wrote, "the token was for the server of the company"


def test_neither_the_token_nor_the_proxys_password_is_shown(world: World, judged: act.Run, forgotten: act.Run, examined: act.Run) -> None:
    seen = {run: (world.machine.folder / "runs" / run / "log.jsonl").read_bytes() for run in ("judged", "forgotten", "examined")}
    for run in ("judged", "forgotten"):
        seen |= {f"{run}/{name}": content for name, content in act.artifacts(world.machine, run).items()}
    seen["comments"] = "".join([*world.reports, *(comment.body for comment in world.github.comments(NUMBER))]).encode()
    assert len(seen) > 20
    secrets = (world.github.token.encode(), world.network.password.encode())
    assert [name for name, content in seen.items() if any(secret in content for secret in secrets)] == []
