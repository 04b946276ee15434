"""Named metrics: scikit-learn's numbers, the standard definitions by hand, and a reason where there is no number."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sklearn

from mlgate.config import CLASSIFICATION_METRICS, LOWER_IS_BETTER, REGRESSION_METRICS
from mlgate.errors import InputError
from mlgate.evaluation import metrics
from mlgate.evaluation.predictions import Predictions
from unit.evaluation.holdouts import classified, regressed

PLAIN = tuple(name for name in CLASSIFICATION_METRICS if not name.endswith("_binary"))


def values(names: Iterable[str], found: Predictions, positive: str | None = None) -> dict[str, float | None]:
    computed: dict[str, float | None] = {}
    for name in names:
        try:
            computed[name] = metrics.value(name, found, positive)
        except metrics.NotDefinedError:
            computed[name] = None
    return computed


def by_hand(predictions: Predictions, code: int) -> dict[str, float]:
    """Binary metrics from the four counts (Powers 2011)."""
    true, predicted = predictions.target == code, predictions.prediction == code
    tp, fp, fn = (int(np.sum(mask)) for mask in (true & predicted, ~true & predicted, true & ~predicted))
    return {
        "precision_binary": tp / (tp + fp),
        "recall_binary": tp / (tp + fn),
        "f1_binary": 2 * tp / (2 * tp + fp + fn),
    }


def test_metrics_of_labels_are_scikit_learns() -> None:
    found = classified(500, 4)
    t, p = found.target, found.prediction
    expected = {
        "accuracy": sklearn.accuracy_score(t, p),
        "balanced_accuracy": sklearn.balanced_accuracy_score(t, p),
        "mcc": sklearn.matthews_corrcoef(t, p),
        **{
            f"{name}_{average}": score(t, p, average=average)
            for name, score in {"precision": sklearn.precision_score, "recall": sklearn.recall_score, "f1": sklearn.f1_score}.items()
            for average in ("macro", "micro", "weighted")
        },
    }
    assert values(list(expected), found) == pytest.approx(expected)


def test_metrics_of_probabilities_are_scikit_learns() -> None:
    found = classified(500, 4)
    t, s = found.target, found.scores
    one_hot = np.eye(4)[t]
    expected = {
        "roc_auc": sklearn.roc_auc_score(t, s, multi_class="ovr", average="macro"),
        "pr_auc": sklearn.average_precision_score(one_hot, s, average="macro"),
        "log_loss": sklearn.log_loss(t, s),
        "brier": float(np.mean(np.sum((s - one_hot) ** 2, axis=1))),
    }
    assert values(list(expected), found) == pytest.approx(expected)


@pytest.mark.parametrize(("positive", "code"), [(None, 1), ("b", 1), ("a", 0)])
def test_binary_metrics_are_of_the_positive_class(positive: str | None, code: int) -> None:
    found = classified(300, 2)
    assert found.scores is not None
    score = found.scores[:, code]
    expected = {
        **by_hand(found, code),
        "roc_auc": sklearn.roc_auc_score(found.target == code, score),
        "pr_auc": sklearn.average_precision_score(found.target == code, score),
        "brier": float(np.mean((score - (found.target == code)) ** 2)),
        "log_loss": sklearn.log_loss(found.target, found.scores),
    }
    assert values(list(expected), found, positive) == pytest.approx(expected)


def test_metrics_of_numbers_are_scikit_learns() -> None:
    found = regressed(400)
    t, p = found.target, found.prediction
    expected = {
        "rmse": math.sqrt(np.mean((t - p) ** 2)),
        "mae": float(np.mean(np.abs(t - p))),
        "mape": float(np.mean(np.abs(t - p) / np.abs(t))),
        "r2": sklearn.r2_score(t, p),
    }
    assert values(list(REGRESSION_METRICS), found) == pytest.approx(expected)


def test_every_name_of_the_configuration_is_computed_with_its_direction() -> None:
    for names, found in ((CLASSIFICATION_METRICS, classified(100, 2)), (REGRESSION_METRICS, regressed(100))):
        assert all(math.isfinite(metrics.value(name, found)) for name in names)
        assert all(metrics.better(name) == ("lower" if name in LOWER_IS_BETTER else "higher") for name in names)


def test_classes_that_never_occur_change_no_metric() -> None:
    found = classified(200, 3)
    wider = found.over(("a", "aa", "b", "c", "z"))
    names = [name for name in PLAIN if name != "brier"]
    assert values([*names, "brier"], wider) == pytest.approx(values([*names, "brier"], found))


def labelled(target: list[int], prediction: list[int], k: int = 2, scores: Any = None) -> Predictions:
    return Predictions(np.arange(len(target)), np.array(target), np.array(prediction), tuple("abcdef"[:k]), scores)


@pytest.mark.parametrize(
    ("name", "found", "reason"),
    [
        ("roc_auc", labelled([1, 1], [1, 1], scores=np.full((2, 2), 0.5)), "only one class occurs"),
        ("pr_auc", labelled([0, 0], [1, 1], scores=np.full((2, 2), 0.5)), "only one class occurs"),
        ("log_loss", labelled([0, 0], [0, 0], k=1, scores=np.ones((2, 1))), "only one class occurs"),
        ("brier", labelled([0, 1], [0, 1]), "no probabilities"),
        ("mcc", labelled([1, 1], [0, 1]), "only one class occurs"),
        ("precision_binary", labelled([1, 0], [0, 0]), "no positive was predicted"),
        ("recall_binary", labelled([0, 0], [1, 0]), "no positive occurs"),
        ("f1_binary", labelled([0, 0], [0, 0]), "no positive at all"),
        ("r2", Predictions(np.arange(2), np.ones(2), np.zeros(2)), "all targets are the same"),
        ("r2", Predictions(np.arange(1), np.ones(1), np.zeros(1)), "all targets are the same"),
        ("mape", Predictions(np.arange(2), np.array([0.0, 1.0]), np.zeros(2)), "1 target is 0"),
        ("accuracy", labelled([], []), "no examples"),
    ],
)
def test_a_metric_without_a_value_says_why(name: str, found: Predictions, reason: str) -> None:
    with pytest.raises(metrics.NotDefinedError, match=reason):
        metrics.value(name, found)


def test_a_class_that_is_never_predicted_has_precision_0_and_no_warning() -> None:
    found = labelled([0, 1, 2], [0, 0, 0], k=3)
    assert metrics.value("precision_macro", found) == pytest.approx(1 / 9)
    assert metrics.value("balanced_accuracy", labelled([0, 0], [0, 2], k=3)) == 0.5


def test_a_binary_metric_of_three_classes_names_the_one_to_use() -> None:
    with pytest.raises(InputError, match="'f1_binary' is for two classes, there are 3; use 'f1_macro'"):
        metrics.value("f1_binary", classified(30, 3))


def test_slices_are_computed_apart_and_say_where_a_metric_is_not_defined() -> None:
    writers = np.array(["ann", "bob", "cat"], dtype=np.str_)[np.arange(90) % 3]
    found = classified(90, 2, slices={"writer": writers})
    found.target[writers == "cat"] = 1
    slices, warnings = metrics.by_slice(["accuracy", "roc_auc"], found)
    assert [(part.column, part.value, part.n) for part in slices] == [("writer", "ann", 30), ("writer", "bob", 30), ("writer", "cat", 30)]
    for part in slices:
        rows = found.take(writers == part.value)
        assert part.metrics == pytest.approx(values(["accuracy", "roc_auc"], rows))
    assert slices[2].metrics["roc_auc"] is None
    assert warnings == ["roc_auc is not defined on 1 slice of 'writer' (cat): only one class occurs"]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 30])
def test_no_size_of_a_slice_makes_scikit_learn_warn(n: int) -> None:
    """Each is a number, or said to be not defined where the slice lacks what it needs."""
    binary = ("precision_binary", "recall_binary", "f1_binary")
    for names, found in (
        (PLAIN, classified(n, 2)),
        (PLAIN, classified(n, 10)),
        (binary, classified(n, 2)),
        (REGRESSION_METRICS, regressed(n)),
    ):
        computed = values(names, found)
        assert list(computed) == list(names)
        assert all(value is None or math.isfinite(value) for value in computed.values())
        undefined = {name for name, value in computed.items() if value is None}
        assert not undefined & {"accuracy", "log_loss", "brier", "mae", "rmse"}
        assert n < 30 or undefined <= {"roc_auc", "pr_auc"}


def test_importing_the_metrics_imports_neither_scikit_learn_nor_pandas() -> None:
    program = (
        "import sys, mlgate.evaluation.scoring, mlgate.evaluation.loading; print({'sklearn', 'pandas', 'scipy', 'dvc'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_computing_a_metric_leaves_pandas_to_who_needs_it() -> None:
    program = (
        "import sys, numpy as np\n"
        "from mlgate.evaluation import metrics, predictions as p\n"
        "print(metrics.value('rmse', p.Predictions(np.arange(2), np.zeros(2), np.ones(2))), 'pandas' in sys.modules)\n"
        "import pandas; print(len(pandas.DataFrame({'a': [1]})))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split() == [
        "1.0",
        "False",
        "1",
    ]
