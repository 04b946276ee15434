"""`mlgate changed`: which models of a repository run, on real repositories with Git and DVC files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.stages.monorepo import changed
from mlgate.stages.revisions import inputs, lineage
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository


def config(name: str, more: str = "") -> str:
    return MINIMAL_CONFIG.replace("digits", name) + more


PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, ../../shared/data.csv]
    params: [lr, ../../shared/sizes.yaml: [n]]
    outs: [eval/predictions.csv]
"""
FILES = {
    "models/a/mlgate.yaml": config("a"),
    "models/a/train.py": "1",
    "models/b/mlgate.yaml": config("b", "inputs: [lib]\n"),
    "models/b/train.py": "1",
    "models/b/dvc.yaml": PIPELINE,
    "models/c/mlgate.yaml": config("c", "inputs: []\n"),
    "models/c/train.py": "1",
    "lib/features.py": "1",
    "lib/deep/er.py": "1",
    "shared/data.csv.dvc": "outs: [{md5: a, path: data.csv}]",
    "shared/sizes.yaml": "n: 1",
    "docs/index.md": "words",
    "requirements.txt": "numpy",
    ".github/workflows/x.yml": "on: push",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = make_repository(tmp_path_factory.mktemp("made") / "r", FILES)
    git(repository, "checkout", "--quiet", "-b", "feature")
    return repository


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """Three models and what they share, on a branch of its own."""
    return Path(shutil.copytree(made, tmp_path / "r", symlinks=True))


def found(root: Path, context: RunContext | None = None, name: str = "mlgate.yaml") -> changed.Models:
    return changed.run(root, name, context or RunContext())


def names(root: Path, context: RunContext | None = None) -> list[str]:
    return [model.name for model in found(root, context).changed]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("models/a/train.py", ["a"]),
        ("models/b/new/file.py", ["b"]),
        ("models/c/mlgate.yaml", ["c"]),
        # Above the models: requirements, lock files.
        ("requirements.txt", ["a", "b", "c"]),
        ("models/conftest.py", ["a", "b", "c"]),
        # Elsewhere: all that do not say what they need, and who names it.
        ("lib/features.py", ["a", "b"]),
        ("lib/deep/er.py", ["a", "b"]),
        ("docs/index.md", ["a"]),
        (".github/workflows/x.yml", ["a"]),
        # b's pipeline depends on these.
        ("shared/data.csv.dvc", ["a", "b"]),
        ("shared/sizes.yaml", ["a", "b"]),
        # Papers and settings never count.
        ("README.md", []),
        ("models/a/README.md", []),
        (".gitignore", []),
        (".github/CODEOWNERS", []),
    ],
)
def test_a_change_runs_the_models_it_can_reach(root: Path, path: str, expected: list[str]) -> None:
    text = FILES.get(path, "") + "\n# changed\n"
    commit_files(root, {path: text}, "change")

    assert names(root) == expected


@pytest.mark.parametrize("path", ["models/a/train.py", "lib/features.py", "shared/sizes.yaml", "docs/index.md", "requirements.txt"])
def test_the_fingerprint_changes_for_exactly_the_models_that_run(root: Path, path: str) -> None:
    """What finds a recorded evaluation and what decides who runs are one definition."""
    before = {name: fingerprint(root, name) for name in "abc"}
    commit_files(root, {path: "changed"}, "change")

    assert [name for name in "abc" if fingerprint(root, name) != before[name]] == names(root)


def fingerprint(root: Path, name: str) -> str:
    return lineage.inputs_sha256(Workspace.open(root / "models" / name, "mlgate.yaml", {}), git(root, "rev-parse", "HEAD"))


class TestPipelines:
    def test_what_another_folders_pipeline_makes_counts_with_all_that_makes_it(self, root: Path) -> None:
        prepare = "stages:\n  prepare:\n    cmd: python p.py\n    deps: [../models/a/train.py, ../raw]\n    outs: [clean.csv]\n"
        wants = PIPELINE.replace("../../shared/data.csv", "../../prepared/clean.csv")
        git(root, "checkout", "--quiet", "main")
        files = {"prepared/dvc.yaml": prepare, "prepared/dvc.lock": "a", "models/b/dvc.yaml": wants, "raw/x.csv.dvc": "outs: []"}
        commit_files(root, files, "prepared")
        git(root, "checkout", "--quiet", "-B", "feature")
        for path in ("prepared/dvc.lock", "raw/x.csv.dvc", "models/a/train.py"):
            commit_files(root, {path: "changed: true"}, path)
            assert "b" in names(root), path
            git(root, "reset", "--quiet", "--hard", "main")

    @pytest.mark.parametrize(
        "pipeline",
        [
            "stages: [",
            "stages:\n  train:\n    cmd: x\n    deps: ['${where}/data.csv']\n",
            "stages:\n  train:\n    cmd: x\n    wdir: ${where}\n    deps: [data.csv]\n",
            "stages:\n  train:\n    cmd: x\n    deps: [../..]\n",
        ],
    )
    def test_one_that_cannot_be_understood_makes_everything_count(self, root: Path, pipeline: str) -> None:
        git(root, "checkout", "--quiet", "main")
        commit_files(root, {"models/c/dvc.yaml": pipeline}, "pipeline")
        git(root, "checkout", "--quiet", "-B", "feature")
        commit_files(root, {"models/a/train.py": "2"}, "another's code")

        assert "c" in names(root)

    def test_names_that_dvc_fills_in_are_taken_from_the_lock(self, root: Path) -> None:
        git(root, "checkout", "--quiet", "main")
        pipeline = "stages:\n  fit:\n    foreach: [x]\n    do:\n      cmd: x\n      deps: ['../../lib/${item}.csv']\n"
        lock = "schema: '2.0'\nstages:\n  fit@x:\n    cmd: x\n    deps: [{path: ../../lib/x.csv, md5: a}]\n"
        commit_files(root, {"models/c/dvc.yaml": pipeline, "models/c/dvc.lock": lock, "lib/x.csv": "1"}, "pipeline")
        git(root, "checkout", "--quiet", "-B", "feature")
        commit_files(root, {"lib/other.csv": "1"}, "other data")
        assert "c" not in names(root)
        commit_files(root, {"lib/x.csv": "2"}, "its data")

        assert "c" in names(root)

    def test_a_sub_repository_of_dvc_is_a_model_like_others(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"a/mlgate.yaml": config("a"), "b/mlgate.yaml": config("b")})
        for arguments in (["init", "--quiet"], ["init", "--quiet", "--subdir"]):
            where = root if "--subdir" not in arguments else root / "b"
            subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=where, check=True, capture_output=True)
        (root / "b" / "data.csv").write_text("x\n1\n")
        subprocess.run([sys.executable, "-m", "dvc", "add", "--quiet", "data.csv"], cwd=root / "b", check=True, capture_output=True)
        commit_files(root, {}, "data")
        git(root, "checkout", "--quiet", "-b", "feature")
        commit_files(root, {"b/data.csv.dvc": (root / "b/data.csv.dvc").read_text().replace("size: 4", "size: 5")}, "other data")

        assert names(root) == ["b"]


class TestWhatAlsoCounts:
    def test_what_a_link_or_a_command_leads_to(self, root: Path) -> None:
        git(root, "checkout", "--quiet", "main")
        (root / "models/c/common.py").symlink_to("../a/train.py")
        command = config("c", "inputs: []\n").replace("python train.py", "python ../b/train.py")
        commit_files(root, {"models/c/mlgate.yaml": command}, "leads out")
        git(root, "checkout", "--quiet", "-B", "feature")
        for path in ("models/a/train.py", "models/b/train.py"):
            commit_files(root, {path: "2"}, path)
            assert "c" in names(root), path
            git(root, "reset", "--quiet", "--hard", "main")

    def test_a_deleted_file_and_both_ends_of_a_move(self, root: Path) -> None:
        (root / "models/b/util.py").write_text("content\n" * 30)
        commit_files(root, {}, "one more")
        git(root, "branch", "--force", "main")
        git(root, "mv", "models/b/util.py", "models/c/util.py")
        commit_files(root, {}, "moved")

        assert names(root) == ["b", "c"]

    def test_a_submodule_that_moved_even_one_that_asks_not_to_be_looked_at(self, root: Path, tmp_path: Path) -> None:
        make_repository(tmp_path / "sub", {"x.py": "1"})
        git(root, "checkout", "--quiet", "main")
        git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{tmp_path}/sub", "models/c/vendored")
        git(root, "config", "-f", ".gitmodules", "submodule.models/c/vendored.ignore", "all")
        commit_files(root, {}, "vendored")
        git(root, "checkout", "--quiet", "-B", "feature")
        commit_files(root / "models/c/vendored", {"x.py": "2"}, "newer")
        git(root, "add", "--force", "models/c/vendored")
        git(root, "commit", "--quiet", "-m", "newer")

        assert names(root) == ["c"]

    def test_the_folder_of_a_model_inside_another_is_not_the_others(self, tmp_path: Path) -> None:
        root = make_repository(
            tmp_path / "r", {"mlgate.yaml": config("whole"), "part/mlgate.yaml": config("part"), "part/x.py": "1", "y.py": "1"}
        )
        git(root, "checkout", "--quiet", "-b", "feature")
        commit_files(root, {"part/x.py": "2"}, "part")
        assert names(root) == ["part"]
        commit_files(root, {"y.py": "2"}, "whole")

        assert names(root) == ["whole", "part"]

    def test_two_configurations_of_one_folder_share_its_code(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"mlgate.yaml": config("slow"), "mlgate-fast.yaml": config("fast"), "train.py": "1"})
        git(root, "checkout", "--quiet", "-b", "feature")
        commit_files(root, {"train.py": "2"}, "code")

        assert [model.row["config"] for model in found(root, name="mlgate*.yaml").changed] == ["mlgate-fast.yaml", "mlgate.yaml"]

    def test_what_a_change_takes_out_of_sight_counts_as_it_was_before(self, root: Path) -> None:
        """A pull request makes lib/ another model's folder, and narrows `inputs`, and changes the code there."""
        commit_files(root, {"lib/mlgate.yaml": config("lib"), "lib/features.py": "2"}, "hidden")

        assert {"a", "b"} <= set(names(root))


class TestWhatItIsComparedWith:
    def test_a_pull_request_with_the_base_it_was_merged_onto(self, root: Path) -> None:
        head = commit_files(root, {"models/b/train.py": "2"}, "b")
        git(root, "checkout", "--quiet", "main")
        base = commit_files(root, {"models/a/train.py": "2"}, "a, on main")
        git(root, "checkout", "--quiet", "--detach", base)
        git(root, "merge", "--quiet", "--no-ff", "-m", "merge", head)

        assert names(root, github(event="pull_request", pull_request=1, head_sha=head, base_sha=base, base_ref="main")) == ["b"]

    def test_a_push_of_several_commits_with_where_the_branch_was(self, root: Path) -> None:
        before = git(root, "rev-parse", "main")
        commit_files(root, {"models/b/train.py": "2"}, "b")
        commit_files(root, {"models/a/train.py": "2"}, "a")

        assert names(root, push(before)) == ["a", "b"]

    @pytest.mark.parametrize("before", [None, "a" * 40])
    def test_a_push_of_which_that_is_not_known_runs_all(self, root: Path, before: str | None) -> None:
        assert names(root, push(before)) == ["a", "b", "c"]

    def test_a_force_push_runs_all(self, root: Path) -> None:
        before = commit_files(root, {"docs/x.md": "1"}, "gone")
        git(root, "reset", "--quiet", "--hard", "main")
        assert names(root, push(before)) == ["a", "b", "c"]

    def test_a_run_that_somebody_starts_on_the_default_branch_runs_all(self, root: Path) -> None:
        git(root, "checkout", "--quiet", "main")
        assert names(root, github(event="workflow_dispatch", ref="refs/heads/main")) == ["a", "b", "c"]

    def test_on_a_laptop_uncommitted_and_new_files_count(self, root: Path) -> None:
        (root / "models/a/train.py").write_text("2")
        (root / "models/b/new.py").write_text("2")

        assert names(root) == ["a", "b"]

    def test_the_first_commit_runs_all(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "one", FILES)
        assert names(root) == ["a", "b", "c"]


class TestMistakes:
    def test_a_configuration_that_cannot_be_read_runs_and_hides_no_other(self, root: Path) -> None:
        commit_files(root, {"models/b/mlgate.yaml": "model: b\ntrain: ["}, "broken")
        commit_files(root, {"models/c/train.py": "2"}, "c")

        assert [(model.name, model.working_directory) for model in found(root).changed] == [("b", "models/b"), ("c", "models/c")]

    def test_one_that_is_broken_on_the_default_branch_already_runs_until_it_is_mended(self, root: Path) -> None:
        git(root, "checkout", "--quiet", "main")
        commit_files(root, {"models/b/mlgate.yaml": "train: ["}, "broken")
        git(root, "checkout", "--quiet", "-B", "feature")
        commit_files(root, {"models/c/train.py": "2"}, "c")

        assert [(model.name, model.why) for model in found(root).changed] == [
            ("models/b", "its configuration cannot be read"),
            ("c", "models/c/train.py"),
        ]

    @pytest.mark.parametrize("name", ["a", "A"])
    def test_two_models_of_one_name_are_refused_with_both_paths(self, root: Path, name: str) -> None:
        commit_files(root, {"models/b/mlgate.yaml": config(name)}, "alike")

        with pytest.raises(InputError, match=r"^models/a/mlgate.yaml and models/b/mlgate.yaml: both name their model"):
            found(root)

    def test_an_entry_of_inputs_that_matches_nothing_runs_the_model_and_its_setup_says_so(self, root: Path) -> None:
        git(root, "checkout", "--quiet", "main")
        commit_files(root, {"models/c/mlgate.yaml": config("c", "inputs: [lub]\n")}, "typo")
        git(root, "checkout", "--quiet", "-B", "feature")
        commit_files(root, {"models/a/train.py": "2"}, "a")

        assert found(root).changed[1].why == "inputs[0]: nothing in the repository matches 'lub'; did you mean 'lib'?"
        refused = mlgate(root / "models/c", "setup")
        assert (refused.returncode, refused.stderr) == (
            2,
            "✗ mlgate.yaml: inputs[0]: nothing in the repository matches 'lub'; did you mean 'lib'?\n",
        )

    def test_a_removed_model_is_said(self, root: Path) -> None:
        git(root, "rm", "--quiet", "models/b/mlgate.yaml")
        commit_files(root, {}, "gone")

        assert "! models/b/mlgate.yaml was removed: its model is not checked any more" in list(changed.lines(found(root)))

    def test_no_model_at_all_is_a_mistake(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"x": ""})
        assert mlgate(root, "changed").returncode == 2

    def test_a_shallow_checkout_that_origin_does_not_complete_says_to_fetch_more(self, root: Path, tmp_path: Path) -> None:
        commit_files(root, {"models/a/train.py": "2"}, "a")
        git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=feature", f"file://{root}", "shallow")
        git(tmp_path / "shallow", "remote", "set-url", "origin", f"file://{tmp_path}/gone")
        with pytest.raises(InputError, match="fetch-depth: 0"):
            found(tmp_path / "shallow", github(event="pull_request", pull_request=1, head_sha="b" * 40, base_sha="c" * 40, base_ref="main"))


class TestTheCommand:
    def test_gives_a_matrix_and_step_outputs(self, root: Path, tmp_path: Path) -> None:
        commit_files(root, {"models/a/train.py": "2"}, "a")
        output = tmp_path / "output"
        finished = mlgate(root, "changed", "--json", GITHUB_OUTPUT=str(output))

        row = {"model": "a", "working-directory": "models/a", "config": "mlgate.yaml", "why": "models/a/train.py"}
        assert json.loads(finished.stdout) == {"include": [row]}
        given = dict(line.split("=", 1) for line in output.read_text().splitlines())
        assert json.loads(given["matrix"]) == {"include": [row]}
        assert (given["changed"], given["any"]) == ("a", "true")
        assert [(model["model"], model["changed"]) for model in json.loads(given["models"])] == [("a", True), ("b", False), ("c", False)]

    def test_an_empty_matrix_is_told_by_any(self, root: Path, tmp_path: Path) -> None:
        output = tmp_path / "output"
        commit_files(root, {"README.md": "words"}, "words")
        finished = mlgate(root, "changed", GITHUB_OUTPUT=str(output))

        assert "any=false" in output.read_text()
        assert finished.stdout.splitlines()[-1] == "0 of 3 models to run"

    @pytest.mark.parametrize("name", ["two  blanks", "größe/модель", "quote'\"s", "$(touch x)", "a\tb"])
    def test_folders_of_any_name_reach_the_matrix_unchanged(self, tmp_path: Path, name: str) -> None:
        root = make_repository(tmp_path / "r", {f"{name}/mlgate.yaml": config("odd")})
        output = tmp_path / "output"
        mlgate(root, "changed", GITHUB_OUTPUT=str(output))

        given = dict(line.split("=", 1) for line in output.read_text().splitlines())
        assert json.loads(given["matrix"])["include"][0]["working-directory"] == name


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("lib", "lib/a.py", True),
        ("lib", "lib", True),
        ("lib", "library/a.py", False),
        ("lib/*.py", "lib/a.py", True),
        ("lib/*.py", "lib/deep/a.py", False),
        ("lib/**/*.py", "lib/deep/er/a.py", True),
        ("lib/**/*.py", "lib/a.py", True),
        ("**/features.py", "features.py", True),
        ("**/features.py", "x/y/features.py", True),
        ("l?b", "lib/a.py", True),
        ("lib[0-9]", "lib3/a.py", True),
        ("lib[!0-9]", "lib3/a.py", False),
        ("a.c", "abc", False),
    ],
)
def test_patterns_of_inputs(pattern: str, path: str, expected: bool) -> None:
    assert inputs.matches(path, pattern) is expected


def github(**given: Any) -> RunContext:
    return RunContext(**{"repository": "o/r", "run_id": 1, "default_branch": "main", **given})


def push(before: str | None) -> RunContext:
    return github(event="push", ref="refs/heads/main", before=before)


def mlgate(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    command = [sys.executable, "-m", "mlgate.cli", *arguments]
    return subprocess.run(command, cwd=root, env={**inherited, **environ}, capture_output=True, text=True, check=False)
