"""pandera schemas in YAML as pandera's own objects, for what only pandera runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mlgate.contracts import pandera_yaml
from mlgate.errors import InputError


def load(path: Path, shown_as: str) -> Any:
    """The `DataFrameSchema` that a YAML file describes.

    Raises:
        InputError: no such file, or something in it that pandera does not know; file and key are named.
    """
    return build(pandera_yaml.read(path, shown_as), shown_as)


def build(document: dict[str, Any], shown_as: str) -> Any:
    """The `DataFrameSchema` of a document that `pandera_yaml.read` gave.

    Raises:
        InputError: pandera makes nothing of it; file and column are named.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where PySpark is installed, pandera imports it, and it has its remarks on pandas
        import pandera.io.pandas_io as pandas_io

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandera only warns of what it leaves out
        warnings.filterwarnings("ignore", message="PySpark does not yet")
        for name, column in document["columns"].items():
            try:  # column by column, so that the message can name it
                pandas_io.deserialize_schema({"columns": {name: _copy(column)}})  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001 -- pandera, pandas and re raise many kinds; all mean a wrong schema
                raise InputError(f"{shown_as}: columns.{name}: {_one_line(error)}") from None
        try:
            return pandas_io.deserialize_schema(_copy(document))  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 -- as above
            raise InputError(f"{shown_as}: {_one_line(error)}") from None


def _copy(value: Any) -> Any:
    """pandera changes what it is given."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
