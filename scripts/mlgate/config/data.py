"""`data`: what is pulled, prepared and checked before anything is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlgate.config.values import NonEmpty, RelativePath, Section


class ContractConfig(Section):
    data: RelativePath
    """File to check: CSV, Parquet or JSON lines."""
    schema_: Annotated[RelativePath, Field(alias="schema")]
    """The pandera schema: a YAML file, or `path/to/module.py:Model`."""


class DataConfig(Section):
    prepare: NonEmpty | None = None
    """Command that makes the data to validate, run on the data job's machine, e.g. `dvc repro prepare`."""
    pull: list[RelativePath] | None = None
    """DVC targets to pull. Left out: what the other sections name."""
    remote: NonEmpty | None = None
    """Name of the DVC remote. Left out: DVC's default remote."""
    contracts: list[ContractConfig] = []
    """Contracts the data must satisfy before anything is trained."""
