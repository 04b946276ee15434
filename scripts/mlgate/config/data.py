"""`data`: what is pulled, prepared and checked before anything is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlgate.config.columns import SHORT_FORM, ShortForm
from mlgate.config.drift import DriftConfig
from mlgate.config.files import FilesConfig
from mlgate.config.screens import ScreensConfig
from mlgate.config.values import DataPlace, NonEmpty, RelativePath, Section, is_remote
from mlgate.mistakes import MistakeBelowError


class _Entry(Section):
    data: DataPlace
    """What is checked: CSV, Parquet, JSON lines or Arrow, or a folder of such files, here or in an object store: `s3://bucket/train.csv`."""
    schema_: Annotated[RelativePath | None, Field(alias="schema")] = None
    """A pandera schema in place of the short form: a YAML file, or `path/to/module.py:Model`."""
    files: FilesConfig | None = None
    """In place of both, of a folder of images, sounds or texts: rules about its files."""


class ContractConfig(ShortForm, _Entry):
    @model_validator(mode="after")
    def _is_of_one_form(self) -> Self:
        """The rules stand in one place: a schema, the short form, or those of a folder of files."""
        short = [key for key in SHORT_FORM if key in self.model_fields_set and key != "level"]
        if self.files is not None:
            if is_remote(self.data):
                raise MistakeBelowError("data", "'files' are decoded here, so the folder must be on this machine; pull it with DVC")
            for key in (*short, *(key for key in ("schema_", "level") if key in self.model_fields_set)):
                raise MistakeBelowError(key.rstrip("_"), "is about a table, and 'files' about a folder of files; write two contracts")
        elif self.schema_ is not None:
            if short:
                raise MistakeBelowError(short[0], "the rules stand in 'schema' already; write them in one place")
            if "level" in self.model_fields_set:
                raise MistakeBelowError("level", "of a pandera schema, each check has its own: raise_warning")
        elif not self.is_asking:
            forms = "name a pandera schema, or write rules here: columns, rows, unique, expressions; or files"
            raise MistakeBelowError("schema", f"missing; {forms}")
        return self

    @property
    def form(self) -> Literal["schema", "files", "short"]:
        """Where its rules stand."""
        return "schema" if self.schema_ is not None else "files" if self.files is not None else "short"

    @property
    def names(self) -> list[str]:
        """The data, and what else its rules need."""
        manifest = [self.files.manifest.file] if self.files is not None and self.files.manifest is not None else []
        return list(dict.fromkeys([self.data, *self.referenced, *manifest]))


class DataConfig(Section):
    prepare: NonEmpty | None = None
    """Command that makes the data to validate, run on the data job's machine, e.g. `dvc repro prepare`."""
    pull: list[RelativePath] | None = None
    """DVC targets to pull. Left out: what the other sections name."""
    remote: NonEmpty | None = None
    """Name of the DVC remote. Left out: DVC's default remote."""
    engine: Literal["auto", "polars", "spark"] = "auto"
    """What runs contracts: Polars on this machine, or Spark. `auto` is Polars, unless the environment names a cluster and there are 20 GiB
    or more to read."""
    contracts: list[ContractConfig] = []
    """Contracts the data must satisfy before anything is trained."""
    drift: list[DriftConfig] = []
    """Data whose distribution is compared with what it was."""
    screens: list[ScreensConfig] = []
    """Training data that is looked through for leakage, poisoning, wrong labels, personal data and bias."""
