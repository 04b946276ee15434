"""Rows shared, repeated, torn; classes, labels and sources: each screen with data that breaks it, and data that almost does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mlgate.errors import InputError

from .screened import numbers, screened, told

TRAIN, HOLDOUT = numbers(600, 1), numbers(200, 2)


def with_text(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.Series("name", [f"Café  Łódź {at}" for at in range(len(table))]))


def sourced(table: pl.DataFrame, share: float = 0.5, seed: int = 0) -> pl.DataFrame:
    drawn = np.random.default_rng(seed).random(len(table))
    return table.with_columns(site=pl.Series(np.where(drawn < share, "north", "south")))


# --- rows of the holdout in train ------------------------------------------------------------------------------------


def test_clean_data_raises_nothing() -> None:
    assert told(TRAIN, HOLDOUT, label="y") == set()


def test_a_single_row_of_the_holdout_in_train_is_named_with_its_place() -> None:
    found, _ = screened(pl.concat([TRAIN, HOLDOUT.slice(7, 1)]), HOLDOUT, label="y")
    item = found["leakage"].items[0]
    assert (found["leakage"].verdict, item.row_numbers, item.rows) == ("failed", [600], 1)
    assert item.what == "1 of 200 rows of the holdout (0.5 %) stand in train, too"


def test_what_differs_in_case_blanks_unicode_form_and_rounding_is_the_same_row() -> None:
    train, holdout = with_text(TRAIN), with_text(HOLDOUT.with_columns(pl.lit(0).alias("y")))
    copied = holdout.head(5).with_columns(
        pl.col("name").str.to_uppercase().str.normalize("NFD") + " ", pl.col("x0") * (1 + 1e-9), y=pl.lit(1)
    )
    found, _ = screened(pl.concat([train, copied], how="vertical_relaxed"), holdout, label="y")
    assert "5 of 200 rows of the holdout (2.5 %) stand in train, too, 0 of them exactly" in found["leakage"].sentence
    almost = copied.with_columns(pl.col("x0") * 1.001)
    assert "leakage" not in told(pl.concat([train, almost], how="vertical_relaxed"), holdout, label="y")


def test_whole_numbers_are_the_same_however_they_were_read() -> None:
    train = pl.DataFrame({"a": range(1000, 1400), "b": range(400), "y": [0, 1] * 200})
    holdout = pl.DataFrame({"a": [float(a) for a in range(1350, 1450)], "b": range(350, 450), "y": [0, 1] * 50})
    assert "50 of 100 rows" in screened(train, holdout, label="y")[0]["leakage"].sentence


def test_few_possible_rows_meet_by_chance_and_that_is_no_leak() -> None:
    random = np.random.default_rng(3)
    table = pl.DataFrame(random.integers(0, 3, (800, 4)), schema=list("abcd")).with_columns(y=pl.Series(random.integers(0, 2, 800)))
    found, _ = screened(table.head(600), table.tail(200), label="y")
    assert found["leakage"].verdict == "clean"
    assert "chance" in found["leakage"].sentence
    assert found["duplicates"].verdict == found["conflicts"].verdict == "clean"


def test_columns_that_say_the_same_make_no_row_rarer() -> None:
    values = np.random.default_rng(4).integers(0, 20, 800)
    table = pl.DataFrame({f"x{at}": values * (at + 1) for at in range(12)}).with_columns(y=pl.Series(values % 2))
    assert told(table.head(600), table.tail(200), label="y") <= {"target_leakage"}


def test_examples_that_both_name_are_a_leak_and_row_numbers_are_none() -> None:
    train = TRAIN.with_columns(id=pl.Series([f"p{at}" for at in range(600)]))
    holdout = HOLDOUT.with_columns(id=pl.Series([f"p{at}" for at in range(590, 790)]))
    found, _ = screened(train, holdout, label="y", id="id")
    assert (found["leakage"].items[0].where, found["leakage"].items[0].rows) == ("id", 10)
    counted = [table.with_columns(id=pl.int_range(pl.len())) for table in (TRAIN, HOLDOUT)]
    assert "leakage" not in told(*counted, label="y", id="id")


def test_as_many_shared_rows_as_are_tolerated_pass() -> None:
    train = pl.concat([TRAIN, HOLDOUT.head(10)])
    assert told(train, HOLDOUT, label="y", leakage={"level": "fail", "at_most": 0.05}) == set()
    assert told(train, HOLDOUT, label="y", leakage={"level": "fail", "at_most": 0.04}) == {"leakage"}
    assert told(train, HOLDOUT, label="y", leakage="off") == set()


# --- repeated and torn rows ------------------------------------------------------------------------------------------


def test_a_block_repeated_by_one_source_is_named_with_it() -> None:
    train = sourced(TRAIN)
    block = train.filter(pl.col("site") == "south").head(20)
    found, _ = screened(pl.concat([train, *[block] * 4]), sourced(HOLDOUT), label="y", source="site")
    assert found["duplicates"].sentence == "80 rows (12 %) repeat an earlier one: 20 rows stand 5 times"
    assert found["duplicates"].items[1].where == "south"
    few = pl.concat([train, block.head(5)])
    assert "duplicates" not in told(few, sourced(HOLDOUT), label="y", source="site")


def test_equal_rows_with_two_labels_are_a_conflict_and_with_one_are_none() -> None:
    again = TRAIN.head(4)
    torn = pl.concat([TRAIN, again.with_columns(y=1 - pl.col("y"))])
    found, _ = screened(torn, HOLDOUT, label="y")
    assert (found["conflicts"].items[0].rows, found["conflicts"].items[0].row_numbers) == (8, [0, 1, 2, 3, 600, 601, 602, 603])
    assert "conflicts" not in told(pl.concat([TRAIN, again]), HOLDOUT, label="y")


# --- classes and labels ----------------------------------------------------------------------------------------------


def test_a_class_that_is_gone_and_one_that_is_new_are_named() -> None:
    train = TRAIN.with_columns(y=pl.when(pl.int_range(pl.len()) < 40).then(2).otherwise("y"))
    found, _ = screened(train.filter(pl.col("y") != 0), HOLDOUT, label="y")
    assert "class '0' is gone" in found["classes"].sentence
    wide = screened(pl.concat([TRAIN, numbers(200, 9).with_columns(y=pl.lit(7, dtype=pl.Int64))]), HOLDOUT, label="y")[0]
    assert "class '7' stands in 200 rows, and in none of the holdout" in wide["classes"].sentence


def test_a_rare_class_that_one_of_the_two_misses_is_chance() -> None:
    train = TRAIN.with_columns(y=pl.when(pl.int_range(pl.len()) < 3).then(2).otherwise("y"))
    assert "classes" not in told(train, HOLDOUT, label="y")


def test_a_class_that_was_there_at_the_baseline_is_missed_without_a_holdout() -> None:
    found, _ = screened(TRAIN.filter(pl.col("y") == 1), None, None, numbers(600, 5), label="y")
    assert "class '0' is gone; the baseline has" in found["classes"].sentence


@pytest.mark.parametrize("wrong", [0.0, 0.1, 1.0])
def test_labels_that_rows_no_longer_predict_are_named(wrong: float) -> None:
    random = np.random.default_rng(6)
    drawn = pl.Series(random.random(600) < wrong)
    train = TRAIN.with_columns(y=pl.when(drawn).then(pl.Series(random.integers(0, 2, 600))).otherwise("y"))
    other = HOLDOUT if wrong else numbers(200, 11)
    # Of two classes, half of the random labels are right.
    assert ("labels" in told(train, other, label="y")) == (wrong == 1.0)


def test_labels_of_text_may_be_wrong_too() -> None:
    texts = [table.with_columns(y=pl.when(pl.col("y") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))) for table in (TRAIN, HOLDOUT)]
    shuffled = texts[0].with_columns(pl.col("y").shuffle(seed=1))
    assert "labels" in told(shuffled, texts[1], label="y")
    assert "labels" not in told(*texts, label="y")


def test_numbers_for_labels_may_be_shuffled_and_nearest_rows_tell() -> None:
    measured = [table.with_columns(y=2 * pl.col("x0") + 0.1 * pl.col("x1")) for table in (TRAIN, HOLDOUT)]
    assert told(*measured, label="y") <= {"target_leakage"}
    assert "labels" in told(measured[0].with_columns(pl.col("y").shuffle(seed=1)), measured[1], label="y")


def test_labels_that_nothing_predicts_are_not_judged() -> None:
    noise = [table.with_columns(pl.col("y").shuffle(seed=1)) for table in (TRAIN, HOLDOUT)]
    found, _ = screened(*noise, label="y")
    assert found["labels"].verdict == "not run"
    assert "say no more of the label" in found["labels"].sentence


# --- probabilities ---------------------------------------------------------------------------------------------------


def probabilities(train: pl.DataFrame) -> pl.DataFrame:
    sure = pl.when(pl.col("x0") > 0).then(0.95).otherwise(0.05)
    return train.select(sure.alias("1"), (1 - sure).alias("0"))


def test_labels_a_model_is_sure_are_wrong_are_named_in_its_order_of_doubt() -> None:
    flipped = TRAIN.with_columns(y=pl.when(pl.col("x0") > 1.2).then(0).otherwise("y"))
    found, _ = screened(flipped, HOLDOUT, probabilities(flipped), label="y", probabilities="p.csv")
    item = found["label_errors"].items[0]
    assert found["label_errors"].verdict == "warned"
    assert item.where == "y"
    assert item.rows >= 60
    assert "is the label of" in found["label_errors"].items[1].what


def test_probabilities_of_other_data_are_not_asked() -> None:
    found, _ = screened(TRAIN, HOLDOUT, probabilities(TRAIN).head(9), label="y", probabilities="p.csv")
    assert found["label_errors"].sentence == "p.csv has 9 rows and train 600: it is of other data, or needs a column of ids"
    named = TRAIN.with_columns(id=pl.int_range(pl.len()) + 5_000)
    other = probabilities(TRAIN).with_columns(id=pl.int_range(pl.len()))
    assert (
        "has 0 of train's 600 rows" in screened(named, None, other, label="y", id="id", probabilities="p.csv")[0]["label_errors"].sentence
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"0": [0.5] * 600}), "p.csv: no column for the class '1'; expected one named like each class"),
        (pl.DataFrame({"0": [0.5] * 600, "1": [3.0] * 600}), "p.csv: expected probabilities between 0 and 1 in every cell"),
        (pl.DataFrame({"0": [0.5] * 600, "1": ["high"] * 600}), "p.csv: expected probabilities between 0 and 1 in every cell"),
    ],
)
def test_a_file_that_holds_no_probabilities_is_refused(table: pl.DataFrame, message: str) -> None:
    with pytest.raises(InputError) as refused:
        screened(TRAIN, None, table, label="y", probabilities="p.csv")
    assert str(refused.value) == message


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_whose_labels_jump_is_named() -> None:
    train, holdout = sourced(numbers(2_000, 1)), sourced(numbers(600, 2), seed=3)
    assert told(train, holdout, label="y", source="site") == set()
    poisoned = train.with_columns(y=pl.when((pl.col("site") == "north") & (pl.int_range(pl.len()) % 2 == 0)).then(1).otherwise("y"))
    found, _ = screened(poisoned, holdout, label="y", source="site")
    assert [item.where for item in found["sources"].items] == ["north"]
    assert "has the label" in found["sources"].items[0].what


def test_a_source_that_floods_is_named_by_the_baseline_too() -> None:
    train, earlier = sourced(numbers(2_000, 1), 0.8), sourced(numbers(600, 2), 0.5, seed=3)
    found, _ = screened(train, None, None, earlier, label="y", source="site")
    assert "of the rows, and 50 % in the baseline" in found["sources"].sentence.replace("51 %", "50 %").replace("49 %", "50 %")
    same = sourced(numbers(2_000, 1), 0.52)
    assert "sources" not in told(same, None, None, earlier, label="y", source="site")


def test_without_anything_to_compare_with_a_source_must_stand_out_from_many() -> None:
    random = np.random.default_rng(8)
    site = random.integers(0, 12, 3_000)
    rate = np.where(site == 5, 0.95, 0.3)
    table = pl.DataFrame(
        {"x": random.normal(size=3_000), "site": [f"s{at}" for at in site], "y": (random.random(3_000) < rate).astype(int)}
    )
    found, _ = screened(table, label="y", source="site")
    assert [item.where for item in found["sources"].items] == ["s5"]
    usual = table.with_columns(y=pl.Series((random.random(3_000) < 0.3).astype(int)))
    assert "sources" not in told(usual, label="y", source="site")


def test_a_column_in_another_unit_does_not_make_right_labels_look_wrong() -> None:
    holdout = HOLDOUT.with_columns(pl.Series("x1", np.abs(HOLDOUT["x1"].to_numpy()) + 1))
    train = TRAIN.with_columns(pl.Series("x1", 100 * (np.abs(TRAIN["x1"].to_numpy()) + 1)))
    found, _ = screened(train, holdout, label="y")
    assert (found["shift"].verdict, found["labels"].verdict) == ("warned", "clean")
    shuffled = train.with_columns(pl.Series("y", np.random.default_rng(5).permutation(train["y"].to_numpy())))
    assert screened(shuffled, holdout, label="y")[0]["labels"].verdict == "failed", "the other columns still tell"


def test_where_no_column_can_be_compared_labels_are_not_judged() -> None:
    train = TRAIN.with_columns(pl.exclude("y") * 10 + 1000)
    found, _ = screened(train, HOLDOUT, label="y")
    assert (found["labels"].verdict, found["labels"].sentence) == (
        "not run",
        "every column is distributed otherwise in train than in the holdout",
    )
