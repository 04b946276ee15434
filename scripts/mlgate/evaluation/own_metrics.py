"""The user's own metrics, `path/to/module.py:function`: called in the user's interpreter, answered in numbers.

A function is called as `function(y_true, y_pred)`, with `y_score=` where it takes that: the positive class's probability (n,), or
(n, k) for more than two classes. Labels come as whole numbers, numbers or truth values where all of them are, else as text. It
returns one number, or one an example. Its attribute `better` ("higher" or "lower") says which direction is better.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlgate import process
from mlgate.config import metric_name, user_code
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evaluation.labels import canonical_label
from mlgate.evaluation.predictions import Floats, Predictions, holdout_sha256
from mlgate.evidence import Resampled

PROGRAM = Path(__file__).with_name("user_metric.py")
RESAMPLING_LIMIT_S = 60.0
"""For all calls that the interval of one single number takes."""


@dataclass(frozen=True)
class OwnMetric:
    """What a function of the user's found."""

    name: str
    value: float
    values: Floats | None
    """(n,), where it gave one number an example."""
    better: Literal["higher", "lower"] | None
    by_group: list[float | None]
    """On each of the groups; None where the function raised."""
    undefined: str | None
    """What it last raised on a group."""
    resampled: Resampled | None = None
    """Of a single number, where it was asked for and could be had."""
    not_resampled: str | None = None
    """Why it could not."""


def call(
    references: Sequence[str],
    predictions: Predictions,
    *,
    positive: str | None,
    groups: Sequence[npt.NDArray[np.int64]],
    root: Path,
    is_showing_values: bool = False,
    resampled: Collection[str] = (),
) -> list[OwnMetric]:
    """Call every function on all examples and, where it gives a single number, on each group of them.

    Args:
        references: `path/to/module.py:function`, paths relative to `root`.
        predictions: at least one example.
        positive: the class whose probability is `y_score`, where there are two.
        groups: positions of the examples of each slice.
        root: the working directory, first on the import path.
        is_showing_values: whether messages may quote what a function's exception says, which may be data.
        resampled: names of metrics that need an interval: one that is a single number is called on resamples of the examples, too.

    Raises:
        InputError: a function is not there, raises, or returns something else; the last line it said is named.
    """
    if not references:
        return []
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        seeds = {place: holdout_sha256(predictions) for place, name in enumerate(references) if metric_name(name) in resampled}
        request = _request(Path(folder), references, predictions, positive, groups) | {
            "is_showing_values": is_showing_values,
            "resampling": {str(place): {"seed": seed, "limit_s": RESAMPLING_LIMIT_S} for place, seed in seeds.items()},
        }
        answer = process.call_user_python(PROGRAM, request, root=root)
        answers = answer.get("metrics")
        if not isinstance(answers, list) or len(answers) != len(references):
            raise InputError(f"evaluation.metrics: {references[0]}: your interpreter gave no answer for every metric")
        return [
            _metric(reference, found, Path(folder, f"values-{place}"), predictions.n, groups, root)
            for place, (reference, found) in enumerate(zip(references, answers, strict=True))
        ]


def _request(
    folder: Path, references: Sequence[str], predictions: Predictions, positive: str | None, groups: Sequence[npt.NDArray[np.int64]]
) -> dict[str, Any]:
    kind = "<f8" if predictions.classes is None else "<i8"
    predictions.target.astype(kind).tofile(folder / "target")
    predictions.prediction.astype(kind).tofile(folder / "prediction")
    width = 0
    if predictions.scores is not None and predictions.classes is not None:
        scores = predictions.scores
        if len(predictions.classes) == 2:
            scores = scores[:, [predictions.classes.index(positive) if positive in predictions.classes else 1]]
        width = scores.shape[1]
        scores.astype("<f8").tofile(folder / "score")
    np.concatenate([*groups, np.empty(0, dtype=np.int64)]).astype("<i8").tofile(folder / "order")
    return {
        "folder": str(folder),
        "n": predictions.n,
        "classes": None if predictions.classes is None else typed_labels(predictions.classes),
        "score_width": width,
        "metrics": [user_code(reference) for reference in references],
        "group_sizes": [len(group) for group in groups],
    }


def typed_labels(classes: Sequence[str]) -> list[int] | list[float] | list[bool] | list[str]:
    """Canonical labels as what they most likely were: all whole numbers, all numbers, all truth values, or texts."""
    if set(classes) <= {"true", "false"}:
        return [label == "true" for label in classes]
    try:
        numbers = [float(label) for label in classes]
    except ValueError:
        return list(classes)
    if [canonical_label(number) for number in numbers] != list(classes):
        return list(classes)  # `01` and `1` are texts
    return [int(label) for label in classes] if all(number.is_integer() for number in numbers) else numbers


def _metric(reference: str, found: Any, values_path: Path, n: int, groups: Sequence[npt.NDArray[np.int64]], root: Path) -> OwnMetric:
    where = f"evaluation.metrics: {reference}"
    if not isinstance(found, dict):
        raise InputError(f"{where}: your interpreter gave no answer for it")
    if "error" in found:
        raise InputError(f"{where}: {_short(found['error'])}")
    direction = found["better"]
    if direction not in (None, "higher", "lower"):
        raise InputError(f"{where}: its attribute `better` is {direction!r}; expected 'higher' or 'lower'")
    if found["value"] is not None:
        resampled, why = _resampled(reference, found["resampled"], root)
        number = float(found["value"])
        return OwnMetric(metric_name(reference), number, None, direction, found["groups"], _short(found["undefined"]), resampled, why)
    numbers: Floats = np.fromfile(values_path, dtype="<f8")
    if len(numbers) != n:
        raise InputError(f"{where}: {len(numbers):,} numbers came back for {n:,} examples")
    return OwnMetric(
        metric_name(reference), float(numbers.mean()), numbers, direction, [float(numbers[group].mean()) for group in groups], None
    )


def _resampled(reference: str, found: Any, root: Path) -> tuple[Resampled | None, str | None]:
    if found is None or "why" in found:
        return None, _short(found["why"]) if found else None
    path, _ = user_code(reference) or ("", "")
    digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
    return Resampled(code_sha256=digest, draws=found["draws"], left_out=found["left_out"]), None


def _short(message: str | None) -> str | None:
    return None if message is None else plain(message)[:500]
