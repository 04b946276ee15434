"""Numbers are written as people read them, and never say more than the interval is worth."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.render import intervals, numbers

NB = "\u00a0"


@pytest.mark.parametrize(
    ("metric", "values", "low", "high", "shown", "difference"),
    [
        ("accuracy", [0.9722, 0.95], 0.0091, 0.0368, f"97.2{NB}%", f"+2.2{NB}pt"),
        ("accuracy", [0.97224, 0.97204], -0.0001, 0.0003, f"97.224{NB}%", f"+0.020{NB}pt"),
        ("accuracy", [0.9, 0.9], 0.0, 0.0, f"90.0{NB}%", f"0.0{NB}pt"),
        ("roc_auc", [0.9874, 0.9811], -0.003, 0.015, "0.9874", "+0.0063"),
        ("rmse", [53.24, 56.37], -5.02, -1.21, "53.2", "−3.1"),
        ("latency_p95_ms", [141.5, 96.25], None, None, "141.5", "+45.2"),
        ("size_bytes", [1_250_000.0, 1_000_000.0], None, None, "1,250,000", "+250,000"),
        ("r2", [-0.5, -0.25], None, None, "−0.5000", "−0.2500"),
        ("accuracy", [1.4, 0.9], None, None, "1.400", "+0.500"),  # a user's own, no proportion
    ],
)
def test_a_metric_is_written_in_its_unit(
    metric: str, values: list[float | None], low: float | None, high: float | None, shown: str, difference: str
) -> None:
    scale = numbers.scale_of(metric, values, low, high)
    assert scale.value(values[0]) == shown
    assert values[0] is not None
    assert values[1] is not None
    assert scale.difference(values[0] - values[1]) == difference


def test_a_margin_is_written_as_the_user_wrote_it() -> None:
    assert numbers.scale_of("accuracy", [0.95]).margin(0.01) == f"1{NB}pt"
    assert numbers.scale_of("accuracy", [0.95]).margin(0.0025) == f"0.25{NB}pt"
    assert numbers.scale_of("rmse", [50.0]).margin(2.0) == "2"


def test_only_bounds_that_exist_are_named() -> None:
    scale = numbers.scale_of("accuracy", [0.9, 0.8], -0.01, 0.03)
    assert scale.interval(-0.01, 0.03) == f"−1.0{NB}to{NB}+3.0"
    assert scale.interval(0.01, None) == f"at least{NB}+1.0"
    assert scale.interval(None, -0.01) == f"at most{NB}−1.0"
    assert scale.interval(None, None) == ""
    assert scale.value(None) == "–"


@given(
    st.sampled_from(["accuracy", "log_loss"]),
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=3),
    st.floats(-1e300, 1e300),
    st.floats(-1e300, 1e300),
)
def test_any_finite_number_can_be_written(metric: str, values: list[float], one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    scale = numbers.scale_of(metric, list(values), low, high)
    for written in (scale.value(values[0]), scale.difference(values[0]), scale.interval(low, high), scale.margin(abs(one))):
        assert len(written) < 80
        assert "-" not in written.replace("e-", "") or "e" in written
        assert "nan" not in written
        assert not written.startswith(("−0.0 ", "+0 "))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.0"), (0.41, "0.4"), (9.94, "9.9"), (9.96, "10"), (59.4, "59")],
)
def test_seconds(seconds: float, shown: str) -> None:
    assert numbers.duration(seconds) == f"{shown}{NB}s"


@pytest.mark.parametrize(("seconds", "shown"), [(60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min"), (3599.6, "1 h")])
def test_longer_times(seconds: float, shown: str) -> None:
    assert numbers.duration(seconds).replace(NB, " ") == shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.95, "95 %"),
        (0.0002, "0.02 %"),
        (0.00001, "< 0.01 %"),
        (0.9999, "> 99.9 %"),
        (0.015, "1.5 %"),
        (0.996, "99.6 %"),
    ],
)
def test_a_share_never_says_none_or_all_of_what_is_nearly_so(part: float, shown: str) -> None:
    assert numbers.share(part).replace(NB, " ") == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (412_332, "412 kB"), (3_100_000_000, "3.1 GB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert numbers.size(count).replace(NB, " ") == shown


# --- the bar of characters -------------------------------------------------------------------------------------------

sizes = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-9)


def test_a_bar_shows_where_no_difference_and_the_margin_lie() -> None:
    drawn = intervals.draw(-5.8, -7.9, -3.9, 1.0, is_lower_better=False)
    assert drawn == "─▬▬●▬▬▬──╫┼──────────"


def test_a_bar_is_drawn_from_one_font() -> None:
    """WGL4, which the monospaced fonts of Windows, macOS and Linux all have: a letter of another font has another width."""
    of_wgl4 = set("─│┌┐└┘├┤┬┴┼═║╒╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡╢╣╤╥╦╧╨╩╪╫╬▀▄█▌▐░▒▓■□▪▫▬▲►▼◄◊○●◘◙◦")
    assert {intervals.AXIS, intervals.ZERO, intervals.MARGIN, intervals.RANGE, intervals.POINT} <= of_wgl4


def test_right_is_better_whatever_the_metric() -> None:
    gain = intervals.draw(0.02, 0.01, 0.03, 0.01, is_lower_better=False)
    assert intervals.draw(-0.02, -0.03, -0.01, 0.01, is_lower_better=True) == gain
    assert gain.index(intervals.POINT) > intervals.WIDTH // 2


@given(sizes, sizes, sizes, st.one_of(st.none(), sizes.map(abs)), st.booleans())
def test_every_bar_has_the_same_width_and_one_point(
    one: float, two: float, three: float, margin: float | None, is_lower_better: bool
) -> None:
    low, point, high = sorted((one, two, three))
    drawn = intervals.draw(point, low, high, margin, is_lower_better=is_lower_better)
    assert len(drawn) == intervals.WIDTH
    assert drawn.count(intervals.POINT) == 1
    middle = drawn[intervals.WIDTH // 2]
    assert middle in "┼●╫"
    better = -point if is_lower_better else point
    position = drawn.index(intervals.POINT)
    assert math.copysign(1, better) * (position - intervals.WIDTH // 2) >= 0
