"""A pull request is judged by the baseline's rules, and may not weaken them unless somebody says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, leave
from integration.overrides.pull_requests import WEAKER, Project
from mlgate import stages
from mlgate.evidence import ContractFindings, ValidationFindings
from support import commit_files, git

if TYPE_CHECKING:
    from github_stand_in import StandIn


def test_a_lower_threshold_closes_the_gate_though_the_model_is_better(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"mlgate.yaml": pull.config.replace("min: 0.8", "min: 0.5")})
    evidence = pull.judged(990)
    assert (evidence.exit_code, evidence.findings.is_open, evidence.findings.verdict) == (1, False, "better")
    assert evidence.summary == (
        "gate closed: this change weakens 1 rule: gate.rules accuracy min 0.8 → 0.5; "
        "'/mlgate override REASON' by somebody with the role maintain opens the gate for this commit"
    )


def test_a_higher_threshold_does_not(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"mlgate.yaml": pull.config.replace("min: 0.8", "min: 0.85")})
    found = pull.judged().findings
    assert found.is_open
    assert [(change.name, change.is_weakening) for change in found.changes] == [("gate.rules accuracy min", False)]


def test_a_rule_that_fails_is_named_beside_the_weakening(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"mlgate.yaml": pull.config.replace("min: 0.8", "min: 0.5")})
    headline = pull.judged(700).findings.headline
    assert headline.startswith("accuracy is worse by 20.0\u00a0pt")
    assert "; this change weakens 1 rule: " in headline


def test_examples_that_are_gone_or_relabelled_close_it_and_new_ones_do_not(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"train.py": "x\n"})
    target, new = labels(905)

    def holdout(target, prediction) -> list[tuple[str | None, bool]]:
        workspace = pull.workspace()
        evaluated(workspace, classified(target, prediction))
        found = stages.run("gate", workspace).findings
        return [(change.new, change.is_weakening) for change in found.changes if change.name == "holdout"]

    assert holdout(target, new) == []
    assert holdout(target[:990], new[:990]) == [("990 examples: 10 removed", True)]
    other = target.copy()
    other[:3] = (other[:3] + 1) % 3
    assert holdout(other, new) == [("1,000 examples: 3 relabelled", True)]
    more_target, more = labels(905, n=1010)
    more_target[:1000], more[:1000] = target, new
    assert holdout(more_target, more) == [("1,010 examples: 10 added", False)]


def test_data_that_breaks_the_contract_that_this_change_replaces_closes_it(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"train.py": "x\n"})
    workspace = pull.workspace()
    evaluated(workspace, classified(*labels(905)))
    leave(workspace, "validate-data", ValidationFindings(contracts=[], validated=[], baseline_contracts=[broken_contract()]))
    found = stages.run("gate", workspace).findings
    assert not found.is_open
    assert (
        "contracts/train.yaml of the baseline kept by data/train.csv → data/train.csv breaks its contract: age not in 0..1"
        in found.headline
    )


def test_a_contract_that_asks_less_is_told_once_though_the_data_needs_it(tmp_path: Path, github: StandIn) -> None:
    contract = "columns:\n  age: {checks: {less_than: 1}}\n"
    config = CONFIG + "data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n"
    pull = Project.make(tmp_path, github, config)
    git(pull.root, "checkout", "--quiet", "main")
    commit_files(pull.root, {"contracts/train.yaml": contract}, "a contract")
    pull.record_main()
    git(pull.root, "checkout", "--quiet", "-b", "wider")
    pull.push({"contracts/train.yaml": contract.replace("1", "2")})
    workspace = pull.workspace()
    evaluated(workspace, classified(*labels(905)))
    leave(workspace, "validate-data", ValidationFindings(contracts=[], validated=[], baseline_contracts=[broken_contract()]))
    evidence = stages.run("gate", workspace)
    assert evidence.findings is not None, evidence.summary
    assert [change.name for change in evidence.findings.changes if change.is_weakening] == ["contracts/train.yaml columns.age.max_value"]


def broken_contract() -> ContractFindings:
    broken = {"column": "age", "rule": "in_range(0, 1)", "rows": 2, "share": 0.1, "row_numbers": [3, 4]}
    one = {"data": "data/train.csv", "schema_path": "contracts/train.yaml", "rows": 20, "columns": 1, "duration_s": 0.1}
    return ContractFindings.model_validate({**one, "is_passed": False, "broken": [broken]})


def test_on_the_default_branch_it_is_told_and_closes_nothing(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github)
    pull.push({"mlgate.yaml": pull.config.replace("min: 0.8", "min: 0.5")})
    git(pull.root, "checkout", "--quiet", "main")
    git(pull.root, "merge", "--quiet", "--no-ff", "-m", "Merge", "feature")
    evidence = pull.judged(event="push", ref="refs/heads/main")
    assert evidence.exit_code == 0
    assert [change.name for change in evidence.findings.changes if change.is_weakening] == ["gate.rules accuracy min"]


def test_a_first_model_has_nothing_to_weaken(tmp_path: Path, github: StandIn) -> None:
    pull = Project.make(tmp_path, github, CONFIG)
    git(pull.root, "checkout", "--quiet", "main")
    git(pull.root, "rm", "--quiet", "mlgate.yaml")
    git(pull.root, "commit", "--quiet", "-m", "without a gate")
    git(pull.root, "checkout", "--quiet", "-b", "first")
    pull.push({"mlgate.yaml": WEAKER + f"store: {tmp_path / 'other'}\n"})
    found = pull.judged().findings
    assert (found.is_open, found.is_first_model) == (True, True)
    assert [change.is_weakening for change in found.changes if change.kind == "rule"] == [False]


def test_on_a_laptop_it_closes_too_and_speaks_of_no_comment(tmp_path: Path, github: StandIn) -> None:
    from integration.gate.gate_runs import open_workspace

    pull = Project.make(tmp_path, github)
    pull.push({"mlgate.yaml": pull.config.replace("min: 0.8", "min: 0.5")})
    workspace = open_workspace(pull.root)
    evaluated(workspace, classified(*labels(905)))
    evidence = stages.run("gate", workspace)
    assert evidence.exit_code == 1
    assert "override" not in evidence.summary
