"""No ratchet: beside the commit it would replace, a model may not be worse than a pinned release either."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.gate.gate_runs import CONFIG, N, classified, evaluated, labels, leave, next_commit, open_workspace, project, scored
from mlgate import stages
from mlgate.config import ReportConfig
from mlgate.evidence import CarriedBaseline, EvaluateFindings, Evidence
from mlgate.render import markdown, view
from mlgate.stages.baseline import lookup
from mlgate.store import Store, open_store
from mlgate.workspace import Workspace
from support import commit_files, git

ACCURACY = CONFIG.replace("accuracy, f1_macro", "accuracy") + "store: .mlgate/store\n"


def pinned(baseline: str, config: str = ACCURACY) -> str:
    return config.replace("gate:\n", f"gate:\n  baseline: {baseline}\n")


def judged(root: Path, right: int) -> Evidence:
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(right)), metrics={"accuracy": right / N})
    return stages.run("gate", workspace)


def released(tmp_path: Path, baseline: str = "[base, v1.4.0]", config: str = ACCURACY) -> Path:
    """A release of 90 % on main."""
    root = project(tmp_path / "repository", pinned(baseline, config))
    git(root, "tag", "-a", "v1.4.0", "-m", "release")
    judged(root, 900)
    return root


def words(text: str) -> str:
    return text.replace("\xa0", " ")


def test_twenty_small_losses_that_each_pass_are_blocked_by_the_pinned_release(tmp_path: Path) -> None:
    """Each loses 2.4 examples of 1,000: no worse than its predecessor by 2 pt. Merged all the same, together they lose 4.8 points."""
    root = released(tmp_path)
    beside, statuses = [], []
    for number in range(1, 21):
        next_commit(root, number)
        last = judged(root, round(900 - 2.4 * number))
        beside.append(last.findings.comparisons[0].verdict)
        statuses.append(last.status)
    assert set(beside) == {"no worse"}, "against its predecessor alone, every one passes"
    assert statuses == ["passed"] * statuses.index("failed") + ["failed"] * (20 - statuses.index("failed"))
    assert statuses.index("failed") < 17
    first, second = last.findings.comparisons[0], last.findings.also[0].comparisons[0]
    assert (first.verdict, second.verdict) == ("no worse", "worse")
    assert last.findings.also[0].name == "v1.4.0"
    assert last.findings.also[0].baseline.commit == git(root, "rev-parse", "v1.4.0^{commit}")
    assert words(last.summary).startswith("gate closed: accuracy is no worse (by ")
    assert "; but against v1.4.0, accuracy is worse by " in words(last.summary)
    assert [(rule.against, rule.is_passed) for rule in last.findings.rules] == [("", True), ("", True), ("v1.4.0", False)]


def test_the_reader_sees_both_in_the_heading_and_a_table_of_the_second(tmp_path: Path) -> None:
    root = released(tmp_path)
    for number, right in enumerate((895, 885, 872, 862), 1):  # main as it was merged by hand
        next_commit(root, number)
        judged(root, right)
    next_commit(root, 9, branch="feature")
    evidence = judged(root, 858)
    comment = words(markdown.comment(view.build({"gate": evidence}, model="digits", report=ReportConfig())))
    assert "digits: must not be merged — no worse than the baseline, but 4.2 pt worse than `v1.4.0`" in comment
    assert "#### Against v1.4.0: worse\n" in comment, "unfolded, since it is why"
    assert "|Metric|v1.4.0|Candidate|Difference|Verdict|" in comment
    assert "|`accuracy`|90.0 %|85.8 %|−4.2 pt" in comment
    assert "|accuracy not worse than v1.4.0 by more than 0.02|❌ fails|" in comment
    assert "|Second baseline|" in comment


def test_both_hold_where_both_do(tmp_path: Path) -> None:
    root = released(tmp_path)
    next_commit(root, 1)
    judged(root, 905)
    next_commit(root, 2, branch="feature")
    evidence = judged(root, 930)
    assert (evidence.exit_code, evidence.findings.verdict) == (0, "better")
    comment = words(markdown.comment(view.build({"gate": evidence}, model="digits", report=ReportConfig())))
    assert "may be merged — better than the baseline and better than `v1.4.0`" in comment


@pytest.mark.parametrize("form", ["sha", "short", "champion", "file", "alone"])
def test_what_can_be_pinned(tmp_path: Path, form: str) -> None:
    root = released(tmp_path, "base")
    commit = git(root, "rev-parse", "HEAD")
    if form == "champion":
        workspace = open_workspace(root)
        lookup_store = stages_store(workspace)
        lookup_store.write({lookup.CHAMPION: f'{{"commit": "{commit}"}}'.encode()}, "champion")
    rows = "id,y,y_pred\n" + "".join(f"{n},{t},{p}\n" for n, (t, p) in enumerate(zip(*labels(900), strict=True)))
    name = {"sha": f"[base, '{commit}']", "short": f"[base, '{commit[:10]}']", "champion": "[base, champion]", "alone": "v1.4.0"}
    pin = name.get(form, "[eval/golden.csv, base]")
    commit_files(root, {"mlgate.yaml": pinned(pin), "eval/golden.csv": rows}, "pin")
    judged(root, 880)
    next_commit(root, 2, branch="feature")
    evidence = judged(root, 870)
    beside = evidence.findings.also[0].baseline if form != "alone" else evidence.findings.baseline
    assert beside.kind == {"champion": "champion", "file": "path"}.get(form, "release")
    assert evidence.findings.baseline.kind == ("release" if form == "alone" else "base"), "the commit it would replace comes first"
    assert (evidence.exit_code, evidence.findings.verdict) == (1, "worse")


def test_a_release_that_is_not_there_is_a_mistake_with_the_nearest_tag(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", pinned("[base, v1.4.1]"))
    git(root, "tag", "v1.4.0")
    judged(root, 900)
    next_commit(root, 1, branch="feature")
    evidence = judged(root, 900)
    assert evidence.exit_code == 2
    assert "gate.baseline: no tag and no commit 'v1.4.1'" in evidence.summary
    assert evidence.summary.endswith("did you mean 'v1.4.0'?")


def test_a_pin_that_is_not_there_is_told_by_the_pull_request_that_sets_it(tmp_path: Path) -> None:
    """Merged unseen it would stop every later run, that of the correction too, since the rules are the baseline's."""
    root = released(tmp_path, "base")
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"mlgate.yaml": pinned("[base, v1.4.1]"), "train.py": "print('pin')\n"}, "pin")
    evidence = judged(root, 905)
    assert evidence.exit_code == 0, evidence.summary
    told = evidence.summary.splitlines()[1]
    assert told.startswith("merged like this, every later run would end with an error: gate.baseline: no tag and no commit 'v1.4.1'")
    assert f"> **Note:** {told}" in markdown.comment(view.build({"gate": evidence}, model="digits", report=ReportConfig()))
    git(root, "tag", "v1.4.1")
    assert "merged like this" not in judged(root, 905).summary


def test_a_branch_is_no_release_since_it_moves_by_itself(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", pinned("[base, stable]"))
    git(root, "branch", "stable")
    assert judged(root, 900).exit_code == 2


def test_a_release_without_an_evaluation_closes_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", pinned("[base, v1.4.0]"))
    git(root, "tag", "v1.4.0")
    next_commit(root, 1)
    evidence = judged(root, 900)
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert "baseline release v1.4.0 (" in evidence.summary


def test_what_follows_a_release_directly_is_compared_with_it_once(tmp_path: Path) -> None:
    root = released(tmp_path)
    next_commit(root, 1, branch="feature")
    evidence = judged(root, 870)
    assert (evidence.exit_code, evidence.findings.verdict, evidence.findings.also) == (1, "worse", [])


def test_a_release_that_the_training_job_found_in_dvc_or_git_will_do(tmp_path: Path) -> None:
    root = released(tmp_path)
    (root / ".mlgate" / "store" / "digits" / "index.json").unlink()
    next_commit(root, 1)
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 2, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(858)), classified(*labels(860)), baseline_commit=base, metrics={"accuracy": 0.9})
    release = git(root, "rev-parse", "v1.4.0^{commit}")
    path = workspace.files / "pinned" / "predictions.parquet"
    model = scored(classified(*labels(900)), path, workspace.state, {"accuracy": 0.9}, release)
    findings = workspace.evidence("evaluate").findings
    assert isinstance(findings, EvaluateFindings)
    leave(workspace, "evaluate", findings.model_copy(update={"pinned": CarriedBaseline(model=model, source="dvc outputs")}))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, evidence.findings.also[0].baseline.source) == (1, "dvc outputs")


def test_the_training_job_looks_for_the_release_as_it_does_for_the_baseline(tmp_path: Path) -> None:
    def rows(right: int) -> str:
        return "id,y,y_pred\n" + "".join(f"{n},{t},{p}\n" for n, (t, p) in enumerate(zip(*labels(right, n=200), strict=True)))

    config = pinned("[base, v1.4.0]").replace("train: {command: python train.py}\n", "").replace("  metrics_files: [eval/speed.json]\n", "")
    root = project(tmp_path / "repository", config)
    commit_files(root, {"eval/predictions.csv": rows(180)}, "release")
    git(root, "tag", "v1.4.0")
    commit_files(root, {"eval/predictions.csv": rows(178)}, "model 1")
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"eval/predictions.csv": rows(150)}, "model 2")
    evidence = stages.run("evaluate", open_workspace(root))
    findings = evidence.findings
    assert (findings.baseline.model.commit, findings.baseline.source) == (git(root, "rev-parse", "main"), "git")
    assert (findings.pinned.model.commit, findings.pinned.source) == (git(root, "rev-parse", "v1.4.0"), "git")
    assert {file.path for file in evidence.files} >= {"files/baseline/predictions.parquet", "files/pinned/predictions.parquet"}
    gate = stages.run("gate", open_workspace(root))
    assert (gate.exit_code, gate.findings.also[0].baseline.source, gate.findings.also[0].verdict) == (1, "git", "worse")


def test_a_tag_that_a_checkout_without_tags_lacks_is_fetched(tmp_path: Path) -> None:
    origin = released(tmp_path)
    next_commit(origin, 1)
    judged(origin, 900)
    next_commit(origin, 2, branch="feature")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(origin), str(clone))
    git(clone, "checkout", "--quiet", "feature")
    (clone / ".mlgate").mkdir()
    (origin / ".mlgate" / "store").rename(clone / ".mlgate" / "store")
    evidence = judged(clone, 905)
    assert evidence.exit_code == 0, evidence.summary
    assert evidence.findings.also[0].baseline.how == "release v1.4.0"


def stages_store(workspace: Workspace) -> Store:
    return open_store(workspace.config.store, root=workspace.root, model="digits", context=workspace.context)
