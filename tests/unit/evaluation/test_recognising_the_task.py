"""As what a predictions file is taken where nobody says it, and that the gate sees it the same way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.config import EvaluationConfig
from mlgate.errors import InputError
from mlgate.evaluation import loading, predictions, recognition
from mlgate.evaluation.predictions import Predictions


def evaluation(**more: object) -> EvaluationConfig:
    return EvaluationConfig.model_validate({"predictions": "p.csv", "columns": {"id": None, **dict(more.pop("columns", {}))}, **more})


def read(folder: Path, rows: list[tuple[object, object]], **more: object) -> tuple[Predictions, str]:
    path = folder / "p.csv"
    path.write_text("y,y_pred\n" + "".join(f"{y},{predicted}\n" for y, predicted in rows))
    found, seen = loading.recognised(path, evaluation(**more), "p.csv")
    return found, seen.because if seen else ""


@pytest.mark.parametrize(
    ("rows", "task", "because"),
    [
        ([("cat", "dog"), ("dog", "dog")], "classification", "'y' holds labels, not numbers"),
        ([("true", "false"), ("false", "false")], "classification", "'y' holds labels, not numbers"),
        ([("01234", "01234"), ("99999", "01234")], "classification", "'y' holds labels, not numbers"),
        ([(0, 1), (1, 1)], "classification", "'y' holds 2 distinct whole numbers"),
        ([("0.0", "1.0"), ("1.0", "1.0")], "classification", "'y' holds 2 distinct whole numbers"),
        ([(n % 30, n % 30) for n in range(300)], "classification", "'y' holds 30 distinct whole numbers"),
        ([(n % 30, n % 30) for n in range(60)], "regression", "'y' holds 30 distinct whole numbers among 60 examples"),
        ([(n, n + 1) for n in range(11)], "regression", "'y' holds 11 distinct whole numbers among 11 examples"),
        ([(100_000 + n, 100_000) for n in range(2000)], "regression", "'y' holds 2,000 distinct whole numbers among 2,000 examples"),
        ([(1, 1), ("2.5", 2)], "regression", "'y' has fractions"),
        ([(n, n + 0.25) for n in range(5)], "regression", "'y_pred' has fractions"),
        ([(1, "1e-3"), (2, "+2")], "regression", "'y_pred' has fractions"),
    ],
)
def test_a_task_is_recognised_from_the_values(tmp_path: Path, rows: list[tuple[object, object]], task: str, because: str) -> None:
    found, seen = read(tmp_path, rows)
    assert (found.task, seen) == (task, because)


def test_probabilities_in_the_column_of_predictions_are_no_regression(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"column 'y_pred': rows 0, 1 .*expected predicted classes, got fractions; probabilities belong in"
    ):
        read(tmp_path, [(0, 0.25), (1, 0.75)])


@pytest.mark.parametrize(("metrics", "task"), [(["rmse"], "regression"), (["mcc"], "classification")])
def test_metrics_that_are_asked_for_say_the_task(tmp_path: Path, metrics: list[str], task: str) -> None:
    found, seen = read(tmp_path, [(1, 1), (2, 2)], metrics=metrics)
    assert (found.task, seen) == (task, "")


def test_the_remark_says_how_to_say_otherwise(tmp_path: Path) -> None:
    remark = recognition.of_predictions(read(tmp_path, [("a", "b"), ("b", "b")])[0]).remark
    assert remark == (
        "taken as a classification, since 'target' holds labels, not numbers; where that is wrong, set evaluation.task "
        "(or the action's input 'task')"
    )


numbers = st.one_of(st.integers(-3, 60), st.floats(-1e6, 1e6, allow_nan=False), st.sampled_from([0.5, 1.0, 2.0, 1e20]))
values = st.one_of(numbers, st.text("ab01. e-", min_size=1, max_size=4).filter(lambda text: text.strip() == text))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(values, values), min_size=1, max_size=40) | st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
def test_the_gate_sees_in_the_normalised_file_what_the_evaluation_saw_in_the_users(
    tmp_path: Path, rows: list[tuple[object, object]]
) -> None:
    try:
        found, _ = read(tmp_path, rows)
    except InputError:
        return
    predictions.write(found, tmp_path / "n.parquet")
    normalised = predictions.read(tmp_path / "n.parquet", found.task, found.classes)
    assert recognition.of_predictions(normalised).task == found.task


def test_numbers_written_as_texts_are_asked_about(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [str(n) for n in range(100)]
    pq.write_table(pa.table({"y": texts, "y_pred": texts}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match=r"'y' holds texts that are numbers; set evaluation\.task"):
        loading.load(tmp_path / "p.parquet", evaluation(), "p.parquet")


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ([[0.2, 0.8], [0.6, 0.4]], ("roc_auc", "log_loss")),
        ([[-1.0, 2.0], [0.6, 0.4]], ("roc_auc",)),
        ([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]], ("roc_auc", "log_loss")),
        ([[3.0, -1.0, 0.5], [0.5, 0.25, 0.25]], ()),
        (None, ()),
    ],
)
def test_metrics_of_probabilities_are_usual_where_the_scores_are_some(score: list[list[float]] | None, expected: tuple[str, ...]) -> None:
    k = len(score[0]) if score else 2
    one = np.array([0, 1])
    found = Predictions(one, one, one, tuple("abc"[:k]), np.array(score) if score else None)
    assert recognition.usual_metrics_of_scores(found) == expected


def test_probabilities_of_many_classes_are_made_to_add_up_where_nobody_chose_metrics(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("y,y_pred,s_a,s_b,s_c\na,a,0.33,0.33,0.33\nb,b,0,1,0\nc,c,0.1,0.1,0.8\n")
    found = loading.load(path, evaluation(columns={"score": "s"}), "p.csv")
    assert found.scores is not None
    assert np.allclose(found.scores.sum(axis=1), 1)
    assert recognition.usual_metrics_of_scores(found) == ("roc_auc", "log_loss")


def test_scores_of_a_regression_are_refused_where_the_task_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p.csv: columns.score: of a regression there are no probabilities"):
        read(tmp_path, [(1.5, 1.0), (2.0, 2.0)], columns={"score": "y_pred"})
