"""The user's predictions file, CSV, Parquet or JSON lines, read, checked and brought to one form.

Every mistake in the file is one line: file, column, first rows, what was expected. Arrow does the work, column by column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from mlgate.config import EvaluationConfig
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evaluation.labels import canonical_label, canonical_texts, positive_class, sorted_classes
from mlgate.evaluation.predictions import MAX_CLASSES, MAX_EXAMPLES, Floats, Integers, Predictions, in_order, numbered_groups
from mlgate.evaluation.recognition import SUM_TOLERANCE, Recognised, Values, are_probabilities, of_predictions, recognise
from mlgate.mistakes import lookalike

MAX_SLICES = 1000
MAX_LABEL_LENGTH = 200
MISSING_SLICE = "(missing)"
NEEDS_PROBABILITIES = frozenset({"log_loss", "brier"})

_WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
_FORMATS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}


def load(path: Path, evaluation: EvaluationConfig, shown_as: str, *, are_slices_optional: bool = False) -> Predictions:
    """Read a predictions file.

    Args:
        path: the file; its ending says the format.
        evaluation: names of the columns, the task (recognised where it is left out), and which metrics will be asked for.
        shown_as: what messages call the file.
        are_slices_optional: leave slices and groups out whose column the file lacks (a baseline may be older than a slice).

    Returns:
        The predictions, sorted by id (by row where no column holds ids), classes as text.

    Raises:
        InputError: the file is absent or says something wrong.
    """
    return recognised(path, evaluation, shown_as, are_slices_optional=are_slices_optional)[0]


def recognised(
    path: Path, evaluation: EvaluationConfig, shown_as: str, *, are_slices_optional: bool = False
) -> tuple[Predictions, Recognised | None]:
    """As `load`, and by what the task was recognised; None where the configuration states it."""
    table = _Table(path, shown_as, _wanted(evaluation))
    columns = evaluation.columns
    ids = table.ids(columns.id) if columns.id is not None else np.arange(table.rows, dtype=np.int64)
    slices = {name: table.slice(name) for name in evaluation.slices if not are_slices_optional or name in table.names}
    task, seen = evaluation.stated_task, None
    if task is None:
        seen = recognise(table.values(columns.target), table.values(columns.prediction), table.rows)
        task = seen.task
    if task == "regression":
        if columns.score is not None and evaluation.task is None:
            raise InputError(f"{shown_as}: columns.score: of a regression there are no probabilities; leave it out, or set evaluation.task")
        target, prediction = table.numbers(columns.target), table.numbers(columns.prediction)
        found = Predictions(ids, target, prediction, slices=slices)
    else:
        found = _classification(table, ids, slices, evaluation)
    if evaluation.group is not None and not (are_slices_optional and evaluation.group not in table.names):
        found = replace(found, groups=table.groups(evaluation.group))
    found = in_order(found)
    if found.groups is not None:
        found = replace(found, groups=numbered_groups(found.groups))
    if columns.id is not None:
        _refuse_duplicates(table, columns.id, ids, found.ids)
    if seen is not None and of_predictions(found).task != task:  # many numbers, written as texts: the gate could not see it the same way
        raise InputError(f"{shown_as}: '{columns.target}' holds texts that are numbers; set evaluation.task (or the action's input 'task')")
    return found, seen


def _wanted(evaluation: EvaluationConfig) -> Callable[[str], bool]:
    columns = evaluation.columns
    names = {*filter(None, [columns.id]), columns.target, columns.prediction, *evaluation.slices, *filter(None, [evaluation.group])}
    score = columns.score if evaluation.stated_task != "regression" else None

    def wanted(name: str) -> bool:
        return name in names or (score is not None and (name == score or name.startswith(f"{score}_")))

    return wanted


def _classification(table: _Table, ids: npt.NDArray[Any], slices: dict[str, Any], evaluation: EvaluationConfig) -> Predictions:
    columns = evaluation.columns
    target_labels, target_codes = table.labels(columns.target)
    prediction_labels, prediction_codes = table.labels(columns.prediction)
    _refuse_probabilities(table, columns.target, columns.prediction)
    scores = None
    classes = sorted_classes([*target_labels, *prediction_labels])
    if columns.score is not None:
        classes, scores = table.scores(columns.score, classes, evaluation)
    place = {label: code for code, label in enumerate(classes)}
    return Predictions(
        ids=ids,
        target=_recode(target_labels, place)[target_codes],
        prediction=_recode(prediction_labels, place)[prediction_codes],
        classes=classes,
        scores=scores,
        slices=slices,
    )


def _recode(labels: Sequence[str], place: dict[str, int]) -> Integers:
    return np.array([place[label] for label in labels], dtype=np.int64)


def _refuse_probabilities(table: _Table, target: str, prediction: str) -> None:
    """Fractions predicted where whole labels are true: probabilities in the wrong column, or a regression."""
    if not table.values(prediction).have_fractions or table.values(target).have_fractions:
        return
    numbers = table.numbers(prediction)
    rows = np.flatnonzero(numbers != np.trunc(numbers)).tolist()
    raise table.refused(prediction, rows, "expected predicted classes, got fractions; probabilities belong in evaluation.columns.score")


def _is_fraction(column: Any) -> Any:
    if not pa.types.is_floating(column.type):
        return pa.scalar(False)
    return pc.not_equal(column, pc.trunc(column))


def _refuse_duplicates(table: _Table, column: str, ids: npt.NDArray[Any], ordered: npt.NDArray[Any]) -> None:
    repeated = np.unique(np.flatnonzero(ordered[1:] == ordered[:-1]))
    if not len(repeated):
        return
    distinct = len(set(ordered[repeated].tolist()))
    rows = np.flatnonzero(ids == ordered[repeated[0]]).tolist()
    # Where it stands, not what it is: an id may be somebody's name.
    raise table.refused(
        column, rows, f"{distinct:,} {'id occurs' if distinct == 1 else 'ids occur'} more than once; expected one row an example"
    )


class _Table:
    """The columns asked for, each checked as it is taken."""

    def __init__(self, path: Path, shown_as: str, wanted: Callable[[str], bool]) -> None:
        self.shown_as = shown_as
        kind = _FORMATS.get(path.suffix.lower())
        if kind is None:
            raise InputError(f"{shown_as}: expected a .csv, .parquet or .jsonl file")
        if not path.exists():
            raise InputError(f"{shown_as}: no such file{lookalike(path) or '; does the training command write it?'}")
        if not path.is_file():
            raise InputError(f"{shown_as}: expected one file, got a folder")
        if path.stat().st_size == 0:
            raise InputError(f"{shown_as}: the file is empty; expected one row an example")
        self.is_text = kind == "csv"
        try:
            self.names, self._table = {"csv": _read_csv, "parquet": _read_parquet, "json": _read_json}[kind](path, wanted)
        except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
            raise InputError(f"{shown_as}: {_reason(error, kind)}") from None
        if self._table.num_rows == 0:
            raise InputError(f"{shown_as}: no predictions in it; expected one row an example")
        if self._table.num_rows > MAX_EXAMPLES:
            raise InputError(f"{shown_as}: {self._table.num_rows:,} rows; at most {MAX_EXAMPLES:,} examples are compared")

    @property
    def rows(self) -> int:
        return int(self._table.num_rows)

    def refused(self, column: str, rows: Sequence[int], reason: str) -> InputError:
        where = ""
        if rows:
            first = ", ".join(str(row) for row in rows[:3])
            where = f"{'row' if len(rows) == 1 else 'rows'} {first}{', …' if len(rows) > 3 else ''} (from 0): "
        return InputError(f"{self.shown_as}: column '{column}': {where}{reason}")

    def column(self, name: str, key: str = "evaluation.columns") -> Any:
        if (count := self.names.count(name)) != 1:
            if count:
                raise InputError(f"{self.shown_as}: column '{name}' is there {count} times; expected it once")
            raise InputError(f"{self.shown_as}: no column '{name}' ({key}){_nearest(name, self.names)}")
        column = self._table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.large_string())
        return column

    def rows_where(self, mask: Any) -> list[int]:
        """Numbers of the rows where an Arrow mask is true."""
        if isinstance(mask, pa.Scalar):
            return []
        return np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist()

    def filled(self, name: str) -> Any:
        """A column without nulls, NaN or empty texts."""
        column = self.column(name)
        missing = pc.is_null(column, nan_is_null=True)
        if pa.types.is_large_string(column.type):
            missing = pc.or_(missing, pc.equal(column, ""))
        if rows := self.rows_where(missing):
            raise self.refused(name, rows, f"{len(rows):,} missing; expected a value in every row")
        return column

    def ids(self, name: str) -> npt.NDArray[Any]:
        column = self.filled(name)
        kind = column.type
        if pa.types.is_floating(kind) and not self.rows_where(_is_fraction(column)) and pc.max(pc.abs(column)).as_py() < 2**53:
            column = column.cast(pa.int64())
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind) or kind == pa.uint64():
            column = column.cast(pa.large_string())
        elif self.is_text and bool(pc.all(pc.match_substring_regex(column, _WHOLE_NUMBER)).as_py()):
            column = column.cast(pa.int64())
        elif not (pa.types.is_integer(kind) or pa.types.is_large_string(kind)):
            raise self.refused(name, [], f"expected whole numbers or text as ids, got {kind}")
        if pa.types.is_integer(column.type):
            column = column.cast(pa.int64())
        ids: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return ids

    def numbers(self, name: str) -> Floats:
        column = self.filled(name)
        if pa.types.is_large_string(column.type):
            column = self._parsed(name, column)
        elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
            raise self.refused(name, [], f"expected numbers, got {column.type}")
        numbers: Floats = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        if rows := np.flatnonzero(~np.isfinite(numbers)).tolist():
            raise self.refused(name, rows, f"{len(rows):,} not finite (NaN or infinite); expected numbers")
        return numbers

    def values(self, name: str) -> Values:
        """What the recognition of the task looks at."""
        column = self.filled(name)
        kind = column.type
        if self.is_text and pa.types.is_large_string(kind):
            trimmed = pc.utf8_trim_whitespace(column)
            # `01` is a text, such as a postal code; so canonical_texts has it, too
            number = r"(?i)^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?$|^[+-]?(nan|inf|infinity)$"
            if not bool(pc.all(pc.match_substring_regex(trimmed, number)).as_py()):
                return Values(name, are_numbers=False)
            column = pc.replace_substring_regex(trimmed, r"^\+", "").cast(pa.float64())
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            return Values(name, are_numbers=False)
        return Values.of_numbers(name, column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))

    def _parsed(self, name: str, column: Any) -> Any:
        """Numbers written as text: the only way in CSV, a mistake elsewhere."""
        if not self.is_text:
            raise self.refused(name, [], "expected numbers, got text")
        trimmed = pc.utf8_trim_whitespace(column)
        number = r"(?i)^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$|^[+-]?(nan|inf|infinity)$"
        if rows := self.rows_where(pc.invert(pc.match_substring_regex(trimmed, number))):
            raise self.refused(name, rows, f"{len(rows):,} no number; expected numbers")
        return pc.replace_substring_regex(trimmed, r"^\+", "").cast(pa.float64())

    def labels(self, name: str) -> tuple[list[str], Integers]:
        """Distinct labels as canonical text, and each row's code into them."""
        column = self.filled(name)
        # what a missing value turns into on its way through text
        if pa.types.is_large_string(column.type) and (rows := self.rows_where(pc.match_substring_regex(column, "^[+-]?(nan|NaN)$"))):
            raise self.refused(name, rows, f"{len(rows):,} NaN; expected a label in every row")
        return self._encoded(name, column, MAX_CLASSES, "labels; is this a regression (evaluation.task)?")

    def slice(self, name: str) -> npt.NDArray[np.str_]:
        labels, codes = self._encoded(name, self.column(name, "evaluation.slices"), MAX_SLICES, "values; a slice is a column of few")
        texts: npt.NDArray[np.str_] = np.array(labels, dtype=np.str_)[codes]
        return texts

    def groups(self, name: str) -> Integers:
        """Each row's group as a code."""
        column = self.column(name, "evaluation.group")
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            raise self.refused(name, [], f"expected one text or number a row that names its group, got {column.type}")
        encoded = self.filled(name).dictionary_encode()
        return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)

    def _encoded(self, name: str, column: Any, most: int, excess: str) -> tuple[list[str], Integers]:
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            raise self.refused(name, [], f"expected one text, number or truth value a row, got {column.type}")
        if pa.types.is_floating(column.type):
            column = column.cast(pa.float64())  # float16 has no dictionary
        encoded = column.dictionary_encode()
        if len(encoded.dictionary) > most:
            raise self.refused(name, [], f"{len(encoded.dictionary):,} distinct {excess} (at most {most:,})")
        if (
            pa.types.is_large_string(column.type)
            and (longest := pc.max(pc.utf8_length(encoded.dictionary)).as_py() or 0) > MAX_LABEL_LENGTH
        ):
            raise self.refused(name, [], f"a value of {longest:,} characters; expected labels, at most {MAX_LABEL_LENGTH}")
        values = [None if value != value else value for value in encoded.dictionary.to_pylist()]  # NaN
        texts = canonical_texts(values) if self.is_text else ["" if value is None else canonical_label(value) for value in values]
        # only a slice has missing values: an empty text, NaN, or a null, which has no code in Arrow's dictionary
        named = [text or MISSING_SLICE for text in texts] + ([MISSING_SLICE] if encoded.null_count else [])
        codes = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        distinct = list(dict.fromkeys(named))
        place = {label: code for code, label in enumerate(distinct)}
        return distinct, _recode(named, place)[codes]

    def scores(self, score: str, classes: tuple[str, ...], evaluation: EvaluationConfig) -> tuple[tuple[str, ...], Floats]:
        """Classes and their probabilities, shape (n, k), in whichever of the three forms the file has them."""
        if score not in self.names:
            classes, scores = self._score_columns(score, classes)
            named = f"{score}_<class>"
        elif pa.types.is_nested(self.column(score).type):
            scores, named = self._score_lists(score, classes), score
        else:
            classes, scores = self._positive_scores(score, classes, evaluation)
            return classes, scores
        if NEEDS_PROBABILITIES.intersection(evaluation.references) or ("roc_auc" in evaluation.references and len(classes) > 2):
            self._refuse_improbable(named, scores)
            sums = scores.sum(axis=1)
            if rows := np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE).tolist():
                raise self.refused(
                    named, rows, f"{len(rows):,} rows of probabilities do not add up to 1 (the first to {sums[rows[0]]:.4g})"
                )
            scores = scores / sums[:, None]
        elif evaluation.metrics is None and len(classes) > 1 and are_probabilities(scores):
            scores = scores / scores.sum(axis=1)[:, None]
        return classes, scores

    def _positive_scores(self, score: str, classes: tuple[str, ...], evaluation: EvaluationConfig) -> tuple[tuple[str, ...], Floats]:
        numbers = self.numbers(score)
        if len(classes) == 1 and evaluation.positive is not None:
            classes = sorted_classes([*classes, canonical_label(evaluation.positive)])
        if len(classes) != 2:
            what = "needs two classes" if len(classes) == 1 else f"is not enough for {len(classes)} classes"
            raise self.refused(score, [], f"one probability a row {what}; expected a list a row, or columns '{score}_<class>'")
        if NEEDS_PROBABILITIES.intersection(evaluation.references):
            self._refuse_improbable(score, numbers[:, None])
        positive = classes.index(positive_class(classes, evaluation.positive, self.shown_as))
        scores = np.empty((len(numbers), 2))
        scores[:, positive], scores[:, 1 - positive] = numbers, 1 - numbers
        return classes, scores

    def _score_lists(self, score: str, classes: tuple[str, ...]) -> Floats:
        column = self.filled(score)
        k = len(classes)
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type)):
            raise self.refused(score, [], f"expected a list of probabilities a row, got {column.type}")
        if rows := self.rows_where(pc.not_equal(pc.list_value_length(column), k)):
            raise self.refused(
                score,
                rows,
                f"{len(rows):,} lists of another length; expected {k} probabilities, one for each class {_listed(classes)} "
                f"(a class that never occurs needs columns '{score}_<class>')",
            )
        flat = column.flatten()
        if not (pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type)):
            raise self.refused(score, [], f"expected lists of numbers, got {column.type}")
        scores: Floats = flat.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).reshape(-1, k)
        return self._finite_scores(score, scores)

    def _score_columns(self, score: str, classes: tuple[str, ...]) -> tuple[tuple[str, ...], Floats]:
        prefix = f"{score}_"
        suffixes = [name.removeprefix(prefix) for name in self.names if name.startswith(prefix) and len(name) > len(prefix)]
        if not suffixes:
            self.column(score)  # raises, naming the nearest column
        labels = canonical_texts(suffixes)
        by_label = dict(zip(labels, suffixes, strict=True))
        if len(by_label) != len(suffixes):
            raise self.refused(f"{prefix}…", [], "two columns are of the same class")
        if missing := [label for label in classes if label not in by_label]:
            raise self.refused(f"{prefix}{missing[0]}", [], f"missing: class '{missing[0]}' occurs but has no probabilities")
        known = sorted_classes(labels)
        return known, np.column_stack([self.numbers(prefix + by_label[label]) for label in known])

    def _finite_scores(self, score: str, scores: Floats) -> Floats:
        if rows := np.flatnonzero(~np.isfinite(scores).all(axis=1)).tolist():
            raise self.refused(score, rows, f"{len(rows):,} with values that are not finite; expected probabilities")
        return scores

    def _refuse_improbable(self, score: str, scores: Floats) -> None:
        if rows := np.flatnonzero(((scores < 0) | (scores > 1)).any(axis=1)).tolist():
            raise self.refused(
                score, rows, f"{len(rows):,} outside [0, 1]; log_loss, brier and roc_auc over many classes need probabilities"
            )


def _read_csv(path: Path, wanted: Callable[[str], bool]) -> tuple[list[str], Any]:
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    taken = [name for name in dict.fromkeys(names) if wanted(name) and names.count(name) == 1]
    if not taken:
        return names, pa.table({"": pa.nulls(1)})
    # as text, all of it: Arrow's guesses would turn the ids 01 and 1 into one, and "NA" into nothing
    convert = pyarrow.csv.ConvertOptions(include_columns=taken, column_types=dict.fromkeys(taken, pa.large_string()))
    return names, pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)


def _read_parquet(path: Path, wanted: Callable[[str], bool]) -> tuple[list[str], Any]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if file.metadata.num_rows > MAX_EXAMPLES:
            raise ValueError(f"{file.metadata.num_rows:,} rows; at most {MAX_EXAMPLES:,} examples are compared")
        taken = [name for name in dict.fromkeys(names) if wanted(name) and names.count(name) == 1]
        if not taken:
            return names, pa.table({"": pa.nulls(1)})
        return names, file.read(columns=taken)


def _read_json(path: Path, wanted: Callable[[str], bool]) -> tuple[list[str], Any]:
    with path.open("rb") as stream:
        if stream.read(64).lstrip()[:1] == b"[":
            raise ValueError("expected JSON lines, one object a line; got a JSON array")
    table = pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(block_size=1 << 24))
    return table.schema.names, table.select([name for name in dict.fromkeys(table.schema.names) if wanted(name)])


def _reason(error: Exception, kind: str) -> str:
    """What is wrong with a file, without quoting its rows: they may be personal."""
    said = str(error)
    if kind == "csv" and (match := re.search(r"(Row #\d+: )?Expected (\d+) columns, got (\d+)", said)):
        return f"not valid CSV: {match[1] or ''}expected {match[2]} fields as in the header, got {match[3]}"
    if "UTF8" in said or "utf-8" in said:
        return "not UTF-8 text; save the file as UTF-8"
    if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException):
        return said
    name = {"csv": "CSV", "json": "JSON lines", "parquet": "Parquet"}[kind]
    return f"not valid {name}: {plain(said.splitlines()[0] if said else type(error).__name__)[:200]}"


def _nearest(name: str, present: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, present, n=1, cutoff=0.6)
    return (f"; did you mean '{_short(near[0])}'?" if near else ";") + f" the file has {_listed(present)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_short(name) for name in names[:20]) + (", …" if len(names) > 20 else "")


def _short(value: object) -> str:
    text = plain(str(value))
    return text if len(text) <= 40 else text[:39] + "…"
