"""The modules that the user's interpreter runs know nothing of mlgate, which is not installed there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mlgate

PACKAGE = Path(mlgate.__file__).parent


@pytest.mark.parametrize(
    "module", ["contracts/user_schema.py", "contracts/pandera_run.py", "contracts/tables.py", "evaluation/user_metric.py"]
)
def test_imports_nothing_of_mlgate(module: str) -> None:
    imported = [
        name
        for node in ast.walk(ast.parse((PACKAGE / module).read_text()))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in getattr(node, "names", [])])
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imported
    assert not [name for name in imported if name.split(".")[0] == "mlgate"]
