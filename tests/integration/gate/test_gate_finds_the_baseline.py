"""Where the baseline comes from, that it is never silently absent, and what the gate leaves for later runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.gate.gate_runs import CONFIG, N, classified, evaluated, labels, next_commit, open_workspace, project, scored
from mlgate import stages
from mlgate import store as stores
from mlgate.context import RunContext
from mlgate.evidence import EvaluateFindings, Evidence, ScoredModel
from mlgate.stages.decision import recording
from mlgate.stages.revisions import lineage
from mlgate.store import Store
from mlgate.workspace import Workspace
from support import commit_files, git

if TYPE_CHECKING:
    from github_stand_in import StandIn

FOLDER = CONFIG + "store: .mlgate/store\n"


def store_of(workspace: Workspace) -> Store:
    return stores.open_store(workspace.config.store, root=workspace.root, model=workspace.config.model, context=workspace.context)


def run_on_main(root: Path, right: int) -> Evidence:
    """The gate on the default branch of a laptop: it records."""
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(right)), metrics={"accuracy": right / N, "f1_macro": 0.5, "latency_ms": 12.0})
    return stages.run("gate", workspace)


def run_on_a_branch(root: Path, right: int, **more) -> Evidence:
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(right)), metrics={"accuracy": right / N, "latency_ms": 10.0}, **more)
    return stages.run("gate", workspace)


def test_the_first_model_is_judged_by_thresholds_alone_and_recorded(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    evidence = run_on_main(root, 900)
    assert (evidence.exit_code, evidence.findings.is_first_model, evidence.findings.verdict) == (0, True, None)
    assert evidence.findings.headline == "first model: nothing to compare with; accuracy 0.9 is at least 0.8"
    assert evidence.findings.recorded_in_store
    assert evidence.findings.rules[0].is_warning


def test_the_first_model_is_stopped_by_a_threshold(tmp_path: Path) -> None:
    evidence = run_on_main(project(tmp_path / "repository"), 700)
    assert (evidence.exit_code, evidence.findings.headline) == (1, "accuracy 0.7 is below 0.8")
    assert evidence.findings.recorded_in_store, "it is on main: the next pull request is compared with it"


def test_what_main_recorded_is_the_baseline_of_a_branch(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 840)
    assert (evidence.exit_code, evidence.findings.verdict, evidence.findings.baseline.source) == (1, "worse", "store")
    assert evidence.findings.baseline.commit == git(root, "rev-parse", "main")
    assert not evidence.findings.recorded_in_store
    latency = next(row for row in evidence.findings.comparisons if row.metric == "latency_ms")
    assert (latency.baseline, latency.candidate, latency.method) == (12.0, 10.0, None)


def test_a_commit_that_changes_nothing_for_the_model_needs_no_record_of_its_own(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    commit_files(root, {"README.md": "words"}, "words")
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.findings.verdict, evidence.findings.baseline.source) == ("better", "store")


def test_main_is_compared_with_its_parent(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    first = git(root, "rev-parse", "HEAD")
    next_commit(root, 1)
    evidence = run_on_main(root, 840)
    assert (evidence.exit_code, evidence.findings.baseline.commit) == (1, first)
    assert evidence.findings.recorded_in_store


def test_a_baseline_that_was_never_run_closes_the_gate_once_others_were(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    next_commit(root, 1)
    next_commit(root, 2, branch="feature")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert "its evaluation is not to be had" in evidence.summary
    assert "gate.rebuild_baseline: true" in evidence.summary


def test_outputs_that_are_recorded_in_dvc_and_lost_are_no_first_model(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    lock = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n    - {path: eval, md5: 0123.dir}\n"
    commit_files(root, {"dvc.lock": lock}, "trained elsewhere")
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.exit_code, "dvc push" in evidence.summary) == (3, True)


def test_recorded_predictions_that_were_lost_or_changed_close_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    store = store_of(open_workspace(root))
    model = ScoredModel.model_validate_json(store.read(f"evaluations/{base}.json"))
    store.write({model.predictions.path: b"other"}, "damage")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.exit_code, "SHA-256 differs" in evidence.summary) == (3, True)


def test_a_store_that_cannot_be_read_closes_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", CONFIG + "store: git\n")
    git(root, "remote", "add", "origin", str(tmp_path / "nowhere.git"))
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.status, evidence.exit_code) == ("error", 3)


def test_a_push_to_main_that_cannot_be_recorded_says_so(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", FOLDER)
    run_on_main(root, 900)
    next_commit(root, 1)
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)))
    folder = root / ".mlgate" / "store" / "digits"
    lock = next(path for path in folder.rglob("*") if "lock" in path.name)
    lock.unlink()
    lock.mkdir()
    evidence = stages.run("gate", workspace)
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert "not recorded as a baseline" in evidence.summary
    assert evidence.findings.is_open
    assert not evidence.findings.recorded_in_store


def test_a_dirty_tree_or_another_branch_is_not_recorded(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    (root / "train.py").write_text("print('unsaved')\n")
    assert not run_on_main(root, 900).findings.recorded_in_store


def test_a_push_to_the_default_branch_on_github_is_recorded_in_the_git_ref(tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    root = project(tmp_path / "repository", CONFIG + "store: git\n")
    git(root, "remote", "add", "origin", str(origin))
    git(root, "push", "--quiet", "origin", "main")
    context = {"event": "push", "repository": "octo/models", "run_id": 1, "default_branch": "main", "ref": "refs/heads/main"}
    workspace = open_workspace(root, **context)
    evaluated(workspace, classified(*labels(900)))
    assert stages.run("gate", workspace).findings.recorded_in_store
    assert git(origin, "for-each-ref", "refs/mlgate")
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 950)
    assert (evidence.findings.verdict, evidence.findings.baseline.source) == ("better", "store")


def test_the_champion_is_the_baseline_where_it_is_asked_for(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", CONFIG.replace("gate:\n", "gate:\n  baseline: champion\n"))
    workspace = open_workspace(root)
    champion = git(root, "rev-parse", "HEAD")
    path = workspace.files / "champion.parquet"
    workspace.prepare_state()
    model = scored(classified(*labels(900)), path, workspace.state, {"accuracy": 0.9}, champion)
    model = model.model_copy(
        update={"predictions": model.predictions.model_copy(update={"path": f"predictions/{model.predictions.sha256}.parquet"})}
    )
    next_commit(root, 1)
    next_commit(root, 2, branch="feature")
    refused = run_on_a_branch(root, 950)
    assert (refused.exit_code, "no champion is recorded" in refused.summary) == (2, True)
    store_of(workspace).write(
        {
            "champion.json": json.dumps({"commit": champion}).encode(),
            f"evaluations/{champion}.json": model.model_dump_json().encode(),
            model.predictions.path: path.read_bytes(),
        },
        "champion",
    )
    evidence = run_on_a_branch(root, 840)
    assert (evidence.findings.verdict, evidence.findings.baseline.kind, evidence.findings.baseline.commit) == (
        "worse",
        "champion",
        champion,
    )


def test_a_file_is_the_baseline_as_the_base_commit_has_it(tmp_path: Path) -> None:
    def text(right: int) -> str:
        target, prediction = labels(right)
        rows = "\n".join(f"{number},{y},{y_pred}" for number, (y, y_pred) in enumerate(zip(target, prediction, strict=True)))
        return f"id,y,y_pred\n{rows}\n"

    root = project(tmp_path / "repository", CONFIG.replace("gate:\n", "gate:\n  baseline: release/1.0.csv\n"))
    commit_files(root, {"release/1.0.csv": text(900)}, "release")
    next_commit(root, 1, branch="feature")
    commit_files(root, {"release/1.0.csv": text(100)}, "an easier opponent")
    evidence = run_on_a_branch(root, 840)
    assert (evidence.findings.verdict, evidence.findings.baseline.kind, evidence.findings.baseline.source) == ("worse", "path", "file")


def test_a_baseline_that_is_no_file_is_a_mistake(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", CONFIG.replace("gate:\n", "gate:\n  baseline: champoin\n"))
    evidence = run_on_a_branch(root, 900)
    assert (evidence.exit_code, "no tag and no commit 'champoin'" in evidence.summary) == (2, True)
    assert "; did you mean 'champion'?" in evidence.summary


def test_what_the_training_job_claims_of_another_commit_does_not_count(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    commit_files(root, {"train.py": "print('never run')\n"}, "never run")
    next_commit(root, 1, branch="feature")
    evidence = run_on_a_branch(root, 840, baseline=classified(*labels(100)), baseline_commit="a" * 40)
    assert evidence.exit_code == 3


def test_the_artifact_of_the_baselines_own_run_is_found_on_github(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository", FOLDER)
    base = git(root, "rev-parse", "HEAD")
    main = open_workspace(root)
    evaluated(main, classified(*labels(900)))
    left = {name: (main.state / name).read_bytes() for name in ("evidence/evaluate.json", "files/predictions.parquet")}
    github.add_run_artifact(base, "mlgate-digits-train-1", left)
    head = next_commit(root, 1, branch="feature")
    workspace = open_workspace(
        root,
        event="pull_request",
        repository="octo/models",
        run_id=5,
        pull_request=7,
        head_sha=head,
        base_sha=base,
        base_ref="main",
        default_branch="main",
        api_url=github.url,
        token=github.token,
    )
    evaluated(workspace, classified(*labels(840)))
    evidence = stages.run("gate", workspace)
    assert (evidence.findings.verdict, evidence.findings.baseline.source) == ("worse", "run artifact")


def test_predictions_too_large_for_the_store_are_not_recorded_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_PREDICTIONS_BYTES", 10)
    evidence = run_on_main(project(tmp_path / "repository"), 900)
    assert (evidence.exit_code, evidence.findings.recorded_in_store) == (0, False)
    assert "not recorded as a baseline: its predictions are" in evidence.summary


def test_an_evaluation_is_recorded_under_its_commit_and_its_inputs(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    run_on_main(root, 900)
    workspace = open_workspace(root)
    commit = git(root, "rev-parse", "HEAD")
    store = store_of(workspace)
    by_commit = ScoredModel.model_validate_json(store.read(f"evaluations/{commit}.json"))
    by_inputs = ScoredModel.model_validate_json(store.read(f"inputs/{lineage.inputs_sha256(workspace, commit)}.json"))
    assert by_commit == by_inputs
    assert (by_commit.commit, by_commit.predictions.path) == (commit, f"predictions/{by_commit.predictions.sha256}.parquet")
    assert isinstance(workspace.evidence("evaluate").findings, EvaluateFindings)
    assert workspace.context == RunContext()
