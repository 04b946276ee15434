"""The baseline on a changed holdout: recorded answers where there are some, new ones elsewhere, and how far the two agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlgate import config
from mlgate.errors import InputError
from mlgate.evaluation.predictions import Predictions
from mlgate.evaluation.rescoring import merged
from support import MINIMAL_CONFIG


def classifier(ids: list[int], target: str, prediction: str, *, scores: bool = False) -> Predictions:
    classes = tuple(sorted(set(target + prediction)))
    coded = [np.array([classes.index(label) for label in text]) for text in (target, prediction)]
    probabilities = np.eye(len(classes))[coded[1]] if scores else None
    return Predictions(np.array(ids), *coded, classes, probabilities)


def regression(ids: list[int], target: list[float], prediction: list[float]) -> Predictions:
    return Predictions(np.array(ids), np.array(target), np.array(prediction))


def test_the_record_wins_where_the_example_is_on_record() -> None:
    found = merged(classifier([1, 2, 3], "aab", "aaa"), classifier([2, 3, 4], "abc", "bbc"))
    assert found.predictions.ids.tolist() == [2, 3, 4]
    assert found.predictions.prediction_labels.tolist() == ["a", "a", "c"]
    assert found.predictions.target_labels.tolist() == ["a", "b", "c"]
    assert (found.recorded_examples, found.disagreeing_examples) == (2, 2)


def test_another_label_makes_another_example() -> None:
    found = merged(classifier([1, 2], "ab", "aa"), classifier([1, 2], "bb", "bb"))
    assert found.predictions.prediction_labels.tolist() == ["b", "a"]
    assert (found.recorded_examples, found.disagreeing_examples) == (1, 1)


def test_nothing_in_common_is_all_new() -> None:
    found = merged(classifier([1], "a", "a"), classifier([2], "b", "b"))
    assert (found.predictions.prediction_labels.tolist(), found.recorded_examples) == (["b"], 0)


def test_ids_of_text_and_any_order_are_paired() -> None:
    old = replace(classifier([0, 1], "ab", "ab"), ids=np.array(["x y", "ä"], dtype=object))
    new = replace(classifier([0, 1, 2], "bab", "bbb"), ids=np.array(["ä", "x y", "z"], dtype=object))
    found = merged(old, new)
    assert dict(zip(found.predictions.ids, found.predictions.prediction_labels, strict=True)) == {"x y": "a", "z": "b", "ä": "b"}
    assert (found.recorded_examples, found.disagreeing_examples) == (2, 1)


def test_numbers_agree_within_a_hundredth_of_themselves() -> None:
    found = merged(regression([1, 2, 3], [1, 2, 3], [100, 100, 0]), regression([1, 2, 3, 4], [1, 2, 3, 4], [100.9, 102, 0, 7]))
    assert found.predictions.prediction.tolist() == [100, 100, 0, 7]
    assert (found.recorded_examples, found.disagreeing_examples) == (3, 1)


def test_probabilities_are_kept_where_both_have_them_and_compared() -> None:
    old = classifier([1, 2], "ab", "ab", scores=True)
    new = replace(classifier([1, 2, 3], "aba", "aba", scores=True), scores=np.array([[0.995, 0.005], [0.4, 0.6], [1, 0]]))
    found = merged(old, new)
    assert found.predictions.scores is not None
    assert found.predictions.scores.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert found.disagreeing_examples == 1
    assert merged(replace(old, scores=None), new).predictions.scores is None


def test_a_classifier_is_no_regression() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        merged(classifier([1], "a", "a"), regression([1], [1.0], [1.0]))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("  predict: python predict.py\n", "evaluation.holdout: missing; 'predict' scores an earlier model on a changed holdout"),
        ("  holdout: [a.csv]\n", "evaluation.holdout: only 'evaluation.predict' reads it"),
        ("  model_files: [a]\n", "evaluation.model_files: only 'evaluation.predict' reads it"),
        ("  predict: x\n  holdout: [../a]\n", "evaluation.holdout[0]: expected a path inside the working directory"),
    ],
)
def test_a_command_without_its_holdout_is_refused(keys: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        config.parse((MINIMAL_CONFIG + keys).encode(), "mlgate.yaml")
    assert message in str(refused.value)
