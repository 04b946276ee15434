"""CODEOWNERS as GitHub reads it: the last pattern that fits decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate.forge import code_owners


@pytest.mark.parametrize(
    ("text", "path", "owners"),
    [
        ("* @a", "mlgate.yaml", ["@a"]),
        ("* @a", "models/x/mlgate.yaml", ["@a"]),
        ("/mlgate.yaml @a @b # ours", "mlgate.yaml", ["@a", "@b"]),
        ("/mlgate.yaml @a", "models/mlgate.yaml", []),
        ("mlgate.yaml @a", "models/mlgate.yaml", ["@a"]),
        ("*.yaml @a", "models/mlgate.yaml", ["@a"]),
        ("*.yml @a", "mlgate.yaml", []),
        ("/models/ @a", "models/x/mlgate.yaml", ["@a"]),
        ("models/ @a", "deep/models/mlgate.yaml", ["@a"]),
        ("models/* @a", "models/mlgate.yaml", ["@a"]),
        ("models/* @a", "models/x/mlgate.yaml", []),
        ("models/** @a", "models/x/mlgate.yaml", ["@a"]),
        ("**/mlgate.yaml @a", "mlgate.yaml", ["@a"]),
        ("**/mlgate.yaml @a", "a/b/mlgate.yaml", ["@a"]),
        ("/models/**/mlgate.yaml @a", "models/a/b/mlgate.yaml", ["@a"]),
        ("* @a\n/mlgate.yaml @b", "mlgate.yaml", ["@b"]),
        ("/mlgate.yaml @b\n* @a", "mlgate.yaml", ["@a"]),
        ("* @a\n/mlgate.yaml", "mlgate.yaml", []),
        ("# * @a\n\n", "mlgate.yaml", []),
        ("/my\\ models/ @a", "my models/mlgate.yaml", ["@a"]),
        ("/model?/ @a", "models/mlgate.yaml", ["@a"]),
    ],
)
def test_the_last_pattern_that_fits_decides(text: str, path: str, owners: list[str]) -> None:
    assert code_owners.owners(text, path) == owners


def test_it_is_looked_for_where_github_looks(tmp_path: Path) -> None:
    assert code_owners.find(tmp_path) is None
    for place in ("docs", ".github"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "CODEOWNERS").write_text("")
    (tmp_path / "CODEOWNERS").write_text("")
    assert code_owners.find(tmp_path) == tmp_path / ".github" / "CODEOWNERS"
