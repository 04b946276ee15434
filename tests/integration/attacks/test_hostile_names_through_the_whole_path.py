"""A pull request whose every name and value is an attack: from `mlgate run` on a runner to what GitHub, the log and a reader get of it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from github_stand_in import StandIn
from mlgate import cli
from support import MINIMAL_CONFIG, commit_files, git, make_repository

GOLDEN = Path(__file__).parent / "golden"
NUMBER = 7
LONG = "A" * 10_000_000
RUNS = "$(touch pwned)`touch pwned`;touch pwned;'\"\\"
LOOKS = "@octocat #1 <img src=x onerror=alert(1)> [l](http://evil.example) |x| **b** ~~s~~ :tada: </details> {{7*7}} ${{ github.token }}"
MOVES = "\x1b[31mred\x1b]0;title\x07 \u202egnp\u2066 zero\u200bwidth\ufeff"
COMMANDS = "\n::error::owned\n::stop-commands::x\n##[add-mask]y\n%0A::set-output name=status::passed"
EVIL = f"{RUNS} {LOOKS} {MOVES} {COMMANDS}"
LABEL = f"{RUNS} @octocat <b>x</b> |x| \x1b[31m\u202egnp{COMMANDS}"
"""As EVIL, in 200 characters: no label or metric has more."""
# What Git takes for a name of a branch, and a file system for one of a file.
BRANCH = "x;$(touch${IFS}pwned)`touch${IFS}pwned`<img/src=x>@octocat|#1&'\"%0A\u202egnp"
FILE = "$(touch pwned)`touch pwned` @octocat <img src=x> |x|\n::error::owned\n##[error]owned \x1b[31m \u202e.txt"
DATES = {"GIT_AUTHOR_DATE": "2026-11-21T09:30:00Z", "GIT_COMMITTER_DATE": "2026-11-21T09:30:00Z"}

CONFIG = {
    "model": "digits",
    "data": {"contracts": [{"data": "data.csv", "schema": "contract.yaml"}]},
    "train": {"command": "python train.py", "params": ["params.json"]},
    "evaluation": {
        "task": "classification",
        "predictions": "p.csv",
        "metrics": ["accuracy"],
        "metrics_files": ["m.json"],
        "columns": {"id": f"id {EVIL}", "target": f"y {EVIL}", "prediction": f"p {EVIL}"},
        "slices": [f"slice {EVIL}"],
    },
    "gate": {"rules": [{"metric": "accuracy", "margin": 0.1}]},
    "report": {"examples": True, "title": f"title {EVIL}"},
}
TRAIN = "import shutil; shutil.copy('made.csv', 'p.csv'); shutil.copy('made.json', 'm.json')\n"


def predictions(wrong: int) -> str:
    """100 rows of two hostile classes in three hostile slices."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([f"id {EVIL}", f"y {EVIL}", f"p {EVIL}", f"slice {EVIL}"])
    for index in range(100):
        target = index % 2
        rows.writerow([
            f"{index} {EVIL}",
            f"class {target} {LABEL}",
            f"class {target ^ (index < wrong)} {LABEL}",
            f"{index % 3} {LABEL}",
        ])  # fmt: skip
    return text.getvalue()


@dataclass
class Runner:
    """A clone on a runner, and GitHub."""

    root: Path
    github: StandIn

    def mlgate(self, *arguments: str, event: str) -> tuple[subprocess.CompletedProcess[str], float]:
        """One command as a step; how it ended and how long it took, in seconds."""
        head = git(self.root, "rev-parse", "HEAD")
        document: dict[str, object] = {"repository": {"default_branch": "main"}}
        if event == "pull_request":
            document["pull_request"] = {
                "number": NUMBER,
                "title": EVIL,
                "head": {"sha": head, "ref": BRANCH, "repo": {"full_name": "octo/models"}},
                "base": {"sha": git(self.root, "rev-parse", "main"), "ref": BRANCH},
            }
        out = self.root.parent / "out"
        out.mkdir(exist_ok=True)
        (out / "event.json").write_text(json.dumps(document))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_", "GIT_"))}
        environ = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(out / "event.json"),
            "GITHUB_REF": "refs/heads/main" if event == "push" else f"refs/pull/{NUMBER}/merge",
            "GITHUB_HEAD_REF": BRANCH,
            "GITHUB_ACTOR": f"octocat {LOOKS}",
            "GITHUB_SHA": head,
            "GITHUB_RUN_ID": "5",
            "RUNNER_TOOL_CACHE": str(self.root.parent / "tools"),  # what a machine keeps, of no earlier test
            "GITHUB_API_URL": self.github.url,
            "GITHUB_STEP_SUMMARY": str(out / f"{event}.md"),
            "GITHUB_OUTPUT": str(out / f"{event}.outputs"),
            "MLGATE_GITHUB_TOKEN": self.github.token,
        }
        started = time.monotonic()
        command = [sys.executable, "-m", "mlgate.cli", *arguments]
        done = subprocess.run(command, cwd=self.root, env=environ, capture_output=True, text=True, check=False, timeout=120)
        return done, time.monotonic() - started

    def is_owned(self) -> list[Path]:
        """Files that only a name which was executed can have made."""
        return [path for path in self.root.parent.rglob("pwned") if path.is_file()]


@dataclass
class Judged:
    runner: Runner
    done: subprocess.CompletedProcess[str]
    duration_s: float
    log: list[str]
    comment: str
    summary: str
    report: str
    page: str


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch, StandIn() as github:
        for name, value in DATES.items():
            patch.setenv(name, value)
        runner = Runner(folder / "clone", github)
        runner.root.mkdir()
        git(runner.root, "init", "--quiet", "--initial-branch=main")
        files = {
            "mlgate.yaml": json.dumps({**CONFIG, "store": str(folder / "store")}),
            "contract.yaml": json.dumps({"columns": {f"column {EVIL}": {"dtype": "int64"}}}),
            "data.csv": column_of([f"column {EVIL}", "1"]),
            "train.py": TRAIN,
            "params.json": json.dumps({f"key {EVIL}": f"old {EVIL}", "long": "short"}),
            "made.csv": predictions(4),
            "made.json": json.dumps({f"metric {LABEL}": 0.5}),
            ".gitignore": ".mlgate\np.csv\nm.json\n",
        }
        commit_files(runner.root, files, "first")
        first, _ = runner.mlgate("run", event="push")
        assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]

        git(runner.root, "checkout", "--quiet", "-b", BRANCH)
        patch.setenv("GIT_AUTHOR_NAME", f"octocat {RUNS} @octocat \u202egnp")
        changes = {
            "params.json": json.dumps({f"key {EVIL}": f"new {EVIL}", "long": LONG[:900_000], f"added {EVIL}": True}),
            "made.csv": predictions(2),
            FILE: "x",
        }
        (folder / "message").write_text(f"{EVIL}\n{LONG}")
        head = commit_files(runner.root, changes, "second")
        git(runner.root, "commit", "--quiet", "--amend", "-F", str(folder / "message"))
        head = git(runner.root, "rev-parse", "HEAD")
        github.add_pull_request(NUMBER, head_sha=head, base_sha=git(runner.root, "rev-parse", "main"))
        done, duration_s = runner.mlgate("run", event="pull_request")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        [comment] = github.comments(NUMBER)
        state = runner.root / ".mlgate/digits"
        yield Judged(
            runner=runner,
            done=done,
            duration_s=duration_s,
            log=[*done.stdout.split("\n"), *done.stderr.split("\n")],
            comment=comment.body,
            summary=(folder / "out/pull_request.md").read_text(),
            report=(state / "report.md").read_text(),
            page=(state / "report.html").read_text(),
        )
        assert github.violations == []


def column_of(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([[cell] for cell in cells])
    return text.getvalue()


def test_nothing_that_a_name_asks_for_is_executed(judged: Judged) -> None:
    assert judged.runner.is_owned() == []
    refused, _ = judged.runner.mlgate("setup", event="push")
    assert refused.returncode == 0
    assert judged.runner.is_owned() == []


def test_no_line_of_the_log_is_a_command_but_our_own(judged: Judged) -> None:
    commands = [line for line in judged.log if line.lstrip().startswith("::")]
    folds = [line for line in commands if "group" in line]
    assert folds == ["::group::training", "::endgroup::"]
    assert [line for line in commands if not re.match(r"::(error|warning|notice) [^:]*title=mlgate [a-z-]+::", line)] == folds
    assert [line for line in judged.log if "##[" in line] == []
    assert not set("".join(judged.log)) & set("\x1b\x07\r\u202e\u2066\u200b\ufeff")


def test_step_outputs_are_those_that_mlgate_names(judged: Judged) -> None:
    lines = (judged.runner.root.parent / "out/pull_request.outputs").read_text().split("\n")
    assert [line.partition("=")[0] for line in lines if line] == ["status", "verdict", "evidence"]


@pytest.mark.parametrize("place", ["comment", "summary", "report"])
def test_markdown_holds_text_and_nothing_else(judged: Judged, place: str) -> None:
    text = getattr(judged, place)
    ours = re.compile(r"<(?:br|/?sub|/?details|/?summary|/?code)>|<!-- mlgate:digits [^>]*-->")
    raw, links, outside = [], set(), []
    for block in MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text):
        raw += [block.content] if block.type == "html_block" else []
        for token in block.children or []:
            raw += [token.content] if token.type == "html_inline" else []
            links |= {token.attrGet("href")} if token.type == "link_open" else set()
            outside += [token.content] if token.type == "text" else []
    assert [piece for piece in raw if "<" in ours.sub("", re.sub(r"<code>[^<]*</code>", "", piece))] == []
    assert {str(link).partition("/octo/models")[0] for link in links} <= {"https://github.com"}
    assert [piece for piece in outside if re.search(r"@\w|(^|\s)#\d|http://|:tada:", piece)] == []
    assert not set(text) & set("\x1b\x07\r\u202e\u2066\u200b\ufeff")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert all(not line.lstrip("| ").startswith("::") for line in rows)


def test_the_page_runs_nothing_of_it(judged: Judged) -> None:
    assert not re.search(r"<img|onerror=[^&\"]*alert\(1\)>|javascript:", judged.page)
    assert not set(judged.page) & set("\x1b\x07\u202e\u2066\u200b\ufeff")


def test_ten_megabytes_are_cut_where_they_are_shown_and_do_not_take_long(judged: Judged) -> None:
    assert judged.duration_s < 60
    assert len(judged.comment) <= 65_536
    assert len(judged.summary) < 1_000_000
    assert len(judged.done.stdout) + len(judged.done.stderr) < 100_000
    for path in (judged.runner.root / ".mlgate/digits").rglob("*.json"):
        assert path.stat().st_size < 5_000_000, path


@pytest.mark.parametrize(
    "text",
    [
        f"id,y,y_pred\n1,{LONG},b\n",
        f"id,y,y_pred,{LONG}\n1,a,b,c\n",
        f"id,y,{LONG}\n1,a,b\n",
        f"id,y,y_pred\n1,\x1b[31m{EVIL[:20]}\n::error::{LONG},b\n",
    ],
    ids=["label", "column", "missing column", "label of many lines"],
)
def test_ten_megabytes_in_a_file_of_predictions_are_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLGATE_"))]:
        monkeypatch.delenv(name)
    config = MINIMAL_CONFIG.replace("eval/predictions.csv", "p.csv")
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config, "p.csv": text})
    started = time.monotonic()
    code = cli.main(["evaluate", "-C", str(root)])
    printed = capsys.readouterr()
    assert code in (0, 2)
    assert len(printed.out + printed.err) < 5_000
    assert "\x1b" not in printed.out
    assert (root / ".mlgate/digits/evidence/evaluate.json").stat().st_size < 50_000
    assert time.monotonic() - started < 20


def test_it_all_reads_as_it_was_reviewed(judged: Judged) -> None:
    """MLGATE_UPDATE_GOLDEN=1 writes the files anew; the difference is then for a person to read."""
    shown = {"hostile-comment.md": judged.comment, "hostile-log.txt": judged.done.stdout}
    for name, text in shown.items():
        settled = _settled(text, judged.runner)
        path = GOLDEN / name
        if os.environ.get("MLGATE_UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(settled)
        assert settled == path.read_text()


def _settled(text: str, runner: Runner) -> str:
    """Without what differs from run to run: places, ports, durations, hashes."""
    text = text.replace(str(runner.root), "CLONE").replace(runner.github.url, "GITHUB")
    text = text.replace(str(runner.root.parent), "RUNNER")
    text = re.sub(r'y-axis "s" .*\n    bar .*', "BARS", text)
    text = re.sub(r"started \d{4}-\d\d-\d\d \d\d:\d\d UTC", "started WHEN", text)
    text = re.sub(r"\b[0-9a-f]{7,64}\b", "HASH", text)
    return re.sub(r"\b\d+(?:\.\d+)?([ \u00a0])(?:s|ms|min|kB|MB)\b", r"N\1s", text)
