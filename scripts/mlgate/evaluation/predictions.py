"""A model's predictions on the holdout, in memory and as the normalised Parquet file that travels from job to job.

`evaluate` makes them from the user's file (`evaluation.loading`); the gate reads them back, untrusted, and pairs two models'.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation.labels import sorted_classes

Task = Literal["classification", "regression"]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MAX_EXAMPLES = 50_000_000
MAX_CLASSES = 10_000
# Targets of a regression that differ by less than float32 can tell are the same target, written by another library.
SAME_TARGET_RTOL = 1e-6


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one model, one row an example.

    Shapes: n examples, k classes. Rows are sorted by id wherever they come from `read` or the loader.
    """

    ids: npt.NDArray[Any]
    """(n,): int64, or object holding str."""
    target: npt.NDArray[Any]
    """(n,): codes into `classes` (int64), or float64 for regression."""
    prediction: npt.NDArray[Any]
    """(n,): as `target`."""
    classes: tuple[str, ...] | None = None
    """Labels in the order of `scores`; None for regression."""
    scores: Floats | None = None
    """(n, k): a probability for every class."""
    slices: dict[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    """By column, (n,) each."""
    values: dict[str, Floats] = field(default_factory=dict)
    """By metric of the user's, (n,) each: one value an example, whose mean is the metric."""
    groups: Integers | None = None
    """(n,): codes; rows with equal ones belong together and are no independent examples. None where each stands for itself."""

    @property
    def n(self) -> int:
        return len(self.ids)

    @property
    def task(self) -> Task:
        return "regression" if self.classes is None else "classification"

    def take(self, index: npt.NDArray[Any]) -> Predictions:
        """The examples at these positions (or where a mask is true), in that order; classes stay."""
        return Predictions(
            ids=self.ids[index],
            target=self.target[index],
            prediction=self.prediction[index],
            classes=self.classes,
            scores=None if self.scores is None else self.scores[index],
            slices={name: column[index] for name, column in self.slices.items()},
            values={name: column[index] for name, column in self.values.items()},
            groups=None if self.groups is None else self.groups[index],
        )

    def over(self, classes: tuple[str, ...]) -> Predictions:
        """The same predictions with codes and scores over a wider set of classes; unknown ones get probability 0.

        Raises:
            ValueError: a class of these predictions is not among `classes`.
        """
        if self.classes is None or self.classes == classes:
            return self
        place = {label: code for code, label in enumerate(classes)}
        if missing := [label for label in self.classes if label not in place]:
            raise ValueError(f"classes {missing} are not among {classes}")
        recode = np.array([place[label] for label in self.classes], dtype=np.int64)
        scores = None
        if self.scores is not None:
            scores = np.zeros((self.n, len(classes)))
            scores[:, recode] = self.scores
        return replace(self, target=recode[self.target], prediction=recode[self.prediction], classes=classes, scores=scores)

    @cached_property
    def target_labels(self) -> npt.NDArray[Any]:
        """Targets as label texts (object), or the numbers themselves for regression."""
        return self._labels(self.target)

    @cached_property
    def prediction_labels(self) -> npt.NDArray[Any]:
        """Predictions as label texts (object), or the numbers themselves for regression."""
        return self._labels(self.prediction)

    def _labels(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return codes if self.classes is None else np.array(self.classes, dtype=object)[codes]


@dataclass(frozen=True)
class Pairing:
    """Two models on the examples they share, row by row the same example with the same target."""

    candidate: Predictions
    baseline: Predictions
    common_ids: int
    """Examples both have, whatever their targets."""
    shared_examples: int
    """Those of them with equal targets: the rows of `candidate` and `baseline` here."""
    shared_share: float
    """Of the examples of either holdout, in [0, 1]: an example that only one of them has, or labels otherwise, lowers it."""


def pair(candidate: Predictions, baseline: Predictions) -> Pairing:
    """Match two models' predictions on the example id.

    Returns:
        Both on the common ids with equal targets, over the union of their classes, in the order of the candidate.

    Raises:
        InputError: one is of a classifier, the other of a regression.
    """
    if candidate.task != baseline.task:
        raise InputError(
            f"the candidate's predictions are of a {candidate.task}, the baseline's of a {baseline.task}; they cannot be compared, "
            "set evaluation.task"
        )
    candidate_n, baseline_n = candidate.n, baseline.n
    if candidate.classes is not None and baseline.classes is not None:
        union = sorted_classes((*candidate.classes, *baseline.classes))
        candidate, baseline = candidate.over(union), baseline.over(union)
    wanted, known = _arrow_ids(candidate.ids), _arrow_ids(baseline.ids)
    if wanted.type != known.type:
        wanted, known = wanted.cast(pa.large_string()), known.cast(pa.large_string())
    found = pc.index_in(wanted, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    mine = np.flatnonzero(found >= 0)
    theirs = found[mine]
    one, other = candidate.target[mine], baseline.target[theirs]
    same = one == other if candidate.classes is not None else np.isclose(one, other, rtol=SAME_TARGET_RTOL, atol=0.0)
    shared = int(np.count_nonzero(same))
    return Pairing(
        candidate=candidate.take(mine[same]),
        baseline=baseline.take(theirs[same]),
        common_ids=len(mine),
        shared_examples=shared,
        shared_share=shared / (candidate_n + baseline_n - len(mine)) if len(mine) else 0.0,
    )


class HoldoutChangedError(Exception):
    """Examples that only their row numbers name are not the same ones; the message says what differs."""


def pair_by_row(candidate: Predictions, baseline: Predictions) -> Pairing:
    """Match two models' predictions row by row, where one of them has no ids: only on one and the same holdout.

    That it is the same is told by what an id would tell more surely: the number of examples, their targets in order, and the slices
    that both have.

    Raises:
        HoldoutChangedError: it is another holdout.
        InputError: one is of a classifier, the other of a regression.
    """
    if candidate.n != baseline.n:
        raise HoldoutChangedError(f"{baseline.n:,} examples then, {candidate.n:,} now")
    rows = np.arange(candidate.n, dtype=np.int64)
    numbered = [replace(model, ids=rows) for model in (candidate, baseline)]
    pairing = pair(numbered[0], numbered[1])
    if other := candidate.n - pairing.shared_examples:
        raise HoldoutChangedError(f"{other:,} of {candidate.n:,} rows have another target")
    for name, texts in candidate.slices.items():
        theirs = baseline.slices.get(name)
        if theirs is not None and (other := int(np.count_nonzero(texts != theirs))):
            raise HoldoutChangedError(f"{other:,} of {candidate.n:,} rows have another '{name}'")
    return pairing


def holdout_sha256(predictions: Predictions) -> str:
    """Identity of the holdout: SHA-256 of the sorted ids and their targets, whatever a model predicts on it."""
    ordered = in_order(predictions)
    digest = hashlib.sha256(f"{ordered.task} {ordered.n}\n".encode())
    _digest_column(digest, _arrow_ids(ordered.ids))
    target = ordered.target
    if ordered.classes is not None:
        labels = pa.array(ordered.classes, pa.large_string())
        _digest_column(digest, labels.take(pa.array(target)))
    else:
        digest.update((np.asarray(target, dtype="<f8") + 0.0).tobytes())  # + 0.0: -0.0 and 0.0 are one number
    return digest.hexdigest()


def in_order(predictions: Predictions) -> Predictions:
    """The same predictions, sorted by id."""
    ids = _arrow_ids(predictions.ids)
    if _is_sorted(ids):
        return predictions
    return predictions.take(pc.sort_indices(ids).to_numpy())


def write(predictions: Predictions, path: Path) -> None:
    """Write the normalised file, sorted by id. Equal predictions give equal bytes. Raises InfrastructureError."""
    ordered = in_order(predictions)
    columns: dict[str, Any] = {"id": _arrow_ids(ordered.ids)}
    if ordered.classes is None:
        columns["target"] = pa.array(ordered.target, pa.float64())
        columns["prediction"] = pa.array(ordered.prediction, pa.float64())
    else:
        labels = pa.array(ordered.classes, pa.string())
        columns["target"] = labels.take(pa.array(ordered.target))
        columns["prediction"] = labels.take(pa.array(ordered.prediction))
    if ordered.scores is not None:
        n, k = ordered.scores.shape
        offsets = pa.array(np.arange(0, n * k + 1, k, dtype=np.int64))
        columns["score"] = pa.LargeListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(ordered.scores).reshape(-1)))
    for name, texts in ordered.slices.items():
        columns[f"slice:{name}"] = pa.array(texts, pa.string())
    for name, numbers in ordered.values.items():
        columns[f"value:{name}"] = pa.array(numbers, pa.float64())
    if ordered.groups is not None:
        columns["group"] = pa.array(numbered_groups(ordered.groups), pa.int64())
    _write_table(pa.table(columns), path)


def read(path: Path, task: Task, classes: list[str] | tuple[str, ...] | None = None) -> Predictions:
    """Read a normalised file; it may come from another job, so nothing in it is believed.

    Args:
        path: the file.
        task: what the model predicts.
        classes: labels in the order of the scores, as evidence has them; left out, those that occur, sorted.

    Raises:
        InputError: it is no such file: absent, not Parquet, a column missing or of another type, ids not unique, numbers not finite.
    """
    columns = _Columns(path)
    ids = columns.ids()
    if task == "regression":
        target, prediction = columns.floats("target"), columns.floats("prediction")
        return Predictions(ids, target, prediction, slices=columns.slices(), values=columns.values(), groups=columns.groups())
    target, prediction = columns.texts("target"), columns.texts("prediction")
    seen = [*target.dictionary.to_pylist(), *prediction.dictionary.to_pylist()]
    known = tuple(classes) if classes is not None else sorted_classes(seen)
    if len(set(known)) != len(known) or len(known) > MAX_CLASSES:
        raise columns.refused("classes", f"expected at most {MAX_CLASSES:,} distinct classes")
    if unknown := sorted(set(seen) - set(known)):
        raise columns.refused("target", f"labels that are no class of the evidence: {', '.join(unknown[:3])}")
    place = {label: code for code, label in enumerate(known)}
    return Predictions(
        ids,
        _codes(target, place),
        _codes(prediction, place),
        known,
        columns.scores(len(known)),
        columns.slices(),
        columns.values(),
        columns.groups(),
    )


def numbered_groups(codes: npt.NDArray[Any]) -> Integers:
    """Groups numbered in the order they first occur in: the same for the same groups, whatever names they have."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    place = np.empty(first.size, dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(first.size)
    return np.asarray(place[inverse.reshape(-1)])


def regrouped(one: Integers, other: Integers) -> int:
    """How many examples are together with others than before; 0 where both group them alike, by whatever names.

    Args:
        one, other: groups of the same n examples.
    """
    mine, theirs = numbered_groups(one), numbered_groups(other)
    pairs, inverse, count = np.unique(np.stack([mine, theirs]), axis=1, return_inverse=True, return_counts=True)
    is_kept = (count == np.bincount(mine)[pairs[0]]) & (count == np.bincount(theirs)[pairs[1]])
    return int(np.count_nonzero(~is_kept[inverse.reshape(-1)]))


class _Columns:
    """Columns of a normalised file, each checked as it is taken."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            with pq.ParquetFile(path) as file:
                if file.metadata.num_rows > MAX_EXAMPLES:
                    raise InputError(f"{path.name}: {file.metadata.num_rows:,} rows; at most {MAX_EXAMPLES:,} examples are compared")
                self._table = file.read()
        except FileNotFoundError:
            raise InputError(f"{path.name}: no such file; run 'mlgate evaluate'") from None
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path.name}: not a Parquet file of predictions: {str(error).splitlines()[0][:200]}") from None
        if self._table.num_rows == 0:
            raise InputError(f"{path.name}: no predictions in it")

    def refused(self, column: str, reason: str) -> InputError:
        return InputError(f"{self._name}: column '{column}': {reason}")

    def column(self, name: str) -> Any:
        if self._table.column_names.count(name) != 1:
            raise self.refused(name, "missing from the normalised predictions")
        column = self._table.column(name)
        if column.null_count:
            raise self.refused(name, f"{column.null_count:,} values missing")
        return column

    def ids(self) -> npt.NDArray[Any]:
        column = self.column("id")
        if pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
            ids = column.cast(pa.large_string()).combine_chunks()
        elif column.type == pa.int64():
            ids = column.combine_chunks()
        else:
            raise self.refused("id", f"expected int64 or string, got {column.type}")
        if not _is_sorted(ids):
            raise self.refused("id", "expected unique ids in ascending order")
        return _numpy_ids(ids)

    def floats(self, name: str) -> Floats:
        column = self.column(name)
        if column.type != pa.float64():
            raise self.refused(name, f"expected float64, got {column.type}")
        numbers: Floats = column.to_numpy()
        if not np.isfinite(numbers).all():
            raise self.refused(name, "numbers that are not finite")
        return numbers

    def texts(self, name: str) -> Any:
        column = self.column(name)
        if column.type != pa.string():
            raise self.refused(name, f"expected string, got {column.type}")
        return column.cast(pa.large_string()).combine_chunks().dictionary_encode()

    def scores(self, k: int) -> Floats | None:
        if "score" not in self._table.column_names:
            return None
        column = self.column("score")
        if not (pa.types.is_large_list(column.type) or pa.types.is_list(column.type)) or column.type.value_type != pa.float64():
            raise self.refused("score", f"expected a list of float64, got {column.type}")
        lists = column.combine_chunks()
        flat = lists.flatten()
        if flat.null_count or not bool(pc.all(pc.equal(pc.list_value_length(lists), k)).as_py()):
            raise self.refused("score", f"expected {k} numbers a row, one a class")
        scores: Floats = flat.to_numpy().reshape(-1, k)
        if not np.isfinite(scores).all():
            raise self.refused("score", "numbers that are not finite")
        return scores

    def slices(self) -> dict[str, npt.NDArray[np.str_]]:
        found = {}
        for name in (name for name in self._table.column_names if name.startswith("slice:")):
            column = self.column(name)
            if not pa.types.is_string(column.type):
                raise self.refused(name, f"expected string, got {column.type}")
            found[name.removeprefix("slice:")] = text_array(column)
        return found

    def groups(self) -> Integers | None:
        if "group" not in self._table.column_names:
            return None
        column = self.column("group")
        if column.type != pa.int64():
            raise self.refused("group", f"expected int64, got {column.type}")
        return np.asarray(column.to_numpy())

    def values(self) -> dict[str, Floats]:
        return {name.removeprefix("value:"): self.floats(name) for name in self._table.column_names if name.startswith("value:")}


def text_array(column: Any) -> npt.NDArray[np.str_]:
    """An Arrow column of few distinct texts as a NumPy array of fixed-width text, which sorts and compares fast."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = encoded.dictionary_encode()
    distinct = np.array(encoded.dictionary.to_pylist() or [""], dtype=np.str_)
    texts: npt.NDArray[np.str_] = distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return texts


def _codes(column: Any, place: dict[str, int]) -> Integers:
    recode = np.array([place[label] for label in column.dictionary.to_pylist()], dtype=np.int64)
    codes: Integers = recode[column.indices.to_numpy(zero_copy_only=False)]
    return codes


def _arrow_ids(ids: npt.NDArray[Any]) -> Any:
    return pa.array(ids, pa.int64()) if ids.dtype.kind == "i" else pa.array(ids, pa.large_string())


def _numpy_ids(ids: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = ids.to_numpy(zero_copy_only=False)
    return array


def _is_sorted(ids: Any) -> bool:
    """Whether ids ascend strictly, which also says that they are unique."""
    return len(ids) < 2 or bool(pc.all(pc.less(ids[:-1], ids[1:])).as_py())


def _digest_column(digest: Any, column: Any) -> None:
    if column.type == pa.int64():
        digest.update(b"int64\n")
        digest.update(np.asarray(column.to_numpy(zero_copy_only=False), dtype="<i8").tobytes())
        return
    # lengths and text apart, so that ("ab", "c") and ("a", "bc") differ
    digest.update(b"text\n")
    digest.update(np.asarray(pc.binary_length(column).to_numpy(zero_copy_only=False), dtype="<i8").tobytes())
    binary = column.cast(pa.large_binary())
    data = binary.buffers()[2]
    if data is not None:
        offsets = np.frombuffer(binary.buffers()[1], dtype="<i8")[binary.offset : binary.offset + len(binary) + 1]
        digest.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])


def _write_table(table: Any, path: Path) -> None:
    # ids and probabilities hardly repeat: looking for a dictionary in them costs a second a million rows
    repeated = [name for name in table.column_names if name in ("target", "prediction") or name.startswith("slice:")]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:50]}.") as aside:
            temporary = Path(aside) / path.name
            pq.write_table(table, temporary, compression="zstd", use_dictionary=repeated)
            os.replace(temporary, path)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror or error}") from None
