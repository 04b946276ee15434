"""Predictions for tests: of any task and number of classes, random but the same in every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlgate.config import EvaluationConfig
from mlgate.evaluation.predictions import Predictions


def classified(n: int, k: int, seed: int = 0, **more: Any) -> Predictions:
    """A classifier that is right about two times in three, with probabilities."""
    random = np.random.default_rng(seed)
    target = random.integers(0, k, n)
    scores = random.dirichlet(np.ones(k), n)
    scores[np.arange(n), target] += random.random(n)
    scores /= scores.sum(axis=1, keepdims=True)
    classes = tuple("abcdefghij"[:k])
    return Predictions(np.arange(n), target, scores.argmax(axis=1).astype(np.int64), classes, scores, **more)


def regressed(n: int, seed: int = 0, **more: Any) -> Predictions:
    random = np.random.default_rng(seed)
    target = random.normal(100, 10, n)
    return Predictions(np.arange(n), target, target + random.normal(0, 3, n), **more)


def settings(task: str = "classification", metrics: tuple[str, ...] | None = None, **more: Any) -> EvaluationConfig:
    names = metrics or (("accuracy",) if task == "classification" else ("rmse",))
    return EvaluationConfig.model_validate({"task": task, "predictions": "p.csv", "metrics": list(names), **more})


def csv(folder: Path, text: str, name: str = "p.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path
