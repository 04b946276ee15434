"""A training, or who can write where its checkpoints and results are kept, leaves what holds up, breaks or commands the next reader.
Real files, pipes and commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import nvml_states
from integration.checkpoints.checkpoint_runs import begun
from mlgate.config import ReportConfig
from mlgate.evidence import CurvePoint, PipelineStage, ProgressFindings, TrainFindings
from mlgate.render import html, live, markdown, view
from mlgate.stages.job import commands
from mlgate.training import results
from mlgate.training.checkpoints import restoring
from mlgate.training.checkpoints.places import FolderPlace
from mlgate.training.environment import Environment
from mlgate.training.progress import Progress, declared_in
from mlgate.workspace import Workspace
from report_cases import PULL_REQUEST, resumed
from support import MINIMAL_CONFIG, make_repository


@pytest.fixture(autouse=True)
def _held_up() -> Iterator[None]:
    """Whoever waits for a pipe for ever is ended, by an error that nobody takes for a file's."""

    def told(*_: object) -> None:
        raise AssertionError("held up")

    before = signal.signal(signal.SIGALRM, told)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def place(folder: Path) -> FolderPlace:
    return FolderPlace(folder / "place", "the place", is_synced=False)


# --- the folder of checkpoints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["c:x", "a\\b", "::error::owned"])
def test_a_name_that_is_none_on_every_machine_costs_a_line_and_not_the_stage(tmp_path: Path, name: str) -> None:
    run = begun(tmp_path / "c", place(tmp_path))
    (run.folder / name).write_text("weights")
    assert run.saver.keep_last("interrupted") is None
    assert "expected a name without a backslash" in run.said[0]


def test_a_path_that_is_longer_than_the_system_takes_costs_a_line_and_not_the_stage(tmp_path: Path) -> None:
    run = begun(tmp_path / "c", place(tmp_path))
    here = Path.cwd()
    try:
        os.chdir(run.folder)
        for _ in range(25):
            os.mkdir("d" * 200)  # noqa: PTH102 -- a path as a whole would be too long
            os.chdir("d" * 200)
        Path("model").write_text("weights")
    finally:
        os.chdir(here)
    assert run.saver.keep_last("failed") is None
    assert "cannot be read: File name too long" in run.said[0]
    assert len(run.said[0]) < 500


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir])
def test_what_stands_in_the_place_of_our_mark_holds_nobody_up(tmp_path: Path, made: Callable[[Path], None]) -> None:
    (tmp_path / "c").mkdir()
    made(tmp_path / "c" / restoring.MARK)
    run = begun(tmp_path / "c", place(tmp_path))
    run.write(model="weights")
    assert run.saver.keep_last("interrupted") is not None


@pytest.mark.parametrize("is_link", [True, False])
def test_what_stands_where_old_checkpoints_are_moved_to_is_no_obstacle_and_leads_nowhere(tmp_path: Path, is_link: bool) -> None:
    run = begun(tmp_path / "c", place(tmp_path))
    run.write(model="weights")
    run.saver.keep_last("failed")
    (tmp_path / "precious").mkdir()
    before = tmp_path / ".c.before"
    before.symlink_to(tmp_path / "precious") if is_link else before.write_text("")
    begun(tmp_path / "c", place(tmp_path))
    assert (before / "model").read_text() == "weights"
    assert not list((tmp_path / "precious").iterdir())


# --- who can write to the place of checkpoints -----------------------------------------------------------------------


def saved(folder: Path, **changes: Any) -> Path:
    """A place with one checkpoint, whose manifest says what somebody had it say."""
    run = begun(folder / "first", place(folder))
    run.write(**{"code.py": "evil", "state": "weights"})
    run.saver.keep_last("interrupted")
    [manifest] = (folder / "place").rglob("saved/*.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))
    return folder


def test_a_checkpoint_does_not_replace_what_git_has_in_its_folder(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "code.py").write_text("good")
    run = begun(tmp_path / "c", place(tmp_path), tracked=frozenset({"code.py"}))
    assert run.content() == {"code.py": "good", "state": "weights"}


@pytest.mark.parametrize(
    "changes",
    [
        {"saved_at": "2026-01-01T00:00:00"},
        {"saved_at": "0001-01-01T00:00:00+14:00"},
        {"saved_at": "9999-12-31T23:59:59-14:00"},
        {"spent": {"duration_s": -1.0}},
        {"spent": {"duration_s": 1.0, "cost": 1e308, "currency": "EUR"}},
        {"spent": {"duration_s": 1.0, "currency": "\n::error::owned"}},
    ],
)
def test_times_and_amounts_that_cannot_be_are_passed_over_beside_one_that_is_whole(tmp_path: Path, changes: dict[str, Any]) -> None:
    saved(tmp_path, **changes)
    second = begun(tmp_path / "second", place(tmp_path))
    assert second.content() == {}
    second.write(state="whole")
    assert second.saver.keep_last("interrupted") is not None
    assert begun(tmp_path / "third", place(tmp_path)).content() == {"state": "whole"}


def test_a_checkpoint_of_more_time_than_there_is_can_still_be_gone_on_from_and_saved(tmp_path: Path) -> None:
    saved(tmp_path, trained_s=1e10)
    run = begun(tmp_path / "second", place(tmp_path))
    run.write(state="more")
    assert run.saver.keep_last("interrupted") is not None


# --- who can write to the place of results ---------------------------------------------------------------------------


def environment(**packages: str) -> Environment:
    return Environment(python="CPython 3.12.4", platform="linux", libc="glibc", system="debian", packages=packages)


def test_what_another_environment_says_of_itself_cannot_command_the_runner() -> None:
    hostile = environment(**{"a\n::error::owned\x1b[31m": "1\n::stop-commands::x"})
    told = hostile.differences(environment())
    assert "\n" not in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    "changes",
    [
        {"trained_at": "9999-12-31T23:59:59-12:00"},
        {"trained_at": "2026-01-01T00:00:00"},
        {"cost": {"duration_s": 1.0, "gpu_hours": -5.0}},
        {"files": [{"path": path, "size_bytes": 1, "sha256": "a" * 64} for path in ("model", "model/x")]},
    ],
)
def test_a_result_that_cannot_be_is_none(changes: dict[str, Any]) -> None:
    result = results.Result(
        training="a" * 64, environment=environment(), model="m", commit=None, run=None, trained_at=datetime.now(UTC), duration_s=1, files=[]
    )  # fmt: skip
    assert results.Result.model_validate_json(result.model_dump_json()) == result
    with pytest.raises(ValueError, match="validation error"):
        results.Result.model_validate_json(json.dumps({**result.model_dump(mode="json"), **changes}))


# --- what it says of its progress ------------------------------------------------------------------------------------


def test_a_name_that_is_no_text_and_an_end_that_is_never_reached_are_told_as_far_as_they_go() -> None:
    clock = iter(range(100))
    progress = Progress(lambda: float(next(clock)))
    for step in (0, 1, 2):
        declared = declared_in(json.dumps({"step": step, "total": 1e308, "metrics": {"\ud800\n::error::x": 1}}).encode())
        assert declared is not None
        progress.declare(declared)
    standing = progress.standing()
    assert standing.left_s is None
    assert "\n" not in "".join(standing.findings.metrics)
    standing.findings.model_dump_json().encode()
    shown = live.LiveView("t", "m", 1.0, datetime.now(UTC), 120, progress=standing.findings, left_s=standing.left_s)
    assert "1e+308" in live.comment(shown, None, 60_000)


# --- what it does to mlgate's own files ------------------------------------------------------------------------------

LOG = "log=$(find .mlgate -name train.log); "


@pytest.mark.parametrize("act", ["rm $log; mkfifo $log", "rm $log; ln -s /dev/zero $log", "rm $log; mkdir $log", "rm -r .mlgate"])
def test_a_command_that_takes_its_log_away_holds_nobody_up(tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG})
    workspace = Workspace.open(tmp_path / "r", "mlgate.yaml", os.environ)
    ran = commands.run(workspace, f"{LOG}{act}; echo told", "train/train.log")
    assert ran.exit_code == 0
    assert ran.log is not None
    path = workspace.files / "train" / "train.log"
    assert not path.is_symlink()
    assert path.read_text().endswith("this is the end of it)\ntold\n")


# --- a driver that says what no driver does --------------------------------------------------------------------------


def test_names_and_versions_of_a_driver_cannot_command_the_runner(tmp_path: Path) -> None:
    hostile = "x\n::error::owned\x1b[31m" + "y" * 30_000
    environ = nvml_states.machine(tmp_path, nvml_states.gpu(0, name=hostile), driver=hostile)
    ran = subprocess.run(
        [sys.executable, "-m", "mlgate.cli", "gpu"], env={**os.environ, **environ}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "\n::error" not in ran.stdout
    assert "\x1b" not in ran.stdout
    assert len(ran.stdout) < 1_000


# --- evidence that a stranger made up --------------------------------------------------------------------------------


def reported(**changes: Any) -> tuple[str, str]:
    evidences = resumed()
    train = evidences["train"]
    assert isinstance(train.findings, TrainFindings)
    made_up = train.model_copy(update={"findings": train.findings.model_copy(update=changes)})
    shown = view.build({**evidences, "train": made_up}, model="digits", report=ReportConfig(), context=PULL_REQUEST)
    return markdown.full(shown), html.page(shown)


def test_evidence_with_endless_lists_is_shown_in_part_and_at_once() -> None:
    train = resumed()["train"].findings
    assert isinstance(train, TrainFindings)
    assert train.lease is not None
    assert train.account is not None
    device = train.account.devices[0].model_copy(update={"throttled_share": 1e308, "throttled_by": {"heat": 1e308}, "energy_j": -1e308})
    told, page = reported(
        lease=train.lease.model_copy(update={"devices": [f"GPU-{number}" for number in range(100_000)]}),
        account=train.account.model_copy(update={"devices": [device] * 20_000}),
        pipeline=[PipelineStage(name=f"stage {number}", is_reused=bool(number % 2)) for number in range(100_000)],
        progress=ProgressFindings(step=1, curves={f"m{number}": [CurvePoint(step=0, value=-1e99)] * 3 for number in range(10_000)}),
    )
    assert "99,900 more" in told
    assert len(told) < 100_000
    assert len(page) < 400_000


def test_names_in_made_up_evidence_are_text() -> None:
    evil = "@octocat <img src=x onerror=alert(1)> |x| [l](javascript:alert(1)) ``` </details> -->\n::error::x"
    train = resumed()["train"].findings
    assert isinstance(train, TrainFindings)
    assert train.account is not None
    _, page = reported(
        account=train.account.model_copy(update={"hints": [evil], "currency": evil}),
        progress=ProgressFindings(step=1, unit=evil, curves={evil: [CurvePoint(step=step, value=step) for step in range(5)]}),
        ended_by=evil,
    )
    assert "<img src=x" not in page
    assert 'href="javascript' not in page
