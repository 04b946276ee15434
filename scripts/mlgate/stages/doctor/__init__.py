"""mlgate doctor: everything a run will need, looked at before a run needs it, with what to do about each. Changes nothing.

Each area asks its own questions, all at the same time: this machine, a Git host, DVC's remotes, MLflow and GitHub answer when they like.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.stages.doctor import code, configuration, data, github, machine, repository, runs, workflows
from mlgate.stages.doctor.findings import Diagnosis, Finding, problem
from mlgate.stages.doctor.subject import Subject

__all__ = ["TIMEOUT_S", "run"]

TIMEOUT_S = 10.0
"""How long one question may take."""


@dataclass(frozen=True)
class Question:
    """One thing that is looked at."""

    area: str
    about: str
    """In words, to follow "no answer about"."""
    ask: Callable[[Subject], Iterator[Finding]]
    needs: Callable[[Subject], Sequence[str]] = lambda _: ()
    """Modules whose import may take seconds on a slow machine; no time of the answer's."""


QUESTIONS = (
    Question("Configuration", "mlgate.yaml", configuration.look),
    Question("Configuration", "the contracts", configuration.look_at_contracts, configuration.modules),
    Question("Git", "this clone", repository.look),
    Question("Git", "origin", repository.look_at_origin),
    Question("Git", "the store", repository.look_at_store),
    Question("Data", "DVC's remotes", data.look, data.modules),
    Question("Your code", "your interpreter and commands", code.look),
    Question("Your code", "the GPU", code.look_at_gpu),
    Question("Runs", "MLflow", runs.look),
    Question("Workflow", "the workflow files", workflows.look),
    Question("GitHub", "the repository's settings", github.look, github.modules),
    Question("This machine", "this machine", machine.look),
)


def run(
    working_directory: Path,
    config_path: str,
    environ: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    questions: Sequence[Question] = QUESTIONS,
) -> Diagnosis:
    """Ask all questions at the same time.

    Args:
        working_directory: the model's folder.
        config_path: of mlgate.yaml, relative to it.
        environ: of this process.
        timeout_s: how long one question may take; what has no answer by then is a problem of the infrastructure.
        questions: left out, all there are.

    Raises:
        InputError: there is no such folder.
    """
    subject = Subject.open(working_directory, config_path, environ)
    asked = [_Asked(question, subject) for question in questions]
    findings = [finding for one in asked for finding in one.answer(timeout_s)]
    order = list(dict.fromkeys(question.area for question in questions))
    return Diagnosis(sorted(findings, key=lambda finding: order.index(finding.area)))


class _Asked:
    """A question in a thread of its own, which nobody waits for longer than they have to."""

    def __init__(self, question: Question, subject: Subject) -> None:
        self._question = question
        self._findings: list[Finding] = []
        self._failure: BaseException | None = None
        self._began = threading.Event()
        self._began_at = 0.0
        self._thread = threading.Thread(target=self._ask, args=(subject,), daemon=True)
        self._thread.start()

    def answer(self, timeout_s: float) -> list[Finding]:
        """What was found in the given time. Raises what kept the question from being asked, where that is no error of the user's."""
        self._began.wait()
        self._thread.join(max(0.0, self._began_at + timeout_s - time.monotonic()))
        found = list(self._findings)
        if self._thread.is_alive():
            found.append(problem(f"no answer about {self._question.about} within {timeout_s:g} s", "try again, or look there yourself", 3))
        elif isinstance(self._failure, MlgateError):
            lines = str(self._failure).splitlines()
            found += [problem(line, exit_code=self._failure.exit_code) for line in lines]
        elif self._failure is not None:
            raise self._failure
        return [finding.of(self._question.area) for finding in found]

    def _ask(self, subject: Subject) -> None:
        try:
            self._make_ready(subject)
            for finding in self._question.ask(subject):
                self._findings.append(finding)
        except BaseException as error:  # noqa: BLE001 -- passed on by `answer`, in the thread that is listened to
            self._failure = error

    def _make_ready(self, subject: Subject) -> None:
        try:
            for module in self._question.needs(subject):
                with suppress(ImportError):  # the question says what that means
                    importlib.import_module(module)
        finally:
            self._began_at = time.monotonic()
            self._began.set()
