"""The promise of the gate, simulated: a model that is worse by exactly the margin passes in at most one run in twenty.

Seeds are fixed; the bound is alpha and three Monte-Carlo standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlgate.stats import confusion
from mlgate.stats.intervals import mean_interval, tango_interval
from mlgate.stats.verdict import decide, towards_better

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


def losses(n: int, runs: int, seed: int) -> np.ndarray:
    """Candidate minus baseline log loss: labels from true probabilities, two models that misjudge the logit, one more than the other."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 2, (runs, n))
    label = random.random((runs, n)) < 1 / (1 + np.exp(-logit))
    sign = np.where(label, -1.0, 1.0)
    baseline = logit + random.normal(0, 0.4, (runs, n))
    candidate = 1.3 * logit + random.normal(0, 0.4, (runs, n))
    return np.logaddexp(0, sign * candidate) - np.logaddexp(0, sign * baseline)


TRUE_LOSS = float(losses(1_000_000, 4, 0).mean())


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_the_mean_interval_keeps_its_promise_on_log_losses(n: int) -> None:
    assert TRUE_LOSS > 0.001, "the candidate is worse"
    passed = sum(
        decide(towards_better(mean_interval(sample, 1 - ALPHA), is_lower_better=True), TRUE_LOSS) in PASSES for sample in losses(n, RUNS, n)
    )
    assert passed / RUNS <= BOUND


def test_halls_correction_keeps_the_promise_where_students_t_breaks_it() -> None:
    """Four examples in a hundred lose a lot: plain t passes more than twice as often as it promises at n = 1,000."""
    random = np.random.default_rng(4)
    n = 1000

    def sample(size: tuple[int, ...]) -> np.ndarray:
        return np.where(random.random(size) < 0.04, random.exponential(3, size), 0) ** 1.5 + random.normal(0, 0.2, size)

    true = float(sample((8_000_000,)).mean())
    plain = corrected = 0
    for row in sample((RUNS, n)):
        corrected += mean_interval(row, 1 - ALPHA).high < true
        plain += row.mean() + 1.6464 * row.std(ddof=1) / math.sqrt(n) < true
    assert corrected / RUNS <= BOUND < plain / RUNS


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
    monkeypatch.setattr(confusion, "draws_for", lambda elements: 400)
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
