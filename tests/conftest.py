"""Fixtures of every level of test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from github_stand_in import StandIn


@pytest.fixture
def github() -> Iterator[StandIn]:
    """GitHub, stood in for; a request or answer that is not as GitHub describes it fails the test."""
    from github_stand_in import StandIn  # half a second that most tests can do without

    with StandIn() as stand_in:
        yield stand_in
        assert stand_in.violations == []
