"""What starts a training: the command itself, or torchrun with it. The real torchrun runs in `make test-torch`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlgate.config import TrainConfig
from mlgate.errors import InputError
from mlgate.process import shell_command
from mlgate.training.launcher import Launch, plan

TORCHRUN = "/opt/my env/bin/torchrun"


def settings(command: str = "python train.py --epochs 10", **torchrun: object) -> TrainConfig:
    return TrainConfig.model_validate({"command": command, "launcher": "torchrun", **({"torchrun": torchrun} if torchrun else {})})


def planned(config: TrainConfig, devices: int = 0, run: str | None = "digits-7-1", **environ: str) -> Launch:
    return plan(config, devices, TORCHRUN, environ, run=run)


def test_without_a_launcher_the_command_is_the_user_s_very_text() -> None:
    command = "cd model\nmake train | tee log"
    assert plan(TrainConfig(command=command), 2, None, {}) == Launch(command, command)


def test_on_one_machine_a_process_runs_for_each_leased_gpu() -> None:
    launch = planned(settings(), devices=4)
    assert launch.command == "'/opt/my env/bin/torchrun' --standalone --nproc-per-node=4 train.py --epochs 10"
    assert launch.shown == "torchrun --standalone --nproc-per-node=4 train.py --epochs 10"
    assert (launch.processes, launch.node_rank, launch.nodes, launch.is_leader) == (4, 0, 1, True)


@pytest.mark.parametrize(("devices", "asked", "processes"), [(0, None, 1), (0, 3, 3), (2, 8, 8)])
def test_how_many_processes_run_is_said_by_the_configuration_else_by_the_gpus(devices: int, asked: int | None, processes: int) -> None:
    assert planned(settings(**({"processes": asked} if asked else {})), devices).processes == processes


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("python train.py", "train.py"),
        ("python3.12 -u train.py -x", "train.py -x"),
        ("/opt/venv/bin/python -m my.train --lr 0.1", "-m my.train --lr 0.1"),
        ("train.py --name 'two words' $SEED", "train.py --name 'two words' $SEED"),
        ("pythonic.py", "pythonic.py"),
        ("-m my.train", "-m my.train"),
    ],
)
def test_a_python_in_front_is_dropped_and_the_rest_is_as_the_user_wrote_it(command: str, program: str) -> None:
    assert planned(settings(command)).shown == f"torchrun --standalone --nproc-per-node=1 {program}"


def test_the_shell_sees_what_the_user_wrote(tmp_path: Path) -> None:
    program = tmp_path / "my env" / "torchrun"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    launch = plan(settings("python train.py --name 'two words' \"$SEED\" --all *.none"), 0, str(program), {})
    said = subprocess.run(shell_command(launch.command), env={"SEED": "4 2"}, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[2:] == ["train.py", "--name", "two words", "4 2", "--all", "*.none"]


def test_one_of_several_machines_is_told_its_place_and_where_they_meet() -> None:
    config = settings(nodes=2, processes=8)
    launch = planned(config, run="digits 17/1", MLGATE_NODE_RANK="1", MLGATE_RENDEZVOUS="10.0.0.5:29500")
    assert launch.shown == (
        "torchrun --nnodes=2 --node-rank=1 --rdzv-backend=static --rdzv-endpoint=10.0.0.5:29500 --rdzv-id=digits-17-1 "
        "--nproc-per-node=8 train.py --epochs 10"
    )
    assert (launch.node_rank, launch.nodes, launch.is_leader) == (1, 2, False)
    fixed = settings(nodes=2, rendezvous="[fe80::1]:29500")
    assert "'--rdzv-endpoint=[fe80::1]:29500'" in planned(fixed, MLGATE_NODE_RANK="0", MLGATE_RENDEZVOUS_ID="mine").command


@pytest.mark.parametrize(
    ("config", "environ", "said"),
    [
        (settings(nodes=2), {}, "MLGATE_NODE_RANK: expected this machine's number, 0 to 1 .* it is not set; set it in the job's `env`"),
        (settings(nodes=2), {"MLGATE_NODE_RANK": "2"}, "MLGATE_NODE_RANK: .* got '2'"),
        (settings(nodes=2), {"MLGATE_NODE_RANK": "-1"}, "MLGATE_NODE_RANK: .* got '-1'"),
        (settings(nodes=2), {"MLGATE_NODE_RANK": "0"}, "MLGATE_RENDEZVOUS: expected host:port .* neither it nor train.torchrun.rendezvous"),
        (settings(nodes=2), {"MLGATE_NODE_RANK": "0", "MLGATE_RENDEZVOUS": "x;y"}, "MLGATE_RENDEZVOUS: expected host:port .* got 'x;y'"),
        (settings("--nproc-per-node=2 train.py"), {}, "train.command: expected a script or '-m module'"),
        (settings("cd x\npython train.py"), {}, "train.command: expected one line for torchrun"),
    ],
)
def test_what_is_missing_is_said(config: TrainConfig, environ: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        planned(config, **environ)


def test_machines_without_a_common_name_do_not_meet_by_chance() -> None:
    with pytest.raises(InputError, match="MLGATE_RENDEZVOUS_ID: expected a name that all machines of this training share"):
        planned(settings(nodes=2), run=None, MLGATE_NODE_RANK="0", MLGATE_RENDEZVOUS="a:1")


def test_without_torchrun_is_said_what_to_do() -> None:
    with pytest.raises(InputError, match=r"train.launcher: no program 'torchrun' on PATH in your environment; install PyTorch there"):
        plan(settings(), 1, None, {})
