"""Class labels have one text, whatever the type of their column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.labels import canonical_label, canonical_texts, sorted_classes


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3"), (-0.0, "0"), (0.5, "0.5"), (True, "true"), (False, "false"), ("3.0", "3.0"), ("yes", "yes"), (1e300, "1e+300")],
)
def test_a_label_has_one_text_whatever_its_type(value: object, text: str) -> None:
    assert canonical_label(value) == text


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_the_same_label_as_integer_and_as_float(number: int) -> None:
    assert canonical_label(number) == canonical_label(float(number)) == str(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_are_different_labels(number: float) -> None:
    assert float(canonical_label(number)) == number


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_numbers_mean_the_same_in_csv_as_in_parquet(numbers: list[int]) -> None:
    assert canonical_texts([str(number) for number in numbers]) == [canonical_label(number) for number in numbers]
    assert canonical_texts([f"{number}.0" for number in numbers]) == [canonical_label(number) for number in numbers]


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (["01", "1"], ["01", "1"]),
        (["1.0", "2", ""], ["1", "2", ""]),
        (["True", "FALSE"], ["true", "false"]),
        (["1.0", "cat"], ["1.0", "cat"]),
        ([".", "-"], [".", "-"]),
        (["1e2", "3"], ["100", "3"]),
    ],
)
def test_csv_labels_are_numbers_only_where_all_are_written_as_numbers(column: list[str], labels: list[str]) -> None:
    assert canonical_texts(column) == labels


def test_classes_are_ordered_by_number_where_all_are_numbers_else_by_text() -> None:
    assert sorted_classes(["10", "9", "-1", "0.5"]) == ("-1", "0.5", "9", "10")
    assert sorted_classes(["10", "9", "cat"]) == ("10", "9", "cat")
    assert sorted_classes(["1_0", "9"]) == ("1_0", "9")


@given(st.lists(st.text(), min_size=1))
def test_the_order_of_classes_does_not_depend_on_the_order_of_rows(labels: list[str]) -> None:
    assert sorted_classes(labels) == sorted_classes(reversed(labels))
    assert set(sorted_classes(labels)) == set(labels)
