"""A change alters the holdout: the baseline's model is scored on the new one, or both are compared on what they share. Real Git and DVC."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.evaluation.dvc_projects import commit_all, copy_project, dvc
from mlgate import stages
from mlgate.evidence import EvaluateFindings, Evidence, GateFindings
from mlgate.workspace import Workspace
from support import git

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC

CONFIG = """\
model: digits
train: {command: dvc repro, timeout: 20s}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
  metrics_files: [eval/metrics.json]
  predict: python3 predict.py
  holdout: [data/holdout.csv]
gate:
  rules: [{metric: accuracy, margin: 0.1}]
"""
# A model is the numbers it gets wrong.
TRAIN = """\
import json, pathlib
pathlib.Path('model').mkdir(exist_ok=True)
pathlib.Path('model/wrong.json').write_text(json.dumps(json.loads(pathlib.Path('params.yaml').read_text())['wrong']))
"""
PREDICT = """\
import json, pathlib
wrong = set(json.loads(pathlib.Path('model/wrong.json').read_text()))
out = ['id,y,y_pred']
for line in pathlib.Path('data/holdout.csv').read_text().split()[1:]:
    number, label = line.split(',')
    out.append(f'{number},{label},{"none" if int(number) in wrong else "odd" if int(number) % 2 else "even"}')
pathlib.Path('eval').mkdir(exist_ok=True)
pathlib.Path('eval/predictions.csv').write_text('\\n'.join(out) + '\\n')
pathlib.Path('eval/metrics.json').write_text('{"latency": 3.5}')
"""
PIPELINE = """\
stages:
  train:
    cmd: python3 train.py
    deps: [train.py]
    params: [wrong]
    outs: [model]
  predict:
    cmd: python3 predict.py
    deps: [data/holdout.csv, model, predict.py]
    outs: [eval/predictions.csv]
    metrics: [{eval/metrics.json: {cache: false}}]
"""
N = 60


def holdout(numbers: range, mislabelled: int = 0) -> str:
    """Numbers and whether they are even or odd; of the first `mislabelled` ones the opposite."""
    names = ("even", "odd")
    lines = [f"{number},{names[(number + (place < mislabelled)) % 2]}" for place, number in enumerate(numbers)]
    return "\n".join(["id,label", *lines]) + "\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Main has a model that gets number 1 wrong; its evaluation is recorded in the store, its outputs are pushed."""
    root = tmp_path_factory.mktemp("project") / "repo"
    (root / "data").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--quiet", "-d", "storage", "../remote")
    texts = {
        "mlgate.yaml": CONFIG,
        "train.py": TRAIN,
        "predict.py": PREDICT,
        "dvc.yaml": PIPELINE,
        "params.yaml": '{"wrong": [1]}',
        "data/holdout.csv": holdout(range(N)),
    }
    for name, text in texts.items():
        (root / name).write_text(text)
    dvc(root, "add", "--quiet", "data/holdout.csv")
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet", "--run-cache")
    commit_all(root, "baseline")
    assert decide(root).gate.recorded_in_store
    return root


@pytest.fixture
def root(project: Path, tmp_path: Path) -> Path:
    copied = copy_project(project, tmp_path / "copy")
    git(copied, "checkout", "--quiet", "-b", "feature")
    return copied


@dataclass(frozen=True)
class Decided:
    evaluate: EvaluateFindings
    gate: Any
    evidence: Evidence[Any]


def decide(root: Path, between: Callable[[Path], None] = lambda _: None) -> Decided:
    """evaluate and gate on what lies there; `between` them, what a job could do to what the first one left."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    workspace = Workspace.open(root, "mlgate.yaml", environ)
    evaluated = stages.run("evaluate", workspace)
    assert evaluated.exit_code == 0, evaluated.summary
    between(workspace.state)
    gate = stages.run("gate", workspace)
    return Decided(evaluated.findings, gate.findings, gate)


def candidate(root: Path, text: str, wrong: list[int], config: str = CONFIG, *, is_by_dvc: bool = False) -> str:
    """A commit with another holdout and another model, trained: by its pipeline, or by the commands of it, which is faster."""
    (root / "data" / "holdout.csv").unlink()
    (root / "data" / "holdout.csv").write_text(text)
    (root / "params.yaml").write_text(json.dumps({"wrong": wrong}))
    (root / "mlgate.yaml").write_text(config)
    if is_by_dvc:
        dvc(root, "add", "--quiet", "data/holdout.csv")
        dvc(root, "repro", "--quiet")
    else:
        for path in ("model/wrong.json", "eval/predictions.csv"):
            (root / path).unlink()
        subprocess.run(["bash", "-ec", "python3 train.py; python3 predict.py"], cwd=root, check=True)
    return commit_all(root, "another holdout")


def accuracy(gate: GateFindings) -> tuple[float, float | None]:
    row = next(row for row in gate.comparisons if row.metric == "accuracy")
    return row.candidate, row.baseline


def test_the_baseline_is_scored_on_what_was_added(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD")
    before = sorted(path.name for path in root.iterdir())
    candidate(root, holdout(range(N + 20)), wrong=[70, 71], is_by_dvc=True)
    found = decide(root)
    assert found.gate.baseline.source == "re-scored"
    assert found.gate.baseline.commit == base
    assert (found.gate.baseline.shared_examples, found.gate.baseline.shared_share) == (80, 1.0)
    rescoring = found.gate.baseline.rescoring
    assert (rescoring.recorded_in, rescoring.recorded_examples, rescoring.rescored_examples) == ("store", 60, 20)
    assert (rescoring.disagreeing_examples, rescoring.is_doubtful) == (0, False)
    assert accuracy(found.gate) == (pytest.approx(78 / 80), pytest.approx(79 / 80))
    assert found.gate.headline.endswith("(baseline re-scored on this holdout)")
    assert "file" in {metric.source for metric in found.evaluate.candidate.metrics}
    assert git(root, "worktree", "list").count("\n") == 0
    assert git(root, "status", "--porcelain") == ""
    assert sorted(path.name for path in root.iterdir()) == before
    assert (root / "eval" / "predictions.csv").read_text().count("\n") == 81


def test_the_report_says_that_the_baseline_was_scored_again(root: Path) -> None:
    candidate(root, holdout(range(N + 20)), wrong=[70])
    decide(root)
    workspace = Workspace.open(root, "mlgate.yaml", {})
    stages.run("report", workspace)
    text = _markdown(workspace.state)
    assert "baseline re-scored on this holdout" in text
    assert "80 examples" in text


def _markdown(state: Path) -> str:
    return "\n".join(path.read_text() for path in state.rglob("*.md"))


def test_the_baseline_is_scored_on_what_is_left(root: Path) -> None:
    candidate(root, holdout(range(30)), wrong=[])
    found = decide(root)
    rescoring = found.gate.baseline.rescoring
    assert (rescoring.recorded_examples, rescoring.rescored_examples) == (30, 0)
    assert accuracy(found.gate) == (1.0, pytest.approx(29 / 30))
    assert found.gate.baseline.shared_share == 1.0


def test_the_baseline_is_judged_by_the_new_labels(root: Path) -> None:
    candidate(root, holdout(range(N), mislabelled=6), wrong=[1])
    found = decide(root)
    rescoring = found.gate.baseline.rescoring
    assert (rescoring.recorded_examples, rescoring.rescored_examples) == (54, 6)
    assert accuracy(found.gate) == (pytest.approx(54 / 60), pytest.approx(54 / 60))


def test_an_unchanged_holdout_is_not_scored_again(root: Path) -> None:
    candidate(root, holdout(range(N)), wrong=[2])
    found = decide(root)
    assert found.evaluate.rescored is None
    assert (found.gate.baseline.source, found.gate.baseline.rescoring) == ("store", None)
    assert not (root / ".mlgate" / "digits" / "files" / "baseline" / "predict.log").exists()


def test_without_a_command_the_comparison_is_on_common_examples_and_says_which_share_they_are(root: Path) -> None:
    config = CONFIG.replace("  predict: python3 predict.py\n  holdout: [data/holdout.csv]\n", "")
    git(root, "checkout", "--quiet", "main")
    commit_base = candidate(root, holdout(range(N)), wrong=[1], config=config)
    decide(root)
    git(root, "checkout", "--quiet", "-b", "without")
    candidate(root, holdout(range(N + 20)), wrong=[70], config=config)
    found = decide(root)
    assert found.evaluate.rescored is None
    assert found.gate.baseline.commit == commit_base
    assert (found.gate.baseline.shared_examples, found.gate.baseline.shared_share) == (60, 0.75)
    assert found.gate.headline.endswith("(on the 60 of 80 examples both were scored on)")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("python3 -c 'raise SystemExit(\"no model here\")'", "failed (exit 1): no model here"),
        ("sleep 30", "took longer than 1 s and was ended"),
        ("true", "no such file"),
        (
            "sed -i 1,11d data/holdout.csv && sed -i 1iid,label data/holdout.csv && python3 predict.py",
            "made predictions for 70 examples, 70 of them with id and target of the candidate's 80; expected all of these and no other",
        ),
    ],
    ids=["fails", "hangs", "writes nothing", "leaves examples out"],
)
def test_a_command_that_does_not_score_it_is_said_and_common_examples_are_compared(root: Path, command: str, said: str) -> None:
    config = CONFIG.replace("python3 predict.py", json.dumps(command)).replace("20s", "1s")
    git(root, "checkout", "--quiet", "main")
    (root / "mlgate.yaml").write_text(config)
    commit_all(root, "another command")
    decide(root)
    git(root, "checkout", "--quiet", "-b", "grown")
    candidate(root, holdout(range(N + 20)), wrong=[], config=config)
    found = decide(root)
    assert found.evaluate.rescored is None
    assert said in found.evaluate.baseline_note
    assert found.evaluate.baseline_note.endswith("compared on the examples that both were scored on")
    assert (found.gate.baseline.source, found.gate.baseline.shared_share) == ("store", 0.75)
    assert git(root, "worktree", "list").count("\n") == 0


def test_a_model_that_is_nowhere_is_named(root: Path) -> None:
    lock = git(root, "show", "HEAD:dvc.lock")
    md5 = next(line.split()[-1] for line in lock.splitlines() if line.strip().startswith("md5:") and ".dir" in line)
    for store in (root / ".dvc" / "cache", root.parent / "remote"):
        (store / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    candidate(root, holdout(range(N + 20)), wrong=[])
    found = decide(root)
    assert found.evaluate.rescored is None
    assert "could not be scored on it: its model: the listing of model: not in DVC's cache, missing on the remote" in (
        found.evaluate.baseline_note
    )


def test_model_files_that_git_and_dvc_lack_are_named(root: Path) -> None:
    config = CONFIG.replace("  holdout:", "  model_files: [weights.bin]\n  holdout:")
    git(root, "checkout", "--quiet", "main")
    (root / "mlgate.yaml").write_text(config)
    commit_all(root, "names its model")
    decide(root)
    git(root, "checkout", "--quiet", "-b", "grown")
    candidate(root, holdout(range(N + 20)), wrong=[], config=config)
    note = decide(root).evaluate.baseline_note
    assert "its model: weights.bin (evaluation.model_files) is neither in DVC nor in Git at" in note


def test_a_holdout_with_no_example_in_common_needs_the_command(root: Path) -> None:
    candidate(root, holdout(range(N, 2 * N)), wrong=[70])
    scored_again = decide(root)
    assert scored_again.gate.baseline.rescoring.recorded_examples == 0
    assert accuracy(scored_again.gate) == (pytest.approx(59 / 60), 1.0)

    def lost(state: Path) -> None:
        path = state / "evidence" / "evaluate.json"
        path.write_text(json.dumps({**(document := json.loads(path.read_text())), "findings": {**document["findings"], "rescored": None}}))

    without = decide(root, lost)
    assert (without.evidence.status, without.evidence.exit_code) == ("error", 2)
    assert "no example in common with the candidate's holdout of 60" in without.evidence.summary
    assert "evaluation.predict" in without.evidence.summary


def test_answers_that_contradict_the_record_do_not_replace_it_and_are_said(root: Path) -> None:
    """A pull request can make its job write what it likes as the baseline's answers: here, a baseline that is always wrong."""
    candidate(root, holdout(range(N + 20)), wrong=list(range(60, 70)))

    def forged(state: Path) -> None:
        from mlgate import evidence as records
        from mlgate.evaluation import predictions

        path = state / "evidence" / "evaluate.json"
        evidence = records.load(path, "evaluate")
        rescored = evidence.findings.rescored
        file = state / rescored.predictions.path
        answers = predictions.read(file, rescored.task, rescored.classes)
        wrong = predictions.replace(answers, prediction=(answers.target + 1) % len(answers.classes))
        predictions.write(wrong, file)
        model = rescored.model_copy(update={"predictions": records.file_ref(file, state)})
        records.write(evidence.model_copy(update={"findings": evidence.findings.model_copy(update={"rescored": model})}), path)

    found = decide(root, forged)
    rescoring = found.gate.baseline.rescoring
    assert (rescoring.disagreeing_examples, rescoring.is_doubtful) == (60, True)
    assert accuracy(found.gate) == (pytest.approx(70 / 80), pytest.approx(59 / 80)), "59 on record, none of the 20 new ones"
    stages.run("report", Workspace.open(root, "mlgate.yaml", {}))
    assert "gives other answers than on record to 60 of 60 examples" in _markdown(root / ".mlgate" / "digits")


def lose_the_record(root: Path) -> None:
    """Of the baseline's evaluation: as where the store cannot be asked from the training job, and predictions were not pushed."""
    shutil.rmtree(root / ".mlgate" / "store")
    md5 = git(root, "show", "HEAD:dvc.lock").partition("eval/predictions.csv")[2].partition("md5: ")[2].split()[0]
    for store in (root / ".dvc" / "cache", root.parent / "remote"):
        (store / "files" / "md5" / md5[:2] / md5[2:]).unlink()


def test_a_baseline_without_a_record_is_its_model_on_this_holdout(root: Path) -> None:
    lose_the_record(root)
    candidate(root, holdout(range(N + 20)), wrong=[])
    found = decide(root)
    rescoring = found.gate.baseline.rescoring
    assert (found.gate.baseline.source, rescoring.recorded_in, rescoring.rescored_examples) == ("re-scored", None, 80)
    assert accuracy(found.gate) == (1.0, pytest.approx(79 / 80))


def test_without_a_record_the_files_say_whether_the_holdout_changed(root: Path) -> None:
    lose_the_record(root)
    candidate(root, holdout(range(N)), wrong=[2])
    workspace = Workspace.open(root, "mlgate.yaml", {})
    findings = stages.run("evaluate", workspace).findings
    assert (findings.baseline, findings.rescored) == (None, None)
