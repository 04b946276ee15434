"""What `mlgate init` proposes is what mlgate accepts."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mlgate import config
from mlgate.contracts import contract
from mlgate.errors import InputError
from mlgate.stages.adoption import init
from support import commit_files, git, make_repository

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "digits"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The digits example before it knew of mlgate, with the outputs of one run."""
    root = make_repository(tmp_path / "digits", {"readme": ""})
    shutil.copytree(EXAMPLE, root, dirs_exist_ok=True)
    shutil.rmtree(root / "contracts")
    (root / "mlgate.yaml").unlink()
    (root / "eval").mkdir(exist_ok=True)
    digits = pd.read_csv(root / "data/digits.csv").head(100)
    digits.to_parquet(root / "data/train.parquet", index=False)
    digits.to_parquet(root / "data/holdout.parquet", index=False)
    predictions = {"id": digits["id"], "y": digits["digit"], "y_pred": digits["digit"], "ink": ["light", "heavy"] * 50}
    pd.DataFrame(predictions).to_parquet(root / "eval/predictions.parquet", index=False)
    return root


def test_the_proposal_is_what_a_person_would_have_written(repository):
    init.run(repository, "mlgate.yaml")
    proposed = config.load(repository / "mlgate.yaml")
    assert proposed.model == "digits"
    assert proposed.data.prepare == "dvc repro prepare"
    assert [(contract.data, contract.schema_) for contract in proposed.data.contracts] == [("data/train.parquet", "contracts/train.yaml")]
    (screens,), (drift,) = proposed.data.screens, proposed.data.drift
    assert (screens.train, screens.holdout, screens.label, screens.id) == ("data/train.parquet", "data/holdout.parquet", "digit", "id")
    assert (drift.data, drift.against, drift.label, drift.except_) == ("data/train.parquet", "base", "digit", ["id"])
    assert (proposed.train.command, proposed.train.params) == ("dvc repro", ["params.yaml"])
    assert proposed.evaluation.task == "classification"
    assert proposed.evaluation.predictions == "eval/predictions.parquet"
    assert (proposed.evaluation.columns.id, proposed.evaluation.columns.target, proposed.evaluation.columns.prediction) == (
        "id",
        "y",
        "y_pred",
    )
    assert proposed.evaluation.metrics_files == ["eval/metrics.json"]
    assert proposed.evaluation.slices == ["ink"]


def test_the_inferred_contract_holds_for_the_data_it_came_from_and_not_for_others(repository):
    init.run(repository, "mlgate.yaml")
    data = repository / "data/train.parquet"
    findings = contract.check(repository, "data/train.parquet", "contracts/train.yaml", is_showing_values=False).findings
    assert findings.is_passed
    table = pd.read_parquet(data)
    table.loc[3, "digit"] = 12
    table.to_parquet(data, index=False)
    broken = contract.check(repository, "data/train.parquet", "contracts/train.yaml", is_showing_values=False).findings.broken
    assert [(rule.column, rule.row_numbers) for rule in broken] == [("digit", [3])]


def test_the_workflow_is_the_template_with_folder_and_branch_filled_in(tmp_path):
    top = make_repository(tmp_path / "monorepo", {"models/digits/train.py": ""})
    git(top, "branch", "-m", "main", "master")
    init.run(top / "models/digits", "mlgate.yaml")
    workflow = yaml.safe_load((top / ".github/workflows/mlgate.yml").read_text())
    assert workflow["jobs"]["mlgate"]["with"]["working-directory"] == "models/digits"
    assert workflow[True]["push"]["branches"] == ["master"]  # YAML 1.1 reads `on` as true


def test_nothing_is_replaced_unless_asked(repository):
    (repository / "mlgate.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"^mlgate.yaml: exists already; .*--force"):
        init.run(repository, "mlgate.yaml")
    assert (repository / "mlgate.yaml").read_text() == "mine"
    assert not (repository / "contracts").exists()
    init.run(repository, "mlgate.yaml", is_forced=True)
    assert config.load(repository / "mlgate.yaml").model == "digits"


def test_an_empty_repository_gets_a_file_that_says_what_is_missing(tmp_path):
    root = make_repository(tmp_path / "my model!", {"readme": ""})
    lines = init.run(root, "mlgate.yaml")
    assert config.load(root / "mlgate.yaml").model == "my-model"
    assert any("train.command" in line for line in lines)
    assert any("columns and task are guesses" in line for line in lines)


@pytest.mark.parametrize("text", ["stages: [", "- a", "stages: 3"])
def test_a_broken_pipeline_file_is_named(tmp_path, text):
    root = make_repository(tmp_path / "m", {"dvc.yaml": text})
    with pytest.raises(InputError, match=r"^dvc\.yaml: "):
        init.run(root, "mlgate.yaml")


def test_names_that_yaml_would_misread_are_quoted(tmp_path):
    root = make_repository(tmp_path / "no", {"train.py": ""})
    commit_files(root, {"eval/predictions.csv": "id,y,y_pred,on\n1,2.5,2.25,a\n2,1.5,1,b\n"}, "predictions")
    init.run(root, "mlgate.yaml")
    proposed = config.load(root / "mlgate.yaml")
    assert (proposed.model, proposed.evaluation.task, proposed.evaluation.slices) == ("no", "regression", ["on"])


def test_outside_a_git_repository_the_message_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="not inside a Git repository; run 'git init'"):
        init.run(tmp_path, "mlgate.yaml")
