"""The promise of the gate, simulated: a model that is worse by exactly the margin passes in at most one run in twenty.

Seeds are fixed; the bound is alpha and three Monte-Carlo standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlgate.stats import confusion
from mlgate.stats.intervals import tango_interval
from mlgate.stats.verdict import decide

ALPHA = 0.05
RUNS = 2000
BOUND = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
PASSES = ("better", "no worse")


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("disagreement", [0.02, 0.04, 0.1])
def test_tango_lets_a_model_that_is_worse_by_the_margin_pass_no_more_often_than_promised(n: int, disagreement: float) -> None:
    margin = 0.01
    gain, loss = (disagreement - margin) / 2, (disagreement + margin) / 2
    drawn = np.random.default_rng(n).multinomial(n, [gain, loss, 1 - disagreement], size=RUNS)
    passed = sum(decide(tango_interval(int(gained), int(lost), n, 1 - ALPHA), margin) in PASSES for gained, lost, _ in drawn)
    assert passed / RUNS <= BOUND


@pytest.mark.parametrize(
    ("metric", "positive"), [("f1_macro", None), ("balanced_accuracy", None), ("mcc", None), ("recall_binary", 1), ("f1_binary", 1)]
)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_multinomial_bootstrap_keeps_its_promise(
    metric: str, positive: int | None, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two classes, the positive one balanced or rare; the candidate loses 3 % of what the baseline gets right."""
    runs, n = 500, 400
    bound = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    monkeypatch.setattr(confusion, "draws_for", lambda elements, confidence: 400)
    kinds = [(y, b, c) for y in (0, 1) for b in (0, 1) for c in (0, 1)]
    shares = [
        (share if y else 1 - share) * (0.9 if b == y else 0.1) * ((0.97 if c == y else 0.03) if b == y else (0.1 if c == y else 0.9))
        for y, b, c in kinds
    ]
    label, baseline, candidate = (np.array(column) for column in zip(*kinds, strict=True))
    whole = confusion.JointCounts(label, baseline, candidate, np.array(shares) * 1e9, 2)
    true = confusion.difference_interval(metric, whole, 0.95, 1, positive).estimate
    wrong = 0
    for run, count in enumerate(np.random.default_rng(7).multinomial(n, shares, size=runs).astype(float)):
        seen = count > 0
        sample = confusion.JointCounts(label[seen], baseline[seen], candidate[seen], count[seen], 2)
        wrong += confusion.difference_interval(metric, sample, 1 - ALPHA, run, positive).low > true
    assert wrong / runs <= bound
