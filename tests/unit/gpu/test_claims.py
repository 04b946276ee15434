"""What stands in the files of locks, as it is read by whoever cannot trust it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlgate.gpu.claims import Claim, Ticket, holder_of_us, read_holder, read_ticket, written

HOLDER = json.loads(written(holder_of_us(Claim("MIG-1", "GPU-a"), "0" * 32, "digits")))
TICKET = json.loads(written(Ticket(7, (Claim("MIG-1", "GPU-a"), Claim("GPU-b")), 1, 99.5)))


def test_what_was_written_is_read() -> None:
    assert read_ticket(json.dumps(TICKET).encode(), 7) == Ticket(7, (Claim("MIG-1", "GPU-a"), Claim("GPU-b")), 1, 99.5)
    holder = read_holder(json.dumps(HOLDER).encode())
    assert holder is not None
    assert (holder.device, holder.what, holder.is_gone) == (Claim("MIG-1", "GPU-a"), "digits", False)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},  # of an mlgate that is newer than this one
        {"pid": -1},
        {"pid": True},
        {"started": 2**70},
        {"since": "today"},
        {"mark": "0" * 31},
        {"mark": "0" * 33},
        {"user": 7},
        {"device": {"uuid": 7, "parent_uuid": None}},
    ],
)
def test_what_is_not_understood_is_nobody(change: dict[str, Any]) -> None:
    assert read_holder(json.dumps(HOLDER | change).encode()) is None


@pytest.mark.parametrize("change", [{"version": 2}, {"until": -1}, {"until": True}, {"claims": [7]}, {"count": None}])
def test_a_ticket_that_is_not_understood_is_none(change: dict[str, Any]) -> None:
    assert read_ticket(json.dumps(TICKET | change).encode(), 7) is None


def test_what_is_endless_is_cut() -> None:
    holder = read_holder(json.dumps(HOLDER | {"what": "x" * 9999, "since": 1e18}).encode())
    assert holder is not None
    assert len(holder.said) < 500
    ticket = read_ticket(json.dumps(TICKET | {"claims": [TICKET["claims"][0]] * 9999}).encode(), 7)
    assert ticket is not None
    assert len(ticket.claims) < 9999
