"""doctor: the user's interpreter and commands, and the GPU. Nothing of the user's is run but `python --version`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlgate.config import Config, GpuConfig
from mlgate.environment import user_environment, user_interpreter
from mlgate.errors import InputError
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject
from mlgate.stages.job import commands
from mlgate.stages.training import machine as preflight
from mlgate.training import launcher

_TIMEOUT_S = 8
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*$")
_WORD = re.compile(r"[\w./+@%~-]+$")
_SCRIPT = re.compile(r"[\w./-]+\.py$")


def look(subject: Subject) -> Iterator[Finding]:
    """Whether there is a Python for the user's code, and whether the commands' programs are there."""
    try:
        interpreter, environ = user_interpreter(), user_environment()
    except InputError as error:
        yield problem(str(error))
        return
    version = _said([str(interpreter), "--version"], subject.root, environ)
    yield ok(f"{interpreter}: {version}") if version else problem(f"{interpreter}: does not start", "name another in MLGATE_USER_PYTHON")
    for key, command in _commands(subject.config) if subject.config else []:
        yield from _command(subject.root, key, command, environ)
    train = subject.config.train if subject.config else None
    if train is not None and train.launcher == "torchrun":
        yield from _torchrun(subject.root, train.command, environ)


def look_at_gpu(subject: Subject) -> Iterator[Finding]:
    """Whether the GPUs are there that `train.gpu` asks for; else which there are, for information."""
    train = subject.config.train if subject.config else None
    if train is not None and train.gpu is not None:
        yield from _asked_gpu(subject, train.gpu)
        return
    program = shutil.which("nvidia-smi")
    asked = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    said = _said([program, *asked], subject.root, os.environ) if program else None
    if said:
        yield ok("; ".join(f"GPU {', driver '.join(line.rsplit(', ', 1))}" for line in said.splitlines()))
    elif program:
        yield unneeded("nvidia-smi is there, and finds no GPU")
    else:
        yield unneeded("no NVIDIA GPU here; only a training that asks for one needs it")


def _asked_gpu(subject: Subject, asked: GpuConfig) -> Iterator[Finding]:
    machine = preflight.examine(subject.root, asked, subject.environ, deadline_s=_TIMEOUT_S)
    found = machine.findings
    if found is None:
        return
    if machine.refusal and subject.environ.get("GITHUB_ACTIONS") == "true":
        yield problem(machine.refusal, exit_code=3)
    elif machine.refusal:
        yield warning(machine.refusal, "here that is no harm; the job 'train' runs on a machine that has it")
    else:
        for text in found.problems:
            yield unneeded(f"{text}; training goes on on the CPU here (train.gpu.need: preferred)")
    if machine.devices:
        names = dict.fromkeys(device.name for device in machine.devices)
        wanted = f"{asked.count} of {len(machine.devices)} that will do" if len(machine.devices) > 1 else "the one that will do"
        yield ok(f"train.gpu: {wanted}, {', '.join(names)}; driver {found.driver}, CUDA up to {found.cuda}")
    for text in found.warnings:
        yield warning(text)


def _commands(config: Config) -> list[tuple[str, str]]:
    found = [(f"checks[{place}]", command) for place, command in enumerate(config.checks)]
    named = {
        "data.prepare": config.data.prepare,
        "train.command": config.train.command if config.train and config.train.launcher == "shell" else None,
        "evaluation.predict": config.evaluation.predict,
    }
    return found + [(key, command) for key, command in named.items() if command is not None]


def _command(root: Path, key: str, command: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    words = command.split()
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    if not words or not _WORD.match(words[0]):
        yield unneeded(f"{key}: '{commands.short(command)}' is for the shell to take apart")
        return
    kind = _kind(root, words[0], environ)
    if kind is None:
        yield problem(f"{key}: no program '{words[0]}' on PATH", "install it, or correct the command; in CI, setup-command does that")
    elif words[0].startswith("python") and len(words) > 1 and _SCRIPT.match(words[1]) and not (root / words[1]).is_file():
        yield problem(f"{key}: no file '{words[1]}'", "correct the command; it runs in the folder of mlgate.yaml")
    else:
        yield ok(f"{key}: {commands.short(command)}")


def _torchrun(root: Path, command: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether torchrun is there, and the script that it will run."""
    try:
        program = launcher.program(command)
    except InputError as error:
        yield problem(str(error))
        return
    script = program.split()[0]
    if _kind(root, "torchrun", environ) is None:
        yield problem(
            "train.launcher: no program 'torchrun' on PATH", "install PyTorch, or activate its environment; in CI, setup-command does that"
        )
    elif _SCRIPT.match(script) and not (root / script).is_file():
        yield problem(f"train.command: no file '{script}'", "correct the command; it runs in the folder of mlgate.yaml")
    else:
        yield ok(f"train.command: torchrun {commands.short(program)}")


def _kind(root: Path, word: str, environ: Mapping[str, str]) -> str | None:
    """What bash, which will run the command, takes its first word for: a file, a builtin, a keyword. None for nothing."""
    bash = shutil.which("bash")
    if bash is None:
        return "file" if shutil.which(word, path=environ["PATH"]) or (root / word).is_file() else None
    return _said([bash, "--noprofile", "--norc", "-c", 'type -t -- "$1"', "bash", word], root, environ)


def _said(command: list[str], root: Path, environ: Mapping[str, str]) -> str | None:
    """What a program prints; None where it fails."""
    try:
        finished = subprocess.run(
            command,
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (finished.stdout or finished.stderr).strip() or None if finished.returncode == 0 else None
