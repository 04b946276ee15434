"""Which files a schema in Python is made of: itself, and what it imports from the repository."""

from __future__ import annotations

import pytest

from mlgate.stages.revisions.python_sources import sources


def found(files: dict[str, str], path: str = "contracts/train.py") -> set[str]:
    return set(sources(path, lambda name: files[name].encode() if name in files else None))


@pytest.mark.parametrize(
    ("imports", "other"),
    [
        ("import contracts.limits", "contracts/limits.py"),
        ("from contracts.limits import MOST", "contracts/limits.py"),
        ("from contracts import limits", "contracts/limits.py"),
        ("import limits as l", "limits.py"),
        ("from package.deep.limits import MOST", "src/package/deep/limits.py"),
        ("import package.limits", "package/__init__.py"),
        ("def check():\n    import limits", "limits.py"),
        ("from .limits import MOST", "contracts/limits.py"),
    ],
)
def test_what_it_imports_belongs_to_it(imports: str, other: str) -> None:
    assert found({"contracts/train.py": imports, other: "MOST = 1", "train.py": "x"}) == {"contracts/train.py", other}


def test_what_that_imports_belongs_to_it_too_also_in_a_circle() -> None:
    files = {"contracts/train.py": "import a", "a.py": "import b", "b.py": "import a\nimport os"}
    assert found(files) == {"contracts/train.py", "a.py", "b.py"}


@pytest.mark.parametrize("text", ["import (", "\0", "import pandas\nimport os.path", ""])
def test_code_that_cannot_be_read_is_just_itself(text: str) -> None:
    assert found({"contracts/train.py": text}) == {"contracts/train.py"}


def test_a_file_that_is_not_there_is_made_of_nothing() -> None:
    assert found({}) == set()
