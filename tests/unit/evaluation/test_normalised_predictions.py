"""The normalised file: what is written is what is read, equal predictions are equal bytes, and nothing untrue is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.errors import InputError
from mlgate.evaluation.labels import sorted_classes
from mlgate.evaluation.predictions import Predictions, holdout_sha256, in_order, pair, read, write
from unit.evaluation.holdouts import classified, regressed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True).map(lambda ids: np.array(ids, dtype=np.int64)),
    st.lists(TEXT, min_size=1, max_size=8, unique=True).map(lambda ids: np.array(ids, dtype=object)),
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def any_predictions(draw: st.DrawFn) -> Predictions:
    ids = draw(IDS)
    n = len(ids)
    slices = {"writer": np.array(draw(st.lists(st.sampled_from(["a", "b", "ü"]), min_size=n, max_size=n)), dtype=np.str_)}
    values = {"cost": np.array(draw(st.lists(FINITE, min_size=n, max_size=n)))}
    if draw(st.booleans()):
        numbers = draw(st.lists(FINITE, min_size=2 * n, max_size=2 * n))
        return Predictions(ids, np.array(numbers[:n]), np.array(numbers[n:]), slices=slices, values=values)
    classes = sorted_classes(draw(st.lists(TEXT, min_size=1, max_size=4, unique=True)))
    codes = draw(st.lists(st.integers(0, len(classes) - 1), min_size=2 * n, max_size=2 * n))
    scores = None
    if draw(st.booleans()):
        scores = np.array(draw(st.lists(FINITE, min_size=n * len(classes), max_size=n * len(classes)))).reshape(n, -1)
    return Predictions(ids, np.array(codes[:n]), np.array(codes[n:]), classes, scores, slices, values)


def same(one: Predictions, other: Predictions) -> bool:
    return (
        one.classes == other.classes
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.target, other.target)
        and np.array_equal(one.prediction, other.prediction)
        and (one.scores is None) == (other.scores is None)
        and (one.scores is None or np.array_equal(one.scores, other.scores))
        and one.slices.keys() == other.slices.keys()
        and all(np.array_equal(one.slices[name], other.slices[name]) for name in one.slices)
        and all(np.array_equal(one.values[name], other.values[name]) for name in one.values)
    )


@settings(deadline=None, max_examples=60)
@given(any_predictions())
def test_what_is_written_is_read_again_sorted_by_id(tmp_path_factory: pytest.TempPathFactory, predictions: Predictions) -> None:
    path = tmp_path_factory.mktemp("normalised") / "predictions.parquet"
    write(predictions, path)
    assert same(read(path, predictions.task, predictions.classes), in_order(predictions))


@settings(deadline=None, max_examples=60)
@given(any_predictions(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_neither_the_file_nor_the_holdout(
    tmp_path_factory: pytest.TempPathFactory, predictions: Predictions, random: Any
) -> None:
    order = list(range(predictions.n))
    random.shuffle(order)
    shuffled = predictions.take(np.array(order))
    folder = tmp_path_factory.mktemp("normalised")
    write(predictions, folder / "one.parquet")
    write(shuffled, folder / "other.parquet")
    assert (folder / "one.parquet").read_bytes() == (folder / "other.parquet").read_bytes()
    assert holdout_sha256(predictions) == holdout_sha256(shuffled)


def test_the_holdout_is_its_ids_and_targets_not_what_a_model_says_of_them() -> None:
    one = classified(50, 3, seed=1)
    other = Predictions(one.ids, one.target, np.zeros(50, dtype=np.int64), one.classes)
    assert holdout_sha256(one) == holdout_sha256(other)
    assert holdout_sha256(one) == holdout_sha256(other.over(("a", "aa", "b", "c")))
    changed = one.target.copy()
    changed[7] = (changed[7] + 1) % 3
    assert holdout_sha256(one) != holdout_sha256(Predictions(one.ids, changed, one.prediction, one.classes))
    assert holdout_sha256(one) != holdout_sha256(one.take(np.arange(49)))


def test_ids_that_only_look_alike_when_joined_are_different_holdouts() -> None:
    one, other = (Predictions(np.array(ids, dtype=object), np.zeros(2), np.zeros(2)) for ids in (["a", "bc"], ["ab", "c"]))
    assert holdout_sha256(one) != holdout_sha256(other)


@settings(deadline=None, max_examples=60)
@given(any_predictions(), any_predictions())
def test_pairing_keeps_exactly_the_common_ids_with_equal_targets(one: Predictions, other: Predictions) -> None:
    if one.task != other.task:
        with pytest.raises(InputError, match="cannot be compared"):
            pair(one, other)
        return
    pairing = pair(one, other)
    is_number = one.ids.dtype.kind == other.ids.dtype.kind == "i"
    keys = [[identifier if is_number else str(identifier) for identifier in side.ids.tolist()] for side in (one, other)]
    mine, theirs = (dict(zip(key, side.target_labels.tolist(), strict=True)) for key, side in zip(keys, (one, other), strict=True))
    common = mine.keys() & theirs.keys()
    if one.task == "classification":
        expected = {identifier for identifier in common if mine[identifier] == theirs[identifier]}
        assert {identifier if is_number else str(identifier) for identifier in pairing.candidate.ids.tolist()} == expected
        assert pairing.candidate.classes == pairing.baseline.classes
    assert pairing.common_ids == len(common)
    assert pairing.shared_examples == pairing.candidate.n == pairing.baseline.n
    assert pairing.shared_share == (pairing.shared_examples / len(mine.keys() | theirs.keys()) if common else 0)
    targets = [side.target_labels.tolist() for side in (pairing.candidate, pairing.baseline)]
    assert targets[0] == (targets[1] if one.task == "classification" else pytest.approx(targets[1], rel=1e-6, abs=0))


def test_a_class_that_only_one_model_knows_has_probability_0_in_the_other() -> None:
    candidate = Predictions(np.arange(2), np.array([0, 1]), np.array([0, 1]), ("cat", "dog"), np.array([[0.9, 0.1], [0.2, 0.8]]))
    baseline = Predictions(
        np.arange(2), np.array([1, 2]), np.array([0, 2]), ("bird", "cat", "dog"), np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    )
    pairing = pair(candidate, baseline)
    assert pairing.candidate.classes == ("bird", "cat", "dog")
    assert pairing.candidate.scores is not None
    assert pairing.candidate.scores.tolist() == [[0, 0.9, 0.1], [0, 0.2, 0.8]]
    assert pairing.candidate.prediction_labels.tolist() == ["cat", "dog"]
    assert pairing.baseline.prediction_labels.tolist() == ["bird", "dog"]


def test_ids_written_as_numbers_and_as_text_are_the_same_ids() -> None:
    numbers = regressed(5)
    texts = Predictions(np.array(["0", "3", "x"], dtype=object), numbers.target[[0, 3, 4]], np.zeros(3))
    assert pair(numbers, texts).candidate.ids.tolist() == [0, 3]


def test_targets_of_single_and_double_precision_are_the_same_targets() -> None:
    one = regressed(20)
    other = Predictions(one.ids, one.target.astype(np.float32).astype(np.float64), one.prediction)
    assert pair(one, other).shared_examples == 20


GOOD = {"id": [1, 2], "target": ["a", "b"], "prediction": ["a", "a"], "score": [[0.5, 0.5], [0.1, 0.9]]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": [2, 1]}, "ascending order"),
        ({"id": [1, 1]}, "ascending order"),
        ({"id": [1.0, 2.0]}, "int64 or string"),
        ({"id": [1, None]}, "missing"),
        ({"target": ["a", None]}, "missing"),
        ({"target": ["a", "z"]}, "no class of the evidence: z"),
        ({"target": [1, 2]}, "expected string"),
        ({"prediction": None}, "column 'prediction'"),
        ({"score": [[0.5], [0.5, 0.5]]}, "expected 2 numbers a row"),
        ({"score": [[0.5, float("nan")], [0.5, 0.5]]}, "not finite"),
        ({"score": [[0.5, None], [0.5, 0.5]]}, "expected 2 numbers a row"),
        ({"score": [0.5, 0.5]}, "expected a list"),
        ({"slice:writer": [1, 2]}, "expected string"),
        ({"value:cost": [1.0, float("inf")]}, "not finite"),
    ],
)
def test_a_file_of_another_job_is_refused_where_it_is_not_what_it_should_be(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    columns = {name: column for name, column in {**GOOD, **change}.items() if column is not None}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with pytest.raises(InputError, match=said):
        read(tmp_path / "p.parquet", "classification", ["a", "b"])


def test_numbers_of_another_job_must_be_finite(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "target": [1.0], "prediction": [float("nan")]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="not finite"):
        read(tmp_path / "p.parquet", "regression")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,target\n1,2\n"])
def test_what_is_no_parquet_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"^p.parquet: not a Parquet file[^\n]*$"):
        read(tmp_path / "p.parquet", "regression")


def test_an_absent_or_empty_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "p.parquet", "regression")
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no predictions"):
        read(tmp_path / "p.parquet", "regression")


def test_classes_are_those_that_occur_where_evidence_names_none(tmp_path: Path) -> None:
    write(classified(30, 3), tmp_path / "p.parquet")
    assert read(tmp_path / "p.parquet", "classification").classes == ("a", "b", "c")
