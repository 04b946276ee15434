"""What every workflow and action of ours keeps to, and no linter knows: DESIGN.md's trust, one version stamp, glue without logic."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("templates/workflows/*.yml")])
ACTIONS = sorted([ROOT / "action.yml", *ROOT.glob("actions/*/action.yml")])
STAGES = ("check", "pull-data", "validate-data", "train", "evaluate", "gate", "report")

sys.path.insert(0, str(ROOT / "scripts"))
import stamp  # noqa: E402
from mlgate.config.training import DEFAULT_TIMEOUT_S, GpuConfig  # noqa: E402


def document(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def steps(path: Path) -> list[dict[str, Any]]:
    loaded = document(path)
    if "runs" in loaded:
        return loaded["runs"]["steps"]
    return [step for job in loaded["jobs"].values() for step in job.get("steps", [])]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_place_names_the_same_version_of_our_actions():
    found = dict(stamp.stamps(ROOT))
    assert len(found) > 10
    assert {str(value) for value in found.values()} == {str(stamp.current(ROOT))}


def test_a_mirror_can_be_stamped(tmp_path):
    """`make stamp OWNER=acme REF=<sha>` leaves no trace of the old name, and can be taken back."""
    copied = [*WORKFLOWS, *ACTIONS, ROOT / "zizmor.yml"]
    for path in copied:
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(ROOT)).write_text(path.read_text())
    (tmp_path / "README.md").write_text("uses: mlgate/mlgate@v0.1.0\nuses: someone/else@v0.1.0\nnot/mlgate/mlgate@v0.1.0\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    mine = stamp.Stamp("acme/ml-gate", "a" * 40)
    stamp.stamp(tmp_path, mine)
    assert {str(value) for _, value in stamp.stamps(tmp_path)} == {str(mine)}
    assert "acme/ml-gate/*: ref-pin" in (tmp_path / "zizmor.yml").read_text()
    assert (tmp_path / "README.md").read_text() == f"uses: acme/ml-gate@{'a' * 40}\nuses: someone/else@v0.1.0\nnot/mlgate/mlgate@v0.1.0\n"
    stamp.stamp(tmp_path, stamp.current(ROOT))
    assert [path for path in copied if (tmp_path / path.relative_to(ROOT)).read_text() != path.read_text()] == []


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=name_of)
def test_no_expression_reaches_a_shell(path):
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=name_of)
def test_a_step_runs_one_line(path):
    assert [step["run"] for step in steps(path) if "\n" in step.get("run", "").strip()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_every_permission_says_why_it_is_asked_for(path):
    granted = re.findall(
        r"^ +(?:actions|contents|pull-requests|statuses|checks|issues|id-token): (?:read|write)(.*)$", path.read_text(), re.MULTILINE
    )
    assert granted
    assert all(re.match(r" # \w", reason) for reason in granted)
    assert document(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_opens_with_a_header(path):
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", [path for path in WORKFLOWS if path.parent.name == "workflows" and ".github" in path.parts], ids=name_of)
def test_every_job_says_what_trust_it_holds(path):
    text = path.read_text()
    for job in document(path)["jobs"]:
        comment = re.search(rf"((?:^  # .*\n)+)^  {re.escape(job)}:$", text, re.MULTILINE)
        assert comment is not None, job
        assert "Trust:" in comment[1], job


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_every_job_ends_by_itself(path):
    for name, job in document(path)["jobs"].items():
        assert ("uses" in job) or job.get("timeout-minutes"), name


JOBS = {
    path: {name: job for name, job in document(ROOT / path)["jobs"].items() if name != "plan"}
    for path in (
        ".github/workflows/reusable-pull-request.yml",
        "templates/workflows/pull-request-self-hosted-gpu.yml",
        "templates/workflows/train-self-hosted-gpu.yml",
    )
}


@pytest.mark.parametrize("jobs", JOBS.values(), ids=JOBS)
class TestTrust:
    """Of the ways to run a pull request: the reusable workflow, and the templates with our actions."""

    def test_only_the_verdict_can_write(self, jobs):
        assert jobs["data"]["permissions"] == jobs["train"]["permissions"] == {"contents": "read"}
        assert {name for name, kind in jobs["verdict"]["permissions"].items() if kind == "write"} == {
            "contents",
            "pull-requests",
            "statuses",
        }

    def test_the_verdict_runs_only_the_gate_and_the_report(self, jobs):
        used = {step["uses"].partition("@")[0].rpartition("/")[2] for step in jobs["verdict"]["steps"] if "uses" in step}
        assert used == {"setup", "run", "checkout", "download-artifact", "upload-artifact"}
        assert stages_of(jobs["verdict"]) == ["gate", "report"]
        assert [step["run"] for step in jobs["verdict"]["steps"] if "run" in step] == ['test "$STATUS" = passed']

    def test_the_verdict_always_runs_and_gets_no_secret_and_no_cache(self, jobs):
        verdict = jobs["verdict"]
        assert verdict["if"].startswith("always()")
        assert [job for job in verdict["needs"] if job != "plan"] == ["data", "train"]
        # Those of `notify` are for a chat, not for data: nothing but our own report gets them.
        with_secrets = [step for step in verdict["steps"] if "secrets." in yaml.safe_dump(step)]
        assert [step["with"].pop("notify-env") for step in copy.deepcopy(with_secrets)] in ([], ["${{ secrets.notify-env }}"])
        assert yaml.safe_dump(verdict).count("secrets.") == len(with_secrets)
        setup = next(step for step in verdict["steps"] if "/actions/setup@" in step.get("uses", ""))
        assert setup["with"]["cache"] == "false"
        assert "env" not in setup["with"]

    def test_jobs_with_code_of_the_pull_request_get_no_write_token(self, jobs):
        for job in ("data", "train"):
            assert "github.token" not in yaml.safe_dump(jobs[job])
            assert "GITHUB_TOKEN" not in yaml.safe_dump(jobs[job])

    def test_no_checkout_leaves_the_token_on_the_disk_and_all_have_the_history(self, jobs):
        checkouts = [step["with"] for job in jobs.values() for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
        assert len(checkouts) == 3
        assert all(given["persist-credentials"] is False and given["fetch-depth"] == 0 for given in checkouts)

    def test_stages_run_in_order(self, jobs):
        assert [stage for job in jobs.values() for stage in stages_of(job)] == list(STAGES)

    def test_what_is_installed_is_what_runs(self, jobs):
        for job in jobs.values():
            setup = next(step["with"] for step in job["steps"] if "/actions/setup@" in step.get("uses", ""))
            assert setup["stages"].split() == stages_of(job)

    def test_evidence_travels_under_the_name_that_the_next_job_reads(self, jobs):
        for job, steps_of in ((name, value["steps"]) for name, value in jobs.items()):
            given = next(step["with"] for step in steps_of if "actions/upload-artifact@" in step.get("uses", ""))
            assert given["name"] == f"mlgate-${{{{ steps.setup.outputs.model }}}}-{job}-${{{{ github.run_attempt }}}}"
            assert given["include-hidden-files"] is True
            assert next(step for step in steps_of if step.get("with") == given)["if"].startswith("always()")


def test_a_live_status_is_offered_with_no_other_right_to_write():
    """Uncommented as its comments tell: the training's job then has a token that may comment, and nothing else."""
    text = (ROOT / "templates/workflows/pull-request-self-hosted-gpu.yml").read_text()
    switched_on = re.sub(r"# ((?:pull-requests: write|github-token:) )", r"\1", text)
    assert switched_on.count("\n") == text.count("\n")
    train = yaml.safe_load(switched_on)["jobs"]["train"]
    assert train["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert [step["with"]["github-token"] for step in train["steps"] if "/actions/run@" in step.get("uses", "")] == ["${{ github.token }}"]


@pytest.mark.parametrize("name", ["pull-request-self-hosted-gpu", "train-self-hosted-gpu"])
def test_a_job_on_a_gpu_outlives_its_queue_and_its_training(name):
    train = document(ROOT / f"templates/workflows/{name}.yml")["jobs"]["train"]
    assert train["timeout-minutes"] * 60 > GpuConfig().wait + DEFAULT_TIMEOUT_S


def test_the_form_for_own_machines_asks_what_the_other_one_asks():
    own, other = (document(ROOT / f"templates/workflows/{name}.yml") for name in ("train-self-hosted-gpu", "train"))
    assert {name: given["type"] for name, given in own[True]["workflow_dispatch"]["inputs"].items()} == {
        name: given["type"] for name, given in other[True]["workflow_dispatch"]["inputs"].items()
    }


def stages_of(job):
    return [stage for step in job["steps"] if "/actions/run@" in step.get("uses", "") for stage in step["with"]["stages"].split()]


@pytest.mark.parametrize("path", ACTIONS, ids=name_of)
class TestActions:
    def test_has_the_inputs_that_all_have(self, path):
        inputs = document(path)["inputs"]
        if path.parent.name != "requeue":  # which is about runs, not about a model
            assert inputs["config"]["default"] == "mlgate.yaml"
            assert inputs["working-directory"]["default"] == "."
        assert all(given.get("description") and given["required"] is False and "default" in given for given in inputs.values())

    def test_calls_one_command_of_ours_and_nothing_else(self, path):
        pattern = r'(?:exec )?"\$GITHUB_ACTION_PATH/(?:\.\./\.\./)?scripts/mlgate\.sh" (?:[a-z-]+|--environment >> "\$GITHUB_OUTPUT")'
        assert all(re.fullmatch(pattern, step["run"]) for step in steps(path) if "run" in step)

    def test_a_cancelled_training_hears_of_it_and_no_shell_shows_it_the_token(self, path):
        """GitHub signals a step's first process alone, whose environment stands in /proc for as long as the training runs."""
        for step in steps(path):
            is_beside_code = step.get("run", "").rpartition(" ")[2] in ("run", "train") and path.parent.name in ("run", "train")
            assert step.get("run", "").startswith("exec ") == (is_beside_code and "MLGATE_GITHUB_TOKEN" in step.get("env", {}))

    def test_only_gate_and_report_see_the_token(self, path):
        for step in steps(path):
            environment = step.get("env", {})
            if "MLGATE_GITHUB_TOKEN" in environment:
                command = step["run"].rpartition(" ")[2]
                ran = environment["MLGATE_STAGES"] if command == "run" else command
                # actions/run has only the token that its caller gives it: none, unless it is asked for gate and report.
                allowed = {"gate", "report", "gate report", "comment", "slash-command", "requeue"}
                assert ran in allowed or document(path)["inputs"]["github-token"]["default"] == ""


def test_every_stage_is_an_action_with_its_outputs():
    for stage in STAGES:
        outputs = document(ROOT / "actions" / stage / "action.yml")["outputs"]
        assert {"status", "evidence"} <= set(outputs)
    assert "verdict" in document(ROOT / "actions/gate/action.yml")["outputs"]


def test_ci_requires_every_job():
    jobs = document(ROOT / ".github/workflows/ci.yml")["jobs"]
    last = jobs["all-passed"]
    assert sorted(last["needs"]) == sorted(set(jobs) - {"all-passed"})
    assert last["steps"][0]["run"].count("success") == len(last["needs"])


def test_train_hands_on_everything_a_pull_request_can_be_given():
    """reusable-train.yml calls reusable-pull-request.yml: an input added to one must not be forgotten in the other."""
    given = document(ROOT / ".github/workflows/reusable-train.yml")["jobs"]["run"]["with"]
    assert set(given) == set(document(ROOT / ".github/workflows/reusable-pull-request.yml")[True]["workflow_call"]["inputs"])
