"""A pull request that changes rules about data in mlgate.yaml itself: they are told one by one, and the baseline's still run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlgate import stages
from mlgate.context import RunContext
from mlgate.evidence import Change, Evidence
from mlgate.render import sections
from mlgate.render.document import Items
from mlgate.render.markdown import spans
from mlgate.stages.decision import weakening_verdict
from mlgate.stages.revisions import changes as differences
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

RULES = """\
data:
  contracts:
    - data: data/train.csv
      columns:
        age: {type: integer, range: [0, 100]}
        country: {type: string, references: "data/countries.csv:code"}
      expressions: ["age >= 18"]
"""
FITS = "age,country\n30,SE\n40,NO\n"
COUNTRIES = "code\nSE\nNO\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"mlgate.yaml": MINIMAL_CONFIG + RULES, "data/train.csv": FITS, "data/countries.csv": COUNTRIES}
    root = make_repository(tmp_path / "r", files)
    git(root, "checkout", "--quiet", "-b", "feature")
    return root


def after(root: Path, rules: str, files: dict[str, str] | None = None) -> tuple[list[Change], Evidence]:
    """What a report says of a change, and what its data is said to be."""
    baseline = git(root, "rev-parse", "HEAD")
    commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG + rules, **(files or {})}, "a change")
    workspace = replace(Workspace.open(root, "mlgate.yaml", {}), context=RunContext())
    evidence = stages.run("validate-data", workspace)
    return [change for change in differences.changes(workspace, baseline) if change.kind == "rule"], evidence


def test_a_wider_range_is_told_with_old_and_new_and_the_old_one_is_still_asked(root: Path) -> None:
    told, evidence = after(root, RULES.replace("100", "200"), {"data/train.csv": FITS + "150,SE\n"})
    name = "data.contracts data/train.csv columns.age.range"
    assert told == [Change(kind="rule", name=name, old="0..100", new="0..200", is_weakening=True)]
    [earlier] = evidence.findings.baseline_contracts
    assert evidence.status == "passed"
    assert [(rule.column, rule.rows) for rule in earlier.broken] == [("age", 1)]
    assert "by the contract of the baseline, which this change replaces, data/train.csv breaks its contract" in evidence.summary
    assert weakening_verdict.of_data(evidence.findings, told) == [], "told once is enough"


def test_a_stricter_rule_is_told_and_weakens_nothing(root: Path) -> None:
    told, evidence = after(root, RULES.replace("100", "90").replace('["age >= 18"]', '["age >= 18", "age != 31"]'))
    assert [(change.name, change.is_weakening) for change in told] == [
        ("data.contracts data/train.csv columns.age.range", False),
        ("data.contracts data/train.csv expressions 'age != 31'", False),
    ]
    assert evidence.status == "passed"


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (RULES.replace('      expressions: ["age >= 18"]\n', ""), "data.contracts data/train.csv expressions 'age >= 18'"),
        (RULES.replace("range: [0, 100]", "range: [0, 100], level: warn"), "data.contracts data/train.csv columns.age.level"),
        (RULES.replace("range: [0, 100]", "range: [0, 100], nullable: true"), "data.contracts data/train.csv columns.age.nullable"),
        ("", "data.contracts data/train.csv"),
        ("data: {contracts: [{data: data/countries.csv, columns: {code: {}}}]}\n", "data.contracts data/train.csv"),
        ("data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n", "data.contracts data/train.csv"),
    ],
)
def test_what_asks_less_weakens(root: Path, rules: str, name: str) -> None:
    told, _ = after(root, rules, {"contracts/train.yaml": "columns: {age: {dtype: int64}}\n"})
    assert [change.name for change in told if change.is_weakening] == [name]


def test_rules_that_are_gone_are_still_applied(root: Path) -> None:
    _, evidence = after(root, "", {"data/train.csv": FITS + "5,XX\n"})
    [earlier] = evidence.findings.baseline_contracts
    assert [(rule.column, rule.rule) for rule in earlier.broken] == [("country", "references data/countries.csv:code"), (None, "age >= 18")]


def test_rules_that_stay_are_not_applied_twice(root: Path) -> None:
    told, evidence = after(root, "# the same\n" + RULES)
    assert told == []
    assert evidence.findings.baseline_contracts == []
    assert [one.schema_path for one in evidence.findings.contracts] == ["mlgate.yaml"]


def test_the_table_that_a_rule_refers_to_is_hashed_with_the_data(root: Path) -> None:
    _, evidence = after(root, RULES)
    assert [one.path for one in evidence.findings.validated] == ["data/train.csv", "data/countries.csv"]


def test_a_broken_rule_is_pointed_at_where_it_stands(root: Path) -> None:
    _, evidence = after(root, RULES, {"data/train.csv": "age,country\n17,SE\n200,NO\n"})
    assert evidence.exit_code == 1
    lines = {path: (root / path).read_text().splitlines() for path in ("mlgate.yaml", "data/train.csv")}
    assert [(one.path, lines[one.path][one.line - 1].strip()[:20], one.message) for one in evidence.annotations] == [
        ("mlgate.yaml", "age: {type: integer,", "data/train.csv: age not in 0..100 in 1 of 2 rows (1)"),
        ("mlgate.yaml", "- data: data/train.c", "data/train.csv: fails age >= 18 in 1 of 2 rows (0)"),
        (
            "data/train.csv",
            "age,country",
            "data/train.csv breaks its contract: age not in 0..100 in 1 of 2 rows (1), and 1 more broken rule",
        ),
    ]


def test_what_only_warns_stands_in_the_summary_and_in_the_report(root: Path) -> None:
    rules = RULES.replace("range: [0, 100]", "range: [0, 35], level: warn")
    _, evidence = after(root, rules)
    said = "age not in 0..35 in 1 of 2 rows (1)"
    assert evidence.status == "passed"
    assert evidence.summary.splitlines()[0] == f"data/train.csv keeps its contract: 2 rows, 2 columns; warning: {said}"
    assert evidence.findings.contracts[0].warnings == [said]
    section = sections.contract({"validate-data": evidence}, has_examples=False)
    assert section is not None
    told = [spans(line) for block in section.blocks if isinstance(block, Items) for line in block.lines]
    assert f"⚠️ `data/train.csv`: {said}" in told
