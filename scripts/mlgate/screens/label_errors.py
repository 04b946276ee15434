"""Confident learning: which labels a model that did not learn from them is sure are wrong. Arrays in, answers out.

A few lines of NumPy, written out here: cleanlab, which is Apache-2.0 by now, would bring scikit-learn and pandas into every data job.
Tests hold the counts against cleanlab's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlgate.screens.encoding import Floats, Integers


@dataclass(frozen=True)
class LabelErrors:
    joint: npt.NDArray[np.int64]
    """Rows by given class (first axis) and by the class the model is sure of (second), shape (classes, classes)."""
    suspicious: npt.NDArray[np.int64]
    """Rows off the diagonal, the most doubtful label first."""
    estimate: float
    """Share of labels that are wrong, of all: the joint counts scaled to the given classes' sizes."""


def confident_joint(labels: Integers, probabilities: Floats) -> LabelErrors:
    """Labels that are wrong by confident learning.

    A row counts for class j where its probability of j reaches the mean probability of j among the rows labelled j; for the likeliest
    of several such classes.

    Args:
        labels: given classes, integers in [0, k), shape (n,).
        probabilities: out-of-sample, shape (n, k).

    Raises:
        ValueError: shapes do not fit.

    Source: C. G. Northcutt, L. Jiang and I. L. Chuang (2021), Confident learning: estimating uncertainty in dataset labels, Journal of
    Artificial Intelligence Research 70, 1373-1411, equations 1 to 3.
    """
    n, k = probabilities.shape
    if labels.shape != (n,) or (n and not 0 <= labels.min() <= labels.max() < k):
        raise ValueError("expected a label in [0, k) for each row of probabilities")
    sizes = np.bincount(labels, minlength=k)
    own = probabilities[np.arange(n), labels]
    sums = np.bincount(labels, weights=own, minlength=k)
    thresholds = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)  # a class without labels is no suspect
    is_sure = probabilities >= thresholds - 1e-12
    likeliest = np.where(is_sure, probabilities, -1.0).argmax(axis=1)
    counted = is_sure.any(axis=1)
    joint = np.zeros((k, k), dtype=np.int64)
    np.add.at(joint, (labels[counted], likeliest[counted]), 1)
    wrong = np.flatnonzero(counted & (likeliest != labels))
    margin = own[wrong] - probabilities[wrong, likeliest[wrong]]
    by_class = joint.sum(axis=1, keepdims=True)
    scaled = np.divide(joint, by_class, out=np.zeros((k, k)), where=by_class > 0) * sizes[:, None]
    total = float(scaled.sum())
    estimate = 1 - float(np.trace(scaled)) / total if total > 0 else 0.0
    return LabelErrors(joint, wrong[np.argsort(margin, kind="stable")], estimate)
