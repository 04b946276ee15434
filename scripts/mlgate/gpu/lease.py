"""GPUs for one training at a time: a lock file a device, a queue of tickets, first come first served, over all runner agents of a machine.

A device is leased by an exclusive `flock` on its file; an instance that MIG made also holds a shared one on its GPU's file, so that a GPU
and its instances are never had at once. The open file is held by mlgate, by its keeper (`keeper`) and, where the caller passes it on, by
the training, so that the lock outlives each of them alone. Who waits holds a lock on a ticket: a ticket whose lock is free is a dead one's.
Looking and taking is done by one process at a time, in milliseconds.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from mlgate.errors import InfrastructureError
from mlgate.gpu import claims, keeper
from mlgate.gpu.claims import Claim, Holder, Leasable, Ticket
from mlgate.gpu.lock_folder import LockFolder, try_lock, unlock
from mlgate.process import Processes

SAY_EVERY_S = 30.0
"""Between two calls of `on_waiting` while nothing changes."""

_SAY_AT_MOST_EVERY_S = 5.0
_LOOK_EVERY_S = 1.0
_LISTEN_EVERY_S = 0.05
_OVERDUE_S = 60.0
"""After the end of its wait a ticket's owner is stopped, not slow."""
_KEEPER_HAS_S = 15.0
"""To end a training whose mlgate died, before we do."""
_END_S = 3.0
_KEEPER_STARTS_S = 30.0
_KEEPER_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True)
class Waiting:
    """How things stand for who waits."""

    in_front: int
    """Jobs that came earlier and could use the same devices."""
    holders: tuple[Holder | None, ...]
    """Of the devices that would do and are taken; None: it does not say."""
    waited_s: float
    is_ending: bool = False
    """Whether one of the holders has died and its training is being ended."""


class Lease:
    """Devices that are ours until `release`."""

    def __init__(self, folder: LockFolder, held: list[_Held], number: int, waited_s: float, in_front: int) -> None:
        self._folder = folder
        self._held = held
        self._keeper: _Keeper | None = None
        self.devices = tuple(each.claim.uuid for each in held)
        """UUIDs, as CUDA_VISIBLE_DEVICES takes them."""
        self.number = number
        """In the order of arrival on this machine."""
        self.waited_s = waited_s
        self.in_front = in_front
        """How many waited in front when it came."""

    @property
    def fds(self) -> tuple[int, ...]:
        """The open locks. A training that inherits them keeps its devices even if mlgate and the keeper are killed at one stroke."""
        return tuple(descriptor for each in self._held for descriptor in each.descriptors)

    def keep(self, mark: str) -> None:
        """Have a process hold the devices, too, and end the processes with this mark when we die. Raises InfrastructureError."""
        watched = self._folder.open_watched()
        try:
            self._keeper = _Keeper(mark, self.fds, watched)
        finally:
            os.close(watched)

    def release(self) -> None:
        """Let go. The training must have ended."""
        if not self._held:
            return
        if self._keeper:
            self._keeper.dismiss()
        held, self._held = self._held, []
        for each in held:
            each.release(self._folder)
        with suppress(InfrastructureError):  # who waits looks every second anyway
            self._folder.tell()
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def acquire(
    candidates: Sequence[Leasable],
    count: int,
    *,
    mark: str,
    wait_s: float,
    what: str = "",
    on_waiting: Callable[[Waiting], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Lease:
    """Wait until `count` of the candidates are free and nobody who came earlier could use them; all of them or none.

    Args:
        candidates: devices that would do, the best first.
        count: how many of them.
        mark: of the training's processes (`process.new_mark`), which our death is to end.
        wait_s: how long; with 0 only what is free now.
        what: what we are, for who waits: model and run.
        on_waiting: called at the first disappointment, when something changed, and every half minute. What it raises ends the wait.
        environ: where MLGATE_GPU_LOCKS is looked up; that of this process.

    Raises:
        InfrastructureError: the time is over, or locks do not work.
        InputError: MLGATE_GPU_LOCKS is wrong.
    """
    wanted = tuple(Claim(each.uuid, each.parent_uuid) for each in candidates)
    if not 0 < count <= len(wanted):
        raise ValueError(f"{count} of {len(wanted)} devices")
    folder = LockFolder.open(os.environ if environ is None else environ)
    try:
        with _Place(folder, wanted, count, wait_s) as place:
            granted = place.wait(mark, what, on_waiting)
        lease = Lease(folder, granted, place.number, place.waited_s, place.in_front_at_first)
    except BaseException:
        folder.close()
        raise
    try:
        lease.keep(mark)
    except BaseException:
        lease.release()
        raise
    return lease


@contextmanager
def kept(mark: str) -> Iterator[None]:
    """A training without devices of its own: its processes, too, end when we die while the block lasts. Raises InfrastructureError."""
    process = _Keeper(mark)
    try:
        yield
    finally:
        process.dismiss()


def occupied(devices: Sequence[Leasable], environ: Mapping[str, str] | None = None) -> dict[str, Holder | None]:
    """Which of the devices are leased now, and to whom, by UUID; what fills their memory is no reason against them.

    Raises:
        InfrastructureError: locks do not work.
        InputError: MLGATE_GPU_LOCKS is wrong.
    """
    folder = LockFolder.open(os.environ if environ is None else environ)
    try:
        with folder.alone():
            holders = _holders(folder)
            taken: dict[str, Holder | None] = {}
            for device in devices:
                claim = Claim(device.uuid, device.parent_uuid)
                if (held := _take(folder, claim)) is None:
                    taken[claim.uuid] = _first(holders, claim)
                else:
                    held.let_go()
            return taken
    finally:
        folder.close()


def waiting(environ: Mapping[str, str] | None = None) -> int:
    """How many jobs wait for devices of this machine now. Raises as `occupied` does."""
    folder = LockFolder.open(os.environ if environ is None else environ)
    try:
        with folder.alone():
            return sum(_is_locked(folder, name) for name in folder.names(claims.TICKET))
    finally:
        folder.close()


def _is_locked(folder: LockFolder, name: str) -> bool:
    """Whether a living process holds a file that may be gone by now."""
    try:
        descriptor = folder.open_file(name, is_new=False)
    except (InfrastructureError, FileNotFoundError):
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Held:
    """A device that we have locked."""

    claim: Claim
    descriptors: tuple[int, ...]
    """Of its own file; of its GPU's, where it is a part of one."""

    def release(self, folder: LockFolder) -> None:
        """Say that nobody has it, then let go."""
        with suppress(InfrastructureError):  # what stays there names processes that are no more
            folder.write(claims.device_file(self.claim.uuid), self.descriptors[0], b"")
        for descriptor in self.descriptors:
            unlock(descriptor)  # also for whatever the training left, a daemon without its mark
        self.let_go()

    def let_go(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass
class _Look:
    """What one look at the folder gave."""

    granted: list[_Held] | None = None
    in_front: int = 0
    holders: list[Holder | None] = field(default_factory=list)
    orphaned: set[str] = field(default_factory=set)
    """Marks of trainings whose mlgate and keeper are gone."""
    abandoned: set[str] = field(default_factory=set)
    """Marks of trainings whose mlgate is gone, and whose lock is held still."""


class _Place:
    """Our place in the queue, for as long as the block lasts."""

    def __init__(self, folder: LockFolder, wanted: tuple[Claim, ...], count: int, wait_s: float) -> None:
        self._folder = folder
        self._wanted, self._count = wanted, count
        self._began = time.monotonic()
        self._deadline = self._began + wait_s
        self._until = claims.now() + wait_s + _OVERDUE_S
        self._ticket: Ticket | None = None
        self._descriptor: int | None = None
        self._known: dict[int, Ticket | None] = {}
        self._abandoned_since: dict[str, float] = {}
        self.in_front_at_first = 0

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def number(self) -> int:
        return self._ticket.number if self._ticket else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._ticket:
            self._folder.remove(self._ticket.name)
        if self._descriptor is not None:
            os.close(self._descriptor)
            with suppress(InfrastructureError):
                self._folder.tell()  # who stands behind us may go now

    def wait(self, mark: str, what: str, on_waiting: Callable[[Waiting], None] | None) -> list[_Held]:
        """Draw a ticket, then look whenever something may have changed, until it is our turn. Raises InfrastructureError: time is over."""
        is_first, said_at, said = True, -SAY_EVERY_S, None
        while True:
            told = self._folder.told()
            look = self._look(mark, what)
            if is_first:
                is_first, self.in_front_at_first = False, look.in_front
            if look.granted is not None:
                return look.granted
            is_ending = self._end_the_forsaken(look)
            waiting = Waiting(look.in_front, tuple(look.holders), self.waited_s, is_ending)
            if time.monotonic() >= self._deadline:
                raise InfrastructureError(_too_long(waiting, self._count))
            news = (look.in_front, {holder.mark for holder in look.holders if holder}, is_ending)
            pause = _SAY_AT_MOST_EVERY_S if news != said else SAY_EVERY_S
            if on_waiting and (said is None or waiting.waited_s >= said_at + pause):
                said_at, said = waiting.waited_s, news
                on_waiting(waiting)
            self._listen(told, look.in_front)

    def _listen(self, told: int, in_front: int) -> None:
        """Until somebody says that something changed; who was killed says nothing, so not for long. The next in turn listens closest."""
        until = min(time.monotonic() + _LOOK_EVERY_S, self._deadline)
        while self._folder.told() == told and (left := until - time.monotonic()) > 0:
            time.sleep(min(_LISTEN_EVERY_S * (1 + in_front), left))

    def _look(self, mark: str, what: str) -> _Look:
        with self._folder.alone() as queue:
            numbers = {number: name for name in self._folder.names(claims.TICKET) if (number := claims.ticket_number(name))}
            if self._ticket is None:
                self._draw(self._folder.next_number(queue, max(numbers, default=0)))
            assert self._ticket is not None  # noqa: S101 -- for the type checker: drawn above
            earlier = [
                ticket
                for number, name in numbers.items()
                if number < self._ticket.number and (ticket := self._living(number, name)) and ticket.wants(self._wanted)
            ]
            holders = _holders(self._folder)
            look = _Look(in_front=len(earlier))
            free = self._free(look, holders, [claim for ticket in earlier for claim in ticket.claims])
            if len(free) < self._count:
                for held in free:
                    held.let_go()
                return look
            look.granted = free
            try:
                for held in free:
                    content = claims.written(claims.holder_of_us(held.claim, mark, what))
                    self._folder.write(claims.device_file(held.claim.uuid), held.descriptors[0], content)
            except BaseException:
                for held in free:
                    held.release(self._folder)
                raise
            return look

    def _draw(self, number: int) -> None:
        """Take our ticket. Nobody else looks meanwhile, so none sees it unlocked."""
        self._ticket = Ticket(number, self._wanted, self._count, self._until)
        self._descriptor = self._folder.create(self._ticket.name)
        try_lock(self._descriptor)
        self._folder.write(self._ticket.name, self._descriptor, claims.written(self._ticket))

    def _living(self, number: int, name: str) -> Ticket | None:
        """A ticket whose owner waits; a dead one's is removed."""
        try:
            descriptor = self._folder.open_file(name, is_new=False)
        except (InfrastructureError, FileNotFoundError):
            return None
        try:
            if try_lock(descriptor):
                self._folder.remove(name)
                return None
        finally:
            os.close(descriptor)
        if number not in self._known:  # what stands there never changes
            self._known[number] = claims.read_ticket(self._folder.read(name), number)
        ticket = self._known[number]
        return ticket if ticket and ticket.until > claims.now() else None

    def _free(self, look: _Look, holders: Sequence[Holder], reserved: Sequence[Claim]) -> list[_Held]:
        """Lock as many as are asked for of what is free and wanted by nobody who came earlier. Notes in `look` who has the others."""
        found: list[_Held] = []
        try:
            for claim in self._wanted:
                if len(found) == self._count:
                    break
                theirs = [holder for holder in holders if holder.device.shares_with(claim)]
                held = _take(self._folder, claim)
                if held is None:
                    look.holders.append(_first(holders, claim))
                    look.abandoned.update(holder.mark for holder in theirs if holder.is_gone)
                elif orphans := [holder for holder in theirs if _lives_on(holder)]:
                    held.let_go()
                    look.holders.extend(orphans)
                    look.orphaned.update(holder.mark for holder in orphans if holder.is_gone or holder.machine != claims.this_machine())
                elif any(claim.shares_with(other) for other in reserved):
                    held.let_go()
                else:
                    found.append(held)
        except BaseException:
            for held in found:
                held.let_go()
            raise
        return found

    def _end_the_forsaken(self, look: _Look) -> bool:
        """End trainings that nobody is left to end: mlgate and keeper were killed. Whether there were any."""
        now = time.monotonic()
        self._abandoned_since = {mark: self._abandoned_since.get(mark, now) for mark in look.abandoned}
        overdue = {mark for mark, since in self._abandoned_since.items() if now >= since + _KEEPER_HAS_S}
        for mark in look.orphaned | overdue:
            Processes(None, mark).end(_END_S)
        return bool(look.orphaned or look.abandoned)


class _Keeper:
    """The process that holds the locks with us."""

    def __init__(self, mark: str, descriptors: Sequence[int] = (), watched: int | None = None) -> None:
        locks = [] if watched is None else [",".join(map(str, descriptors)), str(watched)]
        argv = [sys.executable, "-I", "-S", keeper.__file__, mark, str(os.getpid()), *locks]
        # Without RUNNER_TRACKING_ID, by which the runner's clean-up would find it, and without secrets.
        environ = {name: os.environ[name] for name in _KEEPER_ENVIRONMENT if name in os.environ}
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=environ,
                pass_fds=(*descriptors, *([] if watched is None else [watched])),
                start_new_session=True,
            )
        except OSError as error:
            raise InfrastructureError(f"the process that ends a training when mlgate dies cannot be started: {error.strerror}") from None
        try:
            self._wait_for_start()
        except BaseException:
            self.dismiss()
            raise

    def _wait_for_start(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 -- for the type checker: we asked for a pipe
        readable, _, _ = select.select([stdout], [], [], _KEEPER_STARTS_S)
        if not readable or stdout.read(1) != keeper.READY:
            raise InfrastructureError("the process that ends a training when mlgate dies did not start; run again, and say so if it stays")
        stdout.close()

    def dismiss(self) -> None:
        """It is no longer needed."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 -- for the type checker: we asked for pipes
        with suppress(OSError):  # it was killed
            process.stdin.write(keeper.DISMISS)
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(_KEEPER_STARTS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _take(folder: LockFolder, claim: Claim) -> _Held | None:
    """Lock a device, if it is free."""
    descriptors: list[int] = []
    files = [(claims.device_file(claim.uuid), False)]
    files += [(claims.device_file(claim.parent_uuid), True)] if claim.parent_uuid else []
    is_taken = False
    try:
        for name, is_shared in files:
            descriptors.append(folder.open_file(name))
            is_taken = try_lock(descriptors[-1], is_shared=is_shared) and folder.is_same(name, descriptors[-1])
            if not is_taken:
                return None
        return _Held(claim, tuple(descriptors))
    finally:
        if not is_taken:
            for descriptor in descriptors:
                os.close(descriptor)


def _holders(folder: LockFolder) -> list[Holder]:
    """What stands in all devices' files."""
    return [holder for name in folder.names(claims.DEVICE) if (holder := claims.read_holder(folder.read(name)))]


def _first(holders: Sequence[Holder], claim: Claim) -> Holder | None:
    """The holder of a device, or of a part of it, or of the whole."""
    sharing = [holder for holder in holders if holder.device.shares_with(claim)]
    return next((holder for holder in sharing if holder.device == claim), sharing[0] if sharing else None)


def _lives_on(holder: Holder) -> bool:
    """Whether a training is there still although nobody holds its device's lock."""
    return Processes(None, holder.mark).are_there()


def _too_long(waiting: Waiting, count: int) -> str:
    """The line that a wait in vain ends with."""
    gpus = "a GPU" if count == 1 else f"{count} GPUs"
    waited = f"waited {waiting.waited_s:,.0f} s for {gpus} in vain" if waiting.waited_s >= 1 else f"expected {gpus} that can be had at once"
    return f"train.gpu.wait: {waited}: {said(waiting)}; run again, give it longer, or add GPUs"


def said(waiting: Waiting) -> str:
    """Who waits in front and who has the devices, for a line of a log."""
    front = waiting.in_front
    lines = [f"{front} job{'s' if front != 1 else ''} wait{'s' if front == 1 else ''} in front"] if front else []
    if waiting.is_ending:
        lines.append("the training of a job that was killed is being ended")
    names = list(dict.fromkeys(holder.said if holder else "another job" for holder in waiting.holders))
    if names:
        shown = "; ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
        lines.append(f"held by {shown}")
    return ", ".join(lines) or "they are free, and somebody who came earlier is about to take them"


_MOST_NAMES = 4
