"""Repositories in which something can go wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.data.conftest import _own_dvc, _template, project
from support import make_repository

__all__ = ["_own_dvc", "_template", "project"]

CONFIG = f"""\
model: digits
train: {{command: {sys.executable} train.py, timeout: 20s}}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
gate:
  rules: [{{metric: accuracy, margin: 0.02}}, {{metric: accuracy, min: 0.5}}]
"""
TRAIN = """\
import pathlib
pathlib.Path("trained").write_text("yes")
pathlib.Path("eval").mkdir(exist_ok=True)
rows = [f"{i},{i % 3},{(i + 1) % 3 if i < 10 else i % 3}\\n" for i in range(100)]
pathlib.Path("eval/predictions.csv").write_text("id,y,y_pred\\n" + "".join(rows))
"""
CONTRACT = "columns:\n  x: {dtype: int64, in_range: {min_value: 0, max_value: 1}}\n"


@pytest.fixture(scope="session", autouse=True)
def _one_font_list(tmp_path_factory: pytest.TempPathFactory) -> object:
    """matplotlib takes seconds to make it; once is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """Makes a Git repository of a model that trains in a moment: `config` is added to its mlgate.yaml, `files` to its files."""

    def make(config: str = "", **files: str) -> Path:
        named = {name.replace("__", "/"): text for name, text in files.items()}
        return make_repository(
            tmp_path / "repository",
            {"mlgate.yaml": CONFIG + config, "train.py": TRAIN, ".gitignore": "eval/\ntrained\n", **named},
        )

    return make
