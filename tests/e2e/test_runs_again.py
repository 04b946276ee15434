"""Two pushes to a pull request within seconds, of which the older's run ends last, and a force push back: on a real runner.

The workflow is the short one, since all that differs is in the report; tests/integration/report has the other ways to overtake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from github_stand_in.state import Comment
from support import commit_files, git

HERE = Path(__file__).resolve().parent
WORKFLOW = """\
on: pull_request
jobs:
  verdict:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {fetch-depth: 0, persist-credentials: false}
      - run: python predict.py "$(cat wrong.txt)"
      - uses: mlgate/mlgate@v0.1.0
"""


@dataclass
class PullRequest:
    """Pull request 7, and what its runs need."""

    machine: act.Machine
    clone: Path
    origin: Path
    github: StandIn

    def run(self, head: str, run_id: int) -> act.Run:
        """The run that a push of that commit began; it ends now, whatever was pushed meanwhile."""
        base = git(self.clone, "rev-parse", "main")
        git(self.clone, "checkout", "--quiet", "--detach", head)  # act takes the files from here
        merge = git(self.clone, "commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", f"Merge {head} into {base}")
        git(self.clone, "push", "--quiet", "--force", "origin", f"{merge}:refs/pull/7/merge")
        return act.run(
            self.machine,
            workspace=self.clone,
            workflow=".github/workflows/mlgate.yml",
            event_name="pull_request",
            event=caller.pull_request_event(caller.PullRequest(7, head, base, merge)),
            env=caller.environment(self.origin, self.github, sha=merge, ref="refs/pull/7/merge", run_id=run_id),
            secrets={"GITHUB_TOKEN": self.github.token},
            name=f"run-{run_id}",
        )

    def pushed(self, head: str) -> None:
        self.github.add_pull_request(7, head_sha=head, base_sha=git(self.clone, "rev-parse", "main"))

    @property
    def comment(self) -> Comment:
        [comment] = self.github.comments(7)
        return comment


@pytest.fixture
def pull(tmp_path: Path) -> Iterator[PullRequest]:
    clone, origin = caller.empty_repository(tmp_path)
    model = {name: (HERE.parent / "selftest" / name).read_text() for name in ("mlgate.yaml", "predict.py")}
    commit_files(clone, {".github/workflows/mlgate.yml": WORKFLOW, "README.md": "a model", **model}, "first")
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "checkout", "--quiet", "-b", "feature")
    with StandIn(caller.REPOSITORY) as github:
        yield PullRequest(act.Machine.prepare(tmp_path), clone, origin, github)
        assert github.violations == []


def test_the_newest_commits_verdict_stands_in_one_comment(pull: PullRequest) -> None:
    one = commit_files(pull.clone, {"wrong.txt": "40"}, "good")
    two = commit_files(pull.clone, {"wrong.txt": "200"}, "bad")
    git(pull.clone, "push", "--quiet", "origin", "feature")
    pull.pushed(two)

    assert pull.run(two, run_id=9).results() == {"verdict": "failure"}
    stands = pull.comment.body
    assert f"run=9 attempt=1 commit={two}" in stands
    assert "must not be merged" in stands

    older = pull.run(one, run_id=5)

    assert older.results() == {"verdict": "success"}, "the job is its own commit's check"
    assert f"outdated: the pull request is at {two[:12]} now; comment left as it is" in older.jobs["verdict"].log
    assert pull.comment.body == stands
    assert [status.state for status in pull.github.statuses(two)] == ["failure"]
