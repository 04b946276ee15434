"""What holds for every metric and every method there is: mirrors, orders, margins, and samples that hardly are any.

Metrics are taken from the lists the gate takes them from, so that a new one is tested before its own tests are written.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlgate.stats import confusion
from mlgate.stats.comparison import (
    METRICS_OF_CLASSES,
    METRICS_OF_NUMBERS,
    Compared,
    Model,
    Pair,
    UndefinedMetricError,
    compare,
    compare_means,
    point,
)
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.means import mean_interval
from mlgate.stats.verdict import WORST_FIRST, closing_in, decide, more_examples, tango_at, towards_better

OF_CLASSES = sorted(METRICS_OF_CLASSES)
OF_NUMBERS = sorted(METRICS_OF_NUMBERS)
EVERY = [*OF_CLASSES, *OF_NUMBERS]

relaxed = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def classifiers(draw: st.DrawFn, least: int = 1, most: int = 90, classes: int | None = None) -> Pair:
    """Two classifiers on the same examples, good or bad, alike or not, with ties, rare and missing classes."""
    k = classes or draw(st.integers(2, 4))
    n = draw(st.integers(least, most))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    skill, noise, digits = draw(st.sampled_from([0.0, 1.0, 4.0])), draw(st.sampled_from([0.0, 0.1, 1.0])), draw(st.sampled_from([1, 8]))
    shares = random.dirichlet(np.full(k, draw(st.sampled_from([0.3, 5.0]))))
    target = random.choice(k, size=n, p=shares)
    shared = random.normal(size=(n, k))
    shared[np.arange(n), target] += skill

    def model() -> Model:
        scores = np.exp(shared + noise * random.normal(size=(n, k)))
        scores = np.round(scores / scores.sum(axis=1, keepdims=True), digits)
        scores[:, 0] = np.clip(1 - scores[:, 1:].sum(axis=1), 0, 1)
        return Model(target, scores.argmax(axis=1), k, 1 if k == 2 else None, scores)

    return Pair(model(), model())


@st.composite
def regressions(draw: st.DrawFn, least: int = 1, most: int = 90) -> Pair:
    """Two regressions of the same targets, which may all be one number, on any scale."""
    n = draw(st.integers(least, most))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    scale, spread, error = (
        draw(st.sampled_from([1e-6, 1.0, 1e9])),
        draw(st.sampled_from([0.0, 1.0])),
        draw(st.sampled_from([0.0, 0.1, 3.0])),
    )
    target = scale * (5 + spread * random.standard_t(3, n))
    return Pair(*(Model(target, target + scale * error * random.standard_t(3, n)) for _ in range(2)))


def pairs(metric: str, least: int = 1, most: int = 90) -> st.SearchStrategy[Pair]:
    if metric in METRICS_OF_NUMBERS:
        return regressions(least, most)
    return classifiers(least, most, classes=2 if metric.endswith("_binary") else None)


def exchanged(pair: Pair) -> Pair:
    return Pair(pair.baseline, pair.candidate)


def outcome(metric: str, pair: Pair) -> Compared | str:
    """The comparison, or in words why there is none: nothing else may happen."""
    try:
        found = compare(metric, pair, 0.95, 7)
    except UndefinedMetricError as error:
        assert_is_plain(str(error))
        return str(error)
    assert math.isfinite(found.candidate)
    assert math.isfinite(found.baseline)
    assert found.interval.low <= found.interval.estimate <= found.interval.high
    assert found.interval.method
    return found


def assert_is_plain(message: str) -> None:
    """A line that a user understands, not one of NumPy's."""
    assert message
    assert "\n" not in message
    assert not re.search(r"nan|array|shape|axis|dtype|broadcast|ufunc|index|zero-size|NoneType", message), message


def assert_close(found: Interval, expected: Interval, tolerance: float) -> None:
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-6, abs=tolerance
    )


def scale_of(pair: Pair) -> float:
    """What rounding is measured by."""
    return float(np.abs(pair.candidate.target).max()) if pair.candidate.classes is None else 1.0


@pytest.mark.parametrize("metric", EVERY)
@given(data=st.data())
@relaxed
def test_exchanging_the_models_mirrors_the_comparison(metric: str, data: st.DataObject) -> None:
    pair = data.draw(pairs(metric))
    one, other = outcome(metric, pair), outcome(metric, exchanged(pair))
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert (other.candidate, other.baseline) == (one.baseline, one.candidate)
    assert_close(other.interval, one.interval.mirrored, 1e-9 * scale_of(pair))
    assert other.p_value == one.p_value
    for margin in (0.0, 0.02):
        before, after = decide(one.interval, margin), decide(other.interval, margin)
        if before == "worse":
            assert after == "better"


@pytest.mark.parametrize("metric", EVERY)
@given(data=st.data(), shuffle=st.randoms(use_true_random=False))
@relaxed
def test_the_order_of_rows_does_not_matter(metric: str, data: st.DataObject, shuffle) -> None:
    pair = data.draw(pairs(metric))
    order = list(range(pair.n))
    shuffle.shuffle(order)
    one, other = outcome(metric, pair), outcome(metric, pair.take(np.array(order)))
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert (other.candidate, other.baseline) == pytest.approx((one.candidate, one.baseline), rel=1e-9, abs=1e-9 * scale_of(pair))
    assert_close(other.interval, one.interval, 1e-9 * scale_of(pair))


@pytest.mark.parametrize("metric", [name for name in OF_CLASSES if not name.endswith("_binary")])
@given(data=st.data(), shuffle=st.randoms(use_true_random=False))
@relaxed
def test_the_names_of_the_classes_do_not_matter(metric: str, data: st.DataObject, shuffle) -> None:
    """Codes stand for classes in alphabetical order: a class that is renamed gets another one. Of two, the positive one stays so."""
    pair = data.draw(classifiers(least=60, most=120))
    classes = pair.candidate.classes or 0
    renamed = list(range(classes))
    shuffle.shuffle(renamed)
    code = np.array(renamed)

    def permuted(model: Model) -> Model:
        scores = model.scores[:, np.argsort(code)] if model.scores is not None else None
        positive = None if model.positive is None else int(code[model.positive])
        return Model(code[model.target], code[model.prediction], classes, positive, scores)

    one, other = outcome(metric, pair), outcome(metric, Pair(permuted(pair.candidate), permuted(pair.baseline)))
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert (other.candidate, other.baseline) == pytest.approx((one.candidate, one.baseline), abs=1e-9)
    if "bootstrap" not in one.interval.method:  # which draws the same numbers, but for other rows
        assert_close(other.interval, one.interval, 1e-9)


@pytest.mark.parametrize("metric", EVERY)
@given(data=st.data(), margins=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@relaxed
def test_a_wider_margin_never_makes_a_verdict_worse(metric: str, data: st.DataObject, margins: tuple[float, float]) -> None:
    found = outcome(metric, data.draw(pairs(metric)))
    assume(not isinstance(found, str))
    assert isinstance(found, Compared)
    for is_lower_better in (False, True):
        improvement = towards_better(found.interval, is_lower_better=is_lower_better)
        narrow, wide = (WORST_FIRST.index(decide(improvement, margin)) for margin in sorted(margins))
        assert wide >= narrow


@pytest.mark.parametrize("metric", EVERY)
@given(data=st.data())
@relaxed
def test_a_model_beside_itself_is_not_found_different(metric: str, data: st.DataObject) -> None:
    model = data.draw(pairs(metric)).candidate
    found = outcome(metric, Pair(model, model))
    if isinstance(found, Compared):
        assert found.interval.estimate == 0
        assert found.interval.low <= 0 <= found.interval.high
        assert decide(found.interval, 0.0) == "cannot tell"


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_rows_and_constant_ones_are_answered_or_refused_in_words(metric: str, n: int) -> None:
    for target, one, other in itertools.product((0, 1), repeat=3):
        if metric in METRICS_OF_NUMBERS:
            pair = Pair(*(Model(np.full(n, float(target)), np.full(n, float(answer))) for answer in (one, other)))
        else:
            scores = [np.eye(2)[np.full(n, answer)] for answer in (one, other)]
            pair = Pair(*(Model(np.full(n, target), np.full(n, answer), 2, 1, s) for answer, s in zip((one, other), scores, strict=True)))
        found = outcome(metric, pair)
        if n == 0:
            assert found == "no examples"
        for rows in (0, n):
            outcome(metric, pair.take(np.arange(rows)))


@pytest.mark.parametrize("metric", EVERY)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_single_row_never_shows_anything(metric: str, data: st.DataObject) -> None:
    found = outcome(metric, data.draw(pairs(metric, most=1)))
    if isinstance(found, Compared):
        assert decide(found.interval, 0.0) == "cannot tell"
        assert decide(found.interval.mirrored, 0.0) == "cannot tell"


@pytest.mark.parametrize("metric", OF_NUMBERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, -1e308])
@pytest.mark.parametrize("place", ["target", "candidate", "baseline"])
def test_numbers_that_are_none_and_such_as_overflow_are_refused_in_words(metric: str, bad: float, place: str) -> None:
    """Predictions are read without NaN and infinity; should one come this far it is said, not computed with."""
    random = np.random.default_rng(1)
    columns = {name: random.normal(5, 1, 60) for name in ("target", "candidate", "baseline")}
    columns[place][3] = bad
    pair = Pair(*(Model(columns["target"], columns[name]) for name in ("candidate", "baseline")))
    with np.errstate(over="ignore", invalid="ignore"):
        found = outcome(metric, pair)
    if not math.isfinite(bad):
        assert isinstance(found, str)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc", "pr_auc"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_probabilities_that_are_no_numbers_are_refused_in_words(metric: str, bad: float) -> None:
    random = np.random.default_rng(1)
    target = random.integers(0, 2, 60)

    def model() -> Model:
        positive = random.random(60)
        return Model(target, (positive > 0.5).astype(np.int64), 2, 1, np.column_stack([1 - positive, positive]))

    pair = Pair(model(), model())
    assert pair.candidate.scores is not None
    pair.candidate.scores[int(np.flatnonzero(target == 1)[0])] = bad
    with np.errstate(over="ignore", invalid="ignore"):
        assert isinstance(outcome(metric, pair), str)


@given(st.lists(st.floats(-1e300, 1e300), max_size=80).map(np.array))
@relaxed
def test_users_values_are_compared_or_refused_in_words(values: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            found = compare_means(values, values[::-1], 0.95)
        except ValueError as error:
            assert_is_plain(str(error))
        else:
            assert found.interval.low <= found.interval.estimate <= found.interval.high


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_users_values_that_are_no_numbers_are_refused_in_words(bad: float) -> None:
    for one, other in ((np.array([1.0, bad]), np.zeros(2)), (np.zeros(2), np.array([1.0, bad]))):
        with pytest.raises(ValueError) as raised, np.errstate(invalid="ignore"):
            compare_means(one, other, 0.95)
        assert_is_plain(str(raised.value))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 300), st.sampled_from([0.9, 0.95, 0.99]))
def test_a_gain_moves_accuracys_interval_up_and_a_loss_down(gained: int, lost: int, n: int, confidence: float) -> None:
    assume(gained + lost + 1 <= n)
    now = tango_interval(gained, lost, n, confidence)
    gain, loss = tango_interval(gained + 1, lost, n, confidence), tango_interval(gained, lost + 1, n, confidence)
    assert gain.low >= now.low - 1e-12
    assert loss.high <= now.high + 1e-12
    assert gain.estimate > now.estimate > loss.estimate


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 300))
def test_more_confidence_widens_accuracys_interval(gained: int, lost: int, n: int) -> None:
    assume(gained + lost <= n)
    less, more = (tango_interval(gained, lost, n, confidence) for confidence in (0.9, 0.99))
    assert more.low <= less.low <= less.high <= more.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=500, max_size=520).map(np.array), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large])
def test_units_do_not_matter_for_a_mean(values: np.ndarray, unit: float, offset: float) -> None:
    plain, moved = mean_interval(values, 0.95), mean_interval(values * unit + offset, 0.95)
    tolerance = 1e-6 * (float(np.abs(values).max()) * unit + abs(offset) + 1e-12)
    assert moved.low == pytest.approx(plain.low * unit + offset, abs=tolerance)
    assert moved.high == pytest.approx(plain.high * unit + offset, abs=tolerance)


@pytest.mark.parametrize("metric", ["rmse", "r2", "pr_auc", "f1_macro", "mae"])
@pytest.mark.parametrize("n", [1500, 12_000])
def test_of_many_rows_the_order_does_not_matter_either_nor_which_model_comes_first(metric: str, n: int) -> None:
    """Other methods take over where there are many."""
    random = np.random.default_rng(n)
    if metric in METRICS_OF_NUMBERS:
        target = random.normal(5, 1, n)
        pair = Pair(*(Model(target, target + random.normal(0, 1, n)) for _ in range(2)))
    else:
        label = random.integers(0, 2, n)
        scores = [np.column_stack([1 - p, p]) for p in random.random((2, n))]
        pair = Pair(*(Model(label, (s[:, 1] > 0.5).astype(np.int64), 2, 1, s) for s in scores))
    found, shuffled = compare(metric, pair, 0.95, 1), compare(metric, pair.take(random.permutation(n)), 0.95, 1)
    assert_close(shuffled.interval, found.interval, 1e-9)
    assert_close(compare(metric, exchanged(pair), 0.95, 1).interval, found.interval.mirrored, 1e-9)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 400), st.one_of(st.none(), st.floats(0, 0.2)))
@settings(max_examples=40, deadline=None)
def test_the_examples_that_settle_it_do(gained: int, lost: int, n: int, margin: float | None) -> None:
    assume(gained + lost <= n)
    at = tango_at(gained, lost, n, 0.95)
    more = more_examples(at, n, margin) if decide(at(n), margin) == "cannot tell" else None
    if more is not None:
        assert more >= 1
        assert decide(at(n + more), margin) != "cannot tell"


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000), st.floats(0, 0.5))
def test_bounds_that_close_in_settle_it_or_never_would(estimate: float, down: float, up: float, n: int, margin: float) -> None:
    at = closing_in(Interval(estimate, estimate - down, estimate + up, "x"), n)
    assume(decide(at(n), margin) == "cannot tell")
    more = more_examples(at, n, margin)
    assert more is None or decide(at(n + more), margin) != "cannot tell"


@pytest.mark.parametrize("classes", [2, 3, 300])
def test_tables_without_disagreement_and_with_one_kind_of_example_are_answered(classes: int) -> None:
    """300 classes are too many for a dense table of kinds."""
    of: Callable[[int], np.ndarray] = lambda code: np.full(40, code)  # noqa: E731
    for one, other in ((0, 0), (0, 1), (classes - 1, 0)):
        counts = confusion.joint_counts(of(0), of(other), of(one), classes)
        for metric in confusion.METRICS if classes < 300 else ("f1_macro", "mcc"):
            found = confusion.difference_interval(metric, counts, 0.95, 1, 0 if metric.endswith("_binary") else None)
            assert found.low <= found.estimate <= found.high
            assert -1 <= found.estimate <= 1


def test_a_metrics_value_is_the_same_alone_and_beside_another_model() -> None:
    random = np.random.default_rng(2)
    target = random.integers(0, 2, 200)
    scores = [np.column_stack([1 - p, p]) for p in random.random((2, 200))]
    models = [Model(target, (s[:, 1] > 0.5).astype(np.int64), 2, 1, s) for s in scores]
    for metric in OF_CLASSES:
        found = compare(metric, Pair(*models), 0.95, 1)
        assert (found.candidate, found.baseline) == tuple(point(metric, model) for model in models)
