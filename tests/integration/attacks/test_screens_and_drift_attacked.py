"""Data that screens and drift should not let pass, personal data that they should not tell, and references that a pull request forges."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlgate import stages
from mlgate.config import ScreensConfig
from mlgate.console import Console, plain
from mlgate.context import RunContext
from mlgate.drift import profile, verdict
from mlgate.errors import InputError
from mlgate.evidence import Evidence, ScreenFindings
from mlgate.screens import patterns, screening
from mlgate.screens.screening import Screened, Tables
from mlgate.screens.subject import not_run
from mlgate.stages.revisions import changes
from mlgate.stages.validation import profiles
from mlgate.store import open_store
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

MAILS = [f"jane{at}@example.org" for at in range(3)]


def screened(train: pl.DataFrame, holdout: pl.DataFrame | None = None, **settings: Any) -> Screened:
    entry = ScreensConfig.model_validate({"train": "train.csv", "holdout": None if holdout is None else "holdout.csv", **settings})
    tables = Tables(train.lazy(), None if holdout is None else holdout.lazy())
    return screening.screen(tables, entry, where="mlgate.yaml: data.screens[0]", hashes=not_run("no DVC"))


def told(found: Screened) -> dict[str, ScreenFindings]:
    return {one.name: one for one in found.screens if one.verdict in ("warned", "failed")}


def drift(more: str = "") -> str:
    return MINIMAL_CONFIG + f"data:\n  drift:\n    - {{data: d.csv{more}}}\n"


def people(seed: int, shift: float = 0.0, rows: int = 600) -> str:
    random = np.random.default_rng(seed)
    return pl.DataFrame({"age": random.normal(40 + shift, 10, rows).round(1), "pay": random.normal(size=rows)}).write_csv()


def branch(tmp_path: Path, files: dict[str, str], change: dict[str, str]) -> Path:
    root = make_repository(tmp_path / "r", files)
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {**change, "change.txt": "x"}, "change")
    return root


def opened(root: Path) -> Workspace:
    return Workspace.open(root, "mlgate.yaml", {}, Console(io.StringIO()))


def validated(root: Path) -> Evidence[Any]:
    return stages.run("validate-data", opened(root))


# --- what passed as clean ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_rows_are_the_same_rows_whatever_unit_their_times_are_written_in(unit: Any) -> None:
    random = np.random.default_rng(0)
    start = dt.datetime(2024, 1, 1)  # noqa: DTZ001 -- a column without zones
    when = [start + dt.timedelta(minutes=int(each)) for each in random.integers(0, 10**6, 400)]
    table = pl.DataFrame({"when": when, "y": random.integers(0, 2, 400)})
    train = table[:300].with_columns(pl.col("when").cast(pl.Datetime(unit)))
    clean, leaked = table[300:], pl.concat([table[300:], table[:10]])
    assert set(told(screened(train, leaked, label="y"))) == {"leakage"}
    assert told(screened(train, clean, label="y")) == {}, "another unit is no shift"


def test_rows_of_many_numbers_are_found_again_in_single_precision() -> None:
    """Of three hundred numbers some always round another way."""
    values = np.random.default_rng(0).normal(size=(300, 300))
    names = [f"x{at}" for at in range(300)]
    table = pl.DataFrame(values, schema=names)
    copies = pl.DataFrame(values[250:].astype(np.float32), schema=names)
    found = told(screened(pl.concat([table[:200], copies.cast(pl.Float64)]), table[250:]))
    assert found["leakage"].items[0].rows >= 20
    assert "leakage" not in told(screened(table[:200], table[200:]))


def test_durations_are_sources_groups_and_ids_like_anything_else() -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame({"x": random.normal(size=300), "lasts": pl.Series([1, 2, 3] * 100).cast(pl.Duration("us"))})
    for settings in ({"protected": ["lasts"]}, {"source": "lasts"}, {"id": "lasts"}):
        assert screened(table[:200], table[200:], **settings).rows == 200


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f" + "".join(chr(0xE0000 + ord(one)) for one in "obey"),
        "\U0001f3f4\U000e006f\U000e0062\U000e0065\U000e0079\U000e007f",
        "中\u200d\u200d\u200d文",
        "\U0001f600\U000e0158\U000e0155\U000e0149",
        "a\u3164b",
    ],
    ids=["beside a flag", "a flag of no country", "joiners that join nothing", "bytes behind an emoji", "a filler"],
)
def test_hidden_text_cannot_pose_as_an_emoji(text: str) -> None:
    train = pl.DataFrame({"x": np.arange(200.0), "said": ["hello"] * 199 + [text]})
    assert "hidden_unicode" in told(screened(train))


@pytest.mark.parametrize(
    "text",
    ["葛\U000e0100", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f\u200d\U0001f308", "\u2764\ufe0f\u200d\U0001f525"],
)
def test_emoji_that_are_joined_hide_nothing(text: str) -> None:
    train = pl.DataFrame({"x": np.arange(200.0), "said": ["hello"] * 199 + [text]})
    assert "hidden_unicode" not in told(screened(train))


def test_data_that_shrank_below_what_can_be_compared_is_told(tmp_path: Path) -> None:
    root = branch(tmp_path, {"mlgate.yaml": drift(), "d.csv": people(1)}, {"d.csv": people(2, shift=50, rows=150)})
    assert "rows 600 -> 150 (25 % of before), too few to compare columns" in plain(validated(root).summary)


# --- references that a pull request chooses ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["reference.csv", "was.profile.json", "reference"])
def test_the_data_that_drift_is_told_by_cannot_change_unseen(tmp_path: Path, where: str) -> None:
    def reference(text: str) -> dict[str, str]:
        if where.endswith(".json"):
            return {where: profile.dump(profile.of_frame(pl.read_csv(io.StringIO(text)))).decode()}
        return {where if where.endswith(".csv") else f"{where}/part.csv": text}

    before = {"mlgate.yaml": drift(f", against: {where}, level: fail"), "d.csv": people(1), **reference(people(3))}
    root = branch(tmp_path, before, {"d.csv": people(2, shift=20), **reference(people(4, shift=20))})
    assert validated(root).status == "passed", "compared with itself, nothing drifts"
    workspace = replace(opened(root), context=RunContext())
    weakened = [one.name for one in changes.changes(workspace, git(root, "rev-parse", "main")) if one.is_weakening]
    assert weakened == [next(iter(reference("a\n1\n")))]


FORGED = {
    "rows beyond all counting": {"rows": 10**30, "nulls": 10**30 - 300},
    "a column of nothing that has rows": {"kind": "empty", "counts": []},
    "cells of lists": {"kind": "other"},
    "a category beyond all hashes": {"kind": "category", "first": 1 << 40},
    "NaN": {"mean": float("nan")},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_profile_is_refused_in_one_line(forged: dict[str, Any]) -> None:
    column = {"name": "age", "kind": "number", "nulls": 0, "mean": 1.0, "squares": 1.0, "first": 5, "counts": [300]} | forged
    content = {"mlgate_profile": 1, "rows": column.pop("rows", 300), "columns": [column]}
    with pytest.raises(InputError, match=r"^p\.profile\.json: not a profile that this version reads: "):
        profile.load(json.dumps(content).encode(), "p.profile.json")


def test_a_folder_in_place_of_a_profile_is_one_clear_line(tmp_path: Path) -> None:
    files = {"mlgate.yaml": drift(", against: was.profile.json"), "d.csv": people(1), "was.profile.json/x": ""}
    evidence = validated(make_repository(tmp_path / "r", files))
    assert evidence.exit_code == 2
    assert "data.drift[0].against: 'was.profile.json': cannot be read: Is a directory" in evidence.summary


def test_a_stored_profile_of_fewer_columns_hides_nothing_of_the_others(tmp_path: Path) -> None:
    """`columns` named one of them when it was recorded; all of them are looked at by now."""
    root = branch(tmp_path, {"mlgate.yaml": drift(), "d.csv": people(1)}, {"d.csv": people(2, shift=20)})
    workspace = opened(root)
    commit = git(root, "rev-parse", "main")
    narrow = profile.dump(profile.of_frame(pl.read_csv(io.StringIO(people(1))).select("pay")))
    store = open_store(workspace.config.store, root=root, model=workspace.config.model, context=workspace.context)
    store.write({profiles.of_commit(commit, "d.csv"): narrow}, "recorded")
    [found] = validated(root).findings.drift
    assert [(one.name, one.verdict) for one in found.columns] == [("age", "alert"), ("pay", "stable")]
    assert found.source == "git"


# --- personal data -----------------------------------------------------------------------------------------------------


def test_who_is_meant_is_named_nowhere_in_what_drift_says_or_keeps(tmp_path: Path) -> None:
    def table(person: str) -> str:
        return pl.DataFrame({"mail": [f"{person}{at % 3}@example.org" for at in range(600)]}).write_csv()

    root = branch(tmp_path, {"mlgate.yaml": drift(), "d.csv": table("john")}, {"d.csv": table("jane")})
    evidence = validated(root)
    kept = "".join(one.read_text() for one in (root / ".mlgate").rglob("*.json"))
    assert "mail: PSI" in evidence.summary
    assert "example.org" not in evidence.summary + evidence.model_dump_json() + kept


@pytest.mark.parametrize("value", [*MAILS, "+46 70 123 45 67", "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32"])
def test_a_profile_that_somebody_else_wrote_names_nobody(value: str) -> None:
    named = profile.Column("who", "category", 300, 0, names={1: value, 2: "a colour"})
    again = profile.load(
        profile.dump(profile.Profile(300, {"who": replace(named, cells=profile.of_numbers("", "number", 300, np.zeros(300)).cells)})), "p"
    )
    assert again.columns["who"].names == {2: "a colour"}
    assert profile.named({value: 100, "a colour": 200}, 300) == {profile.cells.category_hash("a colour"): "a colour"}


@pytest.mark.parametrize("name", ["2024-01-01", "2024-01-01 00:00:00", "SE-12", "10.0.0.1", "free", "AB-1234", "iso@"])
def test_categories_that_are_nobodys_are_named(name: str) -> None:
    assert list(profile.named({name: 100}, 300).values()) == [name]


def test_sources_classes_and_groups_that_are_called_by_personal_data_are_masked() -> None:
    random = np.random.default_rng(0)
    source = np.array(MAILS)[random.integers(0, 3, 900)]
    label = np.where(source == MAILS[0], 1, random.integers(0, 2, 900))
    train = pl.DataFrame({"x": random.normal(size=900), "site": source, "y": label})
    holdout = pl.DataFrame(
        {"x": random.normal(size=300), "site": np.array(MAILS)[random.integers(0, 3, 300)], "y": random.integers(0, 2, 300)}
    )
    found = screened(train, holdout, label="y", source="site", protected=["site"])
    assert {"sources", "bias"} <= set(told(found))
    assert "j…@…" in told(found)["sources"].sentence
    assert "example.org" not in str(found)


# --- time --------------------------------------------------------------------------------------------------------------


def test_long_numbers_are_no_telephone_numbers_and_take_no_time() -> None:
    started = time.perf_counter()
    for text in ("+" + "1" * 40, "00" + "123456789" * 5, "+1 " + "2" * 60):
        for _ in range(100):
            assert patterns._phone(text) is None
    assert time.perf_counter() - started < 0.3
    assert [patterns._phone(text) for text in ("+46701234567", "0046 70 123 45 67", "+123456789012345")] != [None] * 3


def test_many_hidden_signs_take_no_time() -> None:
    started = time.perf_counter()
    assert patterns._direction("\U0001f3f4" * 20_000 + "\U000e0041" * 20_000) == "U+E0041"
    assert time.perf_counter() - started < 0.5


def test_values_without_end_are_compared_without_a_warning() -> None:
    before, now = (pl.DataFrame({"a": [one, float("-inf"), 1.0] * 100}) for one in (float("inf"), 2.0))
    [found] = verdict.compare(profile.of_frame(before), profile.of_frame(now)).columns
    assert found.verdict == "alert"
