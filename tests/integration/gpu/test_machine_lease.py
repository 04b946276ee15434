"""What a training gets of its machine: the GPUs it asked for and no others; NVML alone is stood in for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nvml_states
from mlgate import process
from mlgate.errors import InfrastructureError
from mlgate.gpu import lease
from mlgate.gpu.claims import Claim
from mlgate.stages.training import machine
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, make_repository

GPUS = [nvml_states.gpu(number) for number in (1, 2)]
FIRST, SECOND = (gpu["uuid"] for gpu in GPUS)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two GPUs that nobody uses."""
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in nvml_states.machine(tmp_path, *GPUS).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def workspace(here: Path, gpu: str | None) -> Workspace:
    asked = "{command: python train.py}" if gpu is None else f"{{command: python train.py, gpu: {gpu}}}"
    make_repository(here / "work", {"mlgate.yaml": MINIMAL_CONFIG.replace("{command: python train.py}", asked)})
    return Workspace.open(here / "work", "mlgate.yaml", {**os.environ, "GITHUB_ACTIONS": ""})


def test_a_training_sees_what_it_leased_and_the_report_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace(here, "{count: 1}")
    found = machine.look(run)
    with lease.acquire([Claim(FIRST)], 1, mark=process.new_mark(), wait_s=0), found.leased(process.new_mark(), run) as leased:
        assert leased.devices == (SECOND,)
        assert leased.environ == {"CUDA_VISIBLE_DEVICES": SECOND, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        assert all(os.get_inheritable(fd) is False for fd in leased.fds)
        assert leased.findings is not None
        assert (leased.findings.devices, leased.findings.position) == ([SECOND], 0)
        assert set(lease.occupied(found.devices)) == {FIRST, SECOND}
    assert lease.occupied(found.devices) == {}
    assert "leased GPU 1 (NVIDIA H100 80GB HBM3)\n" in capsys.readouterr().err


def test_two_gpus_are_both_seen(here: Path) -> None:
    run = workspace(here, "{count: 2}")
    with machine.look(run).leased(process.new_mark(), run) as leased:
        assert leased.environ["CUDA_VISIBLE_DEVICES"] == f"{FIRST},{SECOND}"


def test_who_waits_is_told_by_whom_the_gpus_are_held(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace(here, "{count: 2, wait: 1}")
    with (
        lease.acquire([Claim(FIRST)], 1, mark=process.new_mark(), wait_s=0, what="flowers"),
        pytest.raises(InfrastructureError, match=r"train.gpu.wait: waited 1 s for 2 GPUs in vain: held by .*, flowers, since"),
        machine.look(run).leased(process.new_mark(), run),
    ):
        pass
    said = capsys.readouterr().err
    assert "  waiting for 2 GPUs since 0 s: held by " in said
    assert said.count("waiting") == 1


def test_a_gpu_that_a_stranger_computes_on_is_refused_after_the_wait_and_given_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FREE_WITHIN_S", 0.2)
    run = workspace(here, "{count: 2}")
    found = machine.look(run)
    nvml_states.machine(here, GPUS[0], {**GPUS[1], "computing": [[4242, 10**9]]})
    refusal = r"train\.gpu: leased, and not free: GPU 1: held by process 4242"
    with pytest.raises(InfrastructureError, match=refusal), found.leased(process.new_mark(), run):
        pass
    assert lease.occupied(found.devices) == {}


def test_without_gpu_in_the_configuration_nothing_is_touched(here: Path) -> None:
    run = workspace(here, None)
    with machine.look(run).leased(process.new_mark(), run) as leased:
        assert (leased.devices, leased.environ, leased.fds, leased.findings) == ((), {}, (), None)
    assert not (here / "locks").exists()


def test_a_training_that_falls_back_to_the_cpu_sees_no_gpu_that_it_does_not_have(here: Path) -> None:
    run = workspace(here, "{count: 3, need: preferred}")
    with machine.look(run).leased(process.new_mark(), run) as leased:
        assert (leased.devices, leased.environ) == ((), {"CUDA_VISIBLE_DEVICES": ""})
        assert leased.findings is not None
        assert leased.findings.devices == []
