"""How long a place is asked: it may fail for a moment, or never answer, and a training waits for neither for ever."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from secrets import token_hex
from typing import TypeVar

from mlgate.training.checkpoints.places import Place, PlaceError

MOST_ANSWERING_S = 60.0
"""How long a training may wait for its place to say what is there, or to be told that the training was finished."""
_TRIES = 3
_PAUSE_S = 1.0
_LOOK_S = 0.1
_PROBE = ".mlgate-writes-here-"
_T = TypeVar("_T")


def tried(act: Callable[[], _T]) -> _T:
    """Do something with a place, up to three times where what it says may pass. Raises PlaceError."""
    for attempt in range(_TRIES - 1):
        try:
            return act()
        except PlaceError as error:
            if not error.may_pass:
                raise
        time.sleep(_PAUSE_S * 2**attempt)
    return act()


def answered(act: Callable[[], object]) -> str:
    """Do something that asks a place, but wait no longer than `MOST_ANSWERING_S`. Returns why it was not done, or nothing."""
    return within(MOST_ANSWERING_S, act, why=f"no answer within {MOST_ANSWERING_S:.0f} s")


def within(seconds: float, act: Callable[[], object], why: str, left_s: Callable[[], float] = lambda: math.inf) -> str:
    """Do something that asks a place, but wait no longer than that, or than there is time. Returns why it was not done, or nothing."""
    problem = [why]

    def run() -> None:
        try:
            act()
            problem[0] = ""
        except PlaceError as error:
            problem[0] = str(error)

    thread = threading.Thread(target=run, daemon=True, name="mlgate-last-checkpoint")
    thread.start()
    deadline = time.monotonic() + seconds
    while thread.is_alive() and (rest := min(deadline - time.monotonic(), left_s())) > 0:
        thread.join(min(rest, _LOOK_S))
    return problem[0]


def probe(place: Place) -> None:
    """Write something small there, and remove it. Raises PlaceError: why that cannot be done, or that nothing answers."""
    name, refusals = f"{_PROBE}{token_hex(6)}", list[PlaceError]()

    def write() -> None:
        place.write(name, b"{}\n")
        place.remove([name])

    def ask() -> None:
        try:
            tried(write)
        except PlaceError as error:
            refusals.append(error)

    if late := answered(ask):
        raise PlaceError(late, may_pass=True)
    if refusals:
        raise refusals[0]
