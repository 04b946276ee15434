"""Confident learning: the counts are cleanlab's, the answers those of an example worked by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mlgate.screens.label_errors import confident_joint


def noisy(seed: int, n: int, k: int, wrong: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of which a share is wrong, probabilities of a model that knows better, and which are wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, k, n)
    sure = random.dirichlet(np.ones(k), n) * 0.3
    sure[np.arange(n), truth] += 0.7
    is_wrong = random.random(n) < wrong
    given = np.where(is_wrong, (truth + random.integers(1, k, n)) % k, truth)
    return given, sure, is_wrong


def test_an_example_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])
    # Thresholds: 0.6 for class 0, 0.7 for class 1; the last row is below both.
    found = confident_joint(labels, probabilities)
    assert found.joint.tolist() == [[2, 1], [0, 1]]
    assert found.suspicious.tolist() == [2]
    assert found.estimate == pytest.approx(1 / 5)  # a third of the three labels of class 0


@pytest.mark.parametrize("seed", range(3))
def test_the_joint_counts_are_cleanlabs(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = pytest.importorskip("cleanlab.count")
    given, probabilities, _ = noisy(seed, 400, 4, 0.1)
    theirs = count.compute_confident_joint(given, probabilities, calibrate=False)
    ours = confident_joint(given, probabilities).joint
    off = ~np.eye(4, dtype=bool)
    assert ours[off].tolist() == np.asarray(theirs)[off].tolist()
    assert ours.sum() >= 0.5 * len(given)


def test_the_labels_that_were_made_wrong_are_found_the_most_doubtful_first() -> None:
    given, probabilities, is_wrong = noisy(7, 1_000, 3, 0.05)
    found = confident_joint(given, probabilities)
    assert is_wrong[found.suspicious].mean() > 0.95
    assert len(found.suspicious) >= 0.6 * is_wrong.sum()
    assert found.estimate == pytest.approx(is_wrong.mean(), abs=0.01)  # of all, those too that no single row gives away
    own = probabilities[np.arange(1_000), given]
    assert own[found.suspicious[0]] < 0.3


def test_labels_of_a_model_that_agrees_are_not_suspected() -> None:
    given, probabilities, _ = noisy(1, 500, 5, 0.0)
    assert len(confident_joint(given, probabilities).suspicious) == 0


def test_a_class_without_labels_is_no_suspect() -> None:
    found = confident_joint(np.array([0, 0, 1, 1]), np.array([[0.8, 0.1, 0.1]] * 2 + [[0.1, 0.4, 0.5]] * 2))
    assert found.joint[:, 2].tolist() == [0, 0, 0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a label"):
        confident_joint(np.array([0, 3]), np.array([[0.5, 0.5], [0.5, 0.5]]))
