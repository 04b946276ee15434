"""What `init` proposes beside a contract: screens of the training data against the holdout, and drift against the baseline's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_HOLDOUT = re.compile(r"(^|[^a-z])(holdout|hold_out|test|valid|validation|val|dev)([^a-z]|$)")
_IDS = ("id", "example_id", "row_id", "uid", "uuid")
_LABELS = ("label", "target", "y", "class")


@dataclass(frozen=True)
class ProposedChecks:
    """What is looked for in the training data, and by what its rows are known."""

    train: str
    holdout: str | None
    label: str | None
    id: str | None

    @property
    def screens(self) -> dict[str, str]:
        """An entry of `data.screens`, as keys and values."""
        named = {"train": self.train, "holdout": self.holdout, "label": self.label, "id": self.id}
        return {key: value for key, value in named.items() if value is not None}

    @property
    def drift(self) -> dict[str, str | list[str]]:
        """An entry of `data.drift`: an id that only grows is left out."""
        return {
            "data": self.train,
            "against": "base",
            **({"label": self.label} if self.label else {}),
            **({"except": [self.id]} if self.id else {}),
        }


def holdout_among(names: Sequence[str], train: str) -> str | None:
    """The table that goes by the name of a holdout, nearest to the training data; None where there is none, or none for certain."""
    called = [name for name in names if name != train and _HOLDOUT.search(PurePosixPath(name).stem.lower())]
    beside = [name for name in called if PurePosixPath(name).parent == PurePosixPath(train).parent] or called
    return next((name for name in beside if "hold" in name), None) or (beside[0] if len(beside) == 1 else None)


def roles(
    train: pd.DataFrame, holdout: pd.DataFrame | None, predictions: pd.DataFrame | None, columns: dict[str, str | None]
) -> tuple[str | None, str | None]:
    """Columns of the training data: the label, and the one that names a row.

    The label is the column of the holdout that the predictions have as their target, whatever it is called there; else one of a usual name.

    Args:
        columns: `evaluation.columns`, by role.
    """
    names = [str(name) for name in train.columns if holdout is None or name in holdout.columns]
    identifier = next((name for name in (columns.get("id"), *_IDS) if name in names), None)
    label = None
    if holdout is not None and predictions is not None:
        label = _told_by_predictions(holdout, predictions, columns, [name for name in names if name != identifier])
    return label or next((name for name in (columns.get("target"), *_LABELS) if name in names and name != identifier), None), identifier


def _told_by_predictions(
    holdout: pd.DataFrame, predictions: pd.DataFrame, columns: dict[str, str | None], names: Sequence[str]
) -> str | None:
    target, identifier = columns.get("target"), columns.get("id")
    if target not in predictions or len(predictions) != len(holdout):
        return None
    if identifier in predictions and identifier in holdout:
        holdout, predictions = holdout.set_index(identifier), predictions.set_index(identifier)
        if not holdout.index.is_unique or not holdout.index.sort_values().equals(predictions.index.sort_values()):
            return None
        holdout = holdout.loc[predictions.index]
    wanted = predictions[target].tolist()
    same = [name for name in names if holdout[name].tolist() == wanted]
    return same[0] if len(same) == 1 else None
