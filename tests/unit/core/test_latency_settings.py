"""evaluation.latency in mlgate.yaml: what it may say, and what rules may ask of it."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.errors import InputError

TEXT = """\
model: m
evaluation:
  predictions: p.csv
  metrics: [accuracy]
  latency: {%s}
gate:
  rules: [{%s}]
"""
MEASURED = "predict: python serve.py, data: h.csv"


def parse(latency: str = MEASURED, rule: str = "metric: latency_p95, max: 50") -> config.Config:
    return config.parse((TEXT % (latency, rule)).encode(), "mlgate.yaml")


def test_quantiles_name_the_metrics() -> None:
    found = parse(f"{MEASURED}, quantiles: [0.5, 0.95, 0.999]").evaluation.latency
    assert found is not None
    assert found.metric_names == ["latency_p50", "latency_p95", "latency_p99.9", "throughput"]


def test_the_first_file_of_the_holdout_is_asked_about_where_no_other_is_named() -> None:
    text = (TEXT % ("model: m", "min: 0")).replace("  latency", "  holdout: [h.csv]\n  latency")
    assert config.parse(text.encode(), "mlgate.yaml").evaluation.holdout == ["h.csv"]


@pytest.mark.parametrize(
    ("latency", "rule", "message"),
    [
        ("data: h.csv", "min: 0", "evaluation.latency: expected one of predict, model, samples; got none of them"),
        ("predict: a, samples: b", "min: 0", "evaluation.latency: expected one of predict, model, samples; got predict and samples"),
        ("predict: a", "min: 0", "evaluation.latency.data: missing; expected the file whose rows are asked about"),
        ("samples: a.csv, rounds: 9", "min: 0", "'rounds' beside 'samples'"),
        (f"{MEASURED}, rounds: 4", "min: 0", "evaluation.latency.rounds: expected at least 5"),
        (f"{MEASURED}, rounds: 1000, requests: 101", "min: 0", "at most 100,000 requests are timed, got 101,000"),
        (f"{MEASURED}, quantiles: [0.5, 0.5]", "min: 0", "quantiles: the same one stands there twice"),
        (f"{MEASURED}, quantiles: [95]", "min: 0", "evaluation.latency.quantiles[0]: expected less than 1"),
        (MEASURED, "metric: latency_p9, max: 1", "no metric 'latency_p9' in evaluation; did you mean 'latency_p99'?"),
        (MEASURED, "metric: latency_p95, slices: all, margin: 1", "gate.rules[0].slices: 'latency_p95' is of requests, not of examples"),
        (MEASURED, "metric: throughput, better: lower, margin: 1", "gate.rules[0].better: 'throughput' is better higher; leave it out"),
        ("samples: a.csv", "metric: latency_p95, margin: 1", "gate.rules[0].margin: nothing is measured of the baseline"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(latency: str, rule: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        parse(latency, rule)
    assert message in str(told.value)
    assert len(str(told.value).splitlines()) == 1
