"""A pull request that has no better model but wider intervals, so that "worse" becomes "cannot tell"; or numbers that keep it busy."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from integration.evaluation.test_groups_and_seeds import CONFIG, GROUPED, NUMBERS, SEEDED, evaluate, numbers, seeds, table, two
from integration.gate import test_guards_beyond_the_whole as guards
from mlgate import stages
from mlgate.errors import InputError
from mlgate.evaluation import predictions as normalised
from mlgate.evidence import EvaluateFindings, FileRef, ScoredModel, SeedSet, file_ref
from mlgate.stages.baseline.run_artifacts import MAX_SETS, further_in
from mlgate.stats import comparison as statistics
from mlgate.stats import quantiles
from mlgate.stats.comparison import Model, UndefinedMetricError
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository


def test_two_seeds_that_differ_in_place_of_six_close_the_gate(tmp_path: Path) -> None:
    base = {"p.csv": table(0.10, 1), **seeds(0.10, 1, 6)}
    noisy = {"p.csv": table(0.30, 2), "seeds/s0.csv": table(0.10, 3), "seeds/s1.csv": table(0.60, 4)}
    root = tmp_path / "fewer"
    make_repository(root, {"mlgate.yaml": SEEDED, **base})
    assert evaluate(root).exit_code == stages.run("gate", Workspace.open(root, "mlgate.yaml", {})).exit_code == 0
    git(root, "checkout", "--quiet", "-b", "feature")
    for place in range(2, 6):
        (root / f"seeds/s{place}.csv").unlink()
    commit_files(root, noisy, "fewer seeds")
    assert evaluate(root).exit_code == 0
    found = stages.run("gate", Workspace.open(root, "mlgate.yaml", {})).findings
    assert found.comparisons[0].verdict == "cannot tell"
    assert not found.is_open
    assert "evaluation.seeds 6 seeds → 2 seeds" in found.headline.replace("\xa0", " ")
    assert any(remark.startswith("This artefact by itself: accuracy") for remark in found.remarks)


@pytest.mark.parametrize("wider", [GROUPED, SEEDED])
def test_a_setting_that_only_widens_intervals_closes_the_gate_where_doubt_passes(tmp_path: Path, wider: str) -> None:
    files = {"p.csv": table(0.1, 1), **seeds(0.1, 1)}
    found = two(tmp_path, CONFIG, files, {"mlgate.yaml": wider})
    assert not found.is_open
    assert "this change weakens 1 rule: evaluation." in found.headline


@pytest.mark.parametrize("what", ["perturbed", "seeds"])
def test_a_copy_of_the_holdout_cannot_bring_groups_of_its_own(tmp_path: Path, what: str) -> None:
    """All rows in one group: no interval at all, and so never worse."""
    one_group = "\n".join([line.rpartition(",")[0] + ",u0" for line in table(0.5, 2).splitlines()[1:]])
    worse = "id,y,y_pred,user_id\n" + one_group + "\n"
    if what == "perturbed":
        config = GROUPED.replace("  metrics:", "  perturbed: {noise: n.csv}\n  metrics:").replace(
            "accuracy, margin", "accuracy, on: noise, margin"
        )
        base, change = {"p.csv": table(0.1, 1), "n.csv": table(0.1, 1)}, {"n.csv": worse}
    else:
        config = GROUPED.replace("  metrics:", "  seeds: seeds/*.csv\n  metrics:")
        base = {"p.csv": table(0.1, 1), **seeds(0.1, 1, 3)}
        change = {"p.csv": table(0.5, 2), **dict.fromkeys(["seeds/s0.csv", "seeds/s1.csv", "seeds/s2.csv"], worse)}
    found = two(tmp_path, config, base, change)
    assert (found.is_open, found.verdict) == (False, "worse")


def test_predictions_that_lost_their_groups_on_the_way_are_refused(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": GROUPED, "p.csv": table(0.1, 1)})
    assert evaluate(root).exit_code == stages.run("gate", Workspace.open(root, "mlgate.yaml", {})).exit_code == 0
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"p.csv": table(0.11, 2)}, "change")
    assert evaluate(root).exit_code == 0
    workspace = Workspace.open(root, "mlgate.yaml", {})
    path = workspace.evidence_path("evaluate")
    evidence = workspace.evidence("evaluate")
    assert evidence is not None
    assert isinstance(evidence.findings, EvaluateFindings)
    reference = evidence.findings.candidate.predictions
    assert reference is not None
    parquet = workspace.state / reference.path
    normalised.write(replace(normalised.read(parquet, "classification"), groups=None), parquet)
    path.write_text(path.read_text().replace(reference.sha256, file_ref(parquet, workspace.state).sha256))
    decided = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert (decided.exit_code, "the predictions have no groups by 'user_id'" in decided.summary) == (2, True)


def test_one_more_example_does_not_let_a_change_say_who_is_in_which_group(tmp_path: Path) -> None:
    """On the examples that the baseline has, its column counts; an added example must not bring back the candidate's own."""
    rule = "    - {fairness: accuracy, group: sex, max_gap: 0.1}\n"
    unfair = guards.model(0.05, 1, {"f": 0.3})
    sexes = np.random.default_rng(3).permutation(unfair.slices["sex"])
    more = unfair.take(np.append(np.arange(unfair.n), 0))
    more = replace(more, ids=np.arange(more.n), slices={**more.slices, "sex": np.append(sexes, "f").astype(np.str_)})
    _, found = guards.decide(tmp_path, rule, more, guards.model(0.05, 1))
    assert not found.is_open
    assert "is above" in found.headline


def test_columns_of_thousands_of_slices_that_nobody_guards_are_not_compared(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    columns = {f"c{place:02}": random.integers(0, 300, guards.N).astype(np.str_) for place in range(40)}
    candidate = guards.model(0.1, 1)
    candidate = replace(candidate, slices={**candidate.slices, **columns})
    started = time.process_time()
    rules = guards.ON_SLICES.replace("country", "country, sex") + "    - {metric: accuracy, margin: 0.05}\n"
    _, found = guards.decide(tmp_path, rules, candidate, guards.model(0.1, 1))
    assert time.process_time() - started < 30
    assert len(found.slices) <= 906
    assert len({row.column for row in found.slices}) == 5
    assert any(remark.startswith("More than 1,000 slices that no rule guards; not compared: c03, c04") for remark in found.remarks)


def test_evidence_that_names_one_file_a_thousand_times_is_refused_before_it_is_read(tmp_path: Path) -> None:
    reference = FileRef(path="absent.parquet", sha256="0" * 64, size_bytes=1)
    sets = [SeedSet(name=str(place), n=1, metrics=[], predictions=reference) for place in range(MAX_SETS + 1)]
    model = ScoredModel(
        commit=None, inputs_sha256=None, task="classification", n=1, holdout_sha256="0" * 64, metrics=[], slices=[], predictions=reference
    )
    with pytest.raises(InputError, match="101 seeds; expected at most 100"):
        further_in(model.model_copy(update={"seeds": sets}), tmp_path)


@pytest.mark.parametrize("huge", [[1.7e308] * 4, [1.7e308, -1.7e308, 1.0, 2.0], [1e200, 1.0, 2.0, 3.0], [1e100, 1.0, 2.0, 3.0]])
def test_numbers_of_seeds_too_large_to_compute_with_certify_nothing(tmp_path: Path, huge: list[float]) -> None:
    found = two(tmp_path, NUMBERS, numbers([30.0, 30.5, 31.0, 30.2]), numbers(huge, "stuv"))
    assert found.comparisons[0].verdict in ("cannot tell", "worse")


def test_seeds_of_a_regression_too_large_to_compute_with_have_no_interval_of_width_zero() -> None:
    target = np.zeros(300)
    runs = [Model(target, np.full(300, value)) for value in (1.7e308, 1.6e308)]
    good = [Model(target, np.full(300, value)) for value in (0.1, 0.2)]
    found = statistics.compare("mae", statistics.Pair(good[0], good[1]), 0.95, 1)
    for others in (good, good[:1]):
        with pytest.raises(UndefinedMetricError):
            statistics.compare_trained("mae", found, runs, others, False, 0.95)


def test_a_hundred_thousand_rounds_of_one_request_take_seconds() -> None:
    samples = np.random.default_rng(0).random((100_000, 1)) + 1
    started = time.process_time()
    ratio = quantiles.ratio_interval(samples, samples[::-1], lambda taken: quantiles.quantile(taken, 0.95), 0.95)
    assert ratio.low < 1 < ratio.high
    assert time.process_time() - started < 5
