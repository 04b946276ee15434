"""How old the newest time in a column may be: what every engine says of one. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from mlgate.config.values import duration_text
from mlgate.contracts.model import Fresh

_AHEAD = timedelta(days=1)
"""How far in the future a time may lie: one without a zone may not be UTC's, and clocks are wrong."""


def staleness(rule: Fresh, newest: datetime | None, now: datetime, *, is_date: bool) -> str | None:
    """In which words a column is not fresh; None where it is.

    A time far in the future breaks the rule, too: with it in the column, data would look fresh for as long as nobody looks.

    Args:
        rule: the rule.
        newest: the greatest time of the column, with a zone; of dates, midnight; None where there is none.
        now: with a zone.
        is_date: whether the column has dates, each of which lasts until its end.
    """
    if newest is None:
        return f"{rule.text}, found no time"
    age = now - newest - (timedelta(days=1) if is_date else timedelta(0))
    if age > rule.within:
        old = _in_short(age)
        is_barely = old == duration_text(int(rule.within.total_seconds()))
        return f"{rule.text}, newest {duration_text(math.ceil(age.total_seconds())) if is_barely else old} old"
    ahead = newest - now
    return f"{rule.text}, newest {_in_short(ahead)} ahead" if ahead > _AHEAD else None


def _in_short(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    unit = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1
    return duration_text(seconds - seconds % unit)
