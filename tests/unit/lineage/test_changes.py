"""What the report says changed between baseline and candidate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.context import RunContext
from mlgate.evidence import Change
from mlgate.stages.revisions import changes as differences
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

CONFIG = """\
model: digits
data:
  contracts: [{data: data/train.parquet, schema: contracts/train.yaml}]
train: {command: python train.py, params: [params.yaml]}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy, metrics/money.py:cost]
gate:
  rules:
    - {metric: accuracy, min: 0.9}
    - {metric: accuracy, margin: 0.01}
"""

LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: x
    deps:
    - {path: train.py, md5: p1}
    - {path: data/raw, md5: aaa}
    outs:
    - {path: data/train.parquet, md5: t1}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "r",
        {
            "mlgate.yaml": CONFIG,
            "params.yaml": "train: {lr: 0.1, depth: 3}\n",
            "train.py": "one\ntwo\n",
            "contracts/train.yaml": "columns: {}\n",
            "metrics/money.py": "def cost(): ...\n",
            "data/raw.dvc": "outs:\n- md5: aaa\n  path: raw\n",
            "dvc.lock": LOCK,
        },
    )


def after(root: Path, files: dict[str, str]) -> list[Change]:
    baseline = git(root, "rev-parse", "HEAD")
    commit_files(root, files, "change")
    return changes(root, baseline)


def changes(root: Path, baseline: str | None, context: RunContext | None = None) -> list[Change]:
    return differences.changes(replace(Workspace.open(root, "mlgate.yaml", {}), context=context or RunContext()), baseline)


def test_nothing_changed_is_an_empty_list(root: Path) -> None:
    assert after(root, {}) == []


def test_without_a_baseline_there_are_no_changes(root: Path) -> None:
    assert changes(root, None) == []


def test_a_parameter_is_told_with_its_old_and_new_value_and_not_as_code(root: Path) -> None:
    found = after(root, {"params.yaml": "train: {lr: 0.2, leaves: 7}\n"})

    assert found == [
        Change(kind="parameter", name="train.lr", old="0.1", new="0.2"),
        Change(kind="parameter", name="train.depth", old="3", new=None),
        Change(kind="parameter", name="train.leaves", old=None, new="7"),
    ]


def test_parameters_of_several_files_carry_the_name_of_theirs(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": CONFIG.replace("[params.yaml]", "[params.yaml, more.json]"), "more.json": '{"lr": 1}'}, "two files")

    assert after(root, {"more.json": '{"lr": 2}'}) == [Change(kind="parameter", name="more.json: lr", old="1", new="2")]


def test_code_is_told_with_its_lines(root: Path) -> None:
    found = after(root, {"train.py": "one\nthree\nfour\n", "new.py": "x\n"})

    assert found == [
        Change(kind="code", name="new.py", old=None, new="new, +1 −0"),
        Change(kind="code", name="train.py", old=None, new="+2 −1"),
    ]


def test_renames_deletions_and_binary_files_are_named_as_such(root: Path) -> None:
    commit_files(root, {"old.py": "a\nb\nc\nd\ne\n", "gone.py": "x\n"}, "more")
    baseline = git(root, "rev-parse", "HEAD")
    git(root, "mv", "old.py", "neu ☃.py")
    git(root, "rm", "--quiet", "gone.py")
    (root / "b.bin").write_bytes(b"\0\1")
    commit_files(root, {}, "moved")

    assert {change.name: change.new for change in changes(root, baseline)} == {
        "b.bin": "new, binary",
        "gone.py": "deleted, +0 −1",
        "neu ☃.py": "renamed from old.py, +0 −0",
    }


def test_more_than_fifty_files_end_in_a_count(root: Path) -> None:
    found = after(root, {f"src/{n:03}.py": "x\n" for n in range(60)})

    assert len(found) == 51
    assert found[-1] == Change(kind="code", name="more files", old=None, new="10 files, +10 −0")


def test_data_is_told_by_its_hash_from_dvcs_own_files(root: Path) -> None:
    found = after(
        root,
        {
            "data/raw.dvc": "outs:\n- md5: bbb\n  path: raw\n",
            "data/more.dvc": "outs:\n- md5: mmm.dir\n  path: more\n",
            "dvc.lock": LOCK.replace("p1", "p2").replace("aaa", "bbb").replace("t1", "t2"),
        },
    )

    assert found == [
        Change(kind="data", name="data/raw", old="md5:aaa", new="md5:bbb"),
        Change(kind="data", name="data/train.parquet", old="md5:t1", new="md5:t2"),
        Change(kind="data", name="data/more", old=None, new="md5:mmm.dir"),
    ], "code that a stage depends on is no data"


@pytest.mark.parametrize("text", ["outs: [", "outs: 7\n", "- 1\n", "outs: [{path: 3, md5: x}, 4]\n", ""])
def test_an_unreadable_dvc_file_stops_nothing(root: Path, text: str) -> None:
    found = after(root, {"data/raw.dvc": text, "dvc.lock": text})

    assert all(change.kind == "data" for change in found)
    assert Change(kind="data", name="data/raw", old="md5:aaa", new=None) in found


def test_data_that_git_tracks_is_told_as_data(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": CONFIG.replace("data/train.parquet", "data/train.csv"), "data/train.csv": "a\n1\n"}, "in git")

    assert after(root, {"data/train.csv": "a\n2\n"}) == [Change(kind="data", name="data/train.csv", old=None, new="+1 −1")]


def test_rules_are_told_one_by_one(root: Path) -> None:
    found = after(
        root,
        {
            "mlgate.yaml": CONFIG.replace("margin: 0.01", "margin: 0.05")
            .replace("min: 0.9", "min: 0.8")
            .replace("[accuracy, ", "[accuracy, mcc, ")
            .replace("train.py,", "train.py --fast,")
            + "  confidence: 0.9\n"
        },
    )

    assert found == [
        Change(kind="rule", name="train.command", old="python train.py", new="python train.py --fast"),
        Change(kind="rule", name="evaluation.metrics", old="accuracy, metrics/money.py:cost", new="accuracy, mcc, metrics/money.py:cost"),
        Change(kind="rule", name="gate.confidence", old="0.95", new="0.9", is_weakening=True),
        Change(kind="rule", name="gate.rules accuracy min", old="0.9", new="0.8", is_weakening=True),
        Change(kind="rule", name="gate.rules accuracy margin", old="0.01", new="0.05", is_weakening=True),
    ]


def test_a_rule_that_was_removed_and_a_contract_that_was_dropped_show(root: Path) -> None:
    found = after(
        root,
        {
            "mlgate.yaml": CONFIG.replace("    - {metric: accuracy, min: 0.9}\n", "").replace(
                "contracts: [{data: data/train.parquet, schema: contracts/train.yaml}]", "contracts: []"
            )
        },
    )

    assert found == [
        Change(kind="rule", name="data.contracts data/train.parquet", old="contracts/train.yaml", new=None, is_weakening=True),
        Change(kind="rule", name="gate.rules accuracy min", old="0.9", new=None, is_weakening=True),
    ]


def test_a_changed_schema_or_metric_of_ones_own_is_a_rule_that_changed(root: Path) -> None:
    found = after(root, {"contracts/train.yaml": "columns: {age: {}}\n", "metrics/money.py": "def cost(): return 0\n"})

    assert found == [
        Change(kind="rule", name="contracts/train.yaml columns.age", old=None, new="asked for"),
        Change(kind="rule", name="metrics/money.py", old=None, new="+1 −1"),
    ]


def test_what_a_contract_asks_less_is_told_rule_by_rule_as_a_weakening(root: Path) -> None:
    column = "columns:\n  age: {{dtype: int64, nullable: {nullable}, checks: {{in_range: {{min_value: 0, max_value: {most}}}}}}}\n"
    commit_files(root, {"contracts/train.yaml": column.format(nullable="false", most=120)}, "a contract")
    assert after(root, {"contracts/train.yaml": column.format(nullable="true", most=100)}) == [
        Change(kind="rule", name="contracts/train.yaml columns.age.nullable", old="false", new="true", is_weakening=True),
        Change(kind="rule", name="contracts/train.yaml columns.age.max_value", old="120", new="100"),
    ]


def test_a_schema_in_other_words_is_no_weakening(root: Path) -> None:
    assert after(root, {"contracts/train.yaml": "# all the same\ncolumns: {}\n"}) == [
        Change(kind="rule", name="contracts/train.yaml", old=None, new="+1 −0")
    ]


def test_a_schema_that_cannot_be_read_any_more_is_a_weakening(root: Path) -> None:
    assert [change.is_weakening for change in after(root, {"contracts/train.yaml": "columns: 7\n"})] == [True]


PYTHON_CONFIG = CONFIG.replace("contracts/train.yaml", "contracts/train.py:Train")


@pytest.mark.parametrize("changed", ["contracts/train.py", "contracts/limits.py"])
def test_of_a_schema_in_python_any_change_also_of_what_it_imports_is_a_weakening(root: Path, changed: str) -> None:
    files = {"contracts/train.py": "from contracts.limits import MOST\n", "contracts/limits.py": "MOST = 1\n"}
    commit_files(root, {"mlgate.yaml": PYTHON_CONFIG, **files}, "in Python")
    assert after(root, {changed: files[changed] + "# one more line\n"}) == [
        Change(kind="rule", name=changed, old=None, new="+1 −0", is_weakening=True)
    ]


def test_a_schema_in_python_that_stays_is_not_touched_by_other_code(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": PYTHON_CONFIG, "contracts/train.py": "import pandera\n"}, "in Python")
    assert [change.kind for change in after(root, {"train.py": "three\n", "contracts/other.py": "x\n"})] == ["code", "code"]


def test_another_language_for_a_schema_is_a_weakening_until_somebody_has_looked(root: Path) -> None:
    found = after(root, {"mlgate.yaml": PYTHON_CONFIG, "contracts/train.py": "import pandera\n"})
    assert {change.name for change in found if change.is_weakening} == {"data.contracts data/train.parquet", "contracts/train.py"}


def test_other_code_of_a_metric_that_a_rule_rests_on_is_a_weakening(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": CONFIG + "    - {metric: cost, max: 5}\n"}, "a rule on cost")
    assert after(root, {"metrics/money.py": "def cost(): return 0\n"}) == [
        Change(kind="rule", name="metrics/money.py", old=None, new="+1 −1", is_weakening=True)
    ]


def test_a_baseline_whose_rules_cannot_be_read_is_a_weakening_until_somebody_has_looked(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": "rules: of another version\n"}, "broken")
    [change] = after(root, {"mlgate.yaml": CONFIG})
    assert (change.old, change.is_weakening) == ("not valid for this version of mlgate", True)


def test_a_schema_the_candidate_no_longer_uses_is_still_a_rule(root: Path) -> None:
    baseline = git(root, "rev-parse", "HEAD")
    git(root, "rm", "--quiet", "contracts/train.yaml")
    commit_files(
        root,
        {"mlgate.yaml": CONFIG.replace("contracts/train.yaml", "contracts/lax.yaml"), "contracts/lax.yaml": "columns:\n  a: {}\n  b: {}\n"},
        "lax",
    )

    told = changes(root, baseline)
    found = {change.name: (change.kind, change.new) for change in told}

    assert found == {
        "data.contracts data/train.parquet": ("rule", "contracts/lax.yaml"),
        "contracts/lax.yaml columns.a": ("rule", "asked for"),
        "contracts/lax.yaml columns.b": ("rule", "asked for"),
    }
    assert len(told) == len(found), "nothing is told twice"
    assert not any(change.is_weakening for change in told), "it asks more than the one before"


def test_a_first_configuration_says_that_all_its_rules_are_new(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"train.py": "x"})

    assert after(root, {"mlgate.yaml": MINIMAL_CONFIG}) == [
        Change(kind="rule", name="mlgate.yaml", old=None, new="all rules of it are new")
    ]


def test_a_configuration_without_effect_on_rules_is_no_change(root: Path) -> None:
    assert after(root, {"mlgate.yaml": "# hello\n" + CONFIG + "report: {title: T}\n"}) == []


def test_on_a_laptop_uncommitted_changes_are_told(root: Path) -> None:
    (root / "params.yaml").write_text("train: {lr: 0.5, depth: 3}\n")
    (root / "train.py").unlink()
    head = git(root, "rev-parse", "HEAD")

    assert changes(root, head) == [
        Change(kind="parameter", name="train.lr", old="0.1", new="0.5"),
        Change(kind="code", name="train.py", old=None, new="deleted, +0 −2"),
    ]
    assert changes(root, head, RunContext(repository="o/r", run_id=1)) == [], "on GitHub the commit counts"


def test_changes_outside_the_working_directory_are_counted(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "mono", {"m/mlgate.yaml": MINIMAL_CONFIG, "m/train.py": "1\n", "lib/a.py": "1\n", "m/dvc.lock": "", "dvc.lock": ""}
    )
    baseline = git(root, "rev-parse", "HEAD")
    commit_files(root, {"m/train.py": "2\n", "lib/a.py": "2\n", "dvc.lock": "x\n"}, "both")

    assert changes(root / "m", baseline) == [
        Change(kind="code", name="train.py", old=None, new="+1 −1"),
        Change(kind="code", name="outside the working directory", old=None, new="2 files, +2 −1"),
    ]


def test_settings_of_the_users_git_do_not_change_what_is_told(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "gitconfig"
    lines = ("[diff]", "noprefix = true", "external = false", "renames = false", "relative = true", "[color]", "ui = always", "[core]")
    settings.write_text("\n".join((*lines, "quotePath = true", "")))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    assert after(root, {"train.py": "x\n"}) == [Change(kind="code", name="train.py", old=None, new="+1 −2")]


def test_the_rules_of_the_baseline_decide(root: Path) -> None:
    baseline = git(root, "rev-parse", "HEAD")
    commit_files(root, {"mlgate.yaml": CONFIG.replace("margin: 0.01", "margin: 0.5")}, "weaker")

    config, source = lineage.rules_of(Workspace.open(root, "mlgate.yaml", {}), baseline)

    assert source == "baseline"
    assert config.gate.rules[1].margin == 0.01


@pytest.mark.parametrize("text", [None, "model: [", "model: digits\nunknown: 1\n"])
def test_without_valid_rules_at_the_baseline_the_candidates_decide(tmp_path: Path, text: str | None) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": text} if text else {"x": ""})
    baseline = git(root, "rev-parse", "HEAD")
    commit_files(root, {"mlgate.yaml": CONFIG}, "valid")
    workspace = Workspace.open(root, "mlgate.yaml", {})

    assert lineage.rules_of(workspace, baseline) == (workspace.config, "candidate")
    assert lineage.rules_of(workspace, None) == (workspace.config, "candidate")
