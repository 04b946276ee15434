"""Where a baseline's evaluation is found: DVC's outputs, Git, the run cache, training again; and why it is not. Real Git, real DVC."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from integration.evaluation.dvc_projects import CONFIG, TRAIN, commit_all, copy_project, dvc, make_project, object_path
from mlgate.context import RunContext
from mlgate.evaluation import predictions
from mlgate.evidence import CarriedBaseline
from mlgate.stages.baseline.search import carry
from mlgate.store import open_store
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC

MINIMAL = """\
model: digits
train: {{command: "{command}"}}
evaluation: {{task: {task}, predictions: p.csv, metrics: [{metric}]}}
gate: {{rebuild_baseline: {rebuild}}}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def root(pipeline: Path, tmp_path: Path) -> Path:
    return copy_project(pipeline, tmp_path / "copy")


def find(root: Path, commit: str) -> tuple[CarriedBaseline | None, str]:
    workspace = Workspace.open(root, "mlgate.yaml", {})
    workspace.prepare_state()
    return carry(workspace, commit, workspace.state)


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def predictions_md5(root: Path, commit: str) -> str:
    lock = yaml.safe_load(git(root, "show", f"{commit}:dvc.lock"))
    return str(next(out["md5"] for out in lock["stages"]["train"]["outs"] if out["path"] == "eval/predictions.csv"))


def change(root: Path, wrong: int) -> str:
    """A commit of other parameters, without the pipeline having run."""
    return commit_files(root, {"params.yaml": json.dumps({"wrong": wrong})}, f"wrong {wrong}")


def test_dvc_outputs_of_an_earlier_commit_are_read_without_checkout(root: Path) -> None:
    base = head(root)
    change(root, 5)
    before = git(root, "status", "--porcelain")
    found, note = find(root, base)
    assert found is not None
    assert note == ""
    assert found.source == "dvc outputs"
    assert {metric.name: metric.value for metric in found.model.metrics} == {"accuracy": pytest.approx(59 / 60), "latency.p95_ms": 101}
    assert [(part.column, part.value, part.n) for part in found.model.slices] == [("writer", "a", 30), ("writer", "b", 30)]
    assert found.model.commit == base
    assert found.model.inputs_sha256 is not None
    kept = predictions.read(root / ".mlgate" / "digits" / found.model.predictions.path, "classification", found.model.classes)
    assert predictions.holdout_sha256(kept) == found.model.holdout_sha256
    assert git(root, "status", "--porcelain") == before


def test_what_the_cache_lacks_comes_from_the_remote(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    found, note = find(root, head(root))
    assert found is not None, note
    assert found.source == "dvc outputs"


@pytest.mark.parametrize("damage", ["altered", "truncated", "emptied"])
def test_a_corrupted_object_of_the_cache_is_never_believed(root: Path, damage: str) -> None:
    cached = object_path(root / ".dvc" / "cache", predictions_md5(root, "HEAD"))
    cached.chmod(0o644)
    content = cached.read_bytes()
    cached.write_bytes({"altered": content.replace(b"0,0,9", b"0,0,0"), "truncated": content[:100], "emptied": b""}[damage])
    found, note = find(root, head(root))
    assert found is not None, note
    assert found.model.metrics[0].value == pytest.approx(59 / 60)
    remote = object_path(root.parent / "remote", predictions_md5(root, "HEAD"))
    remote.chmod(0o644)
    shutil.copyfile(cached, remote)
    found, note = find(root, head(root))
    assert found is None
    assert note.startswith("eval/predictions.csv: corrupted in DVC's cache, corrupted on the remote (")


def test_an_object_that_is_nowhere_is_said_with_its_name(root: Path) -> None:
    md5 = predictions_md5(root, "HEAD")
    object_path(root / ".dvc" / "cache", md5).unlink()
    object_path(root.parent / "remote", md5).unlink()
    assert find(root, head(root)) == (None, f"eval/predictions.csv: not in DVC's cache, missing on the remote ({md5})")


def test_an_unreachable_remote_is_said_not_raised(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    dvc(root, "remote", "modify", "storage", "url", "http://127.0.0.1:9/x")
    found, note = find(root, head(root))
    assert found is None
    assert note.startswith("the listing of prepared: not in DVC's cache, and not to be had from a remote: ")


def test_a_lock_that_lags_behind_its_code_is_not_believed(root: Path) -> None:
    base = change(root, 7)
    found, note = find(root, base)
    assert found is None
    assert note == (
        f"dvc.lock lags behind at {base[:12]}: stage train: parameters differ in params.yaml; "
        "the run cache has no run of it with these inputs"
    )


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"train.py": TRAIN + "# other\n"}, "stage train: train.py differs"),
        (
            {"data.csv.dvc": "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  hash: md5\n  path: data.csv\n"},
            "stage prepare: data.csv differs",
        ),
        ({"dvc.yaml": None}, "stage train: another command"),
    ],
)
def test_every_kind_of_input_counts(root: Path, files: dict[str, str | None], part: str) -> None:
    pipeline = (root / "dvc.yaml").read_text().replace("python3 train.py", "python3 -O train.py")
    base = commit_files(root, {name: text if text is not None else pipeline for name, text in files.items()}, "change")
    found, note = find(root, base)
    assert found is None
    assert part in note


def test_the_run_cache_knows_what_a_commit_without_its_lock_would_make(root: Path) -> None:
    base = change(root, 7)
    lock = (root / "dvc.lock").read_bytes()
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet", "--run-cache")
    (root / "dvc.lock").write_bytes(lock)
    change(root, 9)
    found, note = find(root, base)
    assert found is not None, note
    assert found.source == "run cache"
    assert found.model.metrics[0].value == pytest.approx(53 / 60)
    assert found.model.metrics[1].value == 107
    shutil.rmtree(root / ".dvc" / "cache")
    found, note = find(root, base)
    assert found is not None, note
    assert found.source == "run cache"


def test_an_altered_entry_of_the_run_cache_is_not_believed(root: Path) -> None:
    base = change(root, 7)
    lock = (root / "dvc.lock").read_bytes()
    dvc(root, "repro", "--quiet")
    (root / "dvc.lock").write_bytes(lock)
    for entry in (root / ".dvc" / "cache" / "runs").rglob("*"):
        if entry.is_file() and "wrong: 7" in entry.read_text():
            entry.chmod(0o644)
            entry.write_text(entry.read_text().replace("wrong: 7", "wrong: 8"))
    found, note = find(root, base)
    assert found is None
    assert "the run cache has no run of it" in note


def test_a_folder_of_code_that_git_shows_unchanged_leaves_the_lock_believed(root: Path) -> None:
    """DVC hashes __pycache__ too, which Git never sees."""
    (root / "src").mkdir()
    (root / "src" / "model.py").write_text("A = 1\n")
    (root / "src" / "__pycache__").mkdir()
    (root / "src" / "__pycache__" / "model.pyc").write_text("x")
    (root / ".gitignore").write_text("__pycache__\n")
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("train.py]", "train.py, src]"))
    dvc(root, "repro", "--quiet")
    commit_all(root, "with src")
    base = commit_files(root, {"README.md": "later"}, "later")
    found, note = find(root, base)
    assert found is not None, note
    assert found.source == "dvc outputs"
    base = commit_files(root, {"src/model.py": "A = 2\n"}, "changed")
    assert "stage train: src differs" in find(root, base)[1]


def test_a_broken_pipeline_of_an_earlier_commit_is_a_remark(root: Path) -> None:
    base = commit_files(root, {"dvc.yaml": "stages: [\n"}, "broken")
    git(root, "revert", "--no-edit", base)
    found, note = find(root, base)
    assert found is None
    assert "DVC: " in note
    assert "dvc.yaml" in note


def test_a_model_in_a_subfolder_is_found_there(tmp_path: Path) -> None:
    root = make_project(tmp_path / "mono")
    (root / "models" / "digits").mkdir(parents=True)
    for name in git(root, "ls-files").split():
        git(root, "mv", "-k", name, f"models/digits/{name}") if not name.startswith(".dvc") else None
    inner = root / "models" / "digits"
    shutil.rmtree(root / "eval", ignore_errors=True)
    (root / "data.csv").unlink(missing_ok=True)
    dvc(inner, "checkout", "--quiet", "--force")
    base = commit_all(root, "moved")
    found, note = find(inner, base)
    assert found is not None, note
    assert found.source == "dvc outputs"


def test_a_dvc_repository_in_a_subfolder_of_git_is_found(tmp_path: Path) -> None:
    top = make_repository(tmp_path / "mono", {"README.md": ""})
    root = top / "model"
    root.mkdir()
    dvc(root, "init", "--quiet", "--subdir")
    (root / "dvc.yaml").write_text("stages:\n  make:\n    cmd: cp in.csv p.csv\n    deps: [in.csv]\n    outs: [p.csv]\n")
    (root / "in.csv").write_text(GOOD)
    (root / "mlgate.yaml").write_text(minimal())
    dvc(root, "repro", "--quiet")
    base = commit_all(top, "model")
    found, note = find(root, base)
    assert found is not None, note
    assert (found.source, found.model.n) == ("dvc outputs", 2)


def test_a_commit_from_before_dvc_came_has_nothing_of_it(root: Path) -> None:
    base = git(root, "commit-tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "before")  # Git's empty tree
    assert find(root, base) == (None, "")


# --- Git -------------------------------------------------------------------------------------------------------------

GOOD = "id,y,y_pred\n1,a,a\n2,b,a\n"


def minimal(command: str = "true", task: str = "classification", metric: str = "accuracy", rebuild: bool = False) -> str:
    return MINIMAL.format(command=command, task=task, metric=metric, rebuild=str(rebuild).lower())


def test_predictions_that_git_tracks_are_read_from_the_commit(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal(), "p.csv": GOOD})
    base = head(root)
    commit_files(root, {"p.csv": "id,y,y_pred\n1,a,b\n2,b,a\n"}, "worse")
    found, note = find(root, base)
    assert found is not None, note
    assert (found.source, found.model.metrics[0].value, found.model.n) == ("git", 0.5, 2)


def test_the_baseline_s_own_columns_are_read_by_its_own_configuration(tmp_path: Path) -> None:
    theirs = minimal().replace("metrics:", "columns: {target: truth}, metrics:")
    root = make_repository(tmp_path / "r", {"mlgate.yaml": theirs, "p.csv": GOOD.replace("y,", "truth,", 1)})
    base = head(root)
    commit_files(root, {"mlgate.yaml": minimal(metric="f1_macro"), "p.csv": GOOD}, "renamed")
    found, note = find(root, base)
    assert found is not None, note
    assert [metric.name for metric in found.model.metrics] == ["f1_macro"]


def test_a_commit_that_never_had_predictions_leaves_no_remark(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"README.md": ""})
    base = head(root)
    commit_files(root, {"mlgate.yaml": minimal(), "p.csv": GOOD}, "first")
    assert find(root, base) == (None, "")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("id,y,y_pred\n1,a,a\n1,b,b\n", "cannot be used: p.csv at "),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is in Git LFS"),
    ],
)
def test_unusable_predictions_of_an_earlier_commit_are_a_remark(tmp_path: Path, text: str, part: str) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal(), "p.csv": text})
    base = head(root)
    commit_files(root, {"p.csv": GOOD}, "repaired")
    found, note = find(root, base)
    assert found is None
    assert part in note


def test_a_baseline_of_another_task_is_not_compared(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal(task="regression", metric="rmse"), "p.csv": "id,y,y_pred\n1,1,1\n"})
    base = head(root)
    commit_files(root, {"mlgate.yaml": minimal(), "p.csv": GOOD}, "classify")
    assert find(root, base) == (None, "the baseline is a regression, the candidate a classification")


def test_a_commit_this_clone_lacks_asks_for_the_full_history(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal(), "p.csv": GOOD})
    found, note = find(root, "0" * 40)
    assert found is None
    assert "fetch-depth: 0" in note


def test_what_the_store_has_is_not_looked_for_again(root: Path) -> None:
    base = head(root)
    kept = open_store(None, root=root, model="digits", context=RunContext())
    kept.write({f"evaluations/{base}.json": b"{}"}, "baseline")
    found, note = find(root, base)
    assert found is None
    assert note.startswith("recorded in the store (")


# --- training again --------------------------------------------------------------------------------------------------


def test_the_baseline_is_trained_again_only_where_that_is_allowed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "machine"))
    base = change(root, 7)
    (root / ".git" / "hooks" / "post-checkout").write_text("#!/bin/sh\ntouch hooked\n")
    (root / ".git" / "hooks" / "post-checkout").chmod(0o755)
    assert find(root, base)[0] is None
    (root / "mlgate.yaml").write_text(CONFIG.replace("gate:\n", "gate:\n  rebuild_baseline: true\n"))
    # the data is on the remote only, and the candidate's working tree is in the midst of something
    shutil.rmtree(root / ".dvc" / "cache")
    (root / "train.py").write_text("broken(")
    before = git(root, "status", "--porcelain")
    of_the_clone = set((tmp_path / "machine" / "repo").iterdir())
    found, note = find(root, base)
    assert found is not None, note
    assert found.source == "rebuilt"
    assert set((tmp_path / "machine" / "repo").iterdir()) == of_the_clone  # DVC remembers nothing of the worktree
    assert found.model.metrics[0].value == pytest.approx(53 / 60)
    assert found.model.metrics[1].value == 107
    assert git(root, "status", "--porcelain") == before
    assert len(git(root, "worktree", "list").splitlines()) == 1
    assert not (root / "hooked").exists()
    assert (root / ".mlgate" / "digits" / "files" / "baseline" / "train.log").is_file()


def test_a_training_that_fails_again_is_a_remark_and_leaves_no_worktree(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal("echo out of luck; exit 4")})
    base = head(root)
    commit_files(root, {"mlgate.yaml": minimal("true", rebuild=True), "p.csv": GOOD}, "works")
    found, note = find(root, base)
    assert found is None
    assert note == "training the baseline again: 'echo out of luck; exit 4' failed (exit 4): out of luck"
    assert len(git(root, "worktree", "list").splitlines()) == 1


def test_a_training_that_writes_no_predictions_is_a_remark(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": minimal()})
    base = head(root)
    commit_files(root, {"mlgate.yaml": minimal("true", rebuild=True), "p.csv": GOOD}, "works")
    found, note = find(root, base)
    assert found is None
    assert "no such file; does the training command write it?" in note
