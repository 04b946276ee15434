"""What a training costs: the leased GPUs are watched while it runs. Around `resume.checkpoints` and `running.run`.

    with account.sampled(settings, lease.devices) as bill, resume.checkpoints(…) as saver:
        bill.went_on_from(saver.findings.resumed_from)     # None where it begins anew
        ran = running.run(…)
    findings = bill.findings()

`bill.spent()` says from any thread what it has taken so far, for `CheckpointRef.spent`.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mlgate.config import TrainConfig
from mlgate.evidence import AccountFindings, CheckpointRef, TrainingCost
from mlgate.gpu import account
from mlgate.gpu.account import cost_of
from mlgate.gpu.sampler import Sampler

__all__ = ["Bill", "cost_of", "sampled"]


class Bill:
    """Of one training, open while it runs."""

    def __init__(self, settings: TrainConfig, devices: Sequence[str], environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._leased = len(devices)
        self._sampler = Sampler(devices, environ) if devices else None
        self._began = time.monotonic()
        self._cpu_began = _cpu_of_children_s()
        self._resumed_from: CheckpointRef | None = None
        self._ended: float | None = None
        self._cpu_s: float | None = None
        if self._sampler is not None:
            self._sampler.start()

    def went_on_from(self, checkpoint: CheckpointRef | None) -> None:
        """Say where it began: the training before that point counts, too."""
        self._resumed_from = checkpoint

    def spent(self) -> TrainingCost:
        """What it has taken so far, with all runs that it went on from."""
        return cost_of(self.findings())

    def findings(self) -> AccountFindings:
        """The bill as it stands; the whole one after `close`."""
        price = self._settings.price
        duration_s = (self._ended or time.monotonic()) - self._began
        tallies, unseen = (self._sampler.tallies(), self._sampler.problem) if self._sampler else ([], None)
        found = account.bill(tallies, self._leased, duration_s, price, cpu_s=self._cpu_s, unseen=unseen)
        return account.with_earlier(found, self._resumed_from, price, self._leased)

    def close(self) -> None:
        """Take the last samples. A GPU that answers no more is not waited for."""
        if self._ended is None:
            self._ended = time.monotonic()
            self._cpu_s = _cpu_of_children_s() - self._cpu_began
            if self._sampler is not None:
                self._sampler.stop()


@contextmanager
def sampled(settings: TrainConfig, devices: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[Bill]:
    """Watch devices while a training runs.

    Args:
        settings: `train` of mlgate.yaml.
        devices: UUIDs of what was leased; none on the CPU, where only time is counted.
        environ: by which NVML is found; this process's, where left out.
    """
    bill = Bill(settings, devices, os.environ if environ is None else environ)
    try:
        yield bill
    finally:
        bill.close()


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
