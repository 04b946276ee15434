"""A pull request that weakens what it is judged by where the gate does not look: behind links, in moved files, in a new holdout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, leave, next_commit, open_workspace, project, scored
from mlgate import config, stages
from mlgate.errors import InputError
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import EvaluateFindings, Evidence, GateFindings
from mlgate.stages.revisions import lineage
from mlgate.stages.revisions.inputs import Tree
from mlgate.workspace import Workspace
from support import commit_files, git

SCHEMA = "columns:\n  age: {dtype: int64, checks: {in_range: {min_value: 0, max_value: 120}}}\n"
WEAKER = SCHEMA.replace("max_value: 120", "max_value: 100000")


def recorded_on_main(root: Path, predicted: Predictions | None = None) -> None:
    workspace = open_workspace(root)
    evaluated(workspace, predicted or classified(*labels(900)))
    assert stages.run("gate", workspace).findings.recorded_in_store


def judged(workspace: Workspace, right: int = 905) -> Evidence[GateFindings]:
    evaluated(workspace, classified(*labels(right)))
    return stages.run("gate", workspace)


def weakenings(evidence: Evidence[GateFindings]) -> list[str]:
    return [change.name for change in evidence.findings.changes if change.is_weakening]


# --- links and imports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_contract_behind_a_link_is_weakened_where_the_link_leads(tmp_path: Path, link: str) -> None:
    root = project(tmp_path / "repository", CONFIG + "data:\n  contracts: [{data: data/train.csv, schema: contracts/train.yaml}]\n")
    (root / "shared").mkdir()
    (root / "shared/train.yaml").write_text(SCHEMA)
    if link == "file":
        (root / "contracts").mkdir()
        (root / "contracts/train.yaml").symlink_to("../shared/train.yaml")
    else:
        (root / "contracts").symlink_to("shared")
    commit_files(root, {}, "a contract")
    recorded_on_main(root)
    next_commit(root, 1, branch="feature")
    commit_files(root, {"shared/train.yaml": WEAKER}, "weaker")
    evidence = judged(open_workspace(root))
    assert evidence.status == "failed", evidence.summary
    assert weakenings(evidence)


def test_a_metric_is_other_code_where_a_module_it_imports_is(tmp_path: Path) -> None:
    settings = CONFIG.replace("[accuracy, f1_macro]", "[accuracy, 'metrics.py:cost']") + "    - {metric: cost, max: 9, better: lower}\n"
    root = project(tmp_path / "repository", settings)
    commit_files(root, {"metrics.py": "from weights import W\ndef cost(y, p): return W\n", "weights.py": "W = 1\n"}, "a metric")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), metrics={"accuracy": 0.9, "cost": 1.0})
    assert stages.run("gate", workspace).findings.recorded_in_store
    next_commit(root, 1, branch="feature")
    commit_files(root, {"weights.py": "W = 0\n"}, "cheaper")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(905)), metrics={"accuracy": 0.9, "cost": 0.0})
    evidence = stages.run("gate", workspace)
    assert (evidence.status, weakenings(evidence)) == ("failed", ["weights.py"])


@pytest.mark.parametrize("names", ["['m.py:accuracy', accuracy]", "[accuracy, 'm.py:accuracy']"])
def test_no_metric_can_take_anothers_name(names: str) -> None:
    with pytest.raises(InputError):
        config.parse(CONFIG.replace("[accuracy, f1_macro]", names).encode(), "mlgate.yaml")


# --- a configuration that moves ----------------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A repository of several models, where nobody names the configurations' paths: `changed` finds them."""
    top = project(tmp_path / "repository")
    files = {"models/digits/mlgate.yaml": CONFIG, "models/digits/train.py": "print('model 0')\n"}
    commit_files(top, {**files, "models/other/mlgate.yaml": CONFIG.replace("model: digits", "model: other")}, "models")
    git(top, "rm", "--quiet", "mlgate.yaml")
    git(top, "commit", "--quiet", "-m", "several")
    recorded_on_main(top / "models/digits")
    git(top, "checkout", "--quiet", "-b", "feature")
    git(top, "mv", "models/digits", "models/numbers")
    return top


def moved(top: Path, model: str) -> Workspace:
    softer = CONFIG.replace("margin: 0.02", "margin: 0.5").replace("model: digits", f"model: {model}")
    commit_files(top, {"models/numbers/mlgate.yaml": softer, "models/numbers/train.py": "print('worse')\n"}, "moved")
    return open_workspace(top / "models/numbers")


def test_a_configuration_that_moves_takes_its_rules_along(several: Path) -> None:
    evidence = judged(moved(several, "digits"), right=840)
    assert (evidence.status, evidence.findings.verdict, evidence.findings.rules_from) == ("failed", "worse", "baseline")
    assert "gate.rules accuracy margin" in weakenings(evidence)


def test_one_that_moves_and_takes_another_name_is_no_first_model(several: Path) -> None:
    evidence = judged(moved(several, "digits2"), right=840)
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert "this change takes models/digits/mlgate.yaml away" in evidence.summary


def test_code_that_is_called_a_readme_is_an_input_of_the_model_whose_command_runs_it(several: Path) -> None:
    running = CONFIG.replace("model: digits", "model: other").replace("python train.py", "python README.md")
    commit_files(several, {"models/other/mlgate.yaml": running, "models/other/README.md": "print(1)"}, "a readme")
    before = git(several, "rev-parse", "HEAD")
    commit_files(several, {"models/other/README.md": "print('worse')"}, "worse")
    one, other = (lineage.fingerprint(Tree.at(several, commit), "models/other/mlgate.yaml") for commit in (before, "HEAD"))
    assert one != other


# --- holdouts ----------------------------------------------------------------------------------------------------------


def left(workspace: Workspace, candidate: Predictions, rescored: Predictions, ids: str = "column") -> None:
    """Evidence with the baseline's model scored again, as a job that runs the candidate's code can leave it."""
    metrics = {"accuracy": 0.5, "f1_macro": 0.5}
    base = git(workspace.root, "rev-parse", "main")
    mine = scored(candidate, workspace.files / "predictions.parquet", workspace.state, metrics, workspace.commit)
    theirs = scored(rescored, workspace.files / "baseline/rescored.parquet", workspace.state, metrics, base)
    theirs, mine = (model.model_copy(update={"ids": ids}) for model in (theirs, mine))
    leave(workspace, "evaluate", EvaluateFindings(candidate=mine, rescored=theirs))


def test_rows_without_names_cannot_be_thinned_out_by_scoring_the_baseline_again(tmp_path: Path) -> None:
    numbered = CONFIG.replace("  metrics_files", "  columns: {id: null}\n  predict: python predict.py\n  holdout: [h.csv]\n  metrics_files")
    root = project(tmp_path / "repository", numbered)
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)))
    path = workspace.evidence_path("evaluate")
    path.write_text(path.read_text().replace('"ids": "column"', '"ids": "row numbers"'))
    assert stages.run("gate", workspace).findings.recorded_in_store
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    target, _ = labels(900)
    easy = classified(target[:700], target[:700])
    left(workspace, easy, classified(target[:700], np.roll(target[:700], 1)), ids="row numbers")
    evidence = stages.run("gate", workspace)
    assert (evidence.status, weakenings(evidence)) == ("failed", ["holdout"]), evidence.summary


def test_a_model_that_is_worse_on_the_recorded_examples_is_not_saved_by_new_ones(tmp_path: Path) -> None:
    """The baseline's answers to these are of a job that runs the pull request's code: it can have them all wrong."""
    root = project(
        tmp_path / "repository", CONFIG.replace("  metrics_files", "  predict: python p.py\n  holdout: [h.csv]\n  metrics_files")
    )
    recorded_on_main(root)
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    target, worse = labels(840)
    more, _ = labels(5000, n=5000, seed=1)
    candidate = classified(np.concatenate([target, more]), np.concatenate([worse, more]))
    sabotaged = classified(np.concatenate([target, more]), np.concatenate([labels(900)[1], (more + 1) % 3]))
    left(workspace, candidate, sabotaged)
    evidence = stages.run("gate", workspace)
    assert evidence.status == "failed", evidence.summary
    assert "on the 1,000 examples that are on record, accuracy is worse" in evidence.findings.headline
