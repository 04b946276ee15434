"""Variables of our own environment that are secrets for mlgate alone: the token, and what the jobs hand over in MLGATE_…_ENV.

Every process of the same user reads another one's environment from /proc/<pid>/environ, a training that of whatever runs beside it. So
no program that we start is told them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"MLGATE_(?:(?:.*_)?ENV|.*(?:TOKEN|SECRET|PASSWORD).*)")


def is_one(name: str) -> bool:
    """Whether a variable of that name is one of them."""
    return _NAME.fullmatch(name) is not None


def without(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that needs none of them."""
    return {name: value for name, value in environ.items() if not is_one(name)}
