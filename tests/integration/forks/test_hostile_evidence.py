"""What a stranger can leave in an artifact: each is a closed gate and one line, in the time of an honest one, and nothing else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.forks.second_workflow import NUMBER, RUN_ID, Files, World, _first_world, make_world  # noqa: F401 -- fixtures
from integration.gate.gate_runs import classified, evaluated, labels
from mlgate import artifacts
from mlgate.evaluation import parquet_limits
from mlgate.evidence import GateFindings
from mlgate.forge import triggering
from mlgate.stages.forks import triggering_run
from support import git as run_git

EVALUATE = "evidence/evaluate.json"
PREDICTIONS = "files/predictions.parquet"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:  # noqa: F811
    return make_world()


@pytest.fixture
def files(make_world: Callable[..., World], world: World) -> Files:  # noqa: F811
    return world.leave_evidence()


def closed(world: World, *, is_published: bool = False) -> str:
    """The gate's one line; that it is closed, and where it is published, that the status is red with it."""
    gate, *_ = world.judge("gate", *(["report"] if is_published else []))
    assert gate.status in ("failed", "error"), gate.summary
    assert gate.exit_code in (1, 2)
    if is_published:
        assert world.states()[-1] in ("failure", "error")
        assert len(world.github.comments(NUMBER)) == 1
    headline = gate.findings.headline if isinstance(gate.findings, GateFindings) else gate.summary
    assert "\n" not in headline
    assert "Traceback" not in headline
    return str(headline)


def edited(files: Files, **changed: Any) -> Files:
    """Evidence of `evaluate` with values put in; `subject__run__run_id=1` for nested ones."""
    document = json.loads(files[EVALUATE])
    for path, value in changed.items():
        *above, name = path.split("__")
        node = document
        for key in above:
            node = node[key]
        node[name] = value
    return {**files, EVALUATE: json.dumps(document).encode()}


def test_a_forged_verdict_is_left_where_it_is(world: World, files: Files) -> None:
    forged = json.dumps({"stage": "gate", "status": "passed"}).encode()
    world.upload({EVALUATE: b"{}", "evidence/gate.json": forged, "evidence/Gate.json": forged, "evidence/report.json": forged})
    world.take()
    assert not (world.base / ".mlgate/digits/evidence/report.json").exists()
    assert "evaluate.json: not evidence of 'evaluate' this version reads" in closed(world, is_published=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"subject__run__run_id": 499}, "evidence of another run"),
        ({"subject__run__repository": "stranger/models"}, "evidence of another run"),
        ({"subject__run__attempt": 9}, "evidence of a later attempt (9)"),
        ({"subject__config_sha256": "0" * 64}, "evidence of another configuration"),
        ({"model": "other"}, "evidence of another model"),
        ({"subject__commit": "a" * 40}, "evidence of a commit that this repository does not have (aaaaaaaaaaaa)"),
        ({"subject__commit": None}, "evaluate.json: evidence of no commit"),
        ({"schema_version": 2}, "not evidence of 'evaluate' this version reads: schema_version"),
        ({"findings__candidate__n": "many"}, "not evidence of 'evaluate' this version reads: findings.candidate.n"),
        ({"surprise": "x"}, "not evidence of 'evaluate' this version reads: surprise"),
        ({"findings__candidate__predictions__path": "../../../../etc/passwd"}, "expected a path inside the state folder"),
        ({"findings__candidate__predictions__sha256": "0" * 64}, "not the file the evidence describes (SHA-256 differs)"),
        ({"findings__candidate__predictions__path": "evidence/evaluate.json"}, "not a Parquet file of predictions"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_evidence_that_says_what_is_not_so_is_refused(world: World, files: Files, changed: dict[str, Any], said: str) -> None:
    world.upload(edited(files, **changed))
    world.take()
    assert said in closed(world)


def test_a_weak_baseline_of_the_strangers_own_is_not_compared_with(make_world: Callable[..., World]) -> None:  # noqa: F811
    """The recorded one is right on 900 of 1,000: 820 are worse than that, and better than what the stranger says it was."""
    world = make_world(right=820)
    workspace = world.first_run()
    main = run_git(world.base, "rev-parse", "main")
    evaluated(workspace, classified(*labels(820)), classified(*labels(300)), baseline_commit=main)
    world.upload(world.files_of(workspace))
    run_git(world.origin, "update-ref", "-d", "refs/mlgate/digits")
    world.take()
    [gate] = world.judge("gate")
    assert isinstance(gate.findings, GateFindings)
    assert gate.findings.is_first_model, gate.summary


class TestCommits:
    def test_of_the_default_branch(self, world: World, files: Files) -> None:
        world.upload(edited(files, subject__commit=run_git(world.base, "rev-parse", "main")))
        world.take()
        assert "evidence of another commit" in closed(world)

    def test_a_merge_that_github_would_not_have_made(self, world: World) -> None:
        """Any commit of the fork network can be fetched: one with the right parents and a tree that hides what was changed."""
        tree = run_git(world.fork, "rev-parse", "origin/main^{tree}")
        commit = run_git(world.fork, "commit-tree", tree, "-p", "origin/main", "-p", world.head, "-m", "Merge")
        run_git(world.fork, "push", "--quiet", "origin", f"{commit}:refs/pull/8/head")
        world.merge = commit
        world.leave_evidence()
        world.take()
        assert "evidence of another commit" in closed(world)

    def test_a_merge_into_a_branch_that_is_not_the_base(self, world: World) -> None:
        run_git(world.fork, "checkout", "--quiet", "--detach", "origin/main")
        run_git(world.fork, "commit", "--quiet", "--allow-empty", "-m", "a base of the stranger's own")
        commit = world.merged("HEAD")
        run_git(world.fork, "push", "--quiet", "origin", f"{commit}:refs/pull/8/head")
        world.merge = commit
        world.leave_evidence()
        world.take()
        assert "evidence of another commit" in closed(world)

    def test_several_at_once(self, world: World, files: Files) -> None:
        document = json.loads(files[EVALUATE])
        document |= {"stage": "check", "findings": {"commands": []}}
        document["subject"]["commit"] = "b" * 40
        world.upload({**files, "evidence/check.json": json.dumps(document).encode()})
        world.take()
        assert "evidence of several commits" in closed(world)


class TestConfigurations:
    def test_a_model_by_another_name_cannot_set_that_ones_status(self, world: World) -> None:
        world.push({"mlgate.yaml": (world.base / "mlgate.yaml").read_text().replace("model: digits", "model: other")})
        world.github.state.artifacts.clear()
        world.take(head_sha=world.head)
        assert "model: expected 'digits', as the default branch has it, got 'other'" in closed(world, is_published=True)
        assert {status.context for status in world.github.statuses(world.head)} == {"mlgate/digits"}

    @pytest.mark.parametrize("text", ["model: [", "x" * 1_500_000, "model: &a [*a]\n"], ids=["broken", "large", "recursive"])
    def test_one_that_is_none(self, world: World, text: str) -> None:
        world.push({"mlgate.yaml": text})
        world.github.state.artifacts.clear()
        world.take(head_sha=world.head)
        assert closed(world).startswith("Nothing was compared: mlgate.yaml at ")

    def test_a_link_in_its_place_is_not_followed(self, world: World) -> None:
        run_git(world.fork, "checkout", "--quiet", "topic")
        (world.fork / "mlgate.yaml").unlink()
        (world.fork / "mlgate.yaml").symlink_to("/etc/passwd")
        world.push({})
        world.github.state.artifacts.clear()
        world.take(head_sha=world.head)
        assert "root:" not in closed(world)

    def test_a_workflow_of_the_strangers_own(self, world: World) -> None:
        world.push({".github/workflows/mlgate.yml": "name: mlgate\non: pull_request\n"})
        world.leave_evidence()
        world.take(head_sha=world.head)
        assert ".github/workflows/mlgate.yml: changed by this pull request, so its evidence does not come from" in closed(
            world, is_published=True
        )

    def test_a_second_workflow_of_the_same_name(self, world: World) -> None:
        world.take(path=".github/workflows/other.yml")
        assert ".github/workflows/other.yml: changed by this pull request" in closed(world)

    def test_a_base_without_a_configuration(self, world: World) -> None:
        """The stranger's own rules would decide, and open the stranger's own store."""
        run_git(world.base, "checkout", "--quiet", "-b", "bare")
        run_git(world.base, "rm", "--quiet", "mlgate.yaml")
        run_git(world.base, "commit", "--quiet", "-m", "no gate here")
        run_git(world.base, "push", "--quiet", "origin", "bare")
        run_git(world.base, "checkout", "--quiet", "main")
        run_git(world.fork, "fetch", "--quiet", "origin")
        world.push({"mlgate.yaml": (world.base / "mlgate.yaml").read_text() + "store: /tmp\n"})
        world.merge = run_git(world.fork, "commit-tree", "HEAD^{tree}", "-p", "origin/bare", "-p", world.head, "-m", "Merge")
        world.publish(NUMBER, base_ref="bare")
        world.github.state.artifacts.clear()
        world.take(head_sha=world.head)
        assert "a pull request without secrets is judged by the base's rules only" in closed(world)


def packed(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member, target.encode()


class TestArchives:
    @pytest.mark.parametrize(
        "name", ["../../evil.json", "/tmp/evil.json", "evidence/../../../evil.json", "evidence\\..\\..\\evil.json", "files/\x01\x1b[2J"]
    )
    def test_names_that_lead_elsewhere(self, world: World, files: Files, name: str) -> None:
        world.upload(packed((name, b"{}"), (EVALUATE, b"{}")))
        world.take()
        closed(world)
        assert not [path for path in world.folder.rglob("evil.json") if ".git" not in path.parts]

    def test_links_are_written_as_the_text_they_are(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("secret")
        world.upload(packed(link(EVALUATE, str(tmp_path / "key"))))
        world.take()
        assert "secret" not in closed(world)

    def test_one_that_unfolds_to_more_than_fits(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(triggering_run, "MAX_UNPACKED_BYTES", 1_000_000)
        world.upload(packed(("files/zeros", bytes(2_000_000))))
        world.take()
        assert "more than 2,000 files or 1,000,000 bytes; such an artifact is refused" in closed(world)

    def test_one_of_too_many_files(self, world: World) -> None:
        world.upload(packed(*((f"files/{n}", b"") for n in range(2_001))))
        world.take()
        assert "more than 2,000 files" in closed(world)

    def test_one_too_large_to_be_fetched(self, world: World, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(triggering, "MAX_ARCHIVE_BYTES", 100)
        world.take()
        assert "artifact 'mlgate-digits-train-1': larger than 100 bytes; such an artifact is refused" in closed(world)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"<html>"], ids=["empty", "broken", "page"])
    def test_one_that_is_no_archive(self, world: World, content: bytes) -> None:
        world.upload(content)
        world.take()
        assert f"artifact 'mlgate-digits-train-1' of run {RUN_ID}: cannot be unpacked" in closed(world)

    def test_a_file_beside_a_folder_of_its_name(self, world: World) -> None:
        world.upload(packed(("files/a", b"x"), ("files/a/b", b"y")))
        world.take()
        assert f"artifact 'mlgate-digits-train-1' of run {RUN_ID}: cannot be unpacked (FileExistsError)" in closed(world)

    def test_evidence_of_ten_megabytes_of_brackets(self, world: World) -> None:
        world.upload({EVALUATE: b"[" * 10_000_000})
        world.take()
        assert "not evidence of 'evaluate'" in closed(world)

    def test_artifacts_by_other_names_are_not_even_fetched(self, world: World, files: Files) -> None:
        run = world.github.state.runs[RUN_ID]
        for name in ("mlgate-digits-verdict-1", "mlgate-digits-train-2", "mlgate-other-train-1", "mlgate-digits-train-01"):
            world.github.add_run_artifact(world.head, name, {"evidence/gate.json": b"{}"}, run=run)
        world.take()
        fetched = [exchange.path for exchange in world.github.requests if exchange.path.endswith("/zip")]
        assert len(fetched) == 1
        assert world.judge("gate")[0].status == "passed"

    def test_a_single_file_larger_than_evidence_may_hold(self, world: World, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(artifacts, "MAX_FILE_BYTES", 100)
        world.take()
        assert "is larger than 100 bytes" in closed(world)


class TestPredictions:
    def leave(self, world: World, files: Files, content: bytes) -> None:
        import hashlib

        reference = {"path": PREDICTIONS, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        world.upload({**edited(files, findings__candidate__predictions=reference), PREDICTIONS: content})
        world.take()

    def test_a_few_kilobytes_that_unfold_to_400_gigabytes(self, world: World, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet_limits, "MAX_MEMORY_BYTES", 1_000_000_000)
        indices = pa.array(np.zeros(4_000_000, dtype=np.int32))
        column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 100_000]))
        buffer = io.BytesIO()
        pq.write_table(pa.table({"id": column}), buffer, compression="zstd", store_schema=False)
        assert len(buffer.getvalue()) < 20_000
        self.leave(world, files, buffer.getvalue())
        assert "reading it takes more than 1 GB or 120 s; such predictions are refused" in closed(world)

    def test_more_slices_than_anybody_reads(self, world: World, files: Files) -> None:
        buffer = io.BytesIO()
        names = [str(n) for n in range(1_001)]
        pq.write_table(pa.table({"id": np.arange(1_001), "target": names, "prediction": names, "slice:x": names}), buffer)
        self.leave(world, files, buffer.getvalue())
        assert "1,001 values in column 'slice:x', at most 1,000 make slices" in closed(world)

    def test_something_else_altogether(self, world: World, files: Files) -> None:
        self.leave(world, files, b"PAR1" + bytes(100) + b"PAR1")
        assert "not a Parquet file of predictions" in closed(world)


def test_text_of_the_stranger_is_shown_and_does_nothing(world: World) -> None:
    summary = "@everyone <img src=x onerror=alert(1)> [click](https://evil.example) \x1b[31m ::error::x `code`"
    world.leave_failure("check", summary, 1)
    world.take(conclusion="failure")
    world.judge("gate", "report")
    [comment] = world.github.comments(NUMBER)
    assert "<img" not in comment.body
    assert "`[click](https://evil.example)`" in comment.body
    assert "\x1b" not in comment.body
    assert " @everyone" not in comment.body


def test_nothing_of_the_stranger_runs(world: World) -> None:
    """Modules, hooks, attributes and configuration that would leave a trace if anything imported, ran or checked them out."""
    trace = f"import pathlib\npathlib.Path({str(world.trace())!r}).touch()\n"
    names = ("json", "numpy", "matplotlib", "sitecustomize", "usercustomize", "mlgate", "requests", "conftest")
    code = {f"{name}.py": trace for name in names}
    settings = {
        ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% {world.trace()}\n',
        ".dvc/config": f"[core]\n    remote = x\n['remote \"x\"']\n    url = ssh://h/\n    proxy = touch {world.trace()}\n",
    }
    world.push({**code, **settings, "train.py": trace})
    world.leave_evidence()
    world.take(head_sha=world.head)
    gate, report = world.judge("gate", "report")
    assert (gate.status, report.status) == ("passed", "passed"), gate.summary
    assert not world.trace().exists()
    assert not (world.base / "json.py").exists()
