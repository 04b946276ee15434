"""A pull request that changes a contract: its data is checked by the new one and by the one it replaces."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlgate import stages
from mlgate.evidence import Evidence
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

CONTRACTS = "data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n"
NARROW = "columns:\n  age: {dtype: int64, checks: {in_range: {min_value: 0, max_value: 100}}}\n"
WIDE = NARROW.replace("100", "200")
FITS, TOO_OLD = "age\n30\n40\n", "age\n30\n150\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"mlgate.yaml": MINIMAL_CONFIG + CONTRACTS, "contracts/train.yaml": NARROW, "data/train.csv": FITS}
    root = make_repository(tmp_path / "r", files)
    git(root, "checkout", "--quiet", "-b", "feature")
    return root


def validated(root: Path, files: dict[str, str]) -> Evidence:
    commit_files(root, files, "a change")
    return stages.run("validate-data", Workspace.open(root, "mlgate.yaml", {}))


def test_data_that_breaks_the_old_contract_passes_the_new_one_and_is_told_of(root: Path) -> None:
    evidence = validated(root, {"contracts/train.yaml": WIDE, "data/train.csv": TOO_OLD})
    [earlier] = evidence.findings.baseline_contracts
    assert evidence.status == "passed", "the gate decides, with the trained model beside it"
    assert (earlier.data, earlier.schema_path, earlier.is_passed) == ("data/train.csv", "contracts/train.yaml", False)
    assert [(rule.column, rule.rows) for rule in earlier.broken] == [("age", 1)]
    assert "by the contract of the baseline, which this change replaces, data/train.csv breaks its contract" in evidence.summary


def test_data_that_keeps_both_is_no_news(root: Path) -> None:
    evidence = validated(root, {"contracts/train.yaml": WIDE})
    assert [earlier.is_passed for earlier in evidence.findings.baseline_contracts] == [True]
    assert "\n" not in evidence.summary


def test_a_contract_that_stays_is_not_applied_twice(root: Path) -> None:
    assert validated(root, {"train.py": "x\n"}).findings.baseline_contracts == []


def test_a_contract_that_is_gone_is_still_applied(root: Path) -> None:
    evidence = validated(root, {"mlgate.yaml": MINIMAL_CONFIG, "data/train.csv": TOO_OLD})
    assert [earlier.is_passed for earlier in evidence.findings.baseline_contracts] == [False]


def test_the_new_contract_has_to_hold_all_the_same(root: Path) -> None:
    evidence = validated(root, {"contracts/train.yaml": NARROW.replace("100", "35")})
    assert (evidence.status, evidence.exit_code) == ("failed", 1)


def test_data_that_is_gone_cannot_be_checked_which_is_said(root: Path) -> None:
    git(root, "rm", "--quiet", "data/train.csv")
    evidence = validated(root, {"mlgate.yaml": MINIMAL_CONFIG})
    assert evidence.status == "passed"
    assert "not checked: data/train.csv: contracts/train.yaml as of the baseline" in evidence.summary


@pytest.fixture
def python_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has pandera."""
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)


SCHEMA = """\
import pandera.pandas as pa
from limits import MOST

Train = pa.DataFrameSchema({"age": pa.Column(int, pa.Check.le(MOST))})
"""


def test_a_schema_in_python_runs_with_the_modules_that_the_baseline_had(tmp_path: Path, python_of_the_user: None) -> None:
    config = MINIMAL_CONFIG + CONTRACTS.replace("contracts/train.yaml", '"contracts/train.py:Train"')
    files = {"mlgate.yaml": config, "contracts/train.py": SCHEMA, "limits.py": "MOST = 100\n", "data/train.csv": FITS}
    root = make_repository(tmp_path / "r", files)
    git(root, "checkout", "--quiet", "-b", "feature")
    evidence = validated(root, {"limits.py": "MOST = 200\n", "data/train.csv": TOO_OLD})
    assert evidence.status == "passed", evidence.summary
    assert [(earlier.data, earlier.is_passed) for earlier in evidence.findings.baseline_contracts] == [("data/train.csv", False)]
    assert not (root / ".mlgate/digits/baseline-contracts").exists()


def test_a_schema_in_python_that_does_not_run_any_more_is_said_and_stops_nothing(tmp_path: Path, python_of_the_user: None) -> None:
    config = MINIMAL_CONFIG + CONTRACTS.replace("contracts/train.yaml", '"contracts/train.py:Train"')
    files = {"mlgate.yaml": config, "contracts/train.py": "import a_package_that_was_there_once\n", "data/train.csv": FITS}
    root = make_repository(tmp_path / "r", files)
    git(root, "checkout", "--quiet", "-b", "feature")
    evidence = validated(root, {"contracts/train.py": SCHEMA.replace("from limits import MOST", "MOST = 100")})
    assert evidence.status == "passed", evidence.summary
    assert "a_package_that_was_there_once" in evidence.findings.baseline_note
