"""The user's predictions file in every format, and every mistake in it as one line that says where and what."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlgate.errors import InputError
from mlgate.evaluation.loading import load
from mlgate.evaluation.predictions import Predictions
from unit.evaluation.holdouts import csv, settings

SCORED = {"columns": {"score": "y_score"}}


def rows_of(table: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def save(folder: Path, table: dict[str, Any], kind: str) -> Path:
    path = folder / f"p.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(table), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(table)))
    else:
        lines = [",".join(table), *(",".join(str(value) for value in row.values()) for row in rows_of(table))]
        path.write_text("\n".join(lines) + "\n")
    return path


def loaded(path: Path, **more: Any) -> Predictions:
    return load(path, settings(**more), path.name)


def said(path: Path, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        loaded(path, **more)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path.name}: ")
    return message


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_gives_the_same_predictions(tmp_path: Path, kind: str) -> None:
    table = {"extra": ["x"] * 4, "id": [7, 3, 5, 1], "y": [10, 9, 9, 10], "y_pred": [10.0, 9.0, 10.0, 10.0], "writer": ["b", "a", "a", "b"]}
    found = loaded(save(tmp_path, table, kind), slices=["writer"])
    assert found.ids.tolist() == [1, 3, 5, 7]
    assert found.classes == ("9", "10")
    assert found.target_labels.tolist() == ["10", "9", "9", "10"]
    assert found.prediction_labels.tolist() == ["10", "9", "10", "10"]
    assert found.slices["writer"].tolist() == ["b", "a", "a", "b"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_gives_the_same_numbers(tmp_path: Path, kind: str) -> None:
    table = {"id": ["b", "a"], "y": [1.5, -2e-3], "y_pred": [1, 2]}
    found = loaded(save(tmp_path, table, kind), task="regression")
    assert found.classes is None
    assert (found.ids.tolist(), found.target.tolist(), found.prediction.tolist()) == (["a", "b"], [-0.002, 1.5], [2.0, 1.0])


@pytest.mark.parametrize(
    ("table", "labels"),
    [
        ({"y": [True, False], "y_pred": [True, True]}, ["true", "false"]),
        ({"y": ["cat", "dog"], "y_pred": ["cat", "cat"]}, ["cat", "dog"]),
        ({"y": pa.array(["cat", "dog"]).dictionary_encode(), "y_pred": pa.array(["cat", "cat"]).dictionary_encode()}, ["cat", "dog"]),
        ({"y": np.array([1, 0], dtype=np.uint8), "y_pred": np.array([1, 1], dtype=np.float32)}, ["1", "0"]),
        ({"y": ["3.0", "x"], "y_pred": ["x", "x"]}, ["3.0", "x"]),
    ],
)
def test_labels_of_any_type_become_text(tmp_path: Path, table: dict[str, Any], labels: list[str]) -> None:
    assert loaded(save(tmp_path, {"id": [1, 2], **table}, "parquet")).target_labels.tolist() == labels


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (np.array([2, 1], dtype=np.uint8), [1, 2]),
        ([2.0, 1.0], [1, 2]),
        (["b", "a"], ["a", "b"]),
        ([date(2026, 1, 2), date(2026, 1, 1)], ["2026-01-01", "2026-01-02"]),
        (np.array([2**64 - 1, 1], dtype=np.uint64), ["1", "18446744073709551615"]),
    ],
)
def test_ids_are_numbers_or_text(tmp_path: Path, ids: Any, expected: list[Any]) -> None:
    assert loaded(save(tmp_path, {"id": ids, "y": [0, 1], "y_pred": [0, 1]}, "parquet")).ids.tolist() == expected


def test_ids_of_a_csv_that_differ_by_leading_zeros_are_different_ids(tmp_path: Path) -> None:
    assert loaded(csv(tmp_path, "id,y,y_pred\n01,0,0\n1,1,1\n")).ids.tolist() == ["01", "1"]


def test_a_field_of_a_csv_may_hold_commas_line_breaks_and_any_letter(tmp_path: Path) -> None:
    found = loaded(csv(tmp_path, '\ufeffid,y,y_pred,writer\n"a,b",NA,NA,"x\ny"\nü,null,NA,\n'), slices=["writer"])
    assert found.ids.tolist() == ["a,b", "ü"]
    assert found.target_labels.tolist() == ["NA", "null"]
    assert found.slices["writer"].tolist() == ["x\ny", "(missing)"]


# --- scores ----------------------------------------------------------------------------------------------------------


def test_one_probability_is_the_positive_class_s(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,y,y_pred,y_score\n1,no,no,0.25\n2,yes,yes,0.75\n")
    found = loaded(path, **SCORED)
    assert found.scores is not None
    assert found.scores.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    other = loaded(path, positive="no", **SCORED)
    assert other.scores is not None
    assert other.scores.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_a_list_of_probabilities_follows_the_sorted_classes(tmp_path: Path) -> None:
    table = {"id": [1, 2, 3], "y": [10, 9, 2], "y_pred": [10, 9, 2], "y_score": [[0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0]]}
    for kind in ("parquet", "jsonl"):
        found = loaded(save(tmp_path, table, kind), **SCORED)
        assert found.classes == ("2", "9", "10")
        assert found.scores is not None
        assert found.scores.tolist() == table["y_score"]


def test_columns_of_probabilities_name_their_classes_also_those_that_never_occur(tmp_path: Path) -> None:
    found = loaded(csv(tmp_path, "id,y,y_pred,y_score_10,y_score_9,y_score_2\n1,10,10,0.7,0.2,0.1\n2,9,9,0.1,0.8,0.1\n"), **SCORED)
    assert found.classes == ("2", "9", "10")
    assert found.scores is not None
    assert found.scores.tolist() == [[0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]


def test_rounded_probabilities_are_brought_to_a_sum_of_1_where_a_metric_needs_it(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,y,y_pred,y_score_a,y_score_b,y_score_c\n1,a,a,0.33,0.33,0.33\n2,b,b,0,1,0\n")
    found = loaded(path, metrics=("log_loss",), **SCORED)
    assert found.scores is not None
    assert found.scores.sum(axis=1).tolist() == pytest.approx([1, 1], abs=1e-15)


def test_scores_that_are_no_probabilities_will_do_for_ranking(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,y,y_pred,y_score\n1,0,0,-3.5\n2,1,1,2\n")
    assert loaded(path, metrics=("roc_auc",), **SCORED).scores is not None
    assert "row 0" not in said(path, metrics=("log_loss",), **SCORED)
    assert "rows 0, 1 (from 0): 2 outside [0, 1]" in said(path, metrics=("log_loss",), **SCORED)


LISTS = {"id": [1, 2], "y": ["a", "b"], "y_pred": ["a", "b"]}


@pytest.mark.parametrize(
    ("scores", "part"),
    [
        ([[0.5, 0.5], [0.5]], "row 1 (from 0): 1 lists of another length; expected 2 probabilities, one for each class a, b"),
        ([[0.5, 0.5], None], "row 1 (from 0): 1 missing"),
        ([[0.5, 0.5], [0.5, None]], "not finite"),
        ([[0.5, 0.5], [0.5, float("nan")]], "row 1 (from 0): 1 with values that are not finite"),
        ([[0.9, 0.9], [0.5, 0.5]], "row 0 (from 0): 1 rows of probabilities do not add up to 1 (the first to 1.8)"),
        ([[1.5, -0.5], [0.5, 0.5]], "row 0 (from 0): 1 outside [0, 1]"),
        ([["a", "b"], ["a", "b"]], "expected lists of numbers"),
        ([float("inf"), 0.5], "row 0 (from 0): 1 not finite"),
        (["high", "low"], "expected numbers, got text"),
    ],
)
def test_wrong_probabilities_are_named_by_row(tmp_path: Path, scores: list[Any], part: str) -> None:
    message = said(save(tmp_path, {**LISTS, "y_score": scores}, "parquet"), metrics=("log_loss",), **SCORED)
    assert part in message
    assert "column 'y_score'" in message


def test_a_class_without_a_column_of_probabilities_is_named(tmp_path: Path) -> None:
    message = said(csv(tmp_path, "id,y,y_pred,y_score_a\n1,a,a,1\n2,b,a,1\n"), **SCORED)
    assert "column 'y_score_b': missing: class 'b' occurs but has no probabilities" in message


def test_one_probability_for_three_classes_says_what_to_write_instead(tmp_path: Path) -> None:
    message = said(csv(tmp_path, "id,y,y_pred,y_score\n1,a,a,1\n2,b,a,1\n3,c,a,1\n"), **SCORED)
    assert "not enough for 3 classes; expected a list a row, or columns 'y_score_<class>'" in message


def test_a_positive_class_that_never_occurs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluation.positive: no class 'spam' in p.csv; expected one of 0, 1"):
        loaded(csv(tmp_path, "id,y,y_pred,y_score\n1,0,0,0.1\n2,1,1,1\n"), positive="spam", **SCORED)


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("id,y,y_pred\n", "no predictions in it"),
        ("id,y,y_predicted\n1,0,0\n", "no column 'y_pred' (evaluation.columns); did you mean 'y_predicted'?"),
        ("id,truth,y_pred\n1,0,0\n", "no column 'y' (evaluation.columns); the file has id, truth, y_pred"),
        ("a,b\n1,2\n", "no column 'id'"),
        ("id,y,y,y_pred\n1,0,0,0\n", "column 'y' is there 2 times"),
        ("id,y,y_pred\n1,0,0\n2,0\n", "not valid CSV"),
        ("id,y,y_pred\n1,,0\n2,0,0\n,0,0\n", "column 'id': row 2 (from 0): 1 missing"),
        ("id,y,y_pred\n1,,0\n2,0,0\n3,,0\n", "column 'y': rows 0, 2 (from 0): 2 missing"),
        ("id,y,y_pred\n1,0,0\n2,0,0\n1,1,1\n", "column 'id': rows 0, 2 (from 0): 1 id occurs more than once;"),
        ("id,y,y_pred\n" + "a,0,0\n" * 3 + "b,0,0\n" * 2 + "c,0,0\n", "2 ids occur more than once;"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place(tmp_path: Path, text: str, part: str) -> None:
    assert part in said(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("nan", "rows 1, 3 (from 0): 2 not finite"),
        ("inf", "2 not finite"),
        ("-inf", "2 not finite"),
        ("", "2 missing"),
        ("cat", "rows 1, 3 (from 0): 2 no number"),
        ("1,5", "not valid CSV"),
        ("0x10", "2 no number"),
    ],
)
def test_a_number_that_is_none_is_named_by_row(tmp_path: Path, value: str, part: str) -> None:
    text = f"id,y,y_pred\n1,1.5,1\n2,2,{value}\n3,1,+1.5e-3\n4,3,{value}\n"
    assert part in said(csv(tmp_path, text), task="regression")


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_text_predicted_by_a_regression_is_refused(tmp_path: Path, kind: str) -> None:
    assert "column 'y_pred': expected numbers, got text" in said(
        save(tmp_path, {"id": [1], "y": [1.0], "y_pred": ["1.0"]}, kind), task="regression"
    )


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"id": [1, 2], "y": [0, 1], "y_pred": [0.0, float("nan")]}, "column 'y_pred': row 1 (from 0): 1 missing"),
        ({"id": [1, 2], "y": ["cat", "dog"], "y_pred": ["cat", "nan"]}, "column 'y_pred': row 1 (from 0): 1 NaN; expected a label"),
        ({"id": [1, 2], "y": [0, None], "y_pred": [0, 1]}, "column 'y': row 1 (from 0): 1 missing"),
        ({"id": [1.5, 2], "y": [0, 1], "y_pred": [0, 1]}, "expected whole numbers or text as ids, got double"),
        ({"id": [True, False], "y": [0, 1], "y_pred": [0, 1]}, "expected whole numbers or text as ids, got bool"),
        ({"id": [1, 2], "y": [0, 1], "y_pred": [0.3, 0.8]}, "rows 0, 1 (from 0): expected predicted classes, got fractions"),
        ({"id": [1, 2], "y": [[0], [1]], "y_pred": [0, 1]}, "expected one text, number or truth value a row"),
        ({"id": [1, 2], "y": ["", "b"], "y_pred": ["a", "b"]}, "column 'y': row 0 (from 0): 1 missing"),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path: Path, table: dict[str, Any], part: str) -> None:
    assert part in said(save(tmp_path, table, "parquet"))


def test_a_continuous_target_of_a_classification_asks_for_the_task(tmp_path: Path) -> None:
    numbers = np.arange(20_000) / 7
    message = said(save(tmp_path, {"id": np.arange(20_000), "y": numbers, "y_pred": numbers}, "parquet"))
    assert "20,000 distinct labels; is this a regression (evaluation.task)?" in message


def test_a_slice_of_free_text_is_refused(tmp_path: Path) -> None:
    table = {"id": np.arange(2000), "y": [0] * 2000, "y_pred": [0] * 2000, "writer": [f"w{n}" for n in range(2000)]}
    path = save(tmp_path, table, "parquet")
    assert "column 'writer': 2,000 distinct values; a slice is a column of few (at most 1,000)" in said(path, slices=["writer"])
    assert "no column 'writers' (evaluation.slices); did you mean 'writer'?" in said(path, slices=["writers"])


def test_labels_are_short(tmp_path: Path) -> None:
    path = save(tmp_path, {"id": [1], "y": ["a" * 201], "y_pred": ["a"]}, "parquet")
    assert "column 'y': a value of 201 characters; expected labels, at most 200" in said(path)


def test_a_slice_may_lack_values_and_be_of_any_type(tmp_path: Path) -> None:
    table = {"id": [1, 2, 3], "y": [0, 1, 0], "y_pred": [0, 1, 0], "age": [30.0, None, 30.5]}
    assert loaded(save(tmp_path, table, "parquet"), slices=["age"]).slices["age"].tolist() == ["30", "(missing)", "30.5"]


def test_an_absent_file_asks_whether_training_writes_it(tmp_path: Path) -> None:
    assert said(tmp_path / "p.csv") == "p.csv: no such file; does the training command write it?"
    (tmp_path / "folder.parquet").mkdir()
    assert "got a folder" in said(tmp_path / "folder.parquet")
    assert "expected a .csv, .parquet or .jsonl file" in said(csv(tmp_path, "x", "p.xlsx"))


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("p.parquet", b"id,y\n1,2\n", "not valid Parquet"),
        ("p.jsonl", b"{'id': 1}\n", "not valid JSON lines"),
        ("p.json", b'[{"id": 1}]', "expected JSON lines, one object a line; got a JSON array"),
        ("p.jsonl", b'{"id": 1, "y": 0, "y_pred": 0}\n{"id": 2, "y": "a", "y_pred": 0}\n', "not valid JSON lines"),
        ("p.csv", b"id,y,y_pred\n1,\xff\xfe,0\n", "not UTF-8"),
        ("p.csv", b"id,y,y_pred\n1,secret,0,secret\n", "not valid CSV: expected 3 fields as in the header, got 4"),
    ],
)
def test_what_cannot_be_parsed_is_refused_without_quoting_rows(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    message = said(tmp_path / name)
    assert part in message
    assert not re.search("secret", message)


def test_a_baseline_may_be_older_than_a_slice(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,y,y_pred,writer\n1,0,0,a\n")
    found = load(path, settings(slices=["writer", "device"]), "p.csv", are_slices_optional=True)
    assert list(found.slices) == ["writer"]
