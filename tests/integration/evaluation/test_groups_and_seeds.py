"""evaluation.group, evaluation.seeds, evaluation.seed_metrics: from files to the verdict, kept with the baseline, each mistake a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgate import stages
from mlgate.config import parse
from mlgate.evaluation import predictions
from mlgate.evidence import EvaluateFindings, Evidence, GateFindings
from mlgate.stages.revisions import weakening
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

N, GROUPS = 2000, 200
CONFIG = """\
model: digits
evaluation:
  task: classification
  predictions: p.csv
  metrics: [accuracy]
gate:
  rules: [{metric: accuracy, margin: 0.05}]
"""
GROUPED = CONFIG.replace("  metrics:", "  group: user_id\n  metrics:")
SEEDED = CONFIG.replace("  metrics:", "  seeds: seeds/*.csv\n  metrics:")
NUMBERS = """\
model: digits
evaluation: {metrics_files: [m.json], seed_metrics: "runs/*.json"}
gate:
  rules: [{metric: bleu, better: higher, margin: 1}]
"""


def table(wrong: float, seed: int = 0, n: int = N, groups: int = GROUPS, shift: int = 0) -> str:
    """Wrong on whole groups at a time."""
    is_wrong = np.random.default_rng(seed).random(groups) < wrong
    user = [(row + shift * (row < 10)) % groups for row in range(n)]
    rows = (f"{row},{row // groups % 2},{(row // groups + is_wrong[row % groups]) % 2},u{user[row]}" for row in range(n))
    return "\n".join(["id,y,y_pred,user_id", *rows]) + "\n"


def seeds(wrong: float, first: int, count: int = 4) -> dict[str, str]:
    return {f"seeds/s{place}.csv": table(wrong, first + place) for place in range(count)}


def evaluate(root: Path) -> Evidence[Any]:
    return stages.run("evaluate", Workspace.open(root, "mlgate.yaml", {}))


def decide(root: Path) -> GateFindings:
    evidence = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert isinstance(evidence.findings, GateFindings), evidence.summary
    return evidence.findings


def two(root: Path, config: str, base: dict[str, str], change: dict[str, str], *, is_recorded: bool = True) -> GateFindings:
    """A base commit, recorded in the store or not, and a change of it at the gate."""
    make_repository(root, {"mlgate.yaml": config, **base})
    if is_recorded:
        assert evaluate(root).exit_code == 0
        assert decide(root).recorded_in_store
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, change, "change")
    found = evaluate(root)
    assert found.exit_code == 0, found.summary
    return decide(root)


def test_grouped_rows_widen_the_interval_and_are_counted(tmp_path: Path) -> None:
    base, change = {"p.csv": table(0.10, 1)}, {"p.csv": table(0.11, 2)}
    (alone,) = two(tmp_path / "alone", CONFIG, base, change).comparisons
    (grouped,) = two(tmp_path / "grouped", GROUPED, base, change).comparisons
    assert (alone.groups, grouped.groups) == (None, GROUPS)
    assert grouped.difference == alone.difference
    assert None not in (grouped.low, grouped.high, alone.low, alone.high)
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)  # type: ignore[operator]
    assert (grouped.p_value, grouped.certifies) == (None, "this artefact")


def test_too_few_groups_cannot_tell_and_say_so(tmp_path: Path) -> None:
    found = two(tmp_path, GROUPED, {"p.csv": table(0.1, 1, groups=20)}, {"p.csv": table(0.1, 2, groups=20)})
    assert found.verdict == "cannot tell"
    assert "there are too few groups (20) for an interval" in found.rules[0].reason


def test_an_example_that_changed_its_group_is_refused_but_another_name_is_none(tmp_path: Path) -> None:
    base = {"p.csv": table(0.1, 1)}
    renamed = {"p.csv": table(0.1, 1).replace(",u", ",person").replace("personser_id", "user_id")}
    assert two(tmp_path / "renamed", GROUPED, base, renamed).is_open
    root = tmp_path / "moved"
    make_repository(root, {"mlgate.yaml": GROUPED, **base})
    assert evaluate(root).exit_code == decide(root).is_first_model - 1 == 0
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"p.csv": table(0.1, 1, shift=7)}, "change")
    assert evaluate(root).exit_code == 0
    evidence = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert evidence.exit_code == 2
    assert "of 2,000 examples belong to other groups by 'user_id' than in the baseline's predictions" in evidence.summary
    assert len(evidence.summary.splitlines()) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GROUPED.replace("user_id", "user"), "p.csv: no column 'user' (evaluation.group); did you mean 'user_id'?"),
        (GROUPED.replace("user_id", "y"), "group 'y' is also evaluation.columns.target"),
        (SEEDED, "evaluation.seeds: 'seeds/*.csv' matches 0 files; expected at least 2"),
        (SEEDED.replace("seeds/*.csv", "seeds/a.csv"), "expected a pattern of files in one folder, such as 'eval/seeds/*.csv'"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, config: str, message: str) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": config, "p.csv": table(0.1)})
    try:
        summary = evaluate(root).summary
    except Exception as error:  # noqa: BLE001 -- a mistake in the configuration is found before there is a stage
        summary = str(error)
    assert message in summary
    assert len(summary.splitlines()) == 1


def test_a_group_that_is_missing_in_a_row_is_refused(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": GROUPED, "p.csv": table(0.1).replace(",u3\n", ",\n")})
    assert "column 'user_id'" in evaluate(root).summary
    assert "10 missing; expected a value in every row" in evaluate(root).summary


def test_normalised_predictions_keep_groups_without_their_names(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": GROUPED, "p.csv": table(0.1)})
    findings = evaluate(root).findings
    assert isinstance(findings, EvaluateFindings)
    assert findings.candidate.predictions is not None
    path = Workspace.open(root, "mlgate.yaml", {}).state / findings.candidate.predictions.path
    found = predictions.read(path, "classification")
    assert found.groups is not None
    assert found.groups.tolist() == [row % GROUPS for row in range(N)]
    assert b"u199" not in path.read_bytes()


@pytest.mark.parametrize(("one", "other", "moved"), [([0, 0, 1, 1], [5, 5, 3, 3], 0), ([0, 0, 1, 1], [0, 1, 1, 1], 4), ([0, 1], [0, 0], 2)])
def test_groups_are_the_same_by_who_is_together(one: list[int], other: list[int], moved: int) -> None:
    assert predictions.regrouped(np.array(one), np.array(other)) == moved


@pytest.mark.parametrize("is_recorded", [True, False])
def test_seeds_on_both_sides_certify_the_training_code(tmp_path: Path, is_recorded: bool) -> None:
    base, change = {"p.csv": table(0.1, 1), **seeds(0.1, 10)}, {"p.csv": table(0.1, 2), **seeds(0.1, 20)}
    found = two(tmp_path, SEEDED, base, change, is_recorded=is_recorded)
    (row,) = found.comparisons
    assert found.baseline is not None
    assert (found.baseline.source, row.seeds, row.certifies) == ("store" if is_recorded else "git", (4, 4), "the training code")
    assert row.method is not None
    assert row.method.endswith(" + paired t of the seeds")
    assert "over several seeds: the training code, not this artefact" in found.headline


def test_seeds_on_one_side_stand_for_both(tmp_path: Path) -> None:
    base = {"p.csv": table(0.1, 1), **seeds(0.1, 10)}
    root = tmp_path
    make_repository(root, {"mlgate.yaml": SEEDED, **base})
    assert evaluate(root).exit_code == 0
    decide(root)
    git(root, "checkout", "--quiet", "-b", "feature")
    git(root, "rm", "--quiet", "-r", "seeds")
    commit_files(root, {"mlgate.yaml": CONFIG, "p.csv": table(0.1, 2)}, "no seeds any more")
    assert evaluate(root).exit_code == 0
    found = decide(root)
    assert found.comparisons[0].seeds == (1, 4)
    assert not found.is_open, "the setting was dropped"
    assert any(change.name == "evaluation.seeds" and change.is_weakening for change in found.changes)


def test_seeds_of_other_examples_are_refused(tmp_path: Path) -> None:
    files = {"p.csv": table(0.1), **seeds(0.1, 1, 2), "seeds/s2.csv": table(0.1, n=1900)}
    found = evaluate(make_repository(tmp_path, {"mlgate.yaml": SEEDED, **files}))
    assert found.summary == (
        "seeds/s2.csv (evaluation.seeds): 100 of the holdout's 2,000 ids are missing; expected the examples of p.csv, by another seed"
    )


def numbers(values: list[float], names: str = "abcdef") -> dict[str, str]:
    return {"m.json": json.dumps({"bleu": values[0]}), **{f"runs/{n}.json": json.dumps({"bleu": v}) for n, v in zip(names, values)}}  # noqa: B905


def test_metric_files_of_several_seeds_get_an_interval(tmp_path: Path) -> None:
    found = two(tmp_path, NUMBERS, numbers([30.1, 30.2, 30.0, 30.3]), numbers([30.0, 30.3, 30.1, 30.3]))
    (row,) = found.comparisons
    assert (row.method, row.verdict, row.seeds, row.certifies) == ("paired t of the seeds", "no worse", (4, 4), "the training code")
    assert (row.candidate, row.baseline) == pytest.approx((30.175, 30.15))
    assert found.is_certified
    assert found.is_open


def test_runs_of_other_seeds_are_not_paired(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": NUMBERS, **numbers([30.1, 30.2, 30.0])})
    assert evaluate(root).exit_code == 0
    decide(root)
    git(root, "checkout", "--quiet", "-b", "feature")
    git(root, "rm", "--quiet", "-r", "runs")
    commit_files(root, numbers([30.2, 30.4, 30.1], "xyz"), "other seeds")
    assert evaluate(root).exit_code == 0
    assert decide(root).comparisons[0].method == "Welch's t of the seeds"


def test_dropping_groups_or_seeds_weakens_the_gate() -> None:
    def read(text: str) -> Any:
        return parse(text.encode(), "mlgate.yaml")

    def blocking(text: str) -> Any:
        return read(text.replace("gate:\n", "gate:\n  cannot_tell: block\n"))

    assert weakening.weakened(read(GROUPED), read(CONFIG)) == {"evaluation.group"}
    assert weakening.weakened(read(GROUPED), read(GROUPED.replace("user_id", "id2"))) == {"evaluation.group"}
    assert weakening.weakened(blocking(CONFIG), blocking(GROUPED)) == frozenset()
    assert weakening.weakened(read(SEEDED), read(CONFIG)) == {"evaluation.seeds"}
    assert weakening.weakened(blocking(CONFIG), blocking(SEEDED)) == frozenset()
    # Wider intervals make "cannot tell" of "worse", which passes where doubt only warns.
    assert weakening.weakened(read(CONFIG), read(GROUPED)) == {"evaluation.group"}
    assert weakening.weakened(read(CONFIG), read(SEEDED)) == {"evaluation.seeds"}
