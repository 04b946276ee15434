"""`make lint` finds what it is there to find: a check that cannot fail would be no check."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINT = ROOT / "tests/lint_workflows"
sys.path.insert(0, str(ROOT))

pytestmark = pytest.mark.skipif(not (LINT / "node_modules").is_dir(), reason="make lint has not installed the language service")

WRONG = """\
on: push
jobs:
  typo:
    uses: mlgate/mlgate/.github/workflows/reusable-train.yml@v0.1.0
    with:
      confg: x
    secrets:
      envv: ${{ secrets.X }}
  steps:
    runs-on: ubuntu-latest
    steps:
      - uses: mlgate/mlgate/actions/gate@v0.1.0
        with:
          nonsense: 1
      - uses: mlgate/mlgate/actions/absent@v0.1.0
      - uses: actions/checkout@v4
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.0
      - uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0
      - run: echo ${{ gitub.sha }}
  absent:
    uses: mlgate/mlgate/.github/workflows/reusable-absent.yml@v0.1.0
"""


def lint(root: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    from tests.lint_workflows.__main__ import node

    own = json.dumps({"repository": "mlgate/mlgate", "ref": "v0.1.0", "root": str(root)})
    return subprocess.run([node(), str(LINT / "lint.mjs"), own, *map(str, files)], capture_output=True, text=True, check=False)


def test_the_language_service_sees_across_repositories(tmp_path):
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    shutil.copytree(ROOT / "actions", tmp_path / "actions")
    wrong = tmp_path / ".github/workflows/wrong.yml"
    wrong.write_text(WRONG)
    finished = lint(tmp_path, wrong)
    assert finished.returncode == 1, finished.stderr
    assert sorted(finished.stdout.splitlines()) == sorted(
        f".github/workflows/wrong.yml:{line}"
        for line in (
            "6: Invalid input, confg is not defined in the referenced workflow.",
            "8: Invalid secret, envv is not defined in the referenced workflow.",
            "14: Invalid action input 'nonsense'",
            "15: Unable to resolve action `mlgate/mlgate/actions/absent@v0.1.0`, repository or version not found",
            "16: Unable to resolve action `actions/checkout@v4`, repository or version not found",
            "17: actions/checkout@3d3c42e5aac5 is v7.0.1, the comment says v7.0.0",
            "18: Missing required input `path`",
            "19: Unrecognized named-value: 'gitub'",
            "21: Unable to find reusable workflow",
        )
    )


def test_all_of_ours_pass():
    finished = subprocess.run([sys.executable, "-m", "tests.lint_workflows"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("✓") == 4
