"""McNemar's mid-p against SciPy's binomial distribution, statsmodels and the worked example of its authors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar

from mlgate.evidence import Comparison
from mlgate.render.comparison import methods_section
from mlgate.render.document import Table
from mlgate.stats.comparison import Model, Pair, compare
from mlgate.stats.mcnemar import NAME, mcnemar_mid_p
from mlgate.stats.methods import SOURCES
from support import decided


def test_the_worked_example_of_its_authors() -> None:
    """Bentur et al. (2009) in Fagerland, Lydersen and Laake (2013), tables 1 and 2: exact 0.0703, mid-p 0.0391."""
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar([[1, 1], [7, 12]], exact=True).pvalue == pytest.approx(0.0703, abs=5e-5)


@given(st.integers(0, 400), st.integers(0, 400))
def test_it_is_the_exact_test_less_the_probability_of_what_was_seen(gained: int, lost: int) -> None:
    n, fewer = gained + lost, min(gained, lost)
    found = mcnemar_mid_p(gained, lost)
    assert found == mcnemar_mid_p(lost, gained)
    assert 0 < found <= 1
    exact = float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue) if n else 1.0
    seen = float(binom.pmf(fewer, n, 0.5)) if n else 0.0
    assert found == pytest.approx(exact - (seen / 2 if gained == lost else seen), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("gained", "lost"), [(499_000, 501_000), (500_000, 500_000), (120, 999_880), (49_500, 50_000)])
def test_many_disagreements_are_summed_as_exactly(gained: int, lost: int) -> None:
    n, fewer = gained + lost, min(gained, lost)
    seen = float(binom.pmf(fewer, n, 0.5))
    expected = 1 - seen / 2 if gained == lost else 2 * float(binom.cdf(fewer, n, 0.5)) - seen
    assert mcnemar_mid_p(gained, lost) == pytest.approx(expected, rel=1e-8)


def test_it_comes_with_what_is_a_share_of_examples_that_are_right_and_with_nothing_else() -> None:
    from numpy import array

    target = array([0, 1] * 10)
    baseline = target.copy()
    baseline[:7] = 1 - baseline[:7]
    candidate = target.copy()
    candidate[19] = 1 - candidate[19]
    pair = Pair(Model(target, candidate, 2, 1), Model(target, baseline, 2, 1))
    assert compare("accuracy", pair, 0.95, 1).p_value == mcnemar_mid_p(7, 1)
    assert compare("recall_micro", pair, 0.95, 1).p_value == mcnemar_mid_p(7, 1)
    assert compare("f1_macro", pair, 0.95, 1).p_value is None


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected counts of at least 0"):
        mcnemar_mid_p(-1, 3)


def test_the_report_shows_it_in_the_fold_on_methods_with_its_source() -> None:
    row = Comparison(
        metric="accuracy", better="higher", candidate=0.9, baseline=0.6, difference=0.3, low=0.1, high=0.5, method="Tango's score interval",
        verdict="better", margin=0.01, p_value=mcnemar_mid_p(7, 1), p_value_of=NAME,
    )  # fmt: skip
    gate = decided().model_copy(update={"comparisons": [row], "methods": SOURCES})
    section = methods_section(gate)
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert (f"{NAME}: p = 0.039; shown, decides nothing",) in table.rows[1]
    assert "Fagerland" in str(table.rows[1])
    without = row.model_copy(update={"p_value": None, "p_value_of": ""})
    section = methods_section(gate.model_copy(update={"comparisons": [without]}))
    assert section is not None
    assert NAME not in str(section)
