"""Rows without ids: compared row by row, and only as long as the holdout is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlgate.config import EvaluationConfig
from mlgate.evaluation import loading
from mlgate.evaluation.predictions import HoldoutChangedError, Pairing, Predictions, holdout_sha256, pair_by_row

SETTINGS = EvaluationConfig.model_validate(
    {"task": "classification", "predictions": "p.csv", "columns": {"id": None}, "metrics": ["accuracy"], "slices": ["site"]}
)


def load(folder: Path, *rows: str, settings: EvaluationConfig = SETTINGS) -> Predictions:
    path = folder / "p.csv"
    path.write_text("\n".join(["y,y_pred,site", *rows]) + "\n")
    return loading.load(path, settings, "p.csv", are_slices_optional=True)


def test_the_rows_keep_their_order_and_get_their_numbers(tmp_path: Path) -> None:
    found = load(tmp_path, "b,a,x", "a,a,y", "b,b,x")
    assert found.ids.tolist() == [0, 1, 2]
    assert found.target_labels.tolist() == ["b", "a", "b"]
    assert holdout_sha256(found) != holdout_sha256(load(tmp_path, "a,a,x", "b,a,y", "b,b,x"))


def test_the_same_holdout_is_compared_row_by_row(tmp_path: Path) -> None:
    pairing = pair_by_row(load(tmp_path, "b,b,x", "a,a,y"), load(tmp_path, "b,a,x", "a,a,y"))
    assert (pairing.shared_examples, pairing.shared_share) == (2, 1.0)
    assert pairing.candidate.prediction_labels.tolist() == ["b", "a"]
    assert pairing.baseline.prediction_labels.tolist() == ["a", "a"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["b,b,x"], "2 examples then, 1 now"),
        (["a,b,x", "b,a,y"], "2 of 2 rows have another target"),
        (["b,b,y", "a,a,y"], "1 of 2 rows have another 'site'"),
    ],
)
def test_another_holdout_is_none_to_compare_on(tmp_path: Path, rows: list[str], said: str) -> None:
    baseline = load(tmp_path, "b,b,x", "a,a,y")
    with pytest.raises(HoldoutChangedError, match=f"^{said}$"):
        pair_by_row(load(tmp_path, *rows), baseline)


def test_a_slice_that_the_baseline_does_not_have_is_no_change(tmp_path: Path) -> None:
    baseline = load(tmp_path, "b,b,x", "a,a,y", settings=SETTINGS.model_copy(update={"slices": []}))
    assert pair_by_row(load(tmp_path, "b,b,x", "a,a,y"), baseline).shared_examples == 2


def test_numbers_that_another_library_wrote_are_the_same_targets() -> None:
    def regression(target: np.ndarray) -> Predictions:
        return Predictions(np.arange(3), target, target)

    pairing: Pairing = pair_by_row(regression(np.array([0.1, 1.5, 2.5])), regression(np.array([0.1, 1.5, 2.5]) * (1 + 1e-8)))
    assert pairing.shared_examples == 3


def test_a_model_with_ids_in_the_order_of_its_rows_is_compared_with_one_without(tmp_path: Path) -> None:
    named = SETTINGS.model_copy(update={"columns": SETTINGS.columns.model_copy(update={"id": "site"}), "slices": []})
    assert pair_by_row(load(tmp_path, "b,b,x", "a,a,y", settings=named), load(tmp_path, "b,a,x", "a,a,y")).shared_examples == 2
