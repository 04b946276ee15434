"""By which a checkpoint or a result is found: what is the same training, and what is another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlgate.training.checkpoints.identity import Identity

ONE = Identity("digits", "0" * 64, {"a.py": "1"}, [("a", "1"), ("b", "2")], {"lr": "0.1"}, "python train.py", "shell", variables={"X": "1"})


def test_the_order_in_which_data_is_named_does_not_matter() -> None:
    assert replace(ONE, data=[("b", "2"), ("a", "1")]).key == ONE.key


@pytest.mark.parametrize(
    "change",
    [
        {"model": "letters"},
        {"code_sha256": "1" * 64},
        {"changed": {}},
        {"data": [("a", "1"), ("b", "3")]},
        {"params": {"lr": "0.2"}},
        {"command": "python train.py "},
        {"launcher": "torchrun"},
        {"nodes": 2},
        {"processes": 2},
        {"variables": {"X": "2"}},
    ],
)
def test_a_training_of_anything_else_is_another(change: dict[str, Any]) -> None:
    assert replace(ONE, **change).key != ONE.key
