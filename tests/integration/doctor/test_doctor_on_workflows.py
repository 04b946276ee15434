"""`mlgate doctor` on workflow files: our own templates are right, and every way to spoil one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integration.doctor.diagnoses import examined, said, the_one
from mlgate.stages.doctor import workflows
from mlgate.stages.doctor.subject import Subject
from support import MINIMAL_CONFIG, commit_files, make_repository

TEMPLATES = Path(__file__).resolve().parents[3] / "templates" / "workflows"
WORKFLOW = ".github/workflows/mlgate.yml"
TEN_LINES = """\
on: {pull_request: , push: {branches: [main]}}
permissions: {contents: read, pull-requests: write, actions: read}
concurrency: mlgate-${{ github.ref }}
jobs:
  mlgate:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1, with: {fetch-depth: 0, persist-credentials: false}}
      - run: pip install -r requirements.txt && python train.py
      - uses: mlgate/mlgate@v0.1.0
        with: {predictions: predictions.csv, target: y, prediction: y_pred, margin: 0.01}
"""


def template(name: str) -> str:
    return (TEMPLATES / f"{name}.yml").read_text()


def project(root: Path, workflow: str, *, config: str | None = MINIMAL_CONFIG, folder: str = "") -> Path:
    files = {WORKFLOW: workflow} | ({f"{folder}mlgate.yaml": config} if config else {"train.py": ""})
    return make_repository(root, files)


@pytest.mark.parametrize("name", ["pull-request", "pull-request-self-hosted-gpu", "pull-request-forks", "monorepo"])
def test_our_templates_are_right(tmp_path: Path, name: str) -> None:
    lines = said(examined(project(tmp_path / "r", template(name)), "Workflow"))
    assert lines[0].startswith(f"✓ {WORKFLOW}: uses mlgate ")
    assert {line[0] for line in lines} <= {"✓", "–"}, lines
    assert any("its permissions suffice" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "permission", "level"),
    [("mlgate-requeue", "actions", "write"), ("mlgate-requeue", "checks", "read"), ("mlgate-commands", "statuses", "read")],
)
def test_our_templates_beside_it_are_right_and_a_permission_that_one_lacks_is_named(
    tmp_path: Path, name: str, permission: str, level: str
) -> None:
    root = project(tmp_path / "r", template("pull-request"))
    commit_files(root, {f".github/workflows/{name}.yml": template(name)}, "beside it")
    lines = said(examined(root, "Workflow"))
    assert any(name in line and "its permissions suffice" in line for line in lines)
    assert {line[0] for line in lines} <= {"✓", "–"}, lines
    narrowed = re.sub(rf"\n +{permission}: {level}[^\n]*", "", template(name))
    commit_files(root, {f".github/workflows/{name}.yml": narrowed}, "narrowed")
    finding = the_one(examined(root, "Workflow"), "lacks permissions")
    assert finding.advice == f"add {permission}: {level} to its permissions"


def test_ten_lines_without_a_configuration_are_right(tmp_path: Path) -> None:
    assert said(examined(project(tmp_path / "r", TEN_LINES, config=None), "Workflow")) == [
        f"✓ {WORKFLOW}: uses mlgate v0.1.0",
        f"✓ {WORKFLOW}: job 'mlgate': its permissions suffice",
    ]


@pytest.mark.parametrize(
    ("old", "new", "status", "text", "advice"),
    [
        ("pull-requests: write, ", "", "problem", "lacks permissions", "add pull-requests: write"),
        (
            "permissions: {contents: read, pull-requests: write, actions: read}\n",
            "",
            "warning",
            "no permissions stated",
            "pull-requests: write",
        ),
        ("@v0.1.0", "@main", "warning", "mlgate/mlgate@main: not a fixed version", "pin one"),
        ("fetch-depth: 0, ", "", "problem", "checks out without history", "fetch-depth: 0"),
        (", persist-credentials: false", "", "warning", "leaves the token on the disk", "persist-credentials: false"),
        ("concurrency: mlgate-${{ github.ref }}\n", "", "warning", "no concurrency group", "templates/workflows"),
        (", push: {branches: [main]}", "", "problem", "no baseline is ever recorded", "add push: {branches: [main]}"),
        ("branches: [main]", "branches: [master, 'release/*']", "problem", "no baseline is ever recorded", "add push"),
        ("pull_request: , ", "", "problem", "no workflow of this model runs on pull_request", "add the event"),
        ("runs-on", "needs: other\n    runs-on", "problem", "a skipped check counts as passed", "if: always()"),
        ("jobs:", "jobs: [", "problem", "cannot be read", "correct it"),
    ],
    ids=["permission", "no permissions", "branch", "shallow", "token", "concurrency", "push", "branches", "event", "skipped", "yaml"],
)
def test_what_is_wrong_with_a_workflow_is_named(tmp_path: Path, old: str, new: str, status: str, text: str, advice: str) -> None:
    assert old in TEN_LINES
    finding = the_one(examined(project(tmp_path / "r", TEN_LINES.replace(old, new), config=None), "Workflow"), text)
    assert finding.status == status
    assert advice in finding.advice


def test_a_caller_that_allows_less_than_the_called_workflow_asks_for(tmp_path: Path) -> None:
    workflow = template("pull-request").replace("      statuses: write # the commit status mlgate/<model>\n", "")
    finding = the_one(examined(project(tmp_path / "r", workflow), "Workflow"), "lacks permissions")
    assert finding.advice == "add statuses: write to its permissions"


def test_no_workflow_at_all(tmp_path: Path) -> None:
    [finding] = examined(make_repository(tmp_path / "r"), "Workflow")
    assert (finding.status, finding.text) == ("problem", "no workflow uses mlgate")
    assert "mlgate init" in finding.advice


def test_a_workflow_of_another_folder_only(tmp_path: Path) -> None:
    root = project(tmp_path / "r", template("pull-request"), folder="models/digits/")
    [finding] = examined(root / "models" / "digits", "Workflow")
    assert finding.text == "no workflow runs the model in 'models/digits'"
    assert "working-directory: models/digits" in finding.advice
    (root / WORKFLOW).write_text(template("pull-request").replace("# working-directory: models/digits", "working-directory: models/digits"))
    assert {line[0] for line in said(examined(root / "models" / "digits", "Workflow"))} <= {"✓", "–"}


def test_one_that_is_not_committed_is_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / WORKFLOW).write_text(TEN_LINES)
    assert the_one(examined(root, "Workflow"), "not in Git").status == "warning"


def test_mixed_versions_are_a_problem(tmp_path: Path) -> None:
    workflow = template("pull-request-self-hosted-gpu").replace("actions/run@v0.1.0", "actions/run@v0.2.0", 1)
    assert the_one(examined(project(tmp_path / "r", workflow), "Workflow"), "mixes versions").status == "problem"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pull-request", ["mlgate / verdict", "mlgate/digits"]),
        ("pull-request-self-hosted-gpu", ["verdict", "mlgate/digits"]),
        ("pull-request-forks", ["mlgate/digits"]),
        ("monorepo", ["mlgate / verdict", "mlgate/digits"]),
        ("monorepo-forks", ["mlgate"]),
    ],
)
def test_the_check_to_require_is_known(tmp_path: Path, name: str, expected: list[str]) -> None:
    root = project(tmp_path / "r", template(name))
    assert workflows.expected_checks(Subject.open(root, "mlgate.yaml", {})) == expected


@pytest.mark.parametrize(
    ("name", "train", "warned", "advice"),
    [
        ("pull-request-self-hosted-gpu", "timeout: 6h, gpu: {}", "", ""),
        (
            "pull-request-self-hosted-gpu",
            "timeout: 12h, gpu: {wait: 2h}",
            "the runner ends it after 450 minutes, which is less than train.gpu.wait (2h) and train.timeout (12h) take",
            "set timeout-minutes: 870, or shorten them in mlgate.yaml",
        ),
        ("pull-request-self-hosted-gpu", "timeout: 8h", "after 450 minutes, which is less than train.timeout (8h)", "shorten it"),
        ("pull-request", "timeout: 6h", "", ""),
        ("pull-request", "timeout: 6h, gpu: {}", "after 360 minutes, which is less than", "set train-timeout-minutes: 450, or"),
    ],
)
def test_a_job_that_ends_before_its_training_may_is_told(tmp_path: Path, name: str, train: str, warned: str, advice: str) -> None:
    config = MINIMAL_CONFIG.replace("python train.py", f"python train.py, {train}")
    findings = examined(project(tmp_path / "r", template(name), config=config), "Workflow")
    told = [finding for finding in findings if "the runner ends it" in finding.text]
    assert len(told) == bool(warned)
    assert all(warned in one.text and advice in one.advice and one.status == "warning" for one in told)


def test_a_time_that_an_expression_says_is_not_guessed_at(tmp_path: Path) -> None:
    workflow = template("pull-request-self-hosted-gpu").replace("timeout-minutes: 450", "timeout-minutes: ${{ vars.MINUTES }}")
    config = MINIMAL_CONFIG.replace("python train.py", "python train.py, timeout: 30h")
    assert not any("the runner ends it" in line for line in said(examined(project(tmp_path / "r", workflow, config=config), "Workflow")))
