"""A model whose name is none: one line that says so, which is text itself, wherever the name comes from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support import MINIMAL_CONFIG

NAMES = {
    "markdown": "<img src=x onerror=alert(1)> @octocat #1 |x| **b**",
    "commands": "x\n::error::owned\n##[add-mask]y",
    "terminal": "\x1b[31mred\x1b]0;t\x07",
    "moved": "\u202egnp\u200b",
    "path up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "option": "-rf",
    "hidden": ".git",
    "newline": "dig\nits",
    "NUL": "a\x00b",
    "shell": "$(touch pwned)`touch pwned`",
    "a Git ref": "a..b@{1}~^:",
    "too long": "a" * 101,
    "ten megabytes": "A" * 900_000,  # of a file that may have a megabyte
    "empty": "",
    "letters of other alphabets": "модель",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_it_is_refused_in_one_line_that_is_text(name: str, tmp_path: Path) -> None:
    config = MINIMAL_CONFIG.replace("model: digits\n", f"model: {yaml.safe_dump(name, default_style=chr(34), width=10**9).strip()}\n")
    (tmp_path / "mlgate.yaml").write_text(config)
    assert yaml.safe_load(config)["model"] == name
    output = tmp_path / "output"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "MLGATE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "mlgate.cli", "setup"],
        cwd=tmp_path,
        env={**inherited, "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/models", "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("::error title=mlgate::")]
    [line] = said
    assert line.startswith("✗ mlgate.yaml: model: ")
    assert len(line) < 600
    assert "##[" not in line
    assert not re.search("[\x00-\x1f\x7f\u200b\u202e]", line)
    assert not output.exists()
    assert list(tmp_path.rglob("pwned")) == []
