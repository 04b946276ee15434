"""A weakened rule and an override in comment, page and terminal: first thing, who, when and why, and nothing of it but text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from mlgate import evidence as e
from mlgate.config import ReportConfig
from mlgate.render import html, markdown, terminal, view
from report_cases import HEAD, HOSTILE, PULL_REQUEST, better, worse

REASON = "The ward has agreed on the wider range; see the minutes of 20 November."
WEAKER = e.Change(kind="rule", name="gate.rules accuracy min", old="0.8", new="0.5", is_weakening=True)


def override(reason: str = REASON, by: str = "ada") -> e.Override:
    return e.Override(
        model="digits",
        head_sha=HEAD,
        pull_request=7,
        by=by,
        permission="maintain",
        at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        reason=reason,
        comment_id=1,
        comment_url="https://github.com/acme/digits/pull/7#issuecomment-1",
    )


def with_gate(evidences: Any, **changes: Any) -> Any:
    gate = evidences["gate"]
    findings = gate.findings.model_copy(update=changes)
    is_open = findings.is_open
    changed = gate.model_copy(update={"findings": findings, "status": "passed" if is_open else "failed", "exit_code": int(not is_open)})
    return {**evidences, "gate": changed}


def closed() -> Any:
    evidences = better()
    changes = [WEAKER, *evidences["gate"].findings.changes]
    return with_gate(evidences, is_open=False, changes=changes, headline="this change weakens 1 rule: gate.rules accuracy min 0.8 → 0.5")


def opened(**changes: Any) -> Any:
    return with_gate(closed(), is_open=True, override=override(**changes))


def shown(evidences: Any) -> Any:
    return view.build(evidences, model="digits", report=ReportConfig(), context=PULL_REQUEST)


def test_a_weakening_is_why_the_gate_is_closed_though_the_model_is_better() -> None:
    text = markdown.comment(shown(closed()))
    assert text.startswith("### ❌ digits: must not be merged — it weakens 1 rule\n")
    assert "(1 weaker)" in text
    assert "|`gate.rules accuracy min`|`0.8`|`0.5`|⚠️ more can pass|" in text.replace("\u00a0", " ")


def test_a_worse_model_that_also_weakens_says_both() -> None:
    evidences = with_gate(worse(), changes=[WEAKER])
    assert "— worse than `main`, and it weakens 1 rule" in markdown.comment(shown(evidences)).split("\n")[0]


def test_an_override_is_the_first_thing_with_who_when_and_why() -> None:
    line = f"digits: may be merged — overridden by `ada` (maintain) on 2026-11-21 at 09:30 UTC: “{REASON}”"
    text = markdown.comment(shown(opened()))
    first, _, second = text.split("\n")[:3]
    assert first == f"### ⚠️ {line}"
    assert second == "Without the override the gate is closed: this change weakens 1 rule: gate.rules accuracy min 0.8 → 0.5"
    assert (
        f"Override of `{HEAD[:12]}`, for this commit only ([the comment](<https://github.com/acme/digits/pull/7#issuecomment-1>))" in text
    )
    assert terminal.summary(shown(opened()), is_coloured=False).startswith(f"! {line.replace('`', '')}")
    assert "overridden by" in html.page(shown(opened()), {}).partition("<h1>")[2].partition("</h1>")[0]


def test_it_passes_and_the_document_for_machines_has_it() -> None:
    built = shown(opened())
    assert built.answer.is_passed
    assert json.loads(json.dumps(built.decision))["override"]["by"] == "ada"


def test_a_long_reason_is_cut_on_top_and_whole_below() -> None:
    reason = "because " * 100
    text = markdown.comment(shown(opened(reason=reason)))
    assert len(text.split("\n")[0]) < 400
    assert text.count("because") > 90


@pytest.mark.parametrize(
    "hostile",
    [
        HOSTILE,
        "x\n\n# heading\n\n| a | b |\n|---|---|\n",
        "@everyone #1 ![x](https://evil.example/x.png) <details open>",
        "\u202e\u200b\x1b[31m",
    ],
    ids=["all", "blocks", "mentions", "invisible"],
)
def test_a_hostile_reason_is_text(hostile: str) -> None:
    text = markdown.comment(shown(opened(reason=(hostile.strip() or "x")[:1000], by=hostile[:50])))
    calm = markdown.comment(shown(opened(reason="x", by="x")))
    kinds = [token.type for token in MarkdownIt("gfm-like", {"html": True}).parse(text)]
    assert kinds == [token.type for token in MarkdownIt("gfm-like", {"html": True}).parse(calm)]
    page = html.page(shown(opened(reason=(hostile.strip() or "x")[:1000])), {})
    assert "<script" not in page.partition("<body")[2]


def test_contracts_that_this_change_replaces_stand_beside_the_new_ones(tmp_path: Path) -> None:
    broken = e.BrokenRule(column="age", rule="in_range(0, 100)", rows=2, share=0.1, row_numbers=[3, 4])
    one = {"data": "data/train.csv", "schema_path": "contracts/train.yaml", "rows": 20, "columns": 1, "duration_s": 0.1}
    earlier = e.ContractFindings(**one, is_passed=False, broken=[broken])
    now = e.ContractFindings(**one, is_passed=True, broken=[])
    evidences = closed()
    findings = e.ValidationFindings(contracts=[now], validated=[], baseline_contracts=[earlier])
    evidences["validate-data"] = evidences["validate-data"].model_copy(update={"findings": findings})
    text = markdown.full(shown(evidences))
    assert "By the contracts of the baseline, which this change replaces:" in text
    assert "in&#95;range(0, 100)" in text or "`in_range(0, 100)`" in text
