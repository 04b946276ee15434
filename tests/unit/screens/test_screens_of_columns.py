"""Columns missing, shifted, leaking, empty or doubled; text that hides, runs or names somebody; and groups."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mlgate.screens import patterns

from .screened import numbers, screened, told

TRAIN, HOLDOUT = numbers(600, 1), numbers(200, 2)


def texts(*cells: str | None, rows: int = 300) -> pl.DataFrame:
    """A column of text whose first cells are these, beside numbers."""
    usual = [f"ordinary remark {at % 7}" for at in range(rows - len(cells))]
    return numbers(rows, 3).with_columns(remark=pl.Series([*cells, *usual], dtype=pl.String))


# --- train beside the holdout ----------------------------------------------------------------------------------------


def test_a_column_that_is_gone_and_one_of_another_type_are_named() -> None:
    found, _ = screened(TRAIN.drop("x3").with_columns(pl.col("x1").cast(pl.String)), HOLDOUT, label="y")
    assert (
        found["columns"].sentence == "column 'x3' is in the holdout, and not in train; column 'x1' holds text, and numbers in the holdout"
    )
    wider = TRAIN.with_columns(pl.col("y").cast(pl.Int32), more=pl.lit(1))
    assert screened(wider, HOLDOUT, label="y")[0]["columns"].sentence == "train has the holdout's 7 columns; 'more' is only in train"


@pytest.mark.parametrize(
    ("name", "changed", "is_told"),
    [
        ("another unit", pl.col("x2") / 16, True),
        ("another place", pl.col("x2") + 0.7, True),
        ("a little of it", pl.col("x2") + 0.1, False),
        ("one value far away", pl.when(pl.int_range(pl.len()) == 3).then(1e9).otherwise("x2"), False),
        ("10 % missing", pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("x2"), True),
        ("0.5 % missing", pl.when(pl.int_range(pl.len()) % 200 == 0).then(None).otherwise("x2"), False),
    ],
)
def test_values_that_are_distributed_otherwise_are_named(name: str, changed: pl.Expr, is_told: bool) -> None:
    found, _ = screened(TRAIN.with_columns(changed.alias("x2")), HOLDOUT, label="y")
    assert [item.where for item in found["shift"].items] == (["x2"] if is_told else []), name


def test_categories_shift_too_and_no_value_is_shown() -> None:
    random = np.random.default_rng(1)
    train = TRAIN.with_columns(plan=pl.Series(random.choice(["free", "paid"], 600, p=[0.8, 0.2])))
    holdout = HOLDOUT.with_columns(plan=pl.Series(random.choice(["free", "paid"], 200, p=[0.4, 0.6])))
    item = screened(train, holdout, label="y")[0]["shift"].items[0]
    assert (item.where, "total variation of 0.4" in item.what, "free" in item.what) == ("plan", True, False)
    assert "shift" not in told(train, holdout, label="y", shift={"at_most": 0.5})


def test_a_screen_with_too_few_rows_says_so() -> None:
    found, _ = screened(TRAIN.head(30), HOLDOUT.head(30), label="y")
    assert found["shift"].sentence == "too little data: 30 rows of train and 30 of the holdout; needs 50"
    assert found["labels"].verdict == found["target_leakage"].verdict == found["redundant_columns"].verdict == "not run"


# --- single columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", ["number", "text", "missing"])
def test_a_column_that_gives_the_label_away_is_named_however_it_does(copied: str) -> None:
    leak = {
        "number": pl.col("y") * 3.5 + 1,
        "text": pl.when(pl.col("y") == 1).then(pl.lit("closed")).otherwise(pl.lit("open")),
        "missing": pl.when(pl.col("y") == 1).then("x5").otherwise(None),
    }[copied]
    leaking = TRAIN.with_columns(outcome=leak)
    found, _ = screened(leaking, None, label="y")
    assert [item.where for item in found["target_leakage"].items] == ["outcome"]
    assert "target_leakage" not in told(leaking, None, label="y", target_leakage={"except": ["outcome"]})


def test_a_strong_column_and_an_identifier_give_nothing_away() -> None:
    is_other = pl.Series(np.random.default_rng(1).random(600) < 0.1)
    strong = TRAIN.with_columns(hint=pl.when(is_other).then(1 - pl.col("y")).otherwise("y"))
    named = strong.with_columns(code=pl.Series([f"c{at}" for at in range(600)]), number=pl.int_range(pl.len()))
    found, _ = screened(named, None, label="y")
    assert found["target_leakage"].verdict == "clean"
    assert "alone; most does" in found["target_leakage"].sentence


def test_measured_labels_leak_through_a_column_too() -> None:
    table = TRAIN.with_columns(y=pl.col("x0") ** 3 + pl.col("x1"))
    assert "target_leakage" in told(table.with_columns(copy=pl.col("y").exp()), None, label="y")
    assert "target_leakage" not in told(table, None, label="y")


def test_columns_that_say_nothing_or_what_another_says_are_named() -> None:
    table = TRAIN.with_columns(one=pl.lit(5), empty=pl.lit(None, dtype=pl.String), again=pl.col("x1"))
    found, _ = screened(table, None, label="y")
    assert {(item.where, item.what) for item in found["redundant_columns"].items} == {
        ("one", "has the same value in every row"),
        ("empty", "is missing in every row"),
        ("again", "equals 'x1' in every row"),
    }
    almost = TRAIN.with_columns(again=pl.when(pl.int_range(pl.len()) == 9).then(0.0).otherwise("x1"))
    assert "redundant_columns" not in told(almost, None, label="y")


def test_a_column_that_is_constant_in_the_holdout_too_is_no_news() -> None:
    both = [table.with_columns(version=pl.lit("v2")) for table in (TRAIN, HOLDOUT)]
    assert told(*both, label="y") == set()
    varied = HOLDOUT.with_columns(version=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("v1")).otherwise(pl.lit("v2")))
    assert "redundant_columns" in told(both[0], varied, label="y")


# --- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "is_told"),
    [
        ("pay \u202egnp.exe", True),
        ("zero\u200bwidth", True),
        ("tag \U000e0041\U000e0042", True),
        ("pаypal", True),  # the second letter is Cyrillic
        ("Москва and London", False),
        ("Δt in μm", False),
        ("family \U0001f468\u200d\U0001f469\u200d\U0001f467", False),
        ("می\u200cخواهم", False),
        ("flag \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", False),
        ("naïve café", False),
    ],
)
def test_characters_that_hide_or_deceive_are_named(cell: str, is_told: bool) -> None:
    found, _ = screened(texts("fine", cell))
    assert [item.row_numbers for item in found["hidden_unicode"].items] == ([[1]] if is_told else []), cell
    assert all(cell not in sample for item in found["hidden_unicode"].items for sample in item.samples)


def test_a_column_with_a_hidden_name_is_named_in_letters_that_are_seen() -> None:
    found, _ = screened(TRAIN.rename({"x1": "x1\u200b"}))
    assert found["hidden_unicode"].items[0].where == "x1\\u200b"


@pytest.mark.parametrize(
    ("cell", "is_told"),
    [
        ("=1+2", True),
        ('=HYPERLINK("http://x","y")', True),
        ("@SUM(A1:A9)", True),
        ("+A1*B2", True),
        ("-2+3+cmd|' /C calc'!A0", True),
        ("\t=A1", True),
        ("-12.5", False),
        ("+49 30 1234567", False),
        ("@ada", False),
        ("- an item", False),
        ("= equals", True),
        ("a=b", False),
        ("--", False),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_named(cell: str, is_told: bool) -> None:
    assert ("formulas" in told(texts("fine", cell))) == is_told, cell


PERSONAL = {
    "e-mail": ("write to ada.lovelace@example.org soon", "ada@home", "holds e-mail addresses"),
    "telephone": ("call +49 30 901820 or", "order 49 30 901820", "holds telephone numbers"),
    "card": ("4111 1111 1111 1111", "4111 1111 1111 1112", "holds card numbers"),
    "IBAN": ("DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00", "holds IBANs"),
}


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_is_named_and_never_shown(kind: str) -> None:
    real, almost, words = PERSONAL[kind]
    found, _ = screened(texts("fine", real))
    item = found["personal_data"].items[0]
    assert (item.where, item.what, item.row_numbers) == ("remark", words, [1])
    shown = found["personal_data"].model_dump_json()
    assert all(piece not in shown for piece in (real, "lovelace", "example.org", "901820", "41111", "3704"))
    assert told(texts("fine", almost)) == set()
    assert told(texts("fine", real), personal_data={"except": ["remark"]}) == set()


def test_card_numbers_may_be_read_as_numbers_and_long_identifiers_are_none() -> None:
    random = np.random.default_rng(2)
    body = ["4" + "".join(map(str, random.integers(0, 10, 14))) for _ in range(300)]
    cards = [int(each + next(str(digit) for digit in range(10) if patterns.is_luhn(each + str(digit)))) for each in body]
    assert "personal_data" in told(numbers(300).with_columns(code=pl.Series(cards)))
    serial = pl.Series([4_000_000_000_000_000 + 7 * at for at in range(300)])
    assert told(numbers(300).with_columns(code=serial)) == set()


@pytest.mark.parametrize("cell", ["2026-11-21 10:30:00", "192.168.100.1", "3.14159265358979", "12345678", "978-3-16-148410-0", "A4 2024"])
def test_dates_addresses_and_numbers_are_nobodys(cell: str) -> None:
    assert "personal_data" not in told(texts(*[cell] * 100))


# --- groups ----------------------------------------------------------------------------------------------------------


def grouped(rows: int, share: float, rate: float, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    sex = np.where(random.random(rows) < share, "f", "m")
    label = random.random(rows) < np.where(sex == "f", rate, 0.5)
    ages = random.integers(18, 80, rows)
    return pl.DataFrame({"sex": sex, "age": ages, "x": random.normal(size=rows), "y": label})


def test_groups_are_counted_with_their_label_rates_alone_and_in_pairs() -> None:
    found, bias = screened(grouped(2_000, 0.5, 0.5), grouped(500, 0.5, 0.5, 1), label="y", protected=["sex", "age"])
    assert [each.columns for each in bias] == [["sex"], ["age"], ["sex", "age"]]
    women = bias[0].groups[0] if bias[0].groups[0].group == "sex = f" else bias[0].groups[1]
    assert (bias[0].labels, bias[0].compared_with) == (["true"], "the holdout")
    assert 0.4 < (women.rates[0] or 0) < 0.6
    assert 0.4 < (women.earlier_share or 0) < 0.6
    assert sum(group.rows for group in bias[2].groups) == 2_000
    assert len(bias[1].groups) == 4
    assert found["bias"].verdict == "clean"


def test_a_small_group_and_one_that_changed_since_the_baseline_are_named() -> None:
    found, _ = screened(grouped(2_000, 0.01, 0.5), None, label="y", protected=["sex"])
    assert "group 'sex = f' has" in found["bias"].sentence
    assert "bias" not in told(grouped(2_000, 0.03, 0.5), None, label="y", protected=["sex"])
    earlier = grouped(2_000, 0.5, 0.5, 1)
    assert "in the baseline" in screened(grouped(2_000, 0.5, 0.2), None, None, earlier, label="y", protected=["sex"])[0]["bias"].sentence
    said = screened(grouped(2_000, 0.5, 0.2), None, None, earlier, label="y", protected=["sex"])[0]["bias"].sentence
    assert "has the label 'true' in" in said, "of two labels, the one that the table of groups shows"
    assert "of the rows, and" in screened(grouped(2_000, 0.2, 0.5), None, None, earlier, label="y", protected=["sex"])[0]["bias"].sentence
    assert "bias" not in told(grouped(2_000, 0.48, 0.47, 3), None, None, earlier, label="y", protected=["sex"])


def test_the_baseline_counts_before_the_holdout() -> None:
    earlier, holdout = grouped(900, 0.5, 0.5, 1), grouped(900, 0.5, 0.5, 2)
    _, bias = screened(grouped(900, 0.5, 0.5), holdout, None, earlier, label="y", protected=["sex"])
    assert bias[0].compared_with == "the baseline"
