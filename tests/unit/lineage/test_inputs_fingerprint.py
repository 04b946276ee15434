"""The fingerprint of code, data and parameters: equal only where the evaluation must be equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate.errors import InputError
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "r",
        {
            "mlgate.yaml": MINIMAL_CONFIG,
            "train.py": "1",
            "data.dvc": "outs: [{md5: a, path: data}]",
            "dvc.lock": "x",
            "README.md": "one",
            "notes/README.md": "data, perhaps",
            ".github/workflows/pr.yml": "python-version: 3.11",
        },
    )


def fingerprint(root: Path, commit: str | None = None) -> str:
    return lineage.inputs_sha256(Workspace.open(root, "mlgate.yaml", {}), commit or git(root, "rev-parse", "HEAD"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("train.py", "2"),
        ("data.dvc", "outs: [{md5: b, path: data}]"),
        ("dvc.lock", "y"),
        ("new.py", ""),
        ("requirements.txt", "numpy"),
        ("notes/README.md", "other data"),
        ("notes/license.txt", "a corpus of licences"),
        (".github/workflows/pr.yml", "python-version: 3.12"),
        (".gitattributes", "*.csv text eol=crlf"),
        ("mlgate.yaml", MINIMAL_CONFIG.replace("python train.py", "python train.py --fast")),
        ("mlgate.yaml", MINIMAL_CONFIG.replace("[accuracy]", "[accuracy, mcc]")),
        ("mlgate.yaml", MINIMAL_CONFIG + "data: {prepare: make data}\n"),
        ("mlgate.yaml", "broken: ["),
    ],
)
def test_whatever_can_reach_the_model_changes_it(root: Path, path: str, text: str) -> None:
    before = git(root, "rev-parse", "HEAD")
    workspace = Workspace.open(root, "mlgate.yaml", {})
    after = commit_files(root, {path: text}, "change")

    assert lineage.inputs_sha256(workspace, before) != lineage.inputs_sha256(workspace, after)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "two"),
        ("LICENSE", "Apache"),
        ("CHANGELOG.rst", "new"),
        (".gitignore", "*.pyc"),
        ("src/.gitignore", "*.pyc"),
        (".github/CODEOWNERS", "* @ada"),
        (".vscode/settings.json", "{}"),
        ("mlgate.yaml", MINIMAL_CONFIG + "gate: {rules: [{metric: accuracy, min: 0.5}]}\nreport: {title: Digits}\nstore: git\n"),
        ("mlgate.yaml", "# a remark\n" + MINIMAL_CONFIG),
    ],
)
def test_what_cannot_reach_the_model_leaves_it(root: Path, path: str, text: str) -> None:
    before = fingerprint(root)
    commit_files(root, {path: text}, "change")

    assert fingerprint(root) == before


def test_it_is_of_the_content_not_of_the_commit_or_the_clone(root: Path, tmp_path: Path) -> None:
    before = fingerprint(root)
    commit_files(root, {"train.py": "2"}, "change")
    commit_files(root, {"train.py": "1"}, "change back")
    git(tmp_path, "clone", "--quiet", str(root), "clone")

    assert fingerprint(root) == before
    assert fingerprint(tmp_path / "clone") == before


def test_it_reads_the_commit_not_the_working_tree(root: Path) -> None:
    before = fingerprint(root)
    (root / "train.py").write_text("2")

    assert fingerprint(root) == before


def test_a_rename_an_executable_bit_and_a_link_count(root: Path) -> None:
    seen = [fingerprint(root)]
    git(root, "mv", "train.py", "fit.py")
    commit_files(root, {}, "renamed")
    seen.append(fingerprint(root))
    (root / "fit.py").chmod(0o755)
    commit_files(root, {}, "executable")
    seen.append(fingerprint(root))
    (root / "link").symlink_to("fit.py")
    commit_files(root, {}, "linked")
    seen.append(fingerprint(root))

    assert len(set(seen)) == 4


def test_names_that_run_into_one_another_are_told_apart(root: Path) -> None:
    one = commit_files(root, {"ab/c": "1"}, "one")
    git(root, "rm", "--quiet", "-r", "ab")
    two = commit_files(root, {"a/bc": "1"}, "two")

    assert fingerprint(root, one) != fingerprint(root, two)


def test_shared_code_beside_the_working_directory_counts(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "mono", {"models/digits/mlgate.yaml": MINIMAL_CONFIG, "lib/features.py": "1", "models/digits/README.md": "x"}
    )
    working_directory = root / "models" / "digits"
    before = fingerprint(working_directory)
    commit_files(root, {"models/digits/README.md": "y"}, "paper")
    assert fingerprint(working_directory) == before

    commit_files(root, {"lib/features.py": "2"}, "shared")

    assert fingerprint(working_directory) != before


def test_two_models_of_one_repository_have_different_ones(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "mono", {"a/mlgate.yaml": MINIMAL_CONFIG, "b/mlgate.yaml": MINIMAL_CONFIG})

    assert fingerprint(root / "a") != fingerprint(root / "b")


def test_a_commit_this_clone_lacks_says_to_fetch_more(root: Path) -> None:
    with pytest.raises(InputError, match=r"lacks aaaaaaaaaaaa .*fetch-depth: 0"):
        fingerprint(root, "a" * 40)
