"""The durable state of a model: small named records that outlive the runner. A Git ref on GitHub, a folder on a laptop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Store(Protocol):
    """Records by name (`evaluations/<commit>.json`), written together or not at all."""

    @property
    def description(self) -> str:
        """Where it is, in words a user understands and without credentials."""

    def read(self, name: str) -> bytes | None:
        """One record; None where there is none. Raises InfrastructureError when the store cannot be reached."""

    def names(self, prefix: str = "") -> list[str]:
        """Names of all records that begin with `prefix`, sorted. Raises InfrastructureError."""

    def write(self, records: Mapping[str, bytes], message: str) -> None:
        """Add or replace records, all of them in one step; writers that come at the same time lose nothing.

        Raises:
            InfrastructureError: the store cannot be reached, or refuses the write (the message names the permission).
        """
