"""`mlgate comment`: what `cml comment update` did, for any Markdown: one comment, edited in place, whatever its length and pictures."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlgate import cli
from mlgate import evidence as records
from mlgate.errors import InfrastructureError, InputError
from mlgate.stages import report
from mlgate.stages.reporting import own_comment
from mlgate.store.assets import BRANCH
from mlgate.workspace import Workspace
from report_cases import better
from support import MINIMAL_CONFIG, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
BOT = "github-actions[bot]"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", {"report.md": "# Results\n\nThanks, @ada\n"})


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the assets branch goes."""
    path = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True)
    monkeypatch.setenv("MLGATE_ASSETS_URL", str(path))
    return path


def environ(root: Path, github: StandIn, tmp_path: Path, *, event: str = "pull_request", run_id: int = 100, **more: str) -> dict[str, str]:
    head = git(root, "rev-parse", "HEAD")
    document: dict[str, Any] = {"repository": {"default_branch": "main"}}
    if event == "pull_request":
        document["pull_request"] = {"number": 7, "head": {"sha": head, "repo": {"full_name": "octo/models"}}, "base": {"ref": "main"}}
        github.add_pull_request(7, head_sha=head)
    (tmp_path / "event.json").write_text(json.dumps(document))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "octo/models",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_RUN_ID": str(run_id),
        "GITHUB_SHA": head,
        "GITHUB_API_URL": github.url,
        "MLGATE_GITHUB_TOKEN": github.token,
        **more,
    }


def post(root: Path, given: dict[str, str], file: str = "report.md", **options: str) -> own_comment.Commented:
    return own_comment.run(root, file, **{"marker": "report", "pull_request": "", "pictures": "", **options}, environ=given)


def bodies(github: StandIn) -> list[str]:
    return [one.body.partition("\n")[2] for one in github.comments(7, BOT)]


def test_a_file_is_posted_once_and_edited_by_later_runs_word_for_word(root: Path, github: StandIn, tmp_path: Path) -> None:
    first = post(root, environ(root, github, tmp_path))
    (root / "report.md").write_text("# Other results\n")
    second = post(root, environ(root, github, tmp_path, run_id=101))
    assert (first.action, second.action, first.url) == ("created", "updated", second.url)
    assert bodies(github) == ["# Other results\n"]


def test_a_mention_in_a_file_of_the_users_own_is_kept(root: Path, github: StandIn, tmp_path: Path) -> None:
    post(root, environ(root, github, tmp_path))
    assert "Thanks, @ada" in bodies(github)[0]


def test_markers_tell_comments_apart(root: Path, github: StandIn, tmp_path: Path) -> None:
    for marker in ("gpu", "cpu", "gpu"):
        post(root, environ(root, github, tmp_path), marker=marker)
    assert len(bodies(github)) == 2


def test_a_push_comments_on_the_open_pull_request_of_its_commit(root: Path, github: StandIn, tmp_path: Path) -> None:
    github.add_pull_request(7, head_sha=git(root, "rev-parse", "HEAD"))
    assert post(root, environ(root, github, tmp_path, event="push")).action == "created"
    assert len(bodies(github)) == 1


def test_a_push_without_a_pull_request_comments_on_the_commit(root: Path, github: StandIn, tmp_path: Path) -> None:
    done = post(root, environ(root, github, tmp_path, event="push"))
    assert done.lines[0].startswith("no open pull request has this commit; comment on the commit: https://github.com/octo/models/commit/")
    [found] = github.state.commit_comments
    assert found.body.endswith("Thanks, @ada\n")


def test_a_pull_request_can_be_named_from_another_commits_run(root: Path, github: StandIn, tmp_path: Path) -> None:
    github.add_pull_request(7, head_sha="f" * 40)
    assert post(root, environ(root, github, tmp_path, event="workflow_dispatch"), pull_request="7").action == "created"


def test_a_file_that_is_too_long_is_cut_and_whole_in_the_summary(root: Path, github: StandIn, tmp_path: Path) -> None:
    (root / "report.md").write_text("```text\n" + "é" * 79 + "\n" + "x" * 70_000 + "\n```\n" + "line\n" * 20_000)
    summary = tmp_path / "summary.md"
    done = post(root, environ(root, github, tmp_path, GITHUB_STEP_SUMMARY=str(summary)))
    [body] = bodies(github)
    assert len(body) < 65_536
    assert body.count("```") == 2
    assert "All of it is in [the run](<https://github.com/octo/models/actions/runs/100>)." in body
    assert any(line.startswith("cut: ") for line in done.lines)
    assert len(summary.read_text()) > 170_000


def test_pictures_are_pushed_to_the_assets_branch_where_that_is_wanted(root: Path, origin: Path, github: StandIn, tmp_path: Path) -> None:
    (root / "plots").mkdir()
    (root / "plots/my loss.png").write_bytes(PNG)
    (root / "report.md").write_text('![loss curve](<plots/my loss.png> "Loss")\n\n<img src="plots/my%20loss.png" width="300">\n')
    done = post(root, environ(root, github, tmp_path), pictures="branch")
    head = git(root, "rev-parse", "HEAD")
    listed = [name for name in git(origin, "ls-tree", "-r", "--name-only", BRANCH).split("\n") if name.startswith(head)]
    assert len(listed) == 1
    assert listed[0].startswith(f"{head}/my-loss-")
    url = f"https://github.com/octo/models/blob/{BRANCH}/{listed[0]}?raw=true"
    assert bodies(github) == [f'![loss curve]({url} "Loss")\n\n<img src="{url}" width="300">\n']
    assert done.lines == [f"comment created: {done.url}"]


def test_pictures_are_named_with_a_link_where_nothing_else_is_wanted(root: Path, github: StandIn, tmp_path: Path) -> None:
    (root / "loss.png").write_bytes(PNG)
    (root / "report.md").write_text("![loss](loss.png) and ![remote](https://example.org/x.png)\n")
    done = post(root, environ(root, github, tmp_path))
    assert bodies(github) == [
        "[loss (picture, left out)](<https://github.com/octo/models/actions/runs/100>) and ![remote](https://example.org/x.png)\n"
    ]
    assert done.lines[1] == "1 picture left out, with a link to the run; '--pictures branch' shows it"


def test_a_picture_embedded_in_the_file_is_pushed_too(root: Path, origin: Path, github: StandIn, tmp_path: Path) -> None:
    """As DVCLive writes them; GitHub shows no `data:` address."""
    encoded = base64.b64encode(PNG).decode()
    (root / "report.md").write_text(f"![loss](data:image/png;base64,{encoded})\n![x](data:image/png;base64,{encoded[8:]})\n")
    done = post(root, environ(root, github, tmp_path), pictures="branch")
    [body] = bodies(github)
    assert "data:" not in body
    assert body.count(f"/blob/{BRANCH}/") == 1
    assert "[x (picture, left out)]" in body
    assert done.lines[1].startswith("an embedded picture is left out")


def test_mlgate_yaml_may_say_how_pictures_are_shown(root: Path, origin: Path, github: StandIn, tmp_path: Path) -> None:
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + "report: {plots: branch}\n")
    (root / "loss.png").write_bytes(PNG)
    (root / "report.md").write_text("![loss](loss.png)\n")
    post(root, environ(root, github, tmp_path))
    assert f"/blob/{BRANCH}/" in bodies(github)[0]


def test_a_branch_that_may_not_be_written_leaves_a_comment_without_pictures(
    root: Path, origin: Path, github: StandIn, tmp_path: Path
) -> None:
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (root / "loss.png").write_bytes(PNG)
    (root / "report.md").write_text("![loss](loss.png)\n")
    done = post(root, environ(root, github, tmp_path), pictures="branch")
    assert bodies(github) == ["[loss (picture, left out)](<https://github.com/octo/models/actions/runs/100>)\n"]
    assert done.lines[1].startswith("pictures left out: ")


def test_nothing_but_a_picture_below_the_working_directory_leaves_the_machine(
    root: Path, origin: Path, github: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "outside.png").write_bytes(PNG)
    (root / "key.png").write_text("-----BEGIN PRIVATE KEY-----")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    names = ["../outside.png", "key.png", "link.png", "absent.png", ".git/config", str(tmp_path / "outside.png"), "%00.png"]
    (root / "report.md").write_text("".join(f"![x](<{name}>)\n" for name in names))
    done = post(root, environ(root, github, tmp_path), pictures="branch")
    assert sum("left out; expected a picture" in line for line in done.lines) == len(names)
    assert git(origin, "for-each-ref") == ""


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"\xff\xfe", {}, "report.md: not UTF-8 text at byte 0"),
        (b"  \n", {}, "report.md: empty"),
        (b"a\0b", {}, "report.md: holds a NUL byte"),
        (b"x", {"file": "absent.md"}, "absent.md: no such file"),
        (b"x", {"file": "."}, r"\.: cannot be read"),
        (b"x", {"marker": "a b"}, "--marker: expected letters"),
        (b"x", {"pull_request": "seven"}, "--pull-request: expected its number"),
        (b"x", {"pictures": "imgur"}, "--pictures: expected 'branch' or 'link'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_posted(
    root: Path, github: StandIn, tmp_path: Path, content: bytes, options: dict[str, str], message: str
) -> None:
    (root / "report.md").write_bytes(content)
    with pytest.raises(InputError, match=message):
        post(root, environ(root, github, tmp_path), **options)
    assert github.requests == []


def test_outside_a_workflow_there_is_nothing_to_comment_on(root: Path) -> None:
    with pytest.raises(InputError, match="outside a GitHub workflow"):
        post(root, {})


def test_a_forks_file_goes_to_the_summary(root: Path, github: StandIn, tmp_path: Path) -> None:
    given = environ(root, github, tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    event = json.loads((tmp_path / "event.json").read_text())
    event["pull_request"]["head"]["repo"]["full_name"] = "mallory/models"
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert post(root, given).action == "none"
    assert (tmp_path / "summary.md").read_text().startswith("# Results")
    assert github.requests == []


def test_a_token_that_may_not_comment_is_told_what_it_needs(root: Path, github: StandIn, tmp_path: Path) -> None:
    token = github.add_token("reader", permissions={"pull-requests": "read"}).value
    with pytest.raises(InfrastructureError, match="pull-requests: write"):
        post(root, environ(root, github, tmp_path, MLGATE_GITHUB_TOKEN=token))


def test_the_command_prints_where_the_comment_is(
    root: Path, github: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environ(root, github, tmp_path, GITHUB_OUTPUT=str(tmp_path / "output")).items():
        monkeypatch.setenv(name, value)
    assert cli.main(["comment", "report.md", "-C", str(root)]) == 0
    assert capsys.readouterr().out.startswith("✓ comment created: https://github.com/octo/models/pull/7#issuecomment-")
    assert "action=created" in (tmp_path / "output").read_text()
    assert cli.main(["comment", "-C", str(root)]) == 2
    # As actions/comment hands its inputs over; empty ones are as good as none.
    given = {
        "FILE": "report.md",
        "MARKER": "own",
        "PICTURES": "",
        "PULL_REQUEST": "",
        "WORKING_DIRECTORY": str(root),
        "CONFIG": "mlgate.yaml",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"MLGATE_{name}", value)
    assert cli.main(["comment"]) == 0
    assert "<!-- mlgate:comment.own run=100" in github.comments(7, BOT)[-1].body


# --- pictures of the report itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_writable", [True, False])
def test_the_report_shows_its_plots_from_the_branch_or_as_text(
    root: Path, origin: Path, github: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_writable: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + "report: {plots: branch}\n")
    if not is_writable:
        monkeypatch.setenv("MLGATE_ASSETS_URL", str(tmp_path / "absent.git"))
    workspace = Workspace.open(root, "mlgate.yaml", environ(root, github, tmp_path))
    workspace.empty_state()
    for name, found in better().items():
        records.write(found.model_copy(update={"subject": workspace.subject(found.subject.data)}), workspace.evidence_path(name))
    result = report.run(workspace)
    assert result.status == "passed"
    [body] = bodies(github)
    listed = git(origin, "ls-tree", "-r", "--name-only", BRANCH).split() if is_writable else []
    assert body.count(f"https://github.com/octo/models/blob/{BRANCH}/") == (3 if is_writable else 0)
    assert len(listed) == (4 if is_writable else 0)
    assert ("![Difference in accuracy by slice (pt). Difference between" in body) == is_writable
    assert ("pictures shown as text: " in result.summary) == (not is_writable)
    assert ("██" in body) == (not is_writable)
    assert "```mermaid" not in body
    for name in listed[:-1]:
        assert subprocess.run(["git", "show", f"{BRANCH}:{name}"], cwd=origin, capture_output=True, check=True).stdout.startswith(PNG[:8])


HOSTILE_PICTURES = [
    "../secret.png", "/etc/passwd.png", "plots/../../secret.png", ".git/own.png", "-x.png", "a\tb.png", "$(touch pwned).png",
    "\u202egnp.png", "two  blanks.png", "'\"`.png", "@octocat.png", "<b>.png", "é" * 60 + ".png", "%2e%2e/secret.png", "a" * 230 + ".png",
    "..png", "link.png",
]  # fmt: skip


def test_pictures_of_hostile_paths_are_shown_under_harmless_names_or_left_out(
    root: Path, github: StandIn, tmp_path: Path, origin: Path
) -> None:
    (root.parent / "secret.png").write_bytes(PNG + b"nobody may see this")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    for name in HOSTILE_PICTURES:
        path = root / name
        if path.resolve().is_relative_to(root) and not path.is_symlink():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(PNG + name.encode())
    (root / "report.md").write_text(
        "\n".join(f"![x](<{name}>)" for name in HOSTILE_PICTURES if "<" not in name) + "\n\n![x](%3Cb%3E.png)\n"
    )
    done = post(root, environ(root, github, tmp_path), pictures="branch")
    written = git(origin, "ls-tree", "-r", "--name-only", "-z", BRANCH).split("\0")
    pictures = [path.partition("/")[2] for path in written if path.endswith(".png")]
    assert len(pictures) >= 8
    assert [name for name in pictures if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,90}-[0-9a-f]{10}\.png", name)] == []
    for path in filter(None, written):
        shown = subprocess.run(["git", "show", f"{BRANCH}:{path}"], cwd=origin, capture_output=True, check=True).stdout
        assert b"nobody may see this" not in shown
    [body] = bodies(github)
    assert body.count("?raw=true") == len(pictures)
    assert [line for line in done.lines if any(ord(letter) < 32 or letter == "\u202e" for letter in line)] == []
    assert list(root.parent.rglob("pwned")) == []


def test_a_file_cannot_pass_for_another_comment_of_mlgate(root: Path, github: StandIn, tmp_path: Path) -> None:
    """What finds a comment again is its first line, which is mlgate's own."""
    post(root, environ(root, github, tmp_path), marker="first")
    [first] = github.comments(7, BOT)
    (root / "report.md").write_text(f"{first.body}\n<!-- mlgate:comment.second run=9 attempt=9 commit={'f' * 40} -->\nmine\n")
    post(root, environ(root, github, tmp_path, run_id=101), marker="second")
    (root / "report.md").write_text("again\n")
    post(root, environ(root, github, tmp_path, run_id=102), marker="first")
    found = [one.body.partition("\n")[2] for one in github.comments(7, BOT)]
    assert found[0] == "again\n"
    assert found[1].endswith("mine\n")
    assert len(found) == 2


def test_ten_megabytes_are_refused_in_one_line(root: Path, github: StandIn, tmp_path: Path) -> None:
    (root / "report.md").write_bytes(b"A" * 10_000_000)
    with pytest.raises(InputError, match=r"^report\.md: more than 5,000,000 bytes; a comment holds 65,536 characters$"):
        post(root, environ(root, github, tmp_path))
    assert bodies(github) == []
