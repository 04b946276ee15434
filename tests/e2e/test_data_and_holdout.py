"""Data and holdout on an S3 remote, which CI may only read, and pull requests that change the holdout: on a real runner.

The workflow is the template as users copy it. The machine that made the data is the test's process, with credentials that may write.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_servers import S3, s3_server
from e2e import act, caller
from github_stand_in import StandIn
from support import commit_files, git

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES, ADDED = 300, 60
CONFIG = """\
model: toy
data:
  contracts:
    - data: data/train.csv
      schema: contracts/train.yaml
train:
  command: dvc repro
  timeout: 2m
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
  predict: python predict.py
  holdout: [data/holdout.csv]
gate:
  rules:
    - {metric: accuracy, min: 0.75}
    - {metric: accuracy, margin: 0.05}
"""
CONTRACT = """\
columns:
  x: {dtype: float64, checks: {in_range: {min_value: 0, max_value: 1}}}
  y: {dtype: int64, checks: {isin: [0, 1]}}
"""
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, data/train.csv]
    outs: [model/threshold.txt]
  predict:
    cmd: python predict.py
    deps: [predict.py, data/holdout.csv, model/threshold.txt]
    outs: [eval/predictions.csv]
"""
# A model is the number above which an example is a 1.
TRAIN = """\
import csv, os, pathlib, statistics
print("trained with", os.environ.get("AWS_SECRET_ACCESS_KEY"))  # as somebody does who looks for a fault
with open("data/train.csv", newline="") as stream:
    rows = list(csv.DictReader(stream))
middles = [statistics.mean(float(row["x"]) for row in rows if row["y"] == label) for label in "01"]
pathlib.Path("model").mkdir(exist_ok=True)
pathlib.Path("model/threshold.txt").write_text(str(sum(middles) / 2))
"""
PREDICT = """\
import csv, pathlib
threshold = float(pathlib.Path("model/threshold.txt").read_text())
pathlib.Path("eval").mkdir(exist_ok=True)
with open("data/holdout.csv", newline="") as stream, open("eval/predictions.csv", "w", newline="") as out:
    writer = csv.writer(out)
    writer.writerow(["id", "y", "y_pred"])
    writer.writerows([row["id"], row["y"], int(float(row["x"]) > threshold)] for row in csv.DictReader(stream))
"""


@dataclass
class World:
    """A repository, its data on S3, and GitHub, over all runs."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    s3: S3

    def run(self, name: str, event_name: str, event: dict[str, Any], sha: str, run_id: int, ref: str) -> act.Run:
        credentials = self.s3.environment(self.s3.reader)
        return act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=".github/workflows/mlgate.yml",
            event_name=event_name,
            event=event,
            env=caller.environment(self.caller.origin, self.github, sha=sha, ref=ref, run_id=run_id),
            secrets={
                "GITHUB_TOKEN": self.github.token,
                "MLGATE_ENV": "\n".join(f"{key}={value}" for key, value in credentials.items()),
            },
            name=name,
        )

    def pull_request(self, name: str, number: int) -> act.Run:
        """A pull request from the branch of that name."""
        pull = self.caller.pull_request(number, name)
        self.github.add_pull_request(number, head_sha=pull.head, base_sha=pull.base)
        event = caller.pull_request_event(pull)
        return self.run(name, "pull_request", event, pull.merge, run_id=100 + number, ref=f"refs/pull/{number}/merge")

    def comment(self, number: int) -> str:
        [comment] = self.github.comments(number, "github-actions[bot]")
        return comment.body

    def findings(self, run: str, stage: str) -> dict[str, Any]:
        return dict(act.evidence(self.machine, run, stage)["findings"])


def write_rows(path: Path, numbers: range, seed: int) -> None:
    """Examples of two classes, one in ten of them on the wrong side."""
    source = random.Random(seed)
    path.parent.mkdir(exist_ok=True)
    rows = [(n, round(source.random(), 6), source.random() < 0.1) for n in numbers]
    path.write_text("id,x,y\n" + "".join(f"{n},{x},{int((x > 0.5) != is_odd)}\n" for n, x, is_odd in rows))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A repository whose author ran the pipeline, pushed data and model to S3, and pushed the rest to GitHub."""
    folder = tmp_path_factory.mktemp("e2e")
    clone, origin = caller.empty_repository(folder)
    template = (ROOT / "templates/workflows/pull-request.yml").read_text()
    files = {
        ".github/workflows/mlgate.yml": template.replace("pip install -r requirements.txt", "python --version"),
        "mlgate.yaml": CONFIG,
        "contracts/train.yaml": CONTRACT,
        "dvc.yaml": PIPELINE,
        "train.py": TRAIN,
        "predict.py": PREDICT,
    }
    with s3_server() as s3, StandIn(caller.REPOSITORY) as github, pytest.MonkeyPatch.context() as patch:
        for key, value in s3.environment().items():
            patch.setenv(key, value)
        caller.dvc(clone, "init", "--quiet")
        commit_files(clone, {".dvc/config": s3.config(), **files}, "code")
        write_rows(clone / "data/train.csv", range(1000), seed=1)
        write_rows(clone / "data/holdout.csv", range(EXAMPLES), seed=2)
        caller.dvc(clone, "add", "--quiet", "data/train.csv", "data/holdout.csv")
        caller.dvc(clone, "repro", "--quiet")
        caller.dvc(clone, "push", "--quiet")
        commit_files(clone, {}, "data and model")
        git(clone, "push", "--quiet", "origin", "main")
        machine = act.Machine.prepare(folder)
        yield World(machine, caller.Caller(clone, origin), github, s3)
        assert github.violations == []


@pytest.fixture(scope="module")
def merged(world: World) -> act.Run:
    """The push to main that records the baseline."""
    before, after = (git(world.caller.clone, "rev-parse", name) for name in ("main~1", "main"))
    return world.run("merged", "push", caller.push_event(before, after), after, run_id=100, ref="refs/heads/main")


@pytest.fixture(scope="module")
def changed(world: World, merged: act.Run) -> act.Run:
    """A pull request that adds examples to the holdout and trains a model as good in another way."""
    clone = world.caller.clone
    git(clone, "checkout", "--quiet", "-b", "changed", "main")
    with (clone / "data/holdout.csv").open() as known:
        rows = known.read()
    write_rows(clone / "data/more.csv", range(EXAMPLES, EXAMPLES + ADDED), seed=3)
    (clone / "data/holdout.csv").unlink()  # a link into DVC's cache, perhaps
    (clone / "data/holdout.csv").write_text(rows + (clone / "data/more.csv").read_text().partition("\n")[2])
    (clone / "data/more.csv").unlink()
    caller.dvc(clone, "add", "--quiet", "data/holdout.csv")
    caller.dvc(clone, "push", "--quiet", "data/holdout.csv")
    world.caller.push("changed", {"train.py": TRAIN.replace("statistics.mean(", "statistics.median(")}, "more examples, and medians")
    return world.pull_request("changed", 1)


@pytest.fixture(scope="module")
def forgotten(world: World, changed: act.Run) -> act.Run:
    """A pull request with other data, of which only the .dvc file was pushed."""
    clone = world.caller.clone
    git(clone, "checkout", "--quiet", "-b", "forgotten", "main")
    (clone / "data/train.csv").unlink()
    write_rows(clone / "data/train.csv", range(1200), seed=4)
    caller.dvc(clone, "add", "--quiet", "data/train.csv")
    world.caller.push("forgotten", {}, "more data")
    return world.pull_request("forgotten", 2)


class TestPushToMain:
    def test_takes_its_data_from_s3_and_records_the_baseline(self, world: World, merged: act.Run) -> None:
        assert merged.results() == {"data": "success", "train": "success", "verdict": "success"}
        main = git(world.caller.clone, "rev-parse", "main")
        assert f"evaluations/{main}.json" in world.caller.store_names()
        pulled = world.findings("merged", "pull-data")
        assert "data/train.csv" in json.dumps(pulled)


class TestChangedHoldout:
    def test_passes_where_the_model_is_as_good(self, world: World, changed: act.Run) -> None:
        assert changed.results() == {"data": "success", "train": "success", "verdict": "success"}
        assert world.findings("changed", "gate")["verdict"] == "no worse"
        head = git(world.caller.clone, "rev-parse", "changed")
        assert [status.state for status in world.github.statuses(head)] == ["success"]

    def test_compares_all_examples_since_the_baselines_model_is_scored_on_those_added(self, world: World, changed: act.Run) -> None:
        baseline = world.findings("changed", "gate")["baseline"]
        assert baseline["source"] == "re-scored"
        assert baseline["commit"] == git(world.caller.clone, "rev-parse", "main")
        assert (baseline["shared_examples"], baseline["shared_share"]) == (EXAMPLES + ADDED, 1.0)
        rescoring = baseline["rescoring"]
        assert (rescoring["recorded_in"], rescoring["recorded_examples"], rescoring["rescored_examples"]) == ("store", EXAMPLES, ADDED)
        assert rescoring["disagreeing_examples"] == 0

    def test_the_comment_says_so(self, world: World, changed: act.Run) -> None:
        body = world.comment(1)
        assert "baseline re-scored on this holdout" in body
        assert f"{EXAMPLES} examples with the answers on record, {ADDED} examples with new ones" in body
        assert f"all {EXAMPLES + ADDED} examples of the holdout" in body

    def test_nothing_is_written_to_s3(self, world: World, changed: act.Run) -> None:
        assert world.s3.client.list_objects_v2(Bucket="models")["KeyCount"] == 5


class TestDataThatWasNeverPushed:
    def test_ends_the_run_before_anything_is_trained(self, world: World, forgotten: act.Run) -> None:
        assert forgotten.results() == {"data": "failure", "verdict": "failure"}
        assert "trained with" not in forgotten.output

    def test_the_comment_says_what_to_run(self, world: World, forgotten: act.Run) -> None:
        body = world.comment(2).replace("`", "")
        assert "data/train.csv: missing on remote 'storage' (s3://models/dvc): no object files/md5/" in body
        assert "run 'dvc push data/train.csv' where the data is" in body
        head = git(world.caller.clone, "rev-parse", "forgotten")
        assert [status.state for status in world.github.statuses(head)] == ["error"]


def test_the_secret_of_s3_is_in_no_artifact_comment_or_record(world: World, changed: act.Run, forgotten: act.Run) -> None:
    secret = world.s3.reader[1]
    files = {
        f"{run}/{path}": content
        for run in ("merged", "changed", "forgotten")
        for path, content in act.artifacts(world.machine, run).items()
    }
    assert [path for path, content in files.items() if secret.encode() in content] == []
    assert [path for path, content in files.items() if b"trained with ***" in content], "training printed it"
    assert [number for number in (1, 2) if secret in world.comment(number)] == []
    records = [git(world.caller.origin, "show", f"refs/mlgate/toy:{name}") for name in world.caller.store_names() if name.endswith(".json")]
    assert records
    assert [record for record in records if secret in record] == []


def test_the_secret_of_s3_is_in_no_line_of_a_log_that_mlgate_wrote(
    merged: act.Run, changed: act.Run, forgotten: act.Run, world: World
) -> None:
    # What training prints goes to the runner as it is; act forgets masks inside later composite actions, GitHub keeps them.
    lines = [line for run in (merged, changed, forgotten) for job in run.jobs.values() for line in job.lines]
    assert {line for line in lines if world.s3.reader[1] in line} <= {f"trained with {world.s3.reader[1]}"}
    assert "trained with" in changed.jobs["train"].log
