"""Tables to screen, and what the screens say of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mlgate.config import ScreensConfig
from mlgate.evidence import BiasFindings, ScreenFindings
from mlgate.screens import screening
from mlgate.screens.screening import Tables
from mlgate.screens.subject import not_run


def screened(
    train: pl.DataFrame,
    holdout: pl.DataFrame | None = None,
    scores: pl.DataFrame | None = None,
    earlier: pl.DataFrame | None = None,
    **settings: Any,
) -> tuple[dict[str, ScreenFindings], list[BiasFindings]]:
    """Findings by the screen's name, and groups."""
    entry = ScreensConfig.model_validate({"train": "train.csv", "holdout": "holdout.csv" if holdout is not None else None, **settings})
    frames = [None if table is None else table.lazy() for table in (holdout, scores, earlier)]
    found = screening.screen(Tables(train.lazy(), *frames), entry, where="mlgate.yaml: data.screens[0]", hashes=not_run("no DVC"))
    return {one.name: one for one in found.screens}, found.bias


def told(*tables: pl.DataFrame | None, **settings: Any) -> set[str]:
    """Names of the screens that found something."""
    found, _ = screened(*tables, **settings)
    return {name for name, one in found.items() if one.verdict in ("warned", "failed")}


def numbers(n: int, seed: int = 0, columns: int = 6) -> pl.DataFrame:
    """Normal columns `x0`, ... of which the first says much of the label `y`, 0 or 1."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, columns))
    label = (values[:, 0] + 0.2 * random.normal(size=n) > 0).astype(int)
    return pl.DataFrame({f"x{at}": values[:, at] for at in range(columns)} | {"y": label})
