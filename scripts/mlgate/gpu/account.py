"""What a training took of its GPUs: samples are added up as they come, and become a bill with hints where something lay idle. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mlgate.config import PriceConfig
from mlgate.evidence import AccountFindings, CheckpointRef, TrainingCost, UsedDevice

IDLE_BELOW = 0.3
"""Mean utilisation below which a GPU waits for something else most of the time."""
UNUSED_BELOW = 0.02
"""Mean utilisation of a GPU that nothing runs on: a display or another tenant's monitoring is more than none."""
EMPTY_BELOW = 0.4
"""Share of its memory that a training fills at its peak, below which a smaller GPU would do."""
THROTTLED_ABOVE = 0.1
HINTS_FROM_S = 300.0
"""Shorter trainings load data and warm up for most of their time, and cost too little to say anything."""
UNUSED_FROM_S = 60.0
_FIRST_TOUCH_BYTES = 100_000_000
"""A CUDA context alone takes more; so a GPU whose memory grew by less had none."""
_LONGEST_GAP_S = 60.0
"""Between two samples further apart, as of a machine that slept, power is not known."""

# NVML's clock event reasons (nvml.h, nvmlClocksEventReason*). Idle clocks, and clocks that somebody set, hold nothing down.
_REASONS = {0x20: "heat", 0x40: "heat", 0x04: "power limit", 0x80: "power brake", 0x08: "hardware slowdown"}
_EXPLAINS_HARDWARE_SLOWDOWN = 0x40 | 0x80


@dataclass(frozen=True)
class Sample:
    """A device at one moment; None for what its driver does not tell."""

    at_s: float
    """Of a clock that never goes back."""
    utilisation: float | None = None
    """0 to 1."""
    memory_used_bytes: int | None = None
    power_w: float | None = None
    energy_j: float | None = None
    """Of the device's own counter, from whatever it began at."""
    reasons: int | None = None
    """Bits of NVML's clock event reasons."""
    temperature_c: float | None = None


@dataclass
class Tally:
    """Samples of one device, added up: a week of them takes no more room than a minute."""

    uuid: str
    name: str
    memory_total_bytes: int | None = None
    stopped: str = ""
    samples: int = 0
    _first: Sample | None = None
    _last: Sample | None = None
    _utilised: float = 0.0
    _utilisations: int = 0
    _memory_peak: int | None = None
    _hottest: float | None = None
    _asked_reasons: int = 0
    _throttled: int = 0
    _by: Counter[str] = field(default_factory=Counter)
    _energy_j: float | None = None
    _by_power_j: float | None = None
    _powers: int = 0
    _power_sum: float = 0.0

    def add(self, sample: Sample) -> None:
        """Take in a sample that is later than those before."""
        if sample.utilisation is not None:
            self._utilised += sample.utilisation
            self._utilisations += 1
        if sample.memory_used_bytes is not None:
            self._memory_peak = max(self._memory_peak or 0, sample.memory_used_bytes)
        if sample.temperature_c is not None:
            self._hottest = max(self._hottest or sample.temperature_c, sample.temperature_c)
        if sample.power_w is not None:
            self._power_sum += sample.power_w
            self._powers += 1
        if sample.reasons is not None:
            self._asked_reasons += 1
            by = throttled_by(sample.reasons)
            self._throttled += bool(by)
            self._by.update(by)
        if self._last is not None:
            self._energy_j = _added(self._energy_j, _energy_between(self._last, sample))
            self._by_power_j = _added(self._by_power_j, _power_between(self._last, sample))
        self._first = self._first or sample
        self._last = sample
        self.samples += 1

    def copy(self) -> Tally:
        """As it stands now."""
        return replace(self, _by=Counter(self._by))

    @property
    def watched_s(self) -> float:
        return self._last.at_s - self._first.at_s if self._first and self._last else 0.0

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was ever put on it."""
        first = self._first.memory_used_bytes if self._first else None
        if self._memory_peak is None or first is None or not self._utilisations:
            return False
        return self._memory_peak - first < _FIRST_TOUCH_BYTES and self._utilised / self._utilisations < UNUSED_BELOW

    def used(self) -> UsedDevice:
        """What was taken of it."""
        asked = self._asked_reasons
        return UsedDevice(
            uuid=self.uuid,
            name=self.name,
            utilisation_mean=self._utilised / self._utilisations if self._utilisations else None,
            memory_peak_bytes=self._memory_peak,
            memory_total_bytes=self.memory_total_bytes,
            power_mean_w=self._power_sum / self._powers if self._powers else None,
            energy_j=self._energy_j or self._by_power_j,  # a counter that never moved, as a virtual GPU may have, measures nothing
            throttled_share=self._throttled / asked if asked else None,
            throttled_by={reason: count / asked for reason, count in self._by.most_common()},
            temperature_max_c=self._hottest,
            watched_s=self.watched_s,
            stopped=self.stopped,
        )


def throttled_by(reasons: int) -> list[str]:
    """What held the clocks down, of NVML's bits: `["heat"]`; nothing where a GPU only idled or somebody set its clocks."""
    found = dict.fromkeys(name for bit, name in _REASONS.items() if reasons & bit)
    if reasons & _EXPLAINS_HARDWARE_SLOWDOWN:  # it is set beside them, and says less
        found.pop("hardware slowdown", None)
    return list(found)


def _added(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more


def _energy_between(before: Sample, after: Sample) -> float | None:
    """Joules by the device's counter; by its power where it has none, or the counter began anew."""
    if before.energy_j is not None and after.energy_j is not None and after.energy_j >= before.energy_j:
        return after.energy_j - before.energy_j
    return _power_between(before, after)


def _power_between(before: Sample, after: Sample) -> float | None:
    """Joules by the trapezoidal rule of the power."""
    between_s = after.at_s - before.at_s
    if before.power_w is None or after.power_w is None or between_s > _LONGEST_GAP_S:
        return None
    return (before.power_w + after.power_w) / 2 * between_s


# --- the bill --------------------------------------------------------------------------------------------------------


def bill(
    tallies: Sequence[Tally],
    leased: int,
    duration_s: float,
    price: PriceConfig | None = None,
    *,
    cpu_s: float | None = None,
    unseen: str | None = None,
) -> AccountFindings:
    """What a training cost.

    Args:
        tallies: of the devices that could be watched; perhaps fewer than were leased.
        leased: devices that it had for itself, each of which costs whether it worked or not.
        duration_s: seconds that the training ran.
        price: what GPUs and energy cost.
        cpu_s: processor seconds of the training's processes.
        unseen: why no device could be watched.
    """
    devices = [tally.used() for tally in tallies]
    gpu_hours = leased * duration_s / 3600
    energies = [device.energy_j for device in devices]
    kwh = sum(one for one in energies if one is not None) / 3.6e6 if len(devices) == leased > 0 and None not in energies else None
    return AccountFindings(
        duration_s=duration_s,
        gpu_hours=gpu_hours,
        kwh=kwh,
        cost=_cost(gpu_hours, kwh, price) if leased else None,
        currency=price.currency if price and leased else None,
        devices=devices,
        samples=sum(tally.samples for tally in tallies),
        cpu_s=cpu_s,
        hints=[
            *([f"the GPUs could not be watched: {unseen}"] if unseen else []),
            *_hints(tallies, devices, duration_s),
            *_unpriced(kwh, price, leased),
        ],
    )


def cost_of(found: AccountFindings) -> TrainingCost:
    """What the next training is compared with: all runs that it took."""
    own = TrainingCost(
        duration_s=found.duration_s,
        gpu_hours=found.gpu_hours if found.currency or found.gpu_hours else None,
        kwh=found.kwh,
        cost=found.cost,
        currency=found.currency,
    )
    return found.whole or own


def with_earlier(found: AccountFindings, resumed_from: CheckpointRef | None, price: PriceConfig | None, leased: int) -> AccountFindings:
    """The bill with the runs that this one went on from.

    What a checkpoint says it had taken counts. Of one that does not say it, its seconds of training count, on as many GPUs as now.
    """
    if resumed_from is None:
        return found
    hours = leased * resumed_from.trained_s / 3600
    earlier = resumed_from.spent or TrainingCost(
        duration_s=resumed_from.trained_s,
        gpu_hours=hours or None,
        cost=price.gpu_hour * hours if price and leased and price.gpu_hour is not None and price.kwh is None else None,
        currency=price.currency if price and leased else None,
    )
    return found.model_copy(update={"whole": total(earlier, cost_of(found))})


def total(earlier: TrainingCost, later: TrainingCost) -> TrainingCost:
    """Both together; what one of them does not know is not known of both, and money of two currencies is not added."""
    is_same_money = earlier.currency == later.currency
    return TrainingCost(
        duration_s=earlier.duration_s + later.duration_s,
        gpu_hours=_sum(earlier.gpu_hours, later.gpu_hours),
        kwh=_sum(earlier.kwh, later.kwh),
        cost=_sum(earlier.cost, later.cost) if is_same_money else None,
        currency=later.currency if is_same_money else None,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _cost(gpu_hours: float, kwh: float | None, price: PriceConfig | None) -> float | None:
    if price is None or (price.gpu_hour is None and kwh is None):
        return None
    return (price.gpu_hour or 0.0) * gpu_hours + (price.kwh or 0.0) * (kwh or 0.0)


def _unpriced(kwh: float | None, price: PriceConfig | None, leased: int) -> list[str]:
    if not leased or price is None or price.kwh is None or kwh is not None:
        return []
    without = "so the cost is without it" if price.gpu_hour is not None else "so the cost is not known"
    return [f"the energy could not be measured, {without}"]


# --- hints -----------------------------------------------------------------------------------------------------------


def _hints(tallies: Sequence[Tally], devices: Sequence[UsedDevice], duration_s: float) -> list[str]:
    """What to do about GPUs that did little; nothing where it is likely to be mere chance or warming up."""
    watched_s = min((device.watched_s for device in devices), default=0.0)
    if not devices or watched_s < 0.5 * duration_s:
        return []
    unused = [_named(at, device, devices) for at, (tally, device) in enumerate(zip(tallies, devices, strict=True)) if tally.is_untouched]
    if unused and duration_s >= UNUSED_FROM_S:
        return [_of_unused(unused, len(devices))]
    if duration_s < HINTS_FROM_S:
        return []
    return [*_of_idle(devices), *_of_empty(devices), *_of_throttled(devices)]


def _of_unused(unused: Sequence[str], of: int) -> str:
    if len(unused) < of:
        return (
            f"nothing ran on {_and(unused)} of the {of} leased GPUs: 'launcher: torchrun' starts a process for each, "
            f"or ask for fewer (train.gpu.count: {of - len(unused)})"
        )
    return (
        "nothing ran on the GPU: the training used the CPU alone. Is its framework built for CUDA, and is the model moved to the device "
        "(in PyTorch: torch.cuda.is_available(), model.to('cuda'))? If it needs no GPU, leave out train.gpu"
    )


def _of_idle(devices: Sequence[UsedDevice]) -> list[str]:
    means = [device.utilisation_mean for device in devices if device.utilisation_mean is not None]
    idle = [
        (_named(at, device, devices), device.utilisation_mean)
        for at, device in enumerate(devices)
        if device.utilisation_mean is not None and device.utilisation_mean < IDLE_BELOW
    ]
    if not idle:
        return []
    if len(idle) < len(means):
        shares = _and([f"{name} {_per_cent(mean)}" for name, mean in idle])
        return [f"of {len(devices)} leased GPUs some worked little ({shares} of the time): are all given the same share of the work?"]
    who = "the GPUs" if len(devices) > 1 else "the GPU"
    share = _per_cent(sum(means) / len(means))
    advice = "more loader workers, data read ahead or a larger batch make the training shorter, a smaller GPU makes it cheaper"
    return [f"{who} worked {share} of the time and waited for the rest, as a rule for data: {advice}"]


def _of_empty(devices: Sequence[UsedDevice]) -> list[str]:
    filled = [
        (device.memory_peak_bytes, device.memory_total_bytes)
        for device in devices
        if device.memory_peak_bytes is not None and device.memory_total_bytes
    ]
    if not filled or max(peak / size for peak, size in filled) >= EMPTY_BELOW:
        return []
    peak, size = max(filled)
    held = f"at most {peak / 1e9:,.1f} of {size / 1e9:,.0f} GB of GPU memory were in use"
    return [f"{held}: a larger batch may be faster, and a smaller GPU or a MIG instance would do"]


def _of_throttled(devices: Sequence[UsedDevice]) -> list[str]:
    """A power limit alone is no reason: a GPU that works as hard as it can is at its limit."""
    told: list[str] = []
    for at, device in enumerate(devices):
        for reason in ("heat", "power brake", "hardware slowdown"):
            if (share := device.throttled_by.get(reason, 0.0)) > THROTTLED_ABOVE:
                where = "its cooling" if reason == "heat" else "its power supply and cooling"
                who = _named(at, device, devices)
                told.append(f"{reason} held the clocks of {who} down for {_per_cent(share)} of the time: look at {where}")
    return told


def _named(at: int, device: UsedDevice, devices: Sequence[UsedDevice]) -> str:
    return "the GPU" if len(devices) == 1 else f"GPU {at} ({device.name})"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _per_cent(share: float) -> str:
    return f"{share * 100:.0f} %"
