"""The usual metrics by name, through scikit-learn: on all examples and on each slice. A metric that has no value says why.

scikit-learn is imported when the first metric is computed: it takes about a second.
"""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlgate.config import LOWER_IS_BETTER, METRICS_OF_SCORES, REGRESSION_METRICS
from mlgate.errors import InputError
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import SliceMetrics, finite


class NotDefinedError(Exception):
    """A metric has no value on these examples; the message says why."""


def value(name: str, predictions: Predictions, positive: str | None = None) -> float:
    """One metric of config.CLASSIFICATION_METRICS or REGRESSION_METRICS.

    `precision`, `recall` and `f1` over many classes are of the classes that occur, true or predicted, on these very examples; a
    class that is never predicted has precision 0. `balanced_accuracy` is the mean recall of the classes that truly occur.
    `roc_auc` is the area under the curve of the positive class; of more than two classes the unweighted mean of each one against
    the rest (scikit-learn's `multi_class="ovr", average="macro"`), over the classes that truly occur. `pr_auc` is average
    precision, the sum of (R_n - R_n-1) P_n, averaged likewise. `brier` is the mean of (p - y)^2 of the positive class; of more than
    two classes the mean of its sum over the classes, in [0, 2] (Brier 1950, Monthly Weather Review 78:1-3). `mape` is a fraction,
    not a percentage.

    Args:
        name: of the metric.
        predictions: of the model.
        positive: label of the positive class where there are two; left out, the last of `predictions.classes`.

    Raises:
        NotDefinedError: it has no value on these examples.
        InputError: a `*_binary` metric of more than two classes.
    """
    if not predictions.n:
        raise NotDefinedError("no examples")
    if name in REGRESSION_METRICS:
        number = _regression(name, predictions.target, predictions.prediction)
    elif name in METRICS_OF_SCORES:
        number = _of_scores(name, predictions, _positive_code(predictions, positive))
    else:
        number = _of_labels(name, predictions, _positive_code(predictions, positive))
    return float(number)


def better(name: str) -> Literal["higher", "lower"]:
    """Which direction of a named metric is better."""
    return "lower" if name in LOWER_IS_BETTER else "higher"


def by_slice(names: Sequence[str], predictions: Predictions, positive: str | None = None) -> tuple[list[SliceMetrics], list[str]]:
    """Metrics on every slice, and a line for each metric that is not defined on some of them."""
    found: list[SliceMetrics] = []
    undefined: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for column, label, index in groups(predictions):
        rows = examples(predictions, index)
        numbers: dict[str, float | None] = {}
        for name in names:
            try:
                numbers[name] = finite(value(name, rows, positive))
            except NotDefinedError as reason:
                numbers[name] = None
                undefined[name, column, str(reason)].append(label)
        found.append(SliceMetrics(column=column, value=label, n=len(index), metrics=numbers))
    return found, [undefined_on(name, column, labels, reason) for (name, column, reason), labels in undefined.items()]


def undefined_on(name: str, column: str, labels: Sequence[str], reason: str) -> str:
    """The line that says on which slices a metric is not defined."""
    named = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
    return f"{name} is not defined on {len(labels)} {'slice' if len(labels) == 1 else 'slices'} of '{column}' ({named}): {reason}"


def groups(predictions: Predictions) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    """Every slice: its column, its value, and the positions of its examples; values in alphabetical order."""
    for column, texts in predictions.slices.items():
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        labels = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes.astype(np.int32), kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(labels)))[:-1])
        for label, index in sorted(zip(labels, parts, strict=True), key=lambda part: str(part[0])):
            yield column, label, index


def examples(predictions: Predictions, index: npt.NDArray[np.int64]) -> Predictions:
    """Some rows of what a metric looks at; ids and slices, which none does, stay behind."""
    return Predictions(
        ids=index,
        target=predictions.target[index],
        prediction=predictions.prediction[index],
        classes=predictions.classes,
        scores=None if predictions.scores is None else predictions.scores[index],
    )


def _positive_code(predictions: Predictions, positive: str | None) -> int:
    classes = predictions.classes or ()
    if positive is None:
        return len(classes) - 1
    return classes.index(positive) if positive in classes else -1


def _of_labels(name: str, predictions: Predictions, positive: int) -> float:
    sklearn = _sklearn()
    target, prediction = predictions.target, predictions.prediction
    match name:
        case "accuracy":
            return float(sklearn.accuracy_score(target, prediction))
        case "balanced_accuracy":
            # balanced_accuracy_score warns of predicted classes that never occur; this is its definition without them
            return float(sklearn.recall_score(target, prediction, labels=np.unique(target), average="macro", zero_division=0))
        case "mcc" | "kappa":
            if _is_constant(target):
                raise NotDefinedError("only one class occurs")
            return float((sklearn.matthews_corrcoef if name == "mcc" else sklearn.cohen_kappa_score)(target, prediction))
    kind, _, average = name.rpartition("_")
    score: Callable[..., Any] = {
        "precision": sklearn.precision_score,
        "recall": sklearn.recall_score,
        "f1": sklearn.f1_score,
    }[kind]
    if average != "binary":
        return float(score(target, prediction, average=average, zero_division=0))
    if predictions.classes is not None and len(predictions.classes) > 2:
        raise InputError(f"evaluation.metrics: '{name}' is for two classes, there are {len(predictions.classes)}; use '{kind}_macro'")
    number = float(score(target == positive, prediction == positive, zero_division=np.nan))
    if np.isnan(number):
        raise NotDefinedError({"precision": "no positive was predicted", "recall": "no positive occurs"}.get(kind, "no positive at all"))
    return number


def _of_scores(name: str, predictions: Predictions, positive: int) -> float:
    sklearn = _sklearn()
    scores, target = predictions.scores, predictions.target
    if scores is None:
        raise NotDefinedError("the predictions have no probabilities")
    k = scores.shape[1]
    if k < 2 or positive < 0:
        raise NotDefinedError("only one class occurs")
    if name == "log_loss":
        return float(sklearn.log_loss(target, scores, labels=np.arange(k)))
    if name == "brier":
        if k == 2:
            return float(np.mean(np.square(scores[:, positive] - (target == positive))))
        return float(sklearn.brier_score_loss(target, scores, labels=np.arange(k)))
    score: Callable[..., Any] = sklearn.roc_auc_score if name == "roc_auc" else sklearn.average_precision_score
    occurring = np.unique(target)
    if len(occurring) < 2:
        raise NotDefinedError("only one class occurs")
    codes = [positive] if k == 2 else occurring.tolist()
    return float(np.mean([score(target == code, scores[:, code]) for code in codes]))


def _regression(name: str, target: npt.NDArray[Any], prediction: npt.NDArray[Any]) -> float:
    sklearn = _sklearn()
    match name:
        case "rmse":
            return float(sklearn.root_mean_squared_error(target, prediction))
        case "mae":
            return float(sklearn.mean_absolute_error(target, prediction))
        case "mape":
            if zeros := int(np.count_nonzero(target == 0)):
                raise NotDefinedError(f"{zeros:,} {'target is' if zeros == 1 else 'targets are'} 0")
            return float(sklearn.mean_absolute_percentage_error(target, prediction))
    if _is_constant(target):
        raise NotDefinedError("all targets are the same")
    return float(sklearn.r2_score(target, prediction))


def _sklearn() -> Any:
    """scikit-learn's metrics. It imports pandas where that is installed, only to recognise its frames, which takes as long as all the
    rest; we hand it arrays."""
    if "sklearn.metrics" not in sys.modules and "pandas" not in sys.modules:
        modules: dict[str, Any] = sys.modules
        modules["pandas"] = None
        try:
            importlib.import_module("sklearn.metrics")
        finally:
            del modules["pandas"]
    return importlib.import_module("sklearn.metrics")


def _is_constant(array: npt.NDArray[Any]) -> bool:
    return bool((array == array[0]).all())
