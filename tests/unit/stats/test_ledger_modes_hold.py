"""Fifty bad candidates on one holdout, twenty small losses in a row: quick runs of what `make calibrate` measures in full."""

from __future__ import annotations

import pytest

from calibration import holdout_reuse
from calibration.scenario import Promise, measure_promise

PROMISES = {promise.name: promise for promise in holdout_reuse.promises()}
QUICK = [promise for promise in PROMISES.values() if promise.is_quick]


@pytest.mark.parametrize("promise", QUICK, ids=lambda promise: promise.name)
def test_what_is_promised_for_many_candidates_holds(promise: Promise) -> None:
    found = measure_promise(promise, 400)
    assert found.holds, found


def test_without_any_of_it_fifty_bad_candidates_get_one_through() -> None:
    """On one and the same holdout they hang together, and it is somewhat less than the 92 to 94 % of independent ones."""
    named = {name.partition(" | ")[0]: promise for name, promise in PROMISES.items() if "n=5000" in name}
    apart = measure_promise(named["one of 50 gets through, naive, each on a holdout of its own"], 400).rate
    together = measure_promise(named["one of 50 gets through, naive"], 400).rate
    assert 0.88 < apart < 0.98
    assert 0.8 < together < apart


def test_twenty_small_losses_add_up_to_almost_five_points_unless_a_release_is_pinned() -> None:
    def lost(*, is_pinned: bool, is_doubt_blocked: bool) -> float:
        return holdout_reuse.mean_loss(20, 1, is_pinned=is_pinned, is_doubt_blocked=is_doubt_blocked)

    assert lost(is_pinned=False, is_doubt_blocked=False) > 0.045
    assert lost(is_pinned=True, is_doubt_blocked=False) < 0.032
    assert lost(is_pinned=True, is_doubt_blocked=True) < 0.013
