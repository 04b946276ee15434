"""Rules about a folder of files, through the stage, against the baseline's, and as the gate is told of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlgate import stages
from mlgate.console import Console
from mlgate.evidence import Change, Evidence
from mlgate.stages.revisions import changes
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

CONFIG = (
    MINIMAL_CONFIG
    + """\
data:
  contracts:
    - data: data/images
      files: {types: [png], width: [8, 8], classes: folder}
"""
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose images keep their contract."""
    for at, name in enumerate(("cats/a.png", "dogs/b.png")):
        path = tmp_path / "data/images" / name
        path.parent.mkdir(parents=True)
        Image.new("L", (8, 8), at).save(path)
    return make_repository(tmp_path, {"mlgate.yaml": CONFIG})


def workspace(root: Path) -> Workspace:
    environ = {"GITHUB_BASE_SHA": git(root, "rev-parse", "main")}
    return Workspace.open(root, "mlgate.yaml", environ, Console(io.StringIO()))


def validated(root: Path) -> Evidence[Any]:
    return stages.run("validate-data", workspace(root))


def test_images_that_keep_their_contract(root: Path) -> None:
    evidence = validated(root)
    assert evidence.exit_code == 0
    assert evidence.summary == "data/images keeps its contract: 2 files, 2 classes"
    assert evidence.findings.contracts[0].folder.classes == {"cats": 1, "dogs": 1}
    assert evidence.findings.validated[0].files == 2


def test_images_that_break_it_stop_the_run_and_are_told_where_the_rules_stand(root: Path) -> None:
    Image.new("L", (9, 8)).save(root / "data/images/cats/c.png")
    (root / "data/images/dogs/d.png").write_text("<html>")
    evidence = validated(root)
    assert evidence.exit_code == 1
    assert evidence.summary == (
        "data/images breaks its contract: 1 of 4 files is not what its name says: dogs/d.png (HTML), and 1 more broken rule. "
        "Nothing was trained."
    )
    assert [(one.path, one.line, one.message) for one in evidence.annotations[:2]] == [
        ("mlgate.yaml", 9, "data/images: 1 of 4 files is not what its name says: dogs/d.png (HTML)"),
        ("mlgate.yaml", 9, "data/images: 1 of 4 files has a width that is not 8 px: cats/c.png (9 px)"),
    ]


def test_rules_made_weaker_are_applied_as_they_were_and_told_to_the_gate(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "wider")
    Image.new("L", (9, 8)).save(root / "data/images/cats/c.png")
    commit_files(root, {"mlgate.yaml": CONFIG.replace("[8, 8]", "[8, 16]")}, "wider")
    evidence = validated(root)
    assert evidence.exit_code == 0
    (earlier,) = evidence.findings.baseline_contracts
    assert (earlier.is_passed, earlier.data) == (False, "data/images")
    assert "by the contract of the baseline, which this change replaces, data/images breaks its contract: 1 of 3 files" in evidence.summary
    told = changes.changes(workspace(root), git(root, "rev-parse", "main"))
    rule = Change(kind="rule", name="data.contracts data/images files.width", old="[8, 8]", new="[8, 16]", is_weakening=True)
    assert rule in told
    assert [change.name for change in told if change.is_weakening] == [rule.name]


def test_a_contract_of_files_that_is_dropped_is_a_weakening(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "none")
    commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG}, "none")
    told = changes.changes(workspace(root), git(root, "rev-parse", "main"))
    assert [(change.name, change.is_weakening) for change in told] == [("data.contracts data/images", True)]
