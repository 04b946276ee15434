"""pull-data and validate-data as a user meets them: the line, the exit code, the evidence."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from mlgate import stages
from mlgate.console import Console, plain
from mlgate.evidence import Evidence
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

from .conftest import FILES, Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
SCHEMA = "columns:\n  x: {dtype: int64, in_range: {min_value: 0, max_value: 1}}\n  y: {dtype: int64}\n"


def run(root: Path, stage: str, environ: dict[str, str] | None = None) -> Evidence[Any]:
    return stages.run(stage, Workspace.open(root, "mlgate.yaml", environ or {}, Console(io.StringIO())))


def contract(
    project: Project, text: str = "data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n", schema: str = SCHEMA
) -> None:
    (project.root / "contracts").mkdir(exist_ok=True)
    (project.root / "contracts" / "train.yaml").write_text(schema)
    project.configure(text)


def test_pull_data_brings_what_the_configuration_names(project: Project) -> None:
    project.configure("data: {pull: [data/train.csv]}\n")
    evidence = run(project.root, "pull-data")
    assert (evidence.status, evidence.exit_code) == ("passed", 0)
    assert plain(evidence.summary) == "data/train.csv: 1 file, 2.0 kB, each one's hash verified; 1 from remote 'storage'"
    assert [data.path for data in evidence.subject.data] == ["data/train.csv"]
    assert not (project.root / "data" / "images").exists()


def test_pull_data_left_to_itself_brings_what_contracts_and_training_need(project: Project) -> None:
    contract(project)
    assert sorted(data.path for data in run(project.root, "pull-data").subject.data) == ["data/images", "data/train.csv"]


def test_pull_data_in_actions_keeps_the_cache_outside_and_every_dvc_started_from_here_finds_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path / "tools"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", "")  # restored after the test, whatever the stage sets
    run(project.root, "pull-data")
    cache = tmp_path / "tools" / "mlgate" / "dvc-cache"
    assert (cache / "files" / "md5").is_dir()
    assert not project.cache.exists()
    assert git(project.root, "status", "--porcelain") == ""
    project.clear()
    shutil.rmtree(project.remote)
    assert run(project.root, "pull-data").findings.targets[0].files_from_cache > 0
    project.clear()
    with Repo(str(project.root)) as repo:  # as a `dvc` of the user's would, by the environment it inherits
        assert repo.cache.local_cache_dir == str(cache)


def test_a_cache_the_user_configured_stays_where_it_is(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_DVC_CACHE", str(tmp_path / "shared"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", "")
    with (project.root / ".dvc" / "config").open("a") as stream:
        stream.write(f"[cache]\n    dir = {tmp_path / 'mine'}\n")
    run(project.root, "pull-data")
    assert (tmp_path / "mine" / "files").is_dir()
    assert not (tmp_path / "shared" / "files").exists()


@pytest.mark.parametrize(
    ("data", "exit_code", "said"),
    [
        ("data: {pull: [data/trian.csv]}\n", 2, "did you mean 'data/train.csv'?"),
        ("data: {remote: stroage}\n", 2, "data.remote: no DVC remote 'stroage'; did you mean 'storage'?"),
        ("data: {contracts: [{data: data/absent.csv, schema: s.yaml}]}\n", 2, "no data 'data/absent.csv'"),
    ],
)
def test_pull_data_ends_with_one_line_on_wrong_names(project: Project, data: str, exit_code: int, said: str) -> None:
    project.configure(data)
    evidence = run(project.root, "pull-data")
    assert (evidence.status, evidence.exit_code) == ("error", exit_code)
    assert said in evidence.summary
    assert "\n" not in evidence.summary


def test_pull_data_ends_with_exit_3_on_a_missing_object(project: Project) -> None:
    shutil.rmtree(project.remote / "files")
    evidence = run(project.root, "pull-data")
    assert evidence.exit_code == 3
    assert "missing on remote 'storage'" in evidence.summary


def test_pull_data_without_dvc_passes(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"mlgate.yaml": MINIMAL_CONFIG + "data: {pull: [d.csv]}\n", "d.csv": "a\n1\n"})
    evidence = run(root, "pull-data")
    assert (evidence.exit_code, evidence.summary) == (0, "d.csv: 1 file, 4\xa0bytes, each one's hash verified; 1 here already")


def test_data_that_keeps_its_contract_passes_and_is_recorded(project: Project) -> None:
    contract(project)
    run(project.root, "pull-data")
    evidence = run(project.root, "validate-data")
    assert (evidence.status, evidence.summary) == ("passed", "data/train.csv keeps its contract: 500 rows, 2 columns")
    (train,) = evidence.findings.validated
    assert (train.path, train.tracked_by) == ("data/train.csv", "dvc")
    assert evidence.subject.data == evidence.findings.validated


def test_other_data_that_the_configuration_names_is_recorded_too(project: Project) -> None:
    contract(project, "data: {pull: [data], contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n")
    run(project.root, "pull-data")
    assert [data.path for data in run(project.root, "validate-data").findings.validated] == ["data/train.csv", "data"]


def test_a_broken_contract_fails_with_rows_counts_and_annotations_but_no_values(project: Project) -> None:
    contract(project)
    lines = ["1,0"] * 500
    for row in (17, 90, 400):
        lines[row] = f"{7000 + row},0"
    (project.root / "data" / "train.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    evidence = run(project.root, "validate-data")
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.summary == "data/train.csv breaks its contract: x not in 0..1 in 3 of 500 rows (17, 90, 400). Nothing was trained."
    assert "7017" not in evidence.model_dump_json()
    at = [(annotation.path, annotation.line, annotation.level) for annotation in evidence.annotations]
    assert at == [("contracts/train.yaml", 2, "error"), ("data/train.csv", 1, "error")]


def test_values_are_shown_where_the_report_may_show_examples(project: Project) -> None:
    contract(project, "data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\nreport: {examples: true}\n")
    (project.root / "data" / "train.csv").write_text("x,y\n7017,0\n")
    assert run(project.root, "validate-data").findings.contracts[0].broken[0].values == ["7017"]


def test_every_contract_is_checked_although_the_first_is_broken(project: Project) -> None:
    one = "{data: data/train.csv, schema: contracts/train.yaml}"
    contract(project, f"data: {{contracts: [{one}, {{data: notes.csv, schema: contracts/train.yaml}}]}}\n")
    (project.root / "data" / "train.csv").write_text("x,y\n7,0\n")
    evidence = run(project.root, "validate-data")
    assert [found.is_passed for found in evidence.findings.contracts] == [False, False]
    assert evidence.summary.endswith("(0). 1 more contract is broken. Nothing was trained.")


def test_prepare_makes_the_data_that_is_then_checked(project: Project) -> None:
    contract(
        project,
        "data: {prepare: \"echo making; printf 'x,y\\n7,0\\n' > made.csv\", contracts: [{data: made.csv, schema: contracts/train.yaml}]}\n",
    )
    assert run(project.root, "pull-data").status == "passed"
    evidence = run(project.root, "validate-data")
    assert evidence.summary == "made.csv breaks its contract: x not in 0..1 in 1 of 1 rows (0). Nothing was trained."
    assert evidence.findings.prepare.exit_code == 0
    assert (project.root / ".mlgate" / "digits" / evidence.files[0].path).read_text() == "making\n"


def test_a_failing_prepare_is_named_with_its_last_line(project: Project) -> None:
    contract(project, 'data: {prepare: "echo all is lost; exit 7", contracts: [{data: made.csv, schema: contracts/train.yaml}]}\n')
    evidence = run(project.root, "validate-data")
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.summary == "data.prepare: 'echo all is lost; exit 7' failed (exit 7): all is lost. Nothing was trained."


def test_without_contracts_it_passes_and_says_so(project: Project) -> None:
    evidence = run(project.root, "validate-data")
    assert (evidence.status, evidence.summary) == (
        "passed",
        "no contracts in data.contracts, nothing was checked; 0 data recorded as they are",
    )


@pytest.mark.parametrize(
    ("content", "schema", "said"),
    [
        (None, SCHEMA, "data/train.csv: no such file"),
        ("", SCHEMA, "data/train.csv: the file is empty"),
        ("x,y\n1\n", SCHEMA, "data/train.csv: no CSV: row 2 has 1 fields"),
        ("x,y\n1,0\n", "colums: {}\n", "contracts/train.yaml: colums: unknown key; did you mean 'columns'?"),
    ],
)
def test_wrong_data_or_schema_is_one_line_with_exit_2(project: Project, content: str | None, schema: str, said: str) -> None:
    contract(project, schema=schema)
    if content is not None:
        (project.root / "data" / "train.csv").write_text(content)
    evidence = run(project.root, "validate-data")
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert evidence.summary.startswith(said)
    assert "\n" not in evidence.summary


def test_a_pipeline_prepares_from_what_was_pulled(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of a fresh checkout: sources come, the changed stage runs again, its new output is what is checked."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    contract(project, "data: {prepare: dvc repro prepare, contracts: [{data: made.csv, schema: contracts/train.yaml}]}\n")
    pipeline = "stages: {prepare: {cmd: cp data/train.csv made.csv, deps: [data/train.csv], outs: [made.csv]}}\n"
    commit_files(project.root, {"dvc.yaml": pipeline}, "pipeline")
    pulled = run(project.root, "pull-data")
    assert [data.path for data in pulled.subject.data] == ["data/train.csv"]
    evidence = run(project.root, "validate-data")
    assert evidence.summary == "made.csv keeps its contract: 500 rows, 2 columns"
    assert (project.root / "made.csv").read_text() == FILES["data/train.csv"]
    assert evidence.findings.validated[0].tracked_by == "dvc"
