"""What train finds of the machine's GPUs: what was there before, what was leased, what the training took of it."""

from __future__ import annotations

from mlgate.evidence.record import Record, Text


class GpuDevice(Record):
    """A GPU, or an instance of one that MIG has divided."""

    uuid: Text
    """As CUDA_VISIBLE_DEVICES takes it: `GPU-…` or `MIG-…`."""
    name: Text
    memory_total_bytes: int
    memory_free_bytes: int
    compute_capability: Text | None = None
    is_mig: bool = False
    trouble: list[Text] = []
    """Why it cannot be used, or should be looked at: ECC errors, Xid messages, rows to be remapped."""


class PreflightFindings(Record):
    """The machine as it was before anything costly began."""

    driver: Text | None
    """None: no NVIDIA driver."""
    cuda: Text | None
    """The newest CUDA that the driver takes."""
    devices: list[GpuDevice]
    disk_free_bytes: int | None = None
    shared_memory_free_bytes: int | None = None
    problems: list[Text] = []
    """What `train.gpu` asks and this machine has not; with `need: preferred` the reason for the CPU."""
    warnings: list[Text] = []
    duration_s: float = 0


class LeaseFindings(Record):
    """What this training had for itself."""

    devices: list[Text]
    """UUIDs; none on the CPU."""
    waited_s: float = 0
    position: int = 0
    """How many waited in front when it came."""


class UsedDevice(Record):
    """What the training took of one device, of samples while it ran."""

    uuid: Text
    name: Text
    utilisation_mean: float | None
    """0 to 1; None where the driver does not tell, as of MIG instances."""
    memory_peak_bytes: int | None
    memory_total_bytes: int | None
    power_mean_w: float | None = None
    energy_j: float | None = None
    throttled_share: float | None = None
    """Share of the samples at which heat or power held the clocks down."""
    throttled_by: dict[Text, float] = {}
    """Share of the samples at which each did: `heat`, `power limit`, `power brake`, `hardware slowdown`."""
    temperature_max_c: float | None = None
    watched_s: float = 0
    """How long it answered."""
    stopped: Text = ""
    """Why it was watched no longer, where that was before the training's end."""


class TrainingCost(Record):
    """What a training took, as the store keeps it with an evaluation, for the next one to compare with."""

    duration_s: float
    gpu_hours: float | None = None
    kwh: float | None = None
    cost: float | None = None
    currency: Text | None = None
    without: list[Text] = []
    """Stages of the pipeline that did not run, since an earlier run's results were there: their cost is none of this."""


class AccountFindings(Record):
    """What the training cost."""

    duration_s: float
    gpu_hours: float
    """Leased GPUs times hours, whether they worked or not."""
    kwh: float | None = None
    """Of the leased GPUs, as they measured it."""
    cost: float | None = None
    currency: Text | None = None
    devices: list[UsedDevice] = []
    samples: int = 0
    cpu_s: float | None = None
    """Processor time of the training's processes, as far as their parents waited for them."""
    hints: list[Text] = []
    """What to do where a GPU idled or its memory lay empty."""
    whole: TrainingCost | None = None
    """With the runs that it went on from; None where it began anew."""
