"""What starts the training: the command itself, or `torchrun` with it, on one machine or as one of several. Data in, a command out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mlgate.config import TrainConfig
from mlgate.errors import InputError

RANK, RENDEZVOUS, RUN_ID = "MLGATE_NODE_RANK", "MLGATE_RENDEZVOUS", "MLGATE_RENDEZVOUS_ID"
_PLACE = re.compile(r"^[A-Za-z0-9._\-\[\]:]+:\d{1,5}$")
# `python train.py` and `/opt/venv/bin/python3.12 -u train.py`: torchrun brings the interpreter, the one it is installed in
_PYTHON = re.compile(r"^\s*(?:\S*/)?python(?:\d+(?:\.\d+)*)?\s+(?:-u\s+)?(?=\S)")
_OTHER_OPTION = re.compile(r"^-(?!m\s)")


@dataclass(frozen=True)
class Launch:
    """How the training is started."""

    command: str
    """For the shell."""
    shown: str
    """As a reader sees it."""
    processes: int = 1
    """On this machine."""
    node_rank: int = 0
    nodes: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this machine's job keeps the MLflow run and leaves what the gate reads."""
        return self.node_rank == 0


def plan(settings: TrainConfig, devices: int, torchrun: str | None, environ: Mapping[str, str], *, run: str | None = None) -> Launch:
    """Work out the command.

    Args:
        settings: `train` of mlgate.yaml.
        devices: how many GPUs were leased.
        torchrun: path of the user's torchrun; None where there is none on their PATH.
        environ: holds MLGATE_NODE_RANK, MLGATE_RENDEZVOUS and, if need be, MLGATE_RENDEZVOUS_ID, for several machines.
        run: what all machines of this training have in common, and no other training: the run and its attempt.

    Raises:
        InputError: there is no torchrun, or several machines were asked for and this one does not know its place among them.
    """
    if settings.launcher == "shell":
        return Launch(settings.command, settings.command)
    asked, node_rank = settings.torchrun, rank(settings, environ)
    if torchrun is None:
        raise InputError(
            "train.launcher: no program 'torchrun' on PATH in your environment; install PyTorch there before mlgate runs "
            "(pip install torch), activate the environment or set MLGATE_USER_PYTHON to its interpreter"
        )
    options = ["--standalone"] if asked.nodes == 1 else _among_several(settings, node_rank, environ, run)
    processes = asked.processes or max(devices, 1)
    options.append(f"--nproc-per-node={processes}")
    runs = program(settings.command)
    words = " ".join(shlex.quote(option) for option in options)
    return Launch(f"{shlex.quote(torchrun)} {words} {runs}", f"torchrun {words} {runs}", processes, node_rank, asked.nodes)


def rank(settings: TrainConfig, environ: Mapping[str, str]) -> int:
    """Which of the machines this is, from 0. Raises InputError where there are several and MLGATE_NODE_RANK does not say."""
    nodes = settings.torchrun.nodes
    if nodes == 1:
        return 0
    said = environ.get(RANK, "").strip()
    if not said.isdecimal() or int(said) >= nodes:
        got = f"got '{said[:20]}'" if said else "it is not set"
        raise InputError(
            f"{RANK}: expected this machine's number, 0 to {nodes - 1} (train.torchrun.nodes is {nodes}); {got}; set it in the job's `env`"
        )
    return int(said)


def _among_several(settings: TrainConfig, node_rank: int, environ: Mapping[str, str], run: str | None) -> list[str]:
    place = settings.torchrun.rendezvous or environ.get(RENDEZVOUS, "").strip()
    if not _PLACE.match(place):
        got = f"got '{place[:100]}'" if place else "neither it nor train.torchrun.rendezvous is set"
        raise InputError(
            f"{RENDEZVOUS}: expected host:port of the machine with {RANK} 0, where all of them meet, e.g. 10.0.0.5:29500; {got}"
        )
    identity = environ.get(RUN_ID, "").strip() or run
    if not identity:
        raise InputError(f"{RUN_ID}: expected a name that all machines of this training share and no other training has, e.g. digits-17")
    return [
        f"--nnodes={settings.torchrun.nodes}",
        f"--node-rank={node_rank}",
        "--rdzv-backend=static",  # c10d gives ranks by host name and process id, and what rank 0 leaves would lie on any of the machines
        f"--rdzv-endpoint={place}",
        f"--rdzv-id={re.sub(r'[^A-Za-z0-9._-]', '-', identity)[:200]}",
    ]


def program(command: str) -> str:
    """The user's text as torchrun's last arguments: a script or `-m module` with its own. Raises InputError where it is none."""
    given = _PYTHON.sub("", command).strip()
    if _OTHER_OPTION.match(given):
        raise InputError(
            "train.command: expected a script or '-m module' for torchrun to run, such as 'train.py --epochs 10', "
            f"got '{given[:60]}'; options of the interpreter go into PYTHONOPTIMIZE and its like"
        )
    if "\n" in given:
        raise InputError("train.command: expected one line for torchrun, such as 'train.py --epochs 10'; put several into a script")
    return given
