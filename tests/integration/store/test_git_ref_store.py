"""The store in a Git ref: against real bare repositories, in a folder and over HTTP with a token."""

from __future__ import annotations

import base64
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from git_server import A_PAGE, DROPPED, GitServer, git_server
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.store import Store, git_ref, open_store
from mlgate.store.git_ref import GitRefStore, remote_of
from support import commit_files, git, make_repository

TOKEN = "ghs_plantedTokenThatMustNeverShow"
ON_GITHUB = RunContext(event="push", repository="o/r", run_id=1)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(tmp_path / "origin.git", "config", "uploadpack.allowFilter", "true")
    return tmp_path / "origin.git"


def opened(bare: Path | str, context: RunContext = ON_GITHUB, model: str = "digits") -> Store:
    return open_store(None, root=Path("/"), model=model, context=context, environ={"MLGATE_STORE_URL": str(bare)})


def test_the_ref_holds_plain_commits_by_mlgate_with_the_reason(bare: Path) -> None:
    opened(bare).write({"evaluations/a.json": b"{}"}, "Record the evaluation of 4f1c")
    opened(bare).write({"evaluations/b.json": b"{}"}, "Record another\n\nwith a reason")

    assert git(bare, "for-each-ref", "--format=%(refname)") == "refs/mlgate/digits"
    assert git(bare, "log", "--format=%an %s", "refs/mlgate/digits").splitlines() == [
        "mlgate Record another",
        "mlgate Record the evaluation of 4f1c",
    ]
    assert git(bare, "ls-tree", "-r", "--name-only", "refs/mlgate/digits").splitlines() == ["evaluations/a.json", "evaluations/b.json"]
    git(bare, "fsck", "--strict")


def test_each_model_has_its_own_ref(bare: Path) -> None:
    opened(bare, model="digits").write({"a.json": b"1"}, "one")

    assert opened(bare, model="letters").names() == []


def test_files_of_the_ref_that_are_no_records_are_left_alone(bare: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", {"README.md": "not ours", "Upper/Case.json": "x", "a.json": "1"})
    git(other, "push", "--quiet", str(bare), "HEAD:refs/mlgate/digits")

    store = opened(bare)
    assert store.names() == ["a.json"]
    store.write({"b.json": b"2"}, "two")

    assert git(bare, "ls-tree", "-r", "--name-only", "refs/mlgate/digits").splitlines() == [
        "README.md",
        "Upper/Case.json",
        "a.json",
        "b.json",
    ]


def test_contents_are_fetched_only_when_they_are_read(bare: Path) -> None:
    opened(bare).write({"predictions/a.parquet": os.urandom(500_000), "evaluations/a.json": b"{}"}, "one")
    store = opened(f"file://{bare}")
    assert isinstance(store, GitRefStore)

    def bytes_here() -> int:
        return sum(path.stat().st_size for path in store._folder().rglob("*") if path.is_file())

    assert store.read("evaluations/a.json") == b"{}"
    store.write({"evaluations/b.json": b"{}"}, "two")
    assert bytes_here() < 100_000

    assert len(store.read("predictions/a.parquet") or b"") == 500_000


def test_the_history_is_not_fetched(bare: Path) -> None:
    for n in range(5):
        opened(bare).write({"a.json": str(n).encode()}, str(n))
    store = opened(f"file://{bare}")
    assert isinstance(store, GitRefStore)
    store.names()

    assert git(store._folder(), "rev-list", "--all", "--count") == "1"


def test_the_users_clone_is_not_touched(bare: Path, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "origin", str(bare))
    (root / "uncommitted.txt").write_text("x")
    git(root, "add", "uncommitted.txt")

    def state() -> list[tuple[str, bytes]]:
        return [(str(path), path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()]

    before = state()
    open_store("git", root=root, model="digits", context=RunContext(), environ={}).write({"a.json": b"1"}, "one")

    assert state() == before
    assert opened(bare).names() == ["a.json"]


def test_without_a_token_the_clones_origin_is_used_with_its_own_url_for_pushes(bare: Path, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"model/mlgate.yaml": ""})
    git(root, "remote", "add", "origin", "../elsewhere.git")
    git(root, "remote", "set-url", "--push", "origin", "../origin.git")

    remote = remote_of(root / "model", RunContext())

    assert (remote.url, remote.push_url) == (str(tmp_path / "elsewhere.git"), str(bare))


@pytest.mark.parametrize("url", ["https://github.com/o/r", "git@github.com:o/r.git", "ssh://git@github.com/o/r", "/srv/git/r.git"])
def test_urls_that_mean_the_same_anywhere_stay_as_they_are(tmp_path: Path, url: str) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "origin", url)

    assert remote_of(root, RunContext()).url == url


def test_with_a_token_the_repository_of_the_run_is_used() -> None:
    context = replace(ON_GITHUB, token=TOKEN, server_url="https://git.example.org")

    remote = remote_of(Path("/nowhere"), context)

    assert remote.url == "https://git.example.org/o/r"
    assert base64.b64decode((remote.authorization or "").removeprefix("basic ")).decode() == f"x-access-token:{TOKEN}"
    assert TOKEN not in repr(remote)
    assert (remote.authorization or "") not in repr(remote)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example.org/o/r",
        "/srv/x.git",
        "git@github.com:o/r.git",
        "http://github.com/o/r",
        "https://github.com.evil.org/o/r",
    ],
)
def test_the_token_goes_to_no_other_server(url: str) -> None:
    assert remote_of(Path("/nowhere"), replace(ON_GITHUB, token=TOKEN), url).authorization is None


def test_a_description_has_no_credentials() -> None:
    store = GitRefStore(remote_of(Path("/nowhere"), RunContext(), f"https://ada:{TOKEN}@example.org/o/r"), "digits")

    assert store.description == "Git ref refs/mlgate/digits of https://example.org/o/r"


def test_no_repository_and_no_origin_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not inside a Git repository"):
        open_store("git", root=tmp_path, model="digits", context=RunContext(), environ={})
    root = make_repository(tmp_path / "r")
    with pytest.raises(InputError, match=r"needs a remote 'origin', and there is none"):
        open_store("git", root=root, model="digits", context=RunContext(), environ={})
    with pytest.raises(InputError, match=r"MLGATE_STORE_URL"):
        open_store("git", root=root, model="digits", context=RunContext(), environ={"MLGATE_STORE_URL": "--upload-pack=touch /tmp/x"})


def test_a_remote_that_is_not_there_is_an_error_and_not_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"store: Git ref refs/mlgate/digits of .*absent\.git: no such repository") as caught:
        opened(tmp_path / "absent.git").names()

    assert "contents: read" in str(caught.value)


def test_a_server_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_ref, "NETWORK_PAUSE_S", 0.0)

    with pytest.raises(InfrastructureError, match=r"of http://127\.0\.0\.1:9/o/r: cannot be reached \(fatal: unable to access"):
        opened("http://127.0.0.1:9/o/r").read("a.json")


def hook(bare: Path, text: str) -> None:
    path = bare / "hooks" / "pre-receive"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    "said",
    [
        "echo 'error: GH013: Repository rule violations found for refs/mlgate/digits.'; exit 1",
        "echo 'Permission to o/r.git denied to github-actions[bot].'; exit 1",
        "exit 1",
    ],
)
def test_a_refused_push_names_the_permission_and_is_not_tried_again(bare: Path, said: str, tmp_path: Path) -> None:
    hook(bare, f"echo x >> {tmp_path}/pushes; {said}")

    with pytest.raises(InfrastructureError, match=r"refused to write .*`contents: write`.*github-token"):
        opened(bare).write({"a.json": b"1"}, "one")

    assert (tmp_path / "pushes").read_text() == "x\n"
    assert opened(bare).names() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_repository_names_the_permission(bare: Path) -> None:
    folders = [path for path in (bare, *bare.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(InfrastructureError, match=r"`contents: write`"):
            opened(bare).write({"a.json": b"1"}, "one")
    finally:
        for path in folders:
            path.chmod(stat.S_IRWXU)


def test_a_repository_called_denied_is_not_taken_for_a_refusal(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "permission-denied-403.git")

    store = opened(tmp_path / "permission-denied-403.git")
    assert store.names() == []
    store.write({"a.json": b"1"}, "one")

    with pytest.raises(InfrastructureError, match="no such repository"):
        opened(tmp_path / "denied-absent.git").names()


def test_writers_that_are_always_faster_end_the_wait_with_a_message(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(bare, "config", "receive.denyNonFastForwards", "true")
    monkeypatch.setattr(git_ref, "WRITE_PATIENCE_S", 0.0)
    store = opened(bare)
    store.names()
    opened(bare).write({"b.json": b"1"}, "faster")

    with pytest.raises(InfrastructureError, match="others kept writing"):
        store.write({"a.json": b"1"}, "slower")


def forced(bare: Path, folder: Path, *files: str) -> None:
    """Somebody puts other history where the store is."""
    other = make_repository(folder, dict.fromkeys(files or ("other.json",), "{}"))
    git(other, "push", "--quiet", "--force", str(bare), "HEAD:refs/mlgate/digits")


def test_a_ref_that_is_rewritten_while_a_run_uses_it_is_said_and_not_written_upon(bare: Path, tmp_path: Path) -> None:
    opened(bare).write({"evaluations/a.json": b"1"}, "one")
    store = opened(f"file://{bare}")
    assert store.read("evaluations/a.json") == b"1"
    forced(bare, tmp_path / "other")

    with pytest.raises(InfrastructureError, match=r"was rewritten while this run used it, [0-9a-f]{12} is no longer in it; find out who"):
        store.write({"evaluations/b.json": b"2"}, "two")

    assert opened(bare).names() == ["other.json"]
    opened(bare).write({"evaluations/b.json": b"2"}, "a new run starts from what is there")
    assert opened(bare).names() == ["evaluations/b.json", "other.json"]


def test_a_ref_that_goes_back_to_an_earlier_state_was_rewritten_too(bare: Path) -> None:
    opened(bare).write({"a.json": b"1"}, "one")
    first = git(bare, "rev-parse", "refs/mlgate/digits")
    opened(bare).write({"b.json": b"1"}, "two")
    store = opened(bare)
    store.names()
    git(bare, "update-ref", "refs/mlgate/digits", first)
    opened(bare).write({"c.json": b"1"}, "another's")

    with pytest.raises(InfrastructureError, match="was rewritten while this run used it"):
        store.write({"d.json": b"1"}, "three")


def test_a_ref_that_is_deleted_while_a_run_uses_it_is_said(bare: Path) -> None:
    opened(bare).write({"a.json": b"1"}, "one")
    store = opened(bare)
    store.names()
    git(bare, "update-ref", "-d", "refs/mlgate/digits")

    with pytest.raises(InfrastructureError, match="was deleted while this run used it"):
        store.write({"b.json": b"1"}, "two")


def test_writers_that_were_merely_faster_are_no_rewriting_however_many(bare: Path) -> None:
    opened(bare).write({"a.json": b"1"}, "one")
    store = opened(f"file://{bare}")
    store.names()
    for n in range(5):
        opened(bare).write({f"b{n}.json": b"1"}, f"faster {n}")
    store.write({"c.json": b"1"}, "slower")

    assert opened(bare).names() == ["a.json", *(f"b{n}.json" for n in range(5)), "c.json"]
    assert git(bare, "rev-list", "--count", "refs/mlgate/digits") == "7"


def test_a_ref_that_leads_to_no_commit_is_damaged(bare: Path) -> None:
    opened(bare).write({"a.json": b"1"}, "one")
    blob = git(bare, "rev-parse", "refs/mlgate/digits:a.json")
    git(bare, "update-ref", "refs/mlgate/digits", blob)

    with pytest.raises(InfrastructureError, match=r"refs/mlgate/digits of .*: was damaged, it leads to a blob and not to a commit"):
        opened(bare).names()


def test_a_record_that_is_a_link_is_damaged(bare: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", {"b.json": "{}"})
    (other / "a.json").symlink_to("/etc/passwd")
    git(other, "add", "a.json")
    git(other, "commit", "--quiet", "-m", "a link")
    git(other, "push", "--quiet", str(bare), "HEAD:refs/mlgate/digits")

    with pytest.raises(InfrastructureError, match=r"record 'a\.json' was damaged, it is no plain file"):
        opened(bare).read("a.json")
    assert opened(bare).read("b.json") == b"{}"


def test_a_record_too_large_for_a_git_host_is_refused_before_anything_is_sent(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_ref, "MAX_RECORD_BYTES", 1000)

    with pytest.raises(InputError, match=r"'predictions/a.parquet' has 1,001 bytes.*folder"):
        opened(bare).write({"a.json": b"1", "predictions/a.parquet": bytes(1001)}, "one")

    assert opened(bare).names() == []


def test_it_works_from_within_a_git_hook(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r")
    monkeypatch.setenv("GIT_DIR", str(root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(root / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(root))

    opened(bare).write({"a.json": b"1"}, "one")

    assert opened(bare).names() == ["a.json"]
    assert git(root, "status", "--porcelain") == ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "www" / "o").mkdir(parents=True)
    git(tmp_path / "www" / "o", "init", "--quiet", "--bare", "r")
    git(tmp_path / "www" / "o" / "r", "config", "uploadpack.allowFilter", "true")
    with git_server(tmp_path / "www", TOKEN) as running:
        yield running


def over_http(server: GitServer) -> GitRefStore:
    context = replace(ON_GITHUB, token=TOKEN, server_url=server.url)
    store = open_store(None, root=Path("/"), model="digits", context=context, environ={})
    assert isinstance(store, GitRefStore)
    return store


def test_over_http_the_token_opens_the_door_and_appears_nowhere(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    secrets = (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode())

    first = over_http(server)
    first.write({"evaluations/a.json": b"1"}, "one")
    store = over_http(server)
    assert store.read("evaluations/a.json") == b"1"

    assert "git-remote-http" in trace.read_text() or "git remote-http" in trace.read_text()
    on_disk = b"".join(path.read_bytes() for folder in (first._folder(), store._folder()) for path in folder.rglob("*") if path.is_file())
    shown = [trace.read_text(), "".join(capfd.readouterr()), caplog.text, on_disk.decode(errors="replace"), repr(store), store.description]
    assert not any(secret in text for secret in secrets for text in shown)


def test_a_header_of_the_users_own_configuration_does_not_become_a_second_one(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    own = f'[http "http://127.0.0.1:{server.server_port}/"]\nextraheader = AUTHORIZATION: basic old\n'
    settings.write_text(own + "[http]\nextraheader = Authorization: bearer older\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")

    over_http(server).write({"a.json": b"1"}, "one")

    assert server.seen
    assert all(len(headers) == 1 for headers in server.seen)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "`contents: read`"),
        (403, "`contents: write`"),
        (404, "`contents: read`"),
        (409, "cannot be reached"),
        (422, "cannot be reached"),
        (429, "cannot be reached"),
        (500, "cannot be reached"),
        (502, "cannot be reached"),
        (DROPPED, "cannot be reached"),
        (A_PAGE, "cannot be reached"),
    ],
)
def test_what_the_server_says_becomes_one_line_without_the_token(
    server: GitServer, status: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_ref, "NETWORK_PAUSE_S", 0.0)
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    server.status = status
    if status == 403:
        server.status = 200
        over_http(server).write({"a.json": b"1"}, "so that there is something to read")
        server.status = 403

    with pytest.raises(InfrastructureError) as caught:
        over_http(server).write({"b.json": b"1"}, "one")

    assert expected in str(caught.value)
    assert len(server.seen) == 3 or status in (401, 403, 404, A_PAGE), "trouble of the server's is met with three tries"
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode() not in str(caught.value)

    server.status = 200
    over_http(server).write({"b.json": b"1"}, "run again")
    assert over_http(server).read("b.json") == b"1"


def test_the_users_own_commits_and_the_store_share_a_repository_in_peace(bare: Path, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "origin", str(bare))
    git(root, "push", "--quiet", "origin", "main")
    opened(bare).write({"a.json": b"1"}, "one")
    commit_files(root, {"x": "1"}, "more")
    git(root, "push", "--quiet", "origin", "main")
    git(tmp_path, "clone", "--quiet", str(bare), "clone")

    assert git(tmp_path / "clone", "for-each-ref", "--format=%(refname)", "refs/mlgate") == "", "clones do not get the ref"
    assert opened(bare).names() == ["a.json"]
