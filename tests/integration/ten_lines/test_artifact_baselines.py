"""Ten lines, whose token may not write the store: what the default branch's run left is what pull requests are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.ten_lines.runs import TEN_LINES, N, Repository, comment_of, exit_codes, gate_of, predictions
from mlgate import evidence as records
from mlgate import stages
from mlgate.config import GENERATED_CONFIG, EvaluationConfig
from mlgate.evaluation import loading
from mlgate.evaluation import predictions as normalised
from mlgate.workspace import Workspace
from support import git

if TYPE_CHECKING:
    from github_stand_in import StandIn


@pytest.fixture
def repository(tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path, github)
    monkeypatch.setenv("MLGATE_STORE_URL", str(made.origin))
    return made


def test_a_first_model_passes_and_what_the_token_may_not_is_a_remark(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    found = repository.push(is_kept=False, is_reported=True)
    assert exit_codes(found) == [0, 0, 0]
    assert gate_of(found).is_first_model
    line = found["gate"].summary.splitlines()[1]
    assert line.startswith("not recorded in the store: store: Git ref refs/mlgate/models of ")
    assert line.endswith("this run's artifact is the baseline of later ones")
    assert "status mlgate/models not set: GitHub: POST" in found["report"].summary


def test_a_worse_model_is_blocked_on_what_mains_run_left(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    base = git(repository.root, "rev-parse", "HEAD")
    repository.push()
    repository.commit("worse", branch="feature")
    repository.write(predictions=predictions(90))
    found = repository.pull_request(is_reported=True)
    assert exit_codes(found) == [0, 1, 0]
    gate = gate_of(found)
    assert gate.verdict == "worse"
    assert gate.baseline is not None
    assert (gate.baseline.source, gate.baseline.commit, gate.baseline.shared_examples) == ("run artifact", base, N)
    body = comment_of(repository)
    assert "must not be merged — worse than `main`" in body
    assert f"Baseline `{base[:7]}` from that commit’s own run" in body
    assert "taken as a classification, since 'y' holds 3 distinct whole numbers" in body


def test_a_commit_without_a_run_of_its_own_is_stood_in_for_and_it_is_said(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    first = git(repository.root, "rev-parse", "HEAD")
    repository.push()
    base = repository.commit("docs only [skip ci]")
    repository.commit("better", branch="feature")
    repository.write(predictions=predictions(0))
    found = repository.pull_request(is_reported=True)
    gate = gate_of(found)
    assert (gate.verdict, gate.is_open) == ("better", True)
    assert gate.baseline is not None
    assert (gate.baseline.commit, gate.baseline.stands_in_for) == (first, base)
    body = comment_of(repository)
    said = (
        f"No run of the baseline commit `{base[:7]}` left an evaluation; compared with the nearest before it that has one, `{first[:7]}`."
    )
    assert said in body


def test_the_nearest_of_several_counts_and_one_that_ended_in_an_error_does_not(repository: Repository) -> None:
    repository.write(predictions=predictions(90))
    repository.push()
    second = repository.commit("second")
    repository.write(predictions=predictions(30))
    repository.push()
    repository.commit("third, whose predictions are broken")
    repository.write(predictions="y,y_pred\n")
    assert exit_codes(repository.push()) == [2, 2]
    repository.commit("feature", branch="feature")
    repository.write(predictions=predictions(60))
    gate = gate_of(repository.pull_request())
    assert gate.baseline is not None
    assert (gate.baseline.commit, gate.verdict) == (second, "worse")


def test_an_artifact_that_expired_stops_rather_than_waves_through(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    repository.push(is_expired=True)
    repository.commit("worse", branch="feature")
    repository.write(predictions=predictions(300))
    found = repository.pull_request()
    assert exit_codes(found) == [0, 3]
    assert "left it as an artifact, which has expired; a `schedule:` in the workflow keeps it fresh" in found["gate"].summary


def test_a_model_whose_name_begins_alike_is_another_model(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    repository.push({**TEN_LINES, "model": "models-train"})
    repository.push({**TEN_LINES, "model": "models-b"})
    repository.commit("feature", branch="feature")
    repository.write(predictions=predictions(90))
    assert gate_of(repository.pull_request()).is_first_model


def test_what_a_pull_requests_run_left_is_no_baseline(repository: Repository) -> None:
    head = repository.commit("later merged by a fast-forward")
    run = repository.github.add_run(head, event="pull_request")
    repository.github.add_run_artifact(head, "mlgate-models-verdict-1", {"evidence/evaluate.json": b"forged"}, run=run)
    repository.commit("feature", branch="feature")
    repository.write(predictions=predictions(90))
    assert gate_of(repository.pull_request()).is_first_model


def test_a_changed_holdout_is_told_to_name_ids(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    repository.push()
    repository.commit("other holdout", branch="feature")
    for changed, what in ((predictions(30, n=N - 1), f"{N} examples then, {N - 1} now"), (predictions(30, shift=1), "600 of 600 rows")):
        repository.write(predictions=changed)
        found = repository.pull_request()
        assert exit_codes(found) == [0, 2]
        assert f"the holdout changed ({what}" in found["gate"].summary
        assert "name a column of ids (the action's input `id`, evaluation.columns.id)" in found["gate"].summary


def test_a_column_of_ids_can_be_named_later(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    repository.push()
    repository.commit("ids", branch="feature")
    rows = predictions(30).splitlines()
    repository.write(predictions="\n".join([f"id,{rows[0]}", *(f"{n + 1000},{row}" for n, row in enumerate(rows[1:]))]) + "\n")
    found = repository.pull_request({**TEN_LINES, "id": "id"})
    assert (gate_of(found).verdict, exit_codes(found)) == ("no worse", [0, 0])
    reordered = [f"{1000 + N - n},{row}" for n, row in enumerate(rows[1:])]
    repository.write(predictions="\n".join([f"id,{rows[0]}", *reordered]) + "\n")
    found = repository.pull_request({**TEN_LINES, "id": "id"})
    assert "the baseline was evaluated without ids: merge the column of ids first, rows in its order" in found["gate"].summary


def test_a_mistyped_column_is_named_with_those_there_are(repository: Repository) -> None:
    repository.write(predictions=predictions(30))
    found = repository.pull_request({**TEN_LINES, "prediction": "y_perd"}, is_reported=True)
    assert exit_codes(found) == [2, 2, 0]
    assert found["evaluate"].summary == (
        "predictions.csv: no column 'y_perd' (evaluation.columns); did you mean 'y_pred'? the file has y, y_pred"
    )
    body = comment_of(repository)
    assert "the file has y, y_pred" in body


def test_the_gate_does_not_believe_what_the_predictions_were_taken_for(repository: Repository) -> None:
    """A regression evaluated as a classification: accuracy of it says nothing."""
    repository.write(predictions="y,y_pred\n" + "".join(f"{n / 7},{n / 7}\n" for n in range(1, 50)))
    honest = repository.pull_request()["evaluate"]
    workspace = Workspace.open(repository.root, GENERATED_CONFIG, {})
    settings = EvaluationConfig.model_validate({"task": "classification", "predictions": "p", "columns": {"id": None}})
    as_classes = loading.load(repository.root / "predictions.csv", settings, "p")
    model = honest.findings.candidate
    file = workspace.state / model.predictions.path
    normalised.write(as_classes, file)
    forged = model.model_copy(
        update={
            "task": "classification",
            "classes": list(as_classes.classes or ()),
            "predictions": records.file_ref(file, workspace.state),
        }
    )
    evidence = honest.model_copy(
        update={"findings": honest.findings.model_copy(update={"candidate": forged}), "subject": workspace.subject([])}
    )
    records.write(evidence, workspace.evidence_path("evaluate"))
    closed = stages.run("gate", workspace)
    assert closed.exit_code == 2
    assert (
        closed.summary
        == "evaluate.json: evaluated as a classification, and 'target' has fractions: that is a regression; set evaluation.task"
    )
