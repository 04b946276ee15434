"""Settings of the training that a change alters: told of as what they are, and not as rules that somebody has to look at."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate import evidence as e
from mlgate.config import ReportConfig
from mlgate.render import markdown, view
from report_cases import CHANGES, PULL_REQUEST, better

RULE = e.Change(kind="rule", name="gate.rules accuracy min", old="0.8", new="0.9")


def comment(*changes: e.Change) -> str:
    evidences: Any = better()
    findings = evidences["gate"].findings.model_copy(update={"changes": [*changes, *CHANGES]})
    evidences = {**evidences, "gate": evidences["gate"].model_copy(update={"findings": findings})}
    return markdown.comment(view.build(evidences, model="digits", report=ReportConfig(), context=PULL_REQUEST))


def setting(name: str, *, is_weakening: bool = False) -> e.Change:
    return e.Change(kind="rule", name=name, old=None, new="20GB", is_weakening=is_weakening)


def test_asking_for_a_gpu_alters_no_rule_of_the_gate() -> None:
    text = comment(setting("train.gpu.memory"), setting("train.command"))
    assert "of the gate;" not in text
    assert "<summary>What changed: 2 training settings, " in text
    assert "|Training|Baseline|Candidate|" in text
    assert "|`train.gpu.memory`|none|`20GB`|" in text


def test_rules_are_pointed_out_beside_settings_of_the_training_and_counted_without_them() -> None:
    text = comment(RULE, setting("train.price.currency"))
    assert "This change alters 1 rule of the gate;" in text
    assert "What changed: 1 rule, 1 training setting, " in text


@pytest.mark.parametrize("name", ["train.py", "train.gpus/metric.py", "data.contracts data/train.csv", "training"])
def test_a_file_that_judges_is_no_setting_of_the_training_whatever_its_name(name: str) -> None:
    assert "This change alters 1 rule of the gate;" in comment(setting(name))


def test_what_lets_more_pass_is_a_rule_wherever_it_stands() -> None:
    assert "1 rule of the gate (1 so that more can pass)" in comment(setting("train.command", is_weakening=True))
