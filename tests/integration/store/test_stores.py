"""What both kinds of store promise: records written together or not at all, and nothing lost between writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlgate
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.store import Store, open_store
from mlgate.store.names import checked, is_record_name
from support import git

Open = Callable[[], Store]


@pytest.fixture(params=["git", "git without partial clones", "folder"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """A function that opens the same store anew, as another job would."""
    if request.param == "folder":
        return lambda: open_store("store", root=tmp_path, model="digits", context=RunContext())
    bare = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true" if request.param == "git" else "false")
    return lambda: open_store("git", root=tmp_path, model="digits", context=RunContext(), environ={"MLGATE_STORE_URL": f"file://{bare}"})


def test_a_store_nobody_has_written_is_empty(opened: Open) -> None:
    store = opened()

    assert store.names() == []
    assert store.read("evaluations/a.json") is None


def test_what_was_written_is_read_by_the_next_job_byte_by_byte(opened: Open) -> None:
    content = b"\0\r\n\xff" + os.urandom(100_000)
    opened().write({"evaluations/a.json": b"{}", "predictions/b.parquet": content, "empty.json": b""}, "record a")

    store = opened()

    assert store.read("predictions/b.parquet") == content
    assert store.read("empty.json") == b""
    assert store.names() == ["empty.json", "evaluations/a.json", "predictions/b.parquet"]
    assert store.names("evaluations/") == ["evaluations/a.json"]


def test_a_writer_reads_what_it_wrote(opened: Open) -> None:
    store = opened()
    store.write({"a.json": b"1"}, "one")
    store.write({"a.json": b"2", "b.json": b"3"}, "two")

    assert (store.read("a.json"), store.read("b.json")) == (b"2", b"3")


def test_a_record_that_is_replaced_leaves_the_others(opened: Open) -> None:
    opened().write({"a.json": b"1", "b.json": b"1"}, "one")
    opened().write({"a.json": b"2"}, "two")

    assert (opened().read("a.json"), opened().read("b.json")) == (b"2", b"1")


def test_a_writer_that_knows_an_old_state_keeps_what_came_since(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.names() == other.names() == []

    one.write({"one.json": b"1", "both.json": b"1"}, "one")
    other.write({"other.json": b"2", "both.json": b"2"}, "other")

    found = opened()
    assert found.names() == ["both.json", "one.json", "other.json"]
    assert found.read("both.json") == b"2"


def test_writing_what_is_there_already_is_no_new_state_and_not_confused_by_an_old_one(opened: Open) -> None:
    one, other = opened(), opened()
    one.write({"a.json": b"1"}, "one")
    other.write({"a.json": b"2"}, "two")
    one.write({"a.json": b"1"}, "one again")

    assert opened().read("a.json") == b"1"


def test_a_bad_name_writes_nothing_at_all(opened: Open) -> None:
    with pytest.raises(InputError, match="no record can be called"):
        opened().write({"good.json": b"1", "../bad.json": b"1"}, "mixed")

    assert opened().names() == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/a.json",
        "a/../b.json",
        "a//b.json",
        "a/",
        "a",
        "A.json",
        ".a.json",
        "a\0.json",
        "a.json\n",
        "a\\b.json",
        ".github/workflows/x.yml",
        "a.json/b.json",
        "-f.json",
        "a b.json",
        "ä.json",
        "x" * 300 + ".json",
        ":(top)a.json",
    ],
)
def test_a_name_that_could_mean_something_else_is_refused(opened: Open, name: str) -> None:
    store = opened()
    with pytest.raises(InputError, match="no record can be called"):
        store.read(name)
    with pytest.raises(InputError, match="no record can be called"):
        store.write({name: b""}, "bad")


@given(st.text())
def test_any_text_is_a_safe_name_or_refused(name: str) -> None:
    if not is_record_name(name):
        with pytest.raises(InputError):
            checked(name)
    else:
        assert checked(name) == name
        parts = name.split("/")
        assert all(part and part[0] not in ".-" and part == part.lower() for part in parts)
        assert "." in parts[-1]
        assert not any("." in part for part in parts[:-1])


@given(
    st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=4),
    st.sampled_from([".json", ".parquet", ".tar.gz"]),
)
def test_ordinary_names_are_accepted_and_never_stand_in_one_anothers_way(parts: list[str], suffix: str) -> None:
    name = "/".join(parts) + suffix

    assert checked(name) == name
    assert not any(is_record_name("/".join(parts[:n])) for n in range(1, len(parts) + 1))


WRITER = """\
import sys
from pathlib import Path
from mlgate.context import RunContext
from mlgate.store import open_store
setting, root, who, count = sys.argv[1:]
for n in range(int(count)):
    store = open_store(setting, root=Path(root), model="digits", context=RunContext())
    store.write({f"evaluations/{who}-{n}.json": f"{who} {n}".encode(), "last.json": who.encode()}, f"{who} {n}")
    print(n, flush=True)
"""


def writer(setting: str, root: Path, who: str, count: int) -> subprocess.Popen[bytes]:
    package = str(Path(mlgate.__file__).parent.parent)
    (root / "temporary").mkdir(exist_ok=True)  # where one that is killed leaves its repository
    env = {**os.environ, "PYTHONPATH": package, "MLGATE_STORE_URL": str(root / "origin.git"), "TMPDIR": str(root / "temporary")}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, setting, str(root), who, str(count)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("setting", ["git", "store"])
def test_two_writers_at_once_lose_nothing(tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    writers = [writer(setting, tmp_path, who, 50) for who in ("a", "b")]
    for process in writers:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said.decode()
    monkeypatch.setenv("MLGATE_STORE_URL", str(tmp_path / "origin.git"))

    store = open_store(setting, root=tmp_path, model="digits", context=RunContext())

    assert store.names("evaluations/") == sorted(f"evaluations/{who}-{n}.json" for who in ("a", "b") for n in range(50))
    assert all(store.read(f"evaluations/{who}-{n}.json") == f"{who} {n}".encode() for who in ("a", "b") for n in (0, 24, 49))
    assert store.read("last.json") in (b"a", b"b")


@pytest.mark.parametrize("setting", ["git", "store"])
def test_a_killed_writer_leaves_a_state_that_reads_and_takes_writes(tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    monkeypatch.setenv("MLGATE_STORE_URL", str(tmp_path / "origin.git"))

    def fresh() -> Store:
        return open_store(setting, root=tmp_path, model="digits", context=RunContext())

    fresh().write({"first.json": b"1"}, "first")
    for milliseconds in (0, 7, 20, 45):
        process = writer(setting, tmp_path, f"killed-{milliseconds}", 1000)
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        store = fresh()
        assert store.read("first.json") == b"1"
        recorded = store.names(f"evaluations/killed-{milliseconds}-")
        assert recorded
        assert all(store.read(name) for name in recorded)

    fresh().write({"after.json": b"2"}, "after")

    assert fresh().read("after.json") == b"2"
