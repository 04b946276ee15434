"""`mlgate aggregate`: the one required check of a repository with several models, from what GitHub and the models' gates say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.gate.gate_runs import leave
from mlgate.evidence import GateFindings
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, make_repository

MODELS = [{"model": "a", "changed": True}, {"model": "b", "changed": True}, {"model": "c", "changed": False}]


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


def gate(artifacts: Path, model: str, is_open: bool, attempt: int = 1, folder: Path | None = None) -> None:
    """What the verdict of a model's run left."""
    root = make_repository(artifacts.parent / f"{model}-{attempt}", {"mlgate.yaml": MINIMAL_CONFIG.replace("digits", model)})
    workspace = Workspace.open(root, "mlgate.yaml", {})
    findings = GateFindings(
        is_open=is_open, verdict=None, headline="", is_first_model=True, baseline=None, rules_from="candidate", confidence=0.95,
        rules=[], comparisons=[], slices=[], changes=[],
    )  # fmt: skip
    summary = f"gate {'open' if is_open else 'closed'}: {model} <b>@ada</b> | said so"
    leave(workspace, "gate", findings, "passed" if is_open else "failed", summary)
    target = folder or artifacts / f"mlgate-{model}-verdict-{attempt}"
    target.parent.mkdir(parents=True, exist_ok=True)
    workspace.state.rename(target)


def needs(changed: str = "success", runs: str = "success", models: list[dict[str, Any]] | None = None) -> str:
    listed = MODELS if models is None else models
    outputs = {"models": json.dumps(listed), "any": "true"} if changed == "success" else {}
    return json.dumps({"changed": {"result": changed, "outputs": outputs}, "mlgate": {"result": runs, "outputs": {}}})


def aggregate(artifacts: Path, given: str, **environ: str) -> tuple[int, list[str]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    finished = subprocess.run(
        [sys.executable, "-m", "mlgate.cli", "aggregate"],
        env={**inherited, "MLGATE_NEEDS": given, "MLGATE_ARTIFACTS": str(artifacts), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in finished.stderr
    return finished.returncode, (finished.stdout + finished.stderr).splitlines()


def test_passes_where_every_changed_model_did(artifacts: Path, tmp_path: Path) -> None:
    gate(artifacts, "a", True)
    gate(artifacts, "b", True)
    output, summary = tmp_path / "output", tmp_path / "summary.md"
    code, lines = aggregate(artifacts, needs(), GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary))

    assert (code, lines[0]) == (0, "✓ 2 changed models passed, 1 untouched")
    assert lines[3] == "  – c: untouched"
    assert output.read_text() == "status=passed\n"
    assert "`<b>@ada</b>`" in summary.read_text()
    assert summary.read_text().count("\n|") == 5


def test_fails_where_one_did_not_and_names_it(artifacts: Path) -> None:
    gate(artifacts, "a", True)
    gate(artifacts, "b", False)
    code, lines = aggregate(artifacts, needs(runs="failure"))

    assert (code, lines[0]) == (1, "✗ 1 of 2 changed models did not pass: b")


def test_the_newest_attempt_not_above_this_one_counts(artifacts: Path) -> None:
    gate(artifacts, "a", True)
    gate(artifacts, "b", False)
    gate(artifacts, "b", True, attempt=2)
    assert aggregate(artifacts, needs(), GITHUB_RUN_ATTEMPT="2")[0] == 0
    assert aggregate(artifacts, needs(), GITHUB_RUN_ATTEMPT="1")[0] == 1


def test_a_single_artifact_has_no_folder_of_its_own(artifacts: Path) -> None:
    gate(artifacts, "a", True, folder=artifacts)
    assert aggregate(artifacts, needs(models=MODELS[:1]))[0] == 0


def test_nothing_changed_is_green_though_the_models_were_skipped(artifacts: Path) -> None:
    code, lines = aggregate(artifacts, needs(runs="skipped", models=MODELS[2:]))
    assert (code, lines[0]) == (0, "✓ no model changed, 1 untouched")


@pytest.mark.parametrize("result", ["skipped", "cancelled", "failure", ""])
def test_changed_models_that_did_not_run_to_their_end_are_no_pass(artifacts: Path, result: str) -> None:
    """A skipped job counts as a success on GitHub; not here."""
    gate(artifacts, "a", True)
    gate(artifacts, "b", True)
    assert aggregate(artifacts, needs(runs=result))[0] == 1


def test_a_changed_model_that_left_no_verdict_is_no_pass(artifacts: Path) -> None:
    gate(artifacts, "a", True)
    gate(artifacts, "c", True)
    code, lines = aggregate(artifacts, needs())
    assert (code, lines[0]) == (1, "✗ 1 of 2 changed models did not pass: b")
    assert "  ✗ b: left no verdict: see the log of its run" in lines


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_where_the_models_could_not_be_told_nothing_passes(artifacts: Path, result: str) -> None:
    code, lines = aggregate(artifacts, needs(changed=result, runs="skipped"))
    assert code == 1
    assert lines[0].startswith("✗ which models changed is not known: job 'changed' ")


def test_evidence_that_is_broken_is_no_pass(artifacts: Path) -> None:
    gate(artifacts, "a", True)
    gate(artifacts, "b", True)
    (artifacts / "mlgate-b-verdict-1/evidence/gate.json").write_text("{}")
    assert aggregate(artifacts, needs())[0] == 1


@pytest.mark.parametrize("given", ["", "[]", "{", '{"changed": 1}', json.dumps({"x": {"result": "success", "outputs": {}}})])
def test_needs_that_are_none_are_a_mistake(artifacts: Path, given: str) -> None:
    code, [line] = aggregate(artifacts, given)
    assert code == 2
    assert line.startswith("✗ MLGATE_NEEDS: expected")
