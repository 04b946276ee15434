"""Twelve faults put into the digits' training data: each is named before training, by contract, drift or screens at their defaults."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlgate import config, stages
from mlgate.console import Console
from mlgate.evidence import Evidence, ValidationFindings
from mlgate.workspace import Workspace

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits"
SIDE = 8
PIXELS = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
HOLDOUT_SHARE = 0.2
RESAMPLINGS, WITH_DRIFT = 20, 2
EARLIER = "data/earlier.parquet"


@pytest.fixture(scope="module")
def digits() -> pl.DataFrame:
    return pl.read_csv(EXAMPLE / "data" / "digits.csv")


@pytest.fixture(scope="module")
def split(digits: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train and holdout as the example's own `prepare` makes them, whose code decides by the id."""
    code: dict[str, Any] = {}
    exec(compile((EXAMPLE / "src" / "prepare.py").read_text(), "prepare.py", "exec"), code)
    held_out = pl.Series([code["is_held_out"](identifier, HOLDOUT_SHARE) for identifier in digits["id"]])
    return digits.filter(~held_out), digits.filter(held_out)


def random() -> np.random.Generator:
    return np.random.default_rng(20261121)


def cell(train: pl.DataFrame, value: int, column: str = "pixel_3_3") -> pl.DataFrame:
    return train.with_columns(pl.when(pl.int_range(pl.len()) == 5).then(value).otherwise(column).alias(column))


def nulls(train: pl.DataFrame) -> pl.DataFrame:
    is_null = pl.Series(random().random(len(train)) < 0.05)
    return train.with_columns(pl.when(is_null).then(None).otherwise("pixel_3_3").alias("pixel_3_3"))


def text(train: pl.DataFrame) -> pl.DataFrame:
    written = pl.col("pixel_3_3").cast(pl.String)
    return train.with_columns(pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("n/a")).otherwise(written).alias("pixel_3_3"))


def wrong_labels(train: pl.DataFrame) -> pl.DataFrame:
    labels, drawn = train["digit"].to_numpy().copy(), random()
    labels[drawn.choice(len(labels), len(labels) // 20, replace=False)] = drawn.integers(0, 10, len(labels) // 20)
    return train.with_columns(pl.Series("digit", labels))


def mirrored(train: pl.DataFrame) -> pl.DataFrame:
    return train.rename({f"pixel_{row}_{column}": f"pixel_{row}_{SIDE - 1 - column}" for row in range(SIDE) for column in range(SIDE)})


# What is done to train, and who names it: rules of the contract by their column, screens by their name, drift.
FAULTS: dict[str, tuple[Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame], set[str]]] = {
    "5 % nulls": (lambda train, _: nulls(train), {"pixel_3_3", "shift", "drift"}),
    "a missing column": (lambda train, _: train.drop("pixel_3_3"), {"columns"}),
    "a string": (lambda train, _: text(train), {"pixel_3_3", "columns"}),
    "a value of 255": (lambda train, _: cell(train, 255), {"pixel_3_3"}),
    "label 12": (lambda train, _: cell(train, 12, "digit"), {"digit"}),
    "5 % random labels": (lambda train, _: wrong_labels(train), {"label_errors"}),
    "shuffled labels": (
        lambda train, _: train.with_columns(pl.Series("digit", random().permutation(train["digit"].to_numpy()))),
        {"labels"},
    ),
    "units divided by 16": (lambda train, _: train.with_columns(pl.col(PIXELS) / 16), {"shift", "drift"}),
    "mirrored images": (lambda train, _: mirrored(train), {"shift", "labels", "drift"}),
    "a missing class": (lambda train, _: train.filter(pl.col("digit") != 3), {"classes", "drift"}),
    "150 rows nine times": (lambda train, _: pl.concat([train, *[train.head(150)] * 8]), {"duplicates"}),
    "test rows leaked into train": (lambda train, holdout: pl.concat([train, holdout.head(72)]), {"leakage"}),
}


@pytest.fixture
def project(tmp_path: Path, split: tuple[pl.DataFrame, pl.DataFrame]) -> Path:
    """The example without its pipeline: what `prepare` would make lies there already."""
    shutil.copytree(EXAMPLE / "contracts", tmp_path / "contracts")
    (tmp_path / "data").mkdir()
    written = (EXAMPLE / "mlgate.yaml").read_text()
    # Of the baseline commit there is a copy here.
    drift = f"  drift: [{{data: data/train.parquet, against: {EARLIER}, label: digit}}]\n"
    (tmp_path / "mlgate.yaml").write_text(re.sub(r"  prepare: .*\n", drift, re.sub(r"  drift:.*\n(    .*\n)*", "", written)))
    split[0].write_parquet(tmp_path / EARLIER)
    for name, table in zip(("train", "holdout"), split, strict=True):
        table.write_parquet(tmp_path / "data" / f"{name}.parquet")
    return tmp_path


def out_of_sample(train: pl.DataFrame) -> pl.DataFrame:
    """Probabilities of each row by a model that did not learn from it, as a pipeline may leave them."""
    labels, pixels = train["digit"].to_numpy(), train.select(PIXELS).to_numpy().astype(np.float64)
    sizes = (pixels**2).sum(axis=1)
    distances = sizes[:, None] + sizes - 2 * pixels @ pixels.T
    np.fill_diagonal(distances, np.inf)
    nearest = labels[np.argpartition(distances, 10, axis=1)[:, :10]]
    return train.select("id").with_columns(pl.Series(str(name), (nearest == name).mean(axis=1)) for name in sorted(set(labels.tolist())))


def leave_probabilities(project: Path, train: pl.DataFrame) -> None:
    out_of_sample(train).write_parquet(project / "data" / "out_of_sample.parquet")
    text = (project / "mlgate.yaml").read_text()
    (project / "mlgate.yaml").write_text(text.replace("id: id}", "id: id, probabilities: data/out_of_sample.parquet}", 1))


def validated(project: Path) -> Evidence[Any]:
    return stages.run("validate-data", Workspace.open(project, "mlgate.yaml", {}, Console(io.StringIO())))


def named(evidence: Evidence[Any]) -> set[str]:
    """Columns of broken rules, screens that found something, and drift."""
    findings = evidence.findings
    assert isinstance(findings, ValidationFindings)
    columns = {str(rule.column) for one in findings.contracts for rule in one.broken}
    columns |= {"drift" for one in findings.drift if one.verdict in ("warn", "alert")}
    return columns | {screen.name for one in findings.screened for screen in (*one.failed, *one.warned)}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_before_training(fault: str, project: Path, split: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    put_in, expected = FAULTS[fault]
    faulty = put_in(*split)
    faulty.write_parquet(project / "data" / "train.parquet")
    if fault == "5 % random labels":
        leave_probabilities(project, faulty)
    evidence = validated(project)
    assert expected <= named(evidence)
    assert "Nothing was trained" in evidence.summary or evidence.status == "passed"
    assert all(name in evidence.summary for name in expected if name in config.SCREENS)


def test_the_data_as_it_is_passes_all_of_it(project: Path, split: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    leave_probabilities(project, split[0])
    evidence = validated(project)
    assert (evidence.status, named(evidence), evidence.annotations) == ("passed", set(), [])
    assert "data/train.parquet: screens clean" in evidence.summary.splitlines()


def test_clean_resamplings_raise_nothing(digits: pl.DataFrame, project: Path) -> None:
    told = {}
    for seed in range(RESAMPLINGS):
        # A fifth of the rows each: train is held against the holdout and against other rows of the same population.
        parts = np.random.default_rng(seed).integers(0, 5, len(digits))
        for name, chosen in (("holdout", [0]), ("train", [1, 2]), ("earlier", [3, 4])):
            digits.filter(pl.Series(np.isin(parts, chosen))).write_parquet(project / "data" / f"{name}.parquet")
        if seed == WITH_DRIFT:  # whose own tests count its false alarms
            text = (project / "mlgate.yaml").read_text()
            (project / "mlgate.yaml").write_text(re.sub(r"  drift:.*\n  contracts:\n.*\n.*\n", "", text))
        evidence = validated(project)
        told |= {f"{seed} {name}": evidence.summary for name in named(evidence)}
    assert told == {}
