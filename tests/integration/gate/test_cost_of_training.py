"""What a model's training took goes with its evaluation: into the store, and back as the baseline's beside the next one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, leave, next_commit, open_workspace, project
from mlgate import evidence as records
from mlgate import stages
from mlgate.evidence import AccountFindings, EvaluateFindings, Evidence, TrainFindings, TrainingCost
from mlgate.stages import evaluate
from support import commit_files, git

COST = TrainingCost(duration_s=1440, gpu_hours=0.4, kwh=0.2, cost=1.0, currency="EUR")
ACCOUNT_COST = TrainingCost(duration_s=720, gpu_hours=0.2, kwh=0.1, cost=0.5, currency="EUR")
ACCOUNT = AccountFindings(duration_s=720, gpu_hours=0.2, kwh=0.1, cost=0.5, currency="EUR")


def trained(**more: Any) -> TrainFindings:
    return TrainFindings(**{"run": None, "params": {}, "lock_sha256": None, "pipeline": [], "is_reused": False, "mlflow": None, **more})


def gated(root: Path, cost: TrainingCost | None) -> Evidence[Any]:
    """The gate, on an evaluation that has this cost."""
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)))
    evidence = workspace.evidence("evaluate")
    assert evidence is not None
    found = evidence.findings
    assert isinstance(found, EvaluateFindings)
    with_cost = found.model_copy(update={"candidate": found.candidate.model_copy(update={"training": cost})})
    records.write(evidence.model_copy(update={"findings": with_cost}), workspace.evidence_path("evaluate"))
    return stages.run("gate", workspace)


def test_what_main_took_stands_beside_the_next_candidates(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    gated(root, COST)
    next_commit(root, 1, branch="feature")
    assert gated(root, ACCOUNT_COST).findings.baseline.training == COST


def test_a_run_that_had_its_results_from_dvc_keeps_what_the_same_inputs_took_before(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    gated(root, COST)
    commit_files(root, {"README.md": "words"}, "nothing that the model is made of")
    gated(root, None)  # on main, reused from DVC's run cache
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    baseline = gated(root, COST).findings.baseline
    assert (baseline.commit, baseline.training) == (base, COST)


def test_evaluate_takes_it_from_the_training(tmp_path: Path) -> None:
    config = CONFIG.replace("  metrics_files: [eval/speed.json]\n", "")
    root = project(tmp_path / "repository", config)
    (root / "eval").mkdir()
    (root / "eval/predictions.csv").write_text("id,y,y_pred\n" + "".join(f"{row},{row % 2},{row % 2}\n" for row in range(50)))
    workspace = open_workspace(root)
    leave(workspace, "train", trained(account=ACCOUNT))
    result = evaluate.run(workspace)
    assert isinstance(result.findings, EvaluateFindings)
    assert result.findings.candidate.training == ACCOUNT_COST
