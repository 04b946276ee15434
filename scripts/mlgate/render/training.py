"""The section on training: where it began and how it ended, what it took of which GPUs, what that cost, and how its numbers went."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from mlgate.evidence import (
    AccountFindings,
    CheckpointRef,
    CurvePoint,
    GateFindings,
    MlflowRun,
    PreflightFindings,
    ProgressFindings,
    ReusedRun,
    TrainFindings,
    TrainingCost,
    UsedDevice,
)
from mlgate.render import numbers
from mlgate.render.answer import Evidences, findings_of, what_ended
from mlgate.render.commands import command_line
from mlgate.render.document import Block, Code, Curve, Curves, Figure, Items, Line, Link, Log, Panel, Section, Span, Table

_PANELS, _CURVES_IN_PANEL, _METRICS = 6, 4, 20
_DEVICES_FOUND = 8
_DEVICES_USED, _NAMES = 64, 100
"""More than a machine has, or a reader reads: evidence may be a stranger's."""
_LINES = 10
_HUGE, _LONG = 1e100, 1e12
_SPLIT = re.compile(r"^(?:train|training|val|valid|validation|eval|test|dev)(?:[_/.\- ]+)|(?:[_/.\- ]+)(?:train|val|valid|eval|test|dev)$")


def section(evidences: Evidences) -> Section | None:
    """How training went; unfolded where it did not pass, with the end of its output."""
    found = findings_of(evidences, "train", TrainFindings)
    if found is None:
        return None
    has_failed = evidences["train"].status != "passed"
    gate = findings_of(evidences, "gate", GateFindings)
    baseline = gate.baseline.training if gate is not None and gate.baseline is not None else None
    blocks: list[Block] = [Items(tuple(_lines(found, baseline, evidences["train"].summary)))]
    if found.run is None and found.preflight is not None and found.preflight.devices:
        blocks.append(_found_devices(found.preflight))
    if found.account is not None and found.reused_run is None and (costs := _costs(found.account, baseline)):
        blocks.append(costs)
    if found.account is not None and found.account.devices:
        blocks.append(_devices(found.account.devices))
    if found.progress is not None:
        blocks += _curves(found.progress)
    if has_failed and found.run is not None and found.run.tail.strip():
        blocks.append(Log(found.run.tail))
    return Section("training", _title(found, baseline, has_failed=has_failed), tuple(blocks), is_open=has_failed)


def notes(evidences: Evidences) -> list[Line]:
    """What a reviewer must not miss: that nothing was trained now, or not where it was meant to be."""
    found = findings_of(evidences, "train", TrainFindings)
    if found is None:
        return []
    told: list[Line] = []
    is_reused = found.is_reused or found.reused_run is not None
    if is_reused:
        told.append(("Nothing was trained anew: an earlier run with equal code, data and parameters had done it.",))
    if found.run is not None and found.preflight is not None and found.preflight.problems and not is_reused:
        told.append(("The model was trained on the CPU: the machine has not the GPU that is preferred.",))
    return told


def mlflow_run(run: MlflowRun | None) -> tuple[Span, ...]:
    """Where MLflow has a training."""
    if run is None:
        return ()
    name: Span = Link(f"run {run.run_id}", run.url) if run.url else Code(run.run_id)
    return (name, " of experiment ", Code(run.experiment), " at ", Code(run.tracking_uri, 120))


def _title(found: TrainFindings, baseline: TrainingCost | None, *, has_failed: bool) -> str:
    if found.run is None:
        return "Training: not begun"
    if found.ended_by:
        return f"Training: ended after {numbers.duration(found.run.duration_s)}"
    if has_failed:
        return "Training: failed"
    if found.is_reused or found.reused_run is not None:
        return "Training: nothing trained twice"
    if found.account is None or not found.account.gpu_hours:
        return f"Training: {numbers.duration(found.run.duration_s)}"
    cost = _whole(found.account)
    took = [numbers.duration(cost.duration_s)]
    if cost.gpu_hours is not None:
        before = baseline.gpu_hours if baseline is not None and not baseline.without else None
        took.append(f"{_few(cost.gpu_hours)} GPU-hours" + ("" if before is None else f" (baseline {_few(before)})"))
    if cost.cost is not None:
        took.append(_money(cost.cost, cost.currency))
    return f"Training: {', '.join(took)}"


# --- what happened ---------------------------------------------------------------------------------------------------


def _lines(found: TrainFindings, baseline: TrainingCost | None, summary: str) -> Iterable[Line]:
    if found.reused_run is not None:
        yield from _reused(found.reused_run)
    elif found.run is None:
        yield from _refused(found.preflight, summary)
    elif found.ended_by:
        after = f" was ended by {what_ended(found.ended_by)} after {numbers.duration(found.run.duration_s)}"
        yield ("⚠️ ", Code(found.run.command, 200), after, *_how_far(found.progress), ".")
    else:
        yield command_line(found.run)
    yield from _machine(found)
    yield from _began_and_ended(found)
    yield from _pipeline(found)
    if found.account is not None and found.run is not None and found.reused_run is None:
        yield from _cost(found.account, baseline)
        yield from ((f"Hint: {hint}.",) for hint in found.account.hints[:_LINES])
        yield from _stopped(found.account.devices)
    if found.mlflow is not None:
        yield ("MLflow: ", *mlflow_run(found.mlflow))


def _reused(earlier: ReusedRun) -> Iterable[Line]:
    of: Line = (" of ", Code(earlier.commit[:7])) if earlier.commit else ()
    run: Line = (" in ", Link("this run", earlier.run_url)) if earlier.run_url else ()
    when: Line = (f" on {_moment(earlier.trained_at)}",)
    yield ("✅ Nothing was trained: the result", *of, *when, *run, " is reused: code, data, parameters and environment are the same.")
    cost = earlier.cost or TrainingCost(duration_s=earlier.duration_s)
    yield (f"This run cost nothing; that one took {_and(_amounts(cost))}.",)


def _refused(preflight: PreflightFindings | None, summary: str) -> Iterable[Line]:
    yield ("❌ Nothing was begun: the machine has not what the training asks for.",)
    for problem in (preflight.problems if preflight else [])[:_LINES]:
        if problem not in summary:  # which stands at the top
            yield (f"{problem}.",)


def _machine(found: TrainFindings) -> Iterable[Line]:
    preflight, lease = found.preflight, found.lease
    if preflight is None:
        return
    names = {device.uuid: device.name for device in preflight.devices}
    versions = ", ".join(
        [*([f"driver {preflight.driver}"] if preflight.driver else []), *([f"CUDA {preflight.cuda}"] if preflight.cuda else [])]
    )
    if lease is not None and lease.devices:
        held: Line = tuple(_listed([names.get(uuid, uuid) for uuid in lease.devices]))
        yield ("On ", *held, *((f" ({versions})",) if versions else ()), *_waited(lease.waited_s, lease.position))
    elif found.run is None:
        looked = f"looked at in {numbers.duration(preflight.duration_s)}"
        yield (f"The machine: {versions or 'no NVIDIA driver'}, {_counted(len(preflight.devices))}; {looked}.",)
    elif not found.is_reused and found.reused_run is None:
        yield from ((f"⚠️ On the CPU: {problem}.",) for problem in preflight.problems[:_LINES])
    if found.reused_run is None:  # else nothing ran on this machine
        yield from ((f"⚠️ {warning}.",) for warning in preflight.warnings[:_LINES])


def _counted(devices: int) -> str:
    return numbers.count(devices, "GPU") if devices else "no GPU"


def _waited(waited_s: float, position: int) -> Line:
    if waited_s < 1:
        return (", free at once.",)
    front = f", {numbers.count(position, 'job')} in front" if position else ""
    return (f", after {numbers.duration(waited_s)} in the queue{front}.",)


def _began_and_ended(found: TrainFindings) -> Iterable[Line]:
    kept = found.checkpoints
    if kept is not None and kept.resumed_from is not None:
        begun = kept.resumed_from
        yield (f"Went on from {_at(begun)}: {numbers.duration(begun.trained_s)} of training saved.",)
    if kept is not None:
        yield from ((f"Passed over: {text}.",) for text in kept.passed_over[:_LINES])
    if found.ended_by:
        yield _what_is_left(found)
    elif kept is not None and kept.last is not None:
        saved = numbers.count(kept.saved, "checkpoint")
        newest = f"the newest at {at}" if (at := _reached(kept.last)) else "the newest"
        yield (f"{saved} saved in {kept.place}, {newest} ({_moment(kept.last.saved_at)}).",)


def _what_is_left(found: TrainFindings) -> Line:
    kept = found.checkpoints
    if kept is None:
        return ("Nothing of it is left: ", Code("train.checkpoints"), " would keep its work.")
    if kept.last is None:
        if kept.resumed_from is not None:
            return (f"It saved no further checkpoint: when its job runs again, it goes on from {_at(kept.resumed_from)}.",)
        return ("It had saved no checkpoint: when its job runs again, it begins anew.",)
    size = f", {numbers.size(kept.last.size_bytes)}" if kept.last.size_bytes else ""
    return (f"When its job runs again, it goes on from {_at(kept.last)}{size}, in {kept.place}.",)


def _how_far(progress: ProgressFindings | None) -> Line:
    if progress is None or progress.step is None:
        return ()
    of = f" of {_step(progress.total)}" if progress.total is not None else ""
    return (f", at {progress.unit or 'step'} {_step(progress.step)}{of}",)


def _at(checkpoint: CheckpointRef) -> str:
    when = _moment(checkpoint.saved_at)
    return f"{at} ({when})" if (at := _reached(checkpoint)) else f"the checkpoint of {when}"


def _reached(checkpoint: CheckpointRef) -> str:
    """`epoch 12`; empty where the training did not say."""
    return f"{checkpoint.unit or 'step'} {_step(checkpoint.step)}" if checkpoint.step is not None else ""


def _pipeline(found: TrainFindings) -> Iterable[Line]:
    if found.is_reused and found.reused_run is None:
        yield ("Nothing was trained: an earlier run with equal code, data and parameters had done it.",)
    elif reused := [stage.name for stage in found.pipeline if stage.is_reused]:
        yield ("Reused from an earlier run: ", *_joined([Code(name) for name in reused]))
    if ran := [stage.name for stage in found.pipeline if not stage.is_reused]:
        yield ("Run: ", *_joined([Code(name) for name in ran]))


# --- what it took ----------------------------------------------------------------------------------------------------


def _whole(account: AccountFindings) -> TrainingCost:
    own = TrainingCost(
        duration_s=account.duration_s,
        gpu_hours=account.gpu_hours or None,
        kwh=account.kwh,
        cost=account.cost,
        currency=account.currency,
    )
    return account.whole or own


def _cost(account: AccountFindings, baseline: TrainingCost | None) -> Iterable[Line]:
    if _costs(account, baseline) is None and account.gpu_hours:
        yield (f"Took {_and(_amounts(_whole(account)))}.",)
    elif account.cpu_s and not account.gpu_hours:
        yield (f"Took {numbers.duration(account.cpu_s)} of processor time.",)
    if baseline is not None and baseline.without:
        yield ("The baseline’s cost is without ", *_joined([Code(name) for name in baseline.without[:_LINES]]), ", which did not run then.")


def _amounts(cost: TrainingCost) -> list[str]:
    """`43 min`, `0.42 GPU-hours`: what is known of it."""
    told = [numbers.duration(cost.duration_s)]
    told += [f"{_few(cost.gpu_hours)} GPU-hours"] if cost.gpu_hours is not None else []
    told += [_energy(cost.kwh)] if cost.kwh is not None else []
    return told + ([_money(cost.cost, cost.currency)] if cost.cost is not None else [])


def _costs(account: AccountFindings, baseline: TrainingCost | None) -> Table | None:
    """Beside the baseline's, and this run's share of it; None where there is only one number of each."""
    shown = [("Baseline", baseline)] if baseline is not None else []
    whole = _whole(account)
    shown.append(("Candidate", whole))
    if account.whole is not None:
        shown.append(("Candidate, this run alone", _whole(account.model_copy(update={"whole": None}))))
    if len(shown) == 1:
        return None
    columns: list[tuple[str, Callable[[TrainingCost], str]]] = [
        ("Time", lambda cost: numbers.duration(cost.duration_s)),
        ("GPU-hours", lambda cost: numbers.NONE if cost.gpu_hours is None else _few(cost.gpu_hours)),
        ("Energy", lambda cost: numbers.NONE if cost.kwh is None else _energy(cost.kwh)),
        ("Cost", lambda cost: numbers.NONE if cost.cost is None else _money(cost.cost, cost.currency)),
    ]
    known = [(heading, cell) for heading, cell in columns if any(cell(cost) != numbers.NONE for _, cost in shown)]
    rows = tuple(((who,), *((cell(cost),) for _, cell in known)) for who, cost in shown)
    return Table(("Training of", *(heading for heading, _ in known)), "l" + "r" * len(known), rows, unit="row")


def _stopped(devices: Sequence[UsedDevice]) -> Iterable[Line]:
    for at, device in enumerate(devices[:_LINES]):
        if device.stopped:
            yield (f"⚠️ GPU {at} (", Code(device.name), f") was not watched to the end: {device.stopped}.")


def _devices(devices: Sequence[UsedDevice]) -> Table:
    def cells(at: int, device: UsedDevice) -> tuple[Line, ...]:
        memory = numbers.NONE
        if device.memory_peak_bytes is not None:
            memory = numbers.size(device.memory_peak_bytes)
            memory += f" of {numbers.size(device.memory_total_bytes)}" if device.memory_total_bytes else ""
        return (
            (f"{at}: ", Code(device.name)),
            (numbers.NONE if device.utilisation_mean is None else numbers.share(device.utilisation_mean),),
            (memory,),
            (numbers.NONE if device.energy_j is None else _energy(device.energy_j / 3.6e6),),
            (numbers.NONE if device.power_mean_w is None else f"{device.power_mean_w:,.0f}{numbers.NBSP}W",),
            (numbers.NONE if device.temperature_max_c is None else f"{device.temperature_max_c:.0f}{numbers.NBSP}°C",),
            (_throttled(device),),
        )

    headings = ("GPU", "Worked", "Memory at its peak", "Energy", "Power, mean", "Hottest", "Slowed down")
    rows = tuple(cells(at, device) for at, device in enumerate(devices[:_DEVICES_USED]))
    return Table(headings, "lrrrrrl", rows, unit="GPU", is_cut_last=True)


def _throttled(device: UsedDevice) -> str:
    if device.throttled_share is None:
        return numbers.NONE
    by = ", ".join(f"{numbers.share(share)} by {reason}" for reason, share in device.throttled_by.items())
    return by or "never"


def _found_devices(preflight: PreflightFindings) -> Table:
    rows: list[tuple[Line, ...]] = []
    for at, device in enumerate(preflight.devices[:_DEVICES_FOUND]):
        free = f"{numbers.size(device.memory_free_bytes)} of {numbers.size(device.memory_total_bytes)}"
        trouble = "; ".join(device.trouble) or "none"
        rows.append(((f"{at}: ", Code(device.name)), (free,), (device.compute_capability or numbers.NONE,), (trouble,)))
    return Table(("GPU", "Memory free", "Compute capability", "Trouble"), "lrrl", tuple(rows), unit="GPU")


# --- how its numbers went --------------------------------------------------------------------------------------------


def learning_curves(progress: ProgressFindings) -> Figure | None:
    """A picture of the curves that can be drawn, the loss first; None where there is none."""
    drawn = _drawn(progress)
    if not drawn:
        return None
    panels: dict[str, list[Curve]] = {}
    for name, points in drawn.items():
        curves = panels.setdefault(_quantity(name), [])
        if len(curves) < _CURVES_IN_PANEL:
            curves.append(Curve(name, tuple((point.step, point.value) for point in points)))
    axis = progress.unit or "step"
    shown = tuple(Panel(title, tuple(curves)) for title, curves in list(panels.items())[:_PANELS])
    return Figure("curves", "Learning curves", f"How the numbers of the training went, by {axis}.", Curves(shown, axis))


def _curves(progress: ProgressFindings) -> list[Block]:
    """A picture of what can be drawn, and a table of the same."""
    figure = learning_curves(progress)
    return [figure, _curves_table(dict(list(_drawn(progress).items())[:_METRICS]), progress.unit or "step")] if figure else []


def _drawn(progress: ProgressFindings) -> dict[str, list[CurvePoint]]:
    """Curves of more than one point, the losses first."""
    drawable = {name: _drawable(points) for name, points in progress.curves.items()}
    drawn = {name: points for name, points in drawable.items() if len({point.step for point in points}) > 1}
    ordered = sorted(drawn, key=lambda name: (_quantity(name) != "loss", "loss" not in name.lower()))
    return {name: drawn[name] for name in ordered}


def _drawable(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """In order, and of a size that arithmetic with floats bears: evidence may be a stranger's, and a training may have run away."""
    return sorted((point for point in points if max(abs(point.step), abs(point.value)) < _HUGE), key=lambda point: point.step)


def _curves_table(curves: dict[str, list[CurvePoint]], axis: str) -> Table:
    rows: list[tuple[Line, ...]] = []
    for name, points in curves.items():
        values = [point.value for point in points]
        scale = numbers.scale_of("", list(values))
        lowest, highest = min(points, key=lambda point: point.value), max(points, key=lambda point: point.value)
        rows.append(
            (
                (Code(name),),
                (scale.value(values[0]),),
                (scale.value(values[-1]),),
                (f"{scale.value(lowest.value)} at {_step(lowest.step)}",),
                (f"{scale.value(highest.value)} at {_step(highest.step)}",),
            )
        )
    return Table(("Number", "First", "Last", f"Lowest, at {axis}", f"Highest, at {axis}"), "lrrrr", tuple(rows), unit="number")


def _quantity(name: str) -> str:
    """`loss` of `train_loss` and `val/loss`: what is of one quantity is drawn on one axis."""
    return _SPLIT.sub("", name.lower()) or name.lower()


# --- words and numbers -----------------------------------------------------------------------------------------------


def _few(number: float) -> str:
    """Two decimals, or as many as show two digits: `1,204.50`, `0.42`, `0.0031`."""
    if abs(number) >= _LONG:
        return f"{number:.3g}"
    return f"{number:,.2f}" if abs(number) >= 0.095 or number == 0 else f"{number:.2g}"


def _energy(kwh: float) -> str:
    return f"{_few(kwh)}{numbers.NBSP}kWh" if abs(kwh) >= 0.095 else f"{kwh * 1000:.2g}{numbers.NBSP}Wh"


def _money(amount: float, currency: str | None) -> str:
    return f"{_few(amount)}{numbers.NBSP}{currency}" if currency else _few(amount)


def _step(step: float) -> str:
    if abs(step) >= _LONG:
        return f"{step:.3g}"
    return f"{step:,.0f}" if step == int(step) else f"{step:,.2f}"


def _moment(stated: str) -> str:
    """`2026-11-21 09:12 UTC`; what is no time is shown as it is."""
    try:
        return f"{datetime.fromisoformat(stated):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return stated


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _listed(names: Sequence[str]) -> Iterable[Span]:
    """`2 × H100` of equal names."""
    counted = Counter(names)
    for index, (name, many) in enumerate(list(counted.items())[:_NAMES]):
        yield f"{', ' if index else ''}{f'{many} × ' if many > 1 else ''}"
        yield Code(name)
    if len(counted) > _NAMES:
        yield f" and {len(counted) - _NAMES:,} more"


def _joined(spans: list[Span]) -> Iterable[Span]:
    for index, span in enumerate(spans[:_NAMES]):
        if index:
            yield ", "
        yield span
    if len(spans) > _NAMES:
        yield f" and {len(spans) - _NAMES:,} more"
