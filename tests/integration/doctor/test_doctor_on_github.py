"""`mlgate doctor` on the repository's settings, asked of GitHub (stood in for), and on CODEOWNERS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.doctor.diagnoses import examined, said, the_one
from mlgate.stages.doctor.findings import Finding
from support import MINIMAL_CONFIG, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "workflows" / "pull-request.yml"
OWNERS = "* @octo/everyone\n/mlgate.yaml @octo/ml # the rules\n/.github/ @octo/ml\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"mlgate.yaml": MINIMAL_CONFIG, ".github/workflows/mlgate.yml": TEMPLATE.read_text(), ".github/CODEOWNERS": OWNERS}
    root = make_repository(tmp_path / "r", files)
    git(root, "remote", "add", "origin", "git@github.com:octo/models.git")
    return root


def asked(root: Path, github: StandIn, **environ: str) -> list[Finding]:
    administrator = github.add_token("ghp_admin", "ada", {"administration": "read", "contents": "read"})
    environ = environ or {"GH_TOKEN": administrator.value}
    return examined(root, "GitHub", GITHUB_API_URL=github.url, **environ)


def require(*names: str) -> dict[str, Any]:
    checks = [{"context": name} for name in names]
    return {
        "type": "required_status_checks",
        "parameters": {"required_status_checks": checks, "strict_required_status_checks_policy": False},
    }


REVIEW = {
    "type": "pull_request",
    "parameters": {
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": True,
        "require_last_push_approval": False,
        "required_approving_review_count": 1,
        "required_review_thread_resolution": False,
    },
}
QUEUE = {"type": "merge_queue"}


def test_a_ruleset_that_requires_check_and_owners(root: Path, github: StandIn) -> None:
    github.state.rules = [require("lint", "mlgate / verdict"), REVIEW, QUEUE]
    assert said(asked(root, github)) == [
        "✓ .github/CODEOWNERS: mlgate.yaml is owned by @octo/ml",
        "✓ .github/CODEOWNERS: .github/workflows/mlgate.yml is owned by @octo/ml",
        "✓ GH_TOKEN sees octo/models (private, default branch main)",
        "✓ 'mlgate / verdict' is required on main: a closed gate blocks the merge",
    ]


def test_classic_protection_counts_too(root: Path, github: StandIn) -> None:
    github.state.protected_checks = ["mlgate / verdict"]
    assert the_one(asked(root, github), "is required on main").status == "ok"


def test_the_commit_status_counts_too(root: Path, github: StandIn) -> None:
    github.state.rules = [require("mlgate/digits")]
    assert the_one(asked(root, github), "'mlgate/digits' is required on main").status == "ok"


def test_a_check_that_is_not_required_blocks_nothing(root: Path, github: StandIn) -> None:
    github.state.rules = [require("lint")]
    findings = asked(root, github)
    finding = the_one(findings, "'mlgate / verdict' is not required on main")
    assert (finding.status, finding.exit_code) == ("problem", 2)
    assert "branch ruleset" in finding.advice
    assert the_one(findings, "requires the review of code owners").status == "warning"


def test_a_token_that_may_not_read_protection_says_so_instead_of_guessing(root: Path, github: StandIn) -> None:
    finding = the_one(asked(root, github, MLGATE_GITHUB_TOKEN=github.token), "may not read its classic protection")
    assert finding.status == "warning"
    assert "administration: read" in finding.advice


def test_a_merge_queue_needs_the_event(root: Path, github: StandIn) -> None:
    github.state.rules = [require("mlgate / verdict"), REVIEW, QUEUE]
    workflow = root / ".github" / "workflows" / "mlgate.yml"
    workflow.write_text(workflow.read_text().replace("  merge_group:\n", ""))
    assert the_one(asked(root, github), "merge queue").status == "problem"


def test_the_token_of_the_environment_is_the_first_there_is_and_is_never_shown(root: Path, github: StandIn) -> None:
    github.state.rules = [require("mlgate / verdict")]
    findings = asked(root, github, GITHUB_TOKEN=github.token, GH_TOKEN="ghp_other")
    assert the_one(findings, "GITHUB_TOKEN sees octo/models").status == "ok"
    assert github.token not in "".join(said(findings))


def test_a_token_that_github_refuses(root: Path, github: StandIn) -> None:
    finding = the_one(asked(root, github, GH_TOKEN="ghp_wrong"), "GitHub refused the token")
    assert (finding.status, finding.exit_code, "ghp_wrong" in finding.text) == ("problem", 3, False)


def test_a_repository_that_is_not_there(root: Path, github: StandIn) -> None:
    git(root, "remote", "set-url", "origin", "https://github.com/octo/other")
    finding = the_one(asked(root, github), "does not see octo/other")
    assert finding.exit_code == 3


def test_another_default_branch(root: Path, github: StandIn) -> None:
    github.state.default_branch = "trunk"
    assert the_one(asked(root, github), "GitHub has trunk").status == "warning"


def test_github_that_does_not_answer(root: Path) -> None:
    findings = examined(root, "GitHub", GITHUB_API_URL="http://127.0.0.1:9", GH_TOKEN="ghp_x")
    assert [finding.exit_code for finding in findings if finding.status == "problem"] == [3]


def test_without_a_token_nothing_is_asked(root: Path, github: StandIn) -> None:
    finding = the_one(examined(root, "GitHub", GITHUB_API_URL=github.url), "no token in")
    assert finding.status == "open"
    assert "gh auth token" in finding.advice
    assert github.requests == []


def test_no_token_goes_to_a_host_that_is_no_known_github(root: Path, github: StandIn) -> None:
    git(root, "remote", "set-url", "origin", "https://github.com.example.org/octo/models.git")
    findings = examined(root, "GitHub", GITHUB_API_URL=github.url, GH_TOKEN=github.token)
    assert the_one(findings, "origin is no repository on GitHub").status == "open"
    assert github.requests == []


def test_owners_of_the_rules(root: Path) -> None:
    owners = root / ".github" / "CODEOWNERS"
    owners.write_text("/docs/ @octo/writers\n")
    assert said(examined(root, "GitHub"))[:2] == [
        "! .github/CODEOWNERS: nobody owns mlgate.yaml → add a line '/mlgate.yaml @OWNER'",
        "! .github/CODEOWNERS: nobody owns .github/workflows/mlgate.yml → add a line '/.github/workflows/mlgate.yml @OWNER'",
    ]
    owners.unlink()
    assert the_one(examined(root, "GitHub"), "no CODEOWNERS").status == "warning"
