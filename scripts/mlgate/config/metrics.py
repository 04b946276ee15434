"""Names of metrics: which mlgate knows, of which kind of task, and which direction of them is better."""

from __future__ import annotations

from typing import Literal

from mlgate.config.values import user_code

CLASSIFICATION_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "precision_micro",
    "precision_weighted",
    "precision_binary",
    "recall_macro",
    "recall_micro",
    "recall_weighted",
    "recall_binary",
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "f1_binary",
    "mcc",
    "kappa",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
)
REGRESSION_METRICS = ("rmse", "mae", "mape", "r2")
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})
METRICS_OF_SCORES = frozenset({"roc_auc", "pr_auc", "log_loss", "brier"})
FAIRNESS_RATES = ("recall", "tpr", "fpr", "selection_rate")
"""What a fairness rule may ask of two classes beside the metrics: `recall` and `tpr` are one."""
Task = Literal["classification", "regression"]
USUAL_METRICS: dict[Task, tuple[str, ...]] = {"classification": ("accuracy", "f1_macro"), "regression": ("rmse", "mae", "r2")}
"""What is computed where `evaluation.metrics` is left out; the first is the main metric."""
MAIN_METRIC = "main"
THROUGHPUT = "throughput"
MAX_LATENCY_SAMPLES = 100_000
"""Requests to one model whose times are kept."""


def latency_metric(level: float) -> str:
    """`latency_p95` of 0.95."""
    return f"latency_p{round(level * 100, 6):g}"


def latency_direction(metric: str) -> Literal["higher", "lower"]:
    """Which direction of a metric of evaluation.latency is better."""
    return "higher" if metric == THROUGHPUT else "lower"


METRICS_OF: dict[Task | None, tuple[str, ...]] = {"classification": CLASSIFICATION_METRICS, "regression": REGRESSION_METRICS}


def metric_name(reference: str) -> str:
    """`accuracy` for `accuracy`, `cost` for `metrics/money.py:cost`."""
    code = user_code(reference)
    return code[1] if code else reference
