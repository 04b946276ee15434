"""`data.screens` as a user meets it: the line, the exit code, the remark beside mlgate.yaml, the report, and what is kept back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlgate import stages
from mlgate.config import ReportConfig
from mlgate.console import Console
from mlgate.errors import InputError
from mlgate.evidence import Evidence, ScreenFindings
from mlgate.render import markdown, view
from mlgate.stages.job import training_data
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, make_repository

from .conftest import Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
SCREENS = """\
data:
  screens:
    - train: data/train.csv
      holdout: data/holdout.csv
      label: y
"""


def table(start: int, rows: int) -> pl.DataFrame:
    at = pl.int_range(start, start + rows, eager=True)
    return pl.DataFrame({"a": (at * 7919) % 10_007, "b": (at * 104_729) % 7_919, "y": (at * 31) % 2})


TRAIN, HOLDOUT = table(0, 400), table(1_000, 150)


def opened(root: Path) -> Workspace:
    return Workspace.open(root, "mlgate.yaml", {}, Console(io.StringIO()))


def validated(root: Path) -> Evidence[Any]:
    return stages.run("validate-data", opened(root))


def screen(evidence: Evidence[Any], name: str) -> ScreenFindings:
    found: ScreenFindings = next(one for one in evidence.findings.screened[0].screens if one.name == name)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "repository",
        {"mlgate.yaml": MINIMAL_CONFIG + SCREENS, "data/train.csv": TRAIN.write_csv(), "data/holdout.csv": HOLDOUT.write_csv()},
    )


def test_clean_data_passes_with_a_line_for_the_entry_and_training_may_use_it(root: Path) -> None:
    evidence = validated(root)
    assert (evidence.status, evidence.summary) == ("passed", "data/train.csv: screens clean")
    assert [one.path for one in training_data.validated(opened(root))] == ["data/train.csv", "data/holdout.csv"]
    section = next(
        one for one in view.build({"validate-data": evidence}, model="digits", report=ReportConfig()).sections if one.key == "screens"
    )
    assert (section.title, section.is_open) == ("Screens: 1 file clean", False)


def test_rows_that_spark_reads_are_not_screened_and_the_report_says_so(root: Path) -> None:
    commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG + SCREENS.replace("data:\n", "data:\n  engine: spark\n", 1)}, "on Spark")
    evidence = validated(root)
    why = "engine spark; screens look at rows in this machine's memory"
    assert (evidence.status, evidence.summary) == ("passed", f"warning: data/train.csv: not screened: {why}")
    built = view.build({"validate-data": evidence}, model="digits", report=ReportConfig())
    section = next(one for one in built.sections if one.key == "screens")
    assert section.title == "Screens: not run"
    shown = markdown.comment(built).replace("\u00a0", " ")
    assert f"⚠️ `data/train.csv` beside `data/holdout.csv`: not looked at: {why}" in shown
    assert f"`data/train.csv` was not screened: {why}." in shown


def test_training_waits_for_the_screens(root: Path) -> None:
    with pytest.raises(InputError, match="the data was not validated"):
        training_data.validated(opened(root))


def test_leaked_rows_end_the_run_and_are_told_where_the_data_is_declared(root: Path) -> None:
    (root / "data" / "train.csv").write_text(pl.concat([TRAIN, HOLDOUT.head(30)]).write_csv())
    evidence = validated(root)
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.summary.splitlines()[0] == (
        "data/train.csv: leakage: 30 of 150 rows of the holdout (20 %) stand in train, too. Nothing was trained."
    )
    remark = evidence.annotations[0]
    assert (remark.path, remark.level) == ("mlgate.yaml", "error")
    assert (root / "mlgate.yaml").read_text().splitlines()[remark.line - 1].strip() == "- train: data/train.csv"
    with pytest.raises(InputError, match="did not pass"):
        training_data.validated(opened(root))
    built = view.build({"validate-data": evidence}, model="digits", report=ReportConfig())
    assert built.answer.because == ("a screen of the data says no; nothing was trained",)
    assert next(one for one in built.sections if one.key == "screens").is_open


def test_a_warning_lets_pass_and_is_told(root: Path) -> None:
    (root / "data" / "train.csv").write_text(pl.concat([TRAIN, HOLDOUT.head(30)]).write_csv())
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + SCREENS + "      leakage: warn\n")
    evidence = validated(root)
    assert (evidence.status, evidence.annotations[0].level) == ("passed", "warning")
    assert evidence.summary.startswith("warning: data/train.csv: leakage: 30 of 150 rows")
    built = view.build({"validate-data": evidence}, model="digits", report=ReportConfig())
    assert any("leakage" in str(note) and "30 of 150 rows" in str(note) for note in built.notes)


def test_personal_data_stands_nowhere_in_what_a_run_leaves_even_where_examples_are_shown(root: Path) -> None:
    cells = ["ada.lovelace@example.org", "+49 30 901820", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"]
    remarks = TRAIN.with_columns(remark=pl.Series([cells[at % 4] for at in range(400)]))
    (root / "data" / "train.csv").write_text(remarks.write_csv())
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + SCREENS + "report: {examples: true}\n")
    evidence = validated(root)
    assert screen(evidence, "personal_data").verdict == "warned"
    left = [path.read_text(errors="replace") for path in (root / ".mlgate").rglob("*") if path.is_file()]
    assert left
    assert not any(piece in text for text in [*left, evidence.summary] for piece in ("lovelace", "901820", "4111 1111", "3704 0044"))


def test_a_source_that_floods_is_held_against_the_baseline_commit(root: Path) -> None:
    sourced = TRAIN.with_columns(site=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("n")).otherwise(pl.lit("s")))
    config = MINIMAL_CONFIG + SCREENS.replace("      holdout: data/holdout.csv\n", "      source: site\n")
    commit_files(root, {"mlgate.yaml": config, "data/train.csv": sourced.write_csv()}, "sources")
    assert validated(root).summary == "data/train.csv: screens clean"
    flood = pl.concat([sourced, table(5_000, 400).with_columns(site=pl.lit("s"))])
    (root / "data" / "train.csv").write_text(flood.write_csv())
    evidence = validated(root)
    assert "source 's' has 75 % of the rows, and 50 % in the baseline" in screen(evidence, "sources").sentence


def test_data_that_is_not_what_dvc_recorded_is_refused(project: Project) -> None:
    project.configure("data: {screens: [{train: data/train.csv, duplicates: off, redundant_columns: off}]}\n")
    stages.run("pull-data", opened(project.root))
    assert screen(validated(project.root), "hashes").sentence == "data/train.csv is what DVC's hash says"
    with (project.root / "data" / "train.csv").open("a") as stream:
        stream.write("1,1\n")
    evidence = validated(project.root)
    assert (evidence.status, screen(evidence, "hashes").verdict) == ("failed", "failed")
    assert "data/train.csv.dvc says" in evidence.summary


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SCREENS.replace("holdout.csv", "absent.csv"), "data/absent.csv: no such file"),
        (SCREENS.replace("label: y", "label: z"), "mlgate.yaml: data.screens[0].label: no column 'z' in the data; expected one of a, b, y"),
    ],
)
def test_what_is_named_and_not_there_is_one_line(root: Path, config: str, message: str) -> None:
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + config)
    evidence = validated(root)
    assert (evidence.exit_code, evidence.summary) == (2, message)


def test_a_broken_contract_is_told_though_the_screens_cannot_run(root: Path) -> None:
    contract = "  contracts: [{data: data/train.csv, rows: [1000, 2000]}]\n"
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + SCREENS.replace("label: y", "label: z") + contract)
    evidence = validated(root)
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert "no column 'z' in the data" in evidence.summary
