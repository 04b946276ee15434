"""A folder of files against DVC's record of it: files that changed, are gone or came since are named."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mlgate import stages
from mlgate.console import Console
from mlgate.evidence import Evidence
from mlgate.workspace import Workspace

from .conftest import Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves its databases to the garbage collector
]
RULES = "data: {contracts: [{data: data/images, files: {types: [txt], hashes: dvc}}]}\n"


def run(project: Project, stage: str) -> Evidence[Any]:
    return stages.run(stage, Workspace.open(project.root, "mlgate.yaml", {}, Console(io.StringIO())))


def test_files_that_are_what_dvc_recorded_and_files_that_are_not(project: Project) -> None:
    project.configure(RULES)
    assert run(project, "pull-data").exit_code == 0
    evidence = run(project, "validate-data")
    assert (evidence.exit_code, evidence.summary) == (0, "data/images keeps its contract: 3 files")
    folder = project.root / "data/images"
    (folder / "1.txt").unlink()
    (folder / "1.txt").write_text("eins")
    (folder / "2.txt").unlink()
    (folder / "4.txt").write_text("four")
    broken = run(project, "validate-data")
    assert broken.exit_code == 1
    assert [(rule.rule, rule.rows, [name.partition(" ")[0] for name in rule.names]) for rule in broken.findings.contracts[0].broken] == [
        ("md5 as in DVC's record", 1, ["1.txt"]),
        ("listed in DVC's record", 1, ["4.txt"]),
        ("every file of DVC's record there", 1, ["2.txt"]),
    ]


def test_a_folder_that_dvc_does_not_know(project: Project) -> None:
    project.configure(RULES.replace("data/images", "more"))
    (project.root / "more").mkdir()
    (project.root / "more/a.txt").write_text("a")
    evidence = run(project, "validate-data")
    assert evidence.exit_code == 2
    assert "more" in evidence.summary
