"""Rows that stand where they should not: of the holdout in train, twice in train, or with two labels. Chance is allowed for.

Where columns have few values, equal rows are no wonder. How many to expect is estimated from how often two rows agree (`chance`), and a
screen speaks up only well beyond that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.subject import Answer, Subject, count, listed, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_ROW_NUMBERS = 10
_FEW_ROWS = 3


def shared_rows(subject: Subject) -> Answer:
    """Rows of the holdout that stand in train, too."""
    import polars as pl

    if subject.holdout is None:
        return not_run("needs 'holdout'")
    features = subject.columns.shared
    if not features:
        return not_run("train and holdout have no feature in common")
    train, holdout = subject.train, subject.holdout
    items = _shared_ids(subject)
    expected = chance.expected_twins(holdout.n, train.n, subject.collision_rate)
    tolerated = subject.settings.leakage.at_most * holdout.n
    is_shared = holdout.keys["normalised"].is_in(train.keys["normalised"].unique().implode())
    shared = int(is_shared.sum())
    if not chance.is_beyond(shared, expected, tolerated):
        few = f"; {count(shared, 'row')} in common, as many as chance brings about" if shared else ""
        return Answer(f"no row of the holdout stands in train{few}" if not shared else f"nothing beyond chance{few}", items)
    exact = int(holdout.keys["exact"].is_in(train.keys["exact"].unique().implode()).sum())
    at = train.keys.with_row_index("row").filter(pl.col("normalised").is_in(holdout.keys["normalised"].unique().implode()))
    how = "" if exact == shared else f", {exact:,} of them exactly and the others but for case, blanks, Unicode forms or rounding"
    items.append(
        ScreenItem(
            where=None,
            what=f"{shared:,} of {count(holdout.n, 'row')} of the holdout ({percent(shared / holdout.n)}) stand in train, too{how}",
            rows=len(at),
            row_numbers=at["row"].head(_ROW_NUMBERS).to_list(),
        )
    )
    return Answer(items[-1].what, items)


def _shared_ids(subject: Subject) -> list[ScreenItem]:
    """Examples that both name. Ids that are row numbers tell nothing, and they begin at the same number in both."""
    import polars as pl

    name, holdout = subject.columns.id, subject.holdout
    if name is None or holdout is None or "id" not in holdout.keys.columns or "id" not in subject.train.keys.columns:
        return []
    mine, theirs = encoding.as_text(subject.train.keys["id"]), encoding.as_text(holdout.keys["id"]).drop_nulls()
    if _is_numbering(subject.train.keys["id"]) and _is_numbering(holdout.keys["id"]):
        return []
    at = pl.DataFrame({"id": mine}).with_row_index("row").filter(pl.col("id").is_in(theirs.unique().implode()))
    if at.is_empty():
        return []
    rows = at["row"].head(_ROW_NUMBERS).to_list()
    return [ScreenItem(where=name, what=f"names {count(len(at), 'example')} of the holdout in train, too", rows=len(at), row_numbers=rows)]


def _is_numbering(ids: pl.Series) -> bool:
    if not ids.dtype.is_integer() or not len(ids):
        return False
    return bool((ids.diff().drop_nulls() == 1).all())


def repeated_rows(subject: Subject) -> Answer:
    """Rows that stand in train more than once."""
    import polars as pl

    if not subject.keyed:
        return not_run("there are no features")
    train = subject.train
    groups = _full_keys(subject).with_row_index("row").with_columns(pl.len().over("key").alias("times"))
    again = groups.filter(~pl.col("key").is_first_distinct())
    rate = subject.collision_rate
    # The k-th equal row has k - 1 before it: pairs are what chance makes, not rows.
    expected = min(float(train.n), train.n * (train.n - 1) / 2 * rate)
    tolerated = max(_FEW_ROWS, subject.settings.duplicates.at_most * train.n)
    if not chance.is_beyond(len(again), expected, tolerated):
        few = f"{count(len(again), 'row')} repeat an earlier one, no more than tolerated or brought about by chance"
        return Answer(few if len(again) else "no row repeats another")
    most = int(groups["times"].max() or 0)  # type: ignore[arg-type]
    how_often = groups.filter(pl.col("times") > 1).group_by("times").agg(pl.col("key").n_unique().alias("rows")).sort("rows", "times")
    usual = how_often.row(-1, named=True)
    what = f"{count(len(again), 'row')} ({percent(len(again) / train.n)}) repeat an earlier one"
    what += f": {count(usual['rows'], 'row')} {'stands' if usual['rows'] == 1 else 'stand'} {usual['times']:,} times"
    what += f", one {most:,} times" if most > usual["times"] else ""
    items = [ScreenItem(where=None, what=what, rows=len(again), row_numbers=again["row"].head(_ROW_NUMBERS).to_list())]
    return Answer(what, [*items, *_by_source(again)])


def _full_keys(subject: Subject) -> pl.DataFrame:
    """A key of every row: features and label together, for equal rows with other labels are no repetition."""
    import polars as pl

    keys = subject.train.keys
    parts = [name for name in ("normalised", "label") if name in keys.columns]
    return keys.select(pl.struct(parts).hash().alias("key"), *(["source"] if "source" in keys.columns else []))


def _by_source(again: pl.DataFrame) -> list[ScreenItem]:
    """The source that most of the repetitions come from."""
    if "source" not in again.columns:
        return []
    counted = again["source"].drop_nulls().value_counts(sort=True)
    if counted.is_empty():
        return []
    name, rows = counted.row(0)
    if rows < 0.5 * len(again):
        return []
    at = again.filter(again["source"] == name)["row"].head(_ROW_NUMBERS).to_list()
    return [ScreenItem(where=str(name), what=f"is where {rows:,} of the {len(again):,} repetitions come from", rows=rows, row_numbers=at)]


def conflicts(subject: Subject) -> Answer:
    """Rows that are equal in every feature and have different labels."""
    import polars as pl

    if subject.columns.label is None:
        return not_run("needs 'label'")
    if not subject.keyed:
        return not_run("there are no features")
    train = subject.train
    keys = train.keys.select("normalised", "label").with_row_index("row").drop_nulls("label")
    if keys.schema["label"].is_float():  # a measured number differs from one time to the next
        return not_run("labels are measured numbers")
    keys = keys.with_columns(pl.col("label").n_unique().over("normalised").alias("labels"))
    torn = keys.filter(pl.col("labels") > 1)
    expected = chance.expected_twins(train.n, train.n - 1, subject.collision_rate)
    tolerated = max(1.0, subject.settings.conflicts.at_most * train.n)
    if not chance.is_beyond(len(torn), expected, tolerated):
        few = f"{count(len(torn), 'row')} equal another with another label, no more than tolerated or brought about by chance"
        return Answer(few if len(torn) else "equal rows have equal labels")
    labels = listed(sorted({str(value) for value in torn["label"].head(1_000)}))
    what = f"{count(len(torn), 'row')} ({percent(len(torn) / train.n)}) equal another in every feature, but not in the label: {labels}"
    return Answer(
        what, [ScreenItem(where=subject.columns.label, what=what, rows=len(torn), row_numbers=torn["row"].head(_ROW_NUMBERS).to_list())]
    )
