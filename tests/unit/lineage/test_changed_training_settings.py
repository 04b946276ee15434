"""Settings of the training old and new, written as a person writes them in mlgate.yaml: 20GB, 1h30m."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.training import GpuConfig
from mlgate.config.values import duration_text, parse_duration, size_text
from mlgate.context import RunContext
from mlgate.stages.revisions import changes
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository


def test_a_gpu_and_checkpoints_are_told_with_their_units(tmp_path: Path) -> None:
    config = MINIMAL_CONFIG.replace("train: {command: python train.py", "train: {command: python train.py, timeout: 5400")
    assert config != MINIMAL_CONFIG
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config})
    baseline = git(root, "rev-parse", "HEAD")
    more = "timeout: 90s, gpu: {memory: 20GB, disk: 1.5 TB, shared_memory: 8GiB, wait: 0}, checkpoints: {path: out, every: 3m}"
    commit_files(root, {"mlgate.yaml": config.replace("timeout: 5400", more)}, "change")

    found = changes.changes(replace(Workspace.open(root, "mlgate.yaml", {}), context=RunContext()), baseline)

    told = {change.name: (change.old, change.new) for change in found}
    assert told == {
        "train.timeout": ("1h30m", "1m30s"),
        "train.gpu.count": (None, "1"),
        "train.gpu.memory": (None, "20GB"),
        "train.gpu.need": (None, "required"),
        "train.gpu.wait": (None, "0s"),
        "train.gpu.disk": (None, "1500GB"),
        "train.gpu.shared_memory": (None, "8GiB"),
        "train.checkpoints.path": (None, "out"),
        "train.checkpoints.every": (None, "3m"),
        "train.checkpoints.keep": (None, "2"),
    }


@given(st.integers(0, 366 * 86400))
def test_a_duration_is_written_so_that_it_reads_as_the_same(seconds: int) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@given(st.integers(0, 10**14) | st.builds(lambda count, unit: count * unit, st.integers(0, 5000), st.sampled_from([10**9, 2**30])))
def test_a_size_is_written_so_that_it_reads_as_the_same(count: int) -> None:
    assert GpuConfig.model_validate({"memory": size_text(count)}).memory == count
