"""The ledger of a holdout: every candidate counts once, whoever tests it and however often, and a count that fails fails nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.gate.gate_runs import CONFIG, N, classified, evaluated, labels, leave, next_commit, open_workspace, project
from mlgate import stages
from mlgate import store as stores
from mlgate.evaluation import predictions as normalised
from mlgate.evidence import EvaluateFindings, Evidence, HoldoutUse, MetricValue, ScoredModel
from mlgate.stages.decision import holdout_ledger
from mlgate.store import Store
from support import git

ACCURACY = CONFIG.replace("accuracy, f1_macro", "accuracy")
FOLDER = ACCURACY + "store: .mlgate/store\n"
GITHUB: dict[str, Any] = {"event": "pull_request", "repository": "o/r", "run_id": 5, "default_branch": "main", "base_ref": "main"}


def with_holdout(settings: str, config: str = FOLDER) -> str:
    return config.replace("gate:\n", f"gate:\n  holdout: {{{settings}}}\n")


def judged(root: Path, right: int, *, shuffled_by: int = 0, n: int = N, context: dict[str, Any] | None = None, **more: Any) -> Evidence:
    workspace = open_workspace(root, **context) if context else open_workspace(root)
    evaluated(workspace, classified(*labels(right, n=n, shuffled_by=shuffled_by)), **more)
    return stages.run("gate", workspace)


def used(evidence: Evidence) -> HoldoutUse:
    assert evidence.findings is not None, evidence.summary
    found: HoldoutUse = evidence.findings.holdout
    return found


def store_of(root: Path) -> Store:
    workspace = open_workspace(root)
    return stores.open_store(workspace.config.store, root=root, model="digits", context=workspace.context)


def counted_in(root: Path) -> list[str]:
    """Names of all uses in the ledger."""
    return [name for name in store_of(root).names("holdouts/") if name.count("/") == 2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model on main, whose evaluation is recorded."""
    root = project(tmp_path / "repository", FOLDER)
    judged(root, 900)
    return root


def test_every_candidate_counts_once_and_the_report_says_what_that_left_of_the_promise(root: Path) -> None:
    for number in range(1, 4):
        git(root, "checkout", "--quiet", "main")
        next_commit(root, number, branch=f"branch-{number}")
        found = used(judged(root, 905, shuffled_by=number))
        assert (found.uses, found.is_counted, found.reuse, found.budget) == (number + 1, True, "report", 50)
        assert found.chance == pytest.approx(1 - 0.95 ** (number + 1))
        assert found.chance_at_budget == pytest.approx(1 - 0.95**50)


def test_the_same_code_data_and_parameters_count_once_however_often_they_run(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    first = used(judged(root, 905))
    before = store_of(root).names()
    again = used(judged(root, 905, shuffled_by=7))  # another attempt, whose training was not deterministic
    git(root, "commit", "--quiet", "--allow-empty", "-m", "nothing changed")
    empty = used(judged(root, 905))
    assert [one.uses for one in (first, again, empty)] == [2, 2, 2]
    assert all(one.is_counted for one in (again, empty))
    assert store_of(root).names() == before


def test_what_was_counted_in_its_pull_request_is_not_counted_again_on_main(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    judged(root, 905)
    git(root, "checkout", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "-m", "merge", "feature")
    found = used(judged(root, 905))
    assert (found.uses, found.is_counted, len(counted_in(root))) == (2, True, 2)


def test_on_main_a_use_and_the_evaluation_are_one_write(tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    root = project(tmp_path / "repository", ACCURACY + "store: git\n")
    git(root, "remote", "add", "origin", str(origin))
    context = {"event": "push", "repository": "o/r", "run_id": 1, "default_branch": "main", "ref": "refs/heads/main"}
    found = used(judged(root, 900, context=context))
    assert (found.uses, found.is_counted) == (1, True)
    assert git(origin, "rev-list", "--count", "refs/mlgate/digits") == "1"


def test_another_holdout_has_a_ledger_of_its_own(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(905, seed=3), first_id=900))
    assert used(stages.run("gate", workspace)).uses == 1


def test_a_holdout_that_grew_keeps_its_uses_also_those_that_only_a_pull_request_had(root: Path) -> None:
    """Else whoever adds an example to each pull request had a fresh holdout each time."""
    target, prediction = labels(905, n=N + 3)
    target[:N], _ = labels(905)
    found = []
    for number in (1, 2, 3):
        git(root, "checkout", "--quiet", "main")
        next_commit(root, number, branch=f"branch-{number}")
        workspace = open_workspace(root)
        evaluated(workspace, classified(target[: N + number], prediction[: N + number]))
        found.append(used(stages.run("gate", workspace)).uses)
    git(root, "checkout", "--quiet", "main")
    next_commit(root, 4, branch="branch-4")
    assert [*found, used(judged(root, 905)).uses] == [2, 3, 4, 5]


def test_a_trial_with_other_parameters_is_another_candidate(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    head = git(root, "rev-parse", "HEAD")
    context = {**GITHUB, "event": "workflow_dispatch", "head_sha": head}
    carried = {"baseline": classified(*labels(900)), "baseline_commit": git(root, "rev-parse", "main")}
    counts = [
        used(judged(root, 905, context=context, **carried)).uses,
        used(judged(root, 907, context={**context, "is_trial": True}, **carried)).uses,
        used(judged(root, 907, context={**context, "is_trial": True}, **carried)).uses,
        used(judged(root, 909, context={**context, "is_trial": True}, **carried)).uses,
    ]
    assert counts == [2, 3, 3, 4]


def test_uncommitted_changes_on_a_laptop_are_another_candidate(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    judged(root, 905)
    (root / "train.py").write_text("print('tuned')\n")
    assert used(judged(root, 907)).uses == 3


def test_two_runs_at_once_both_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    monkeypatch.setenv("MLGATE_STORE_URL", str(origin))
    for setting in ("git", str(tmp_path / "folder")):
        ready = []
        for number in (1, 2):
            root = project(tmp_path / f"{Path(setting).name}-{number}")
            next_commit(root, number, branch="feature")
            workspace = open_workspace(root)
            store = stores.open_store(setting, root=root, model="digits", context=workspace.context)
            ledger = holdout_ledger.opened(workspace, store, classified(*labels(900)), "0" * 64, None, 0.0)
            ready.append((workspace, ledger, store))
        uses = []
        for workspace, ledger, store in ready:  # both have read, neither has written
            use = holdout_ledger.use_of(ledger, [], workspace.config.gate.holdout, 0.95, 0.95)
            uses.append(holdout_ledger.record(workspace, ledger, [], store, use))
        assert all(one.is_counted for one in uses), setting
        workspace = ready[0][0]
        store = stores.open_store(setting, root=workspace.root, model="digits", context=workspace.context)
        assert len(store.names("holdouts/")) == 2, setting


def test_a_fork_is_not_counted_and_not_failed_for_it(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    base = git(root, "rev-parse", "main")
    context = {**GITHUB, "pull_request": 7, "head_sha": git(root, "rev-parse", "HEAD"), "base_sha": base, "is_fork": True}
    evidence = judged(root, 905, context=context)
    found = used(evidence)
    assert (evidence.exit_code, found.uses, found.is_counted) == (0, 2, False)
    assert found.note == "this use was not counted: the token of a pull request from a fork, or of Dependabot's, may only read"
    assert len(counted_in(root)) == 1


def test_a_token_that_may_not_write_counts_nothing_and_fails_nothing(tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    root = project(tmp_path / "repository", ACCURACY + "store: git\n")
    git(root, "remote", "add", "origin", str(origin))
    judged(root, 900)
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'Permission to o/r.git denied to github-actions[bot].' >&2; exit 1\n")
    hook.chmod(0o755)
    next_commit(root, 1, branch="feature")
    evidence = judged(root, 905)
    found = used(evidence)
    assert (evidence.exit_code, found.uses, found.is_counted) == (0, 2, False)
    assert found.note == "this use was not counted: the token may not write to the store; `contents: write` lets it"


def test_a_ledger_that_cannot_be_read_is_said_and_fails_nothing(root: Path) -> None:
    next_commit(root, 1, branch="feature")
    (root / ".mlgate" / "store" / "digits" / "index.json").write_text("{")
    evidence = judged(root, 905, baseline=classified(*labels(900)), baseline_commit=git(root, "rev-parse", "main"))
    found = used(evidence)
    assert (evidence.exit_code, found.uses, found.chance, found.is_counted) == (0, None, None, False)
    assert found.note.startswith("the ledger cannot be read: store: folder ")


def test_past_the_budget_the_report_warns_and_the_gate_stays_open(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", with_holdout("budget: 2"))
    judged(root, 900)
    for number in (1, 2):
        git(root, "checkout", "--quiet", "main")
        next_commit(root, number, branch=f"branch-{number}")
        evidence = judged(root, 905, shuffled_by=number)
    assert (evidence.exit_code, used(evidence).uses) == (0, 3)
    assert evidence.summary.splitlines()[1] == (
        "this holdout is worn out: 3 candidates were tested on it, gate.holdout.budget is 2. Had all been worse by just the margin, the "
        "chance that one got through is 14 %; collect a new holdout, or see gate.holdout.reuse"
    )


def test_a_ledger_that_a_commit_brings_along_does_not_count(root: Path) -> None:
    """Neither what lies in the folder of this run, nor a setting of the pull request's own: the rules are the baseline's."""
    next_commit(root, 1, branch="feature")
    (root / "mlgate.yaml").write_text(FOLDER.replace(".mlgate/store", "elsewhere").replace("gate:\n", "gate:\n  holdout: {budget: 9999}\n"))
    git(root, "commit", "--quiet", "-am", "another store, another budget")
    found = used(judged(root, 905))
    assert (found.uses, found.budget) == (2, 50)
    assert not (root / "elsewhere").exists()


def test_numbers_of_files_alone_use_no_holdout(tmp_path: Path) -> None:
    config = "model: digits\ntrain: {command: x}\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{metric: latency_ms, max: 20}]}\n"
    root = project(tmp_path / "repository", config)
    workspace = open_workspace(root)
    model = ScoredModel(
        commit=workspace.commit,
        inputs_sha256=None,
        metrics=[MetricValue(name="latency_ms", value=10, better="lower", source="file")],
        slices=[],
    )
    leave(workspace, "evaluate", EvaluateFindings(candidate=model))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, evidence.findings.holdout) == (0, None)


# --- bonferroni and the Ladder -----------------------------------------------------------------------------------------


def test_bonferroni_makes_every_bound_stricter_and_tells_its_price(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", with_holdout("reuse: bonferroni, budget: 50"))
    judged(root, 900)
    next_commit(root, 1, branch="feature")
    strict = judged(root, 890)
    plain_root = project(tmp_path / "plain", FOLDER)
    judged(plain_root, 900)
    next_commit(plain_root, 1, branch="feature")
    plain = judged(plain_root, 890)
    assert (plain.findings.verdict, strict.findings.verdict) == ("no worse", "cannot tell")
    assert strict.findings.confidence == pytest.approx(0.999)
    found = used(strict)
    assert found.chance_at_budget == pytest.approx(1 - 0.999**50)
    [price] = found.price
    assert price.metric == "accuracy"
    assert price.now < price.once
    assert price.examples_factor == pytest.approx(2.5, abs=0.1)
    assert used(plain).price == []


def on_the_ladder(tmp_path: Path) -> Path:
    root = project(tmp_path / "repository", with_holdout("reuse: ladder"))
    judged(root, 900)
    return root


def candidate(root: Path, number: int, right: int) -> Evidence:
    git(root, "checkout", "--quiet", "main")
    next_commit(root, number, branch=f"branch-{number}")
    return judged(root, right)


def test_on_the_ladder_only_a_new_best_is_better_or_no_worse(tmp_path: Path) -> None:
    root = on_the_ladder(tmp_path)
    close, best, second = candidate(root, 1, 901), candidate(root, 2, 910), candidate(root, 3, 911)
    assert [one.findings.verdict for one in (close, best, second)] == ["cannot tell", "better", "cannot tell"]
    assert all(one.exit_code == 0 for one in (close, best, second)), "a pull request warns"
    rung = second.findings.comparisons[0].ladder
    assert (rung.best, rung.is_new_best) == (0.91, False)
    said = second.findings.headline.replace("\xa0", " ")
    assert said.startswith(
        "cannot tell whether accuracy is worse by more than 2 pt: no new best on this holdout: the best so far has 91.00 %, to be beaten by"
    )


def test_a_model_that_answers_as_the_baseline_does_is_no_worse_on_the_ladder_and_no_new_best(tmp_path: Path) -> None:
    root = on_the_ladder(tmp_path)
    candidate(root, 1, 910)
    same = candidate(root, 2, 900)
    assert (same.exit_code, same.findings.verdict) == (0, "no worse"), "though another candidate was better meanwhile"
    result = same.findings.rules[0]
    assert (result.is_passed, result.is_warning) == (True, False)
    rung = same.findings.comparisons[0].ladder
    assert (rung.is_same, rung.is_new_best, rung.best) == (True, False, 0.91)
    assert candidate(root, 3, 911).findings.comparisons[0].ladder.best == 0.91, "nothing was released of it"


def test_a_new_best_stays_one_when_its_run_is_repeated(tmp_path: Path) -> None:
    root = on_the_ladder(tmp_path)
    candidate(root, 1, 910)
    candidate(root, 2, 930)
    git(root, "checkout", "--quiet", "branch-1")
    assert judged(root, 910).findings.verdict == "better"


def test_the_ladder_still_calls_worse_what_is_worse(tmp_path: Path) -> None:
    evidence = candidate(on_the_ladder(tmp_path), 1, 850)
    assert (evidence.exit_code, evidence.findings.verdict) == (1, "worse")


def test_a_damaged_record_is_no_best_and_the_price_is_that_an_equal_model_is_none_either(tmp_path: Path) -> None:
    root = on_the_ladder(tmp_path)
    holdout = normalised.holdout_sha256(classified(*labels(900)))
    store_of(root).write({f"holdouts/{holdout}/best/{'a' * 64}.json": b"{"}, "damage")
    evidence = candidate(root, 1, 910)
    assert evidence.findings.verdict == "better"
    [price] = used(evidence).price
    assert price.now < 0.17 < price.once
    assert price.examples_factor is None


def test_a_holdout_that_grew_by_an_example_does_not_begin_a_new_ladder(tmp_path: Path) -> None:
    root = on_the_ladder(tmp_path)
    assert candidate(root, 1, 930).findings.verdict == "better"
    git(root, "checkout", "--quiet", "main")
    next_commit(root, 2, branch="branch-2")
    assert judged(root, 920, n=N + 1).findings.verdict == "cannot tell", "the best is another candidate's, on all but one of the examples"
