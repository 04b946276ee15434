"""The comment: what a reviewer reads first, that it fits, and that nothing in it is anything but text."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from mlgate.config import ReportConfig
from mlgate.context import RunContext
from mlgate.evidence import Change, EvaluateFindings, GateFindings, ValidationFindings
from mlgate.render import escape, markdown, view
from mlgate.render.document import Items, ReportView, Section
from mlgate.stages import report
from report_cases import (
    CASES,
    HOSTILE,
    OUTDATED,
    PULL_REQUEST,
    before_gate,
    better,
    broken_contract,
    first_model,
    hostile,
    stage,
    thousand_slices,
    worse,
)

GOLDEN = Path(__file__).parent / "golden"
PARSER = MarkdownIt("gfm-like", {"html": True})
OUR_HTML = re.compile(r"<(?:br|/?sub|/?details|/?summary|/?code)>")


def shown(evidences: Any, context: RunContext = PULL_REQUEST, **report: Any) -> ReportView:
    return view.build(evidences, model="digits", report=ReportConfig(**report), context=context)


def comment(evidences: Any, context: RunContext = PULL_REQUEST, **report: Any) -> str:
    return markdown.comment(shown(evidences, context, **report))


def first_line(evidences: Any, context: RunContext = PULL_REQUEST) -> str:
    return comment(evidences, context).split("\n")[0]


# --- the verdict line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("better", "### ✅ digits: may be merged — better than `main`"),
        ("no_worse", "### ✅ digits: may be merged — no worse than `main` by more than 1\u00a0pt"),
        ("worse", "### ❌ digits: must not be merged — worse than `main`"),
        ("cannot_tell", "### ⚠️ digits: may be merged — the holdout cannot tell it from `main`"),
        ("first_model", "### ✅ digits: may be merged — first model, so there is nothing to compare it with"),
        ("broken_contract", "### ❌ digits: must not be merged — the data breaks its contract; nothing was trained"),
        ("failed_check", "### ❌ digits: must not be merged — a check failed"),
        ("failed_training", "### ❌ digits: must not be merged — training failed"),
        ("infrastructure", "### ⚠️ digits: cannot be merged yet — something outside the repository failed while pulling the data"),
        ("uncertified", "### ⚠️ digits: may be merged — every rule holds, uncertified"),
        ("without_secrets", "### ⚠️ digits: cannot be merged yet — something outside the repository failed while pulling the data"),
    ],
)
def test_the_first_line_says_whether_it_may_be_merged_and_why(case: str, line: str) -> None:
    assert first_line(CASES[case]()) == line


def test_the_sentence_below_is_the_gates_own() -> None:
    assert "\n\naccuracy is worse by 5.8 percentage points, and by at least 3.9 with 95 % confidence; the margin is 1.\n\n" in comment(
        worse()
    )


def test_a_missing_gate_never_reads_like_a_verdict() -> None:
    assert first_line(before_gate()) == "### ⚠️ digits: cannot be merged yet — the gate has not decided"
    assert first_line({}) == "### ⚠️ digits: cannot be merged yet — the gate has not decided"


def test_refused_evidence_hides_the_verdict_that_stands_on_it() -> None:
    refused = view.build(
        better(), model="digits", report=ReportConfig(), context=PULL_REQUEST, refused={"train": "train.json: evidence of another commit"}
    )
    text = markdown.comment(refused)
    assert text.startswith("### ⚠️ digits: cannot be merged yet — evidence of train is refused\n")
    assert "may be merged" not in text
    assert not refused.answer.is_passed


def test_after_a_push_nobody_is_told_about_merging() -> None:
    push = RunContext(event="push", repository="acme/digits", run_id=1, ref="refs/heads/main", default_branch="main")
    assert first_line(better(), push) == "### ✅ digits: passes the gate — better than the baseline"
    assert first_line(worse(), push) == "### ❌ digits: does not pass the gate — worse than the baseline"
    assert first_line(CASES["infrastructure"](), push).startswith("### ⚠️ digits: was not judged — ")


def test_a_gate_that_closed_because_a_job_died_is_no_verdict_on_the_model() -> None:
    closed = GateFindings(
        is_open=False,
        verdict=None,
        headline="job 'train' was cancelled and left no evidence: see its log, then run it again",
        is_first_model=False,
        baseline=None,
        rules_from="candidate",
        confidence=0.95,
        rules=[],
        comparisons=[],
        slices=[],
        changes=[],
    )
    text = comment({"check": before_gate()["check"], "gate": stage("gate", "gate closed", 0.1, closed, "failed", exit_code=3)})
    assert text.startswith("### ⚠️ digits: cannot be merged yet — a job before the gate did not finish\n\njob 'train' was cancelled")


def test_a_gate_that_could_not_record_says_so() -> None:
    evidences = better()
    gate = evidences["gate"]
    evidences["gate"] = stage(
        "gate", "gate open: fine\nnot recorded as a baseline: the store refused", 0.1, gate.findings, "error", exit_code=3
    )
    text = comment(evidences)
    assert text.startswith("### ⚠️ digits: may be merged — better than `main`, but the gate could not finish\n")
    assert "> **Note:** not recorded as a baseline: the store refused" in text


def test_several_broken_rules_without_a_worse_metric_are_counted() -> None:
    evidences = worse()
    findings = evidences["gate"].findings
    assert isinstance(findings, GateFindings)
    evidences["gate"] = stage("gate", "x", 0.1, findings.model_copy(update={"verdict": "no worse"}), "failed")
    assert first_line(evidences).endswith("must not be merged — it fails 2 of 3 rules")


# --- what stands below -----------------------------------------------------------------------------------------------


def test_the_table_has_a_row_a_metric_with_interval_and_margin() -> None:
    text = comment(better())
    assert "|Metric|Baseline|Candidate|Difference|Verdict|\n|:--|--:|--:|:--|:--|\n" in text
    assert (
        "|`accuracy`|95.0\u00a0%|97.2\u00a0%|+2.2\u00a0pt\u00a0(+0.9\u00a0to\u00a0+3.7)<br>`────────╫─┼─▬▬▬●▬▬▬▬─`|✅\u00a0better|" in text
    )
    assert "|`latency_p95_ms`|96.2|141.5|+45.2|uncertified, no interval|" in text


def test_rules_that_fail_come_first() -> None:
    rules = [line for line in comment(worse()).split("\n") if "holds|" in line or "fails|" in line]
    assert ["fails" in rule for rule in rules] == [True, True, False]


def test_below_the_table_everything_is_folded_but_what_ended_the_run() -> None:
    for case in ("better", "worse", "cannot_tell", "first_model", "regression"):
        unfolded = re.sub(r"<details>.*?</details>", "", comment(CASES[case]()), flags=re.DOTALL)
        assert len([line for line in unfolded.split("\n") if line.strip()]) <= 12
        assert unfolded.count("\n|:--") == 1


@pytest.mark.parametrize(
    ("case", "title"),
    [("worse", "Rules: 2 of 3 fail"), ("better", "Rules: 3 hold"), ("cannot_tell", "Rules: 1 holds, 1 with a warning")],
)
def test_folded_rules_say_what_they_hold(case: str, title: str) -> None:
    assert f"<summary>{title}</summary>" in comment(CASES[case]())


def test_a_rule_that_fails_without_an_interval_is_told_in_the_table() -> None:
    evidences = better()
    found = evidences["gate"].findings
    assert isinstance(found, GateFindings)
    rules = [*found.rules[:2], found.rules[2].model_copy(update={"is_passed": False, "reason": "141.5 is above 100"})]
    evidences["gate"] = stage("gate", "x", 0.1, found.model_copy(update={"is_open": False, "rules": rules}), "failed")
    assert "|`latency_p95_ms`|96.2|141.5|+45.2|❌\u00a0fails: 141.5 is above 100|" in comment(evidences)


def test_emoji_never_stand_alone() -> None:
    """Whoever cannot see them, or hears them read out, loses nothing."""
    for case in CASES:
        for line in comment(CASES[case](), examples=True).split("\n"):
            for cell in line.strip("|").split("|") if line.startswith("|") else [line]:
                if re.search("[✅❌⚠]", cell):
                    assert re.search(r"[A-Za-z]{4,}", re.sub(r"`[^`]*`", "", cell)), cell


def test_a_first_model_shows_values_without_a_baseline() -> None:
    text = comment(first_model())
    assert "|Metric|Candidate|\n" in text
    assert "Difference" not in text


def test_a_broken_contract_stands_unfolded_and_the_rest_folded() -> None:
    text = comment(broken_contract())
    assert "#### Contract: broken by 3 rules\n" in text
    assert text.index("#### Contract") < text.index("<details>")
    assert "|`data/train.parquet`|`age`|`in_range(0, 120)`|3 (0.02\u00a0%)|17, 904, 11350|" in text


@pytest.mark.parametrize(("examples", "is_shown"), [(False, False), (True, True)])
def test_values_of_the_data_appear_only_where_the_configuration_allows_it(examples: bool, is_shown: bool) -> None:
    shown_view = shown(broken_contract(), examples=examples)
    assert ("212" in markdown.full(shown_view)) == is_shown
    broken = shown_view.evidence["validate-data"]["findings"]["contracts"][0]["broken"][0]
    assert broken["values"] == (["-4", "212", "1e9"] if is_shown else None)


def test_changed_rules_are_pointed_out_above_the_fold() -> None:
    text = comment(worse())
    assert text.index("> **Note:** This change alters 1 rule of the gate; the baseline’s rules decided.") < text.index("<details>")
    assert "|`gate.rules[0].min`|`0.9`|`0.85`|" in text


def test_a_partly_shared_holdout_is_pointed_out() -> None:
    assert "> **Note:** The holdout changed: only 95\u00a0% of its examples could be compared." in comment(CASES["cannot_tell"]())


def test_reuse_is_said() -> None:
    text = comment(CASES["no_worse"]())
    assert "> **Note:** Nothing was trained anew: an earlier run with equal code, data and parameters had done it." in text
    assert "- Reused from an earlier run: `prepare`" in comment(better())


def test_a_dirty_tree_is_said_unless_training_itself_made_it_so() -> None:
    def dirtied(*names: str) -> str:
        evidences = better()
        for name in names:
            evidence = evidences[name]
            evidences[name] = evidence.model_copy(update={"subject": evidence.subject.model_copy(update={"is_dirty": True})})
        return comment(evidences)

    assert "uncommitted changes" in dirtied("check", "train")
    assert "uncommitted changes" not in dirtied("train", "evaluate", "gate")


def test_how_to_reproduce_names_commit_folder_and_configuration() -> None:
    built = view.build(
        better(), model="digits", report=ReportConfig(), context=PULL_REQUEST, directory="models/my digits", config_path="gate.yaml"
    )
    assert (
        "```sh\ngit fetch origin refs/pull/7/merge\n"
        f"git checkout {'b7d0e552' * 5}\nmlgate run -C 'models/my digits' --config gate.yaml\n```" in markdown.comment(built)
    )


def test_remarks_of_the_evaluation_are_shown() -> None:
    evidences = better()
    found = evidences["evaluate"].findings
    assert isinstance(found, EvaluateFindings)
    evidences["evaluate"] = stage("evaluate", "x", 0.1, found.model_copy(update={"warnings": ["roc_auc: one class in slice writer = w03"]}))
    assert "- roc_auc: one class in slice writer = w03" in comment(evidences)


@pytest.mark.parametrize(("plots", "has_mermaid", "has_text"), [("mermaid", True, False), ("text", False, True), ("none", False, False)])
def test_plots_are_shown_as_configured_and_never_without_their_table(plots: Any, has_mermaid: bool, has_text: bool) -> None:
    for case in ("better", "regression"):
        text = comment(CASES[case](), plots=plots)
        assert ("```mermaid" in text) == has_mermaid
        assert ("██" in text) == has_text
        assert "|Stage|Result|Time|What it says|" in text
    assert "|Prediction minus target|Baseline|Candidate|" in text


# --- size ------------------------------------------------------------------------------------------------------------


def test_a_thousand_slices_fit_with_a_line_that_says_how_many_are_left_out() -> None:
    built = shown(thousand_slices())
    text = markdown.comment(built)
    assert escape.size(text) <= markdown.COMMENT_LIMIT
    found = re.search(r"… ([\d,]+) more slices in \[the full report\]\(<https://github.com/acme/digits/actions/runs/7301>\)", text)
    assert found
    assert len(re.findall(r"^\|`postcode`\u00a0=", text, re.MULTILINE)) == 2 * (1000 - int(found[1].replace(",", "")))
    assert escape.size(markdown.comment(built, markdown.SUMMARY_LIMIT)) <= markdown.SUMMARY_LIMIT
    assert len(re.findall(r"^\|`postcode`\u00a0=", markdown.full(built), re.MULTILINE)) == 2000


def test_the_worst_slices_stay_when_rows_are_cut() -> None:
    rows = re.findall(r"^\|`postcode`.*$", markdown.comment(shown(thousand_slices())), re.MULTILINE)
    assert "❌\u00a0worse" in rows[0]


@pytest.mark.parametrize("limit", [4_000, 6_000, 10_000, 30_000, 60_000])
def test_any_limit_keeps_the_verdict_and_says_what_is_missing(limit: int) -> None:
    for case in (thousand_slices, hostile_and_long):
        built = shown(case())
        text = markdown.comment(built, limit)
        assert escape.size(text) <= limit
        assert text.split("\n")[0] == markdown.full(built).split("\n")[0]
        assert "Left out here for its length: " in text or " more slices in " in text
        assert "the full report" in text
        assert text.count("<details>") == text.count("</details>")
        assert text.count("```") % 2 == 0


@pytest.mark.parametrize("key", ["checks", "contract", "drift", "screens", "bias", "also-0", "also-1", "remarks", "reuse", "slices"])
def test_no_section_can_be_too_long_for_a_comment(key: str) -> None:
    lines = Items(tuple((f"{'long ' * 40}{number}",) for number in range(500)))
    built = dataclasses.replace(shown(better()), sections=(Section(key, "Said at length: 500", (lines,)),))
    text = markdown.comment(built)
    assert escape.size(text) <= markdown.COMMENT_LIMIT
    assert text.startswith("### ✅ digits: may be merged")
    assert "Left out here for its length: said at length. All of it is in" in text


def test_of_notes_too_many_for_a_comment_the_first_stay() -> None:
    built = dataclasses.replace(shown(better()), notes=tuple((f"{number}: {'much is to be said of it ' * 25}",) for number in range(300)))
    text = markdown.comment(built)
    assert 0.95 * markdown.COMMENT_LIMIT < escape.size(text) <= markdown.COMMENT_LIMIT
    kept = text.count("> **Note:**")
    assert "> **Note:** 0: much" in text
    assert f"> **Note:** {kept - 1}: much" in text
    assert f"{300 - kept:,} notes. All of it is in" in text
    assert markdown.full(built).count("> **Note:**") == 300


def test_every_section_of_a_report_can_be_left_out_of_a_comment() -> None:
    there = {markdown._kind(section) for case in CASES.values() for section in shown(case()).sections}
    assert there <= set(markdown._DROP_ORDER)


def hostile_and_long() -> Any:
    """Everything a stranger can make long."""
    evidences = thousand_slices()
    gate = evidences["gate"].findings
    assert isinstance(gate, GateFindings)
    many = [
        Change(kind=kind, name=f"{kind}-{index}" * 10, old="o" * 500, new="n" * 500)
        for kind in ("rule", "parameter", "data", "code")
        for index in range(500)
    ]
    evidences["gate"] = stage(
        "gate", "x", 0.4, gate.model_copy(update={"changes": many, "headline": "é" * 20_000, "rules": gate.rules * 200})
    )
    found = evidences["validate-data"].findings
    assert isinstance(found, ValidationFindings)
    evidences["validate-data"] = stage("validate-data", "x" * 9000, 0.4, found.model_copy(update={"contracts": found.contracts * 300}))
    return evidences


# --- text of strangers -----------------------------------------------------------------------------------------------


def test_a_hostile_repository_gets_text_and_nothing_else() -> None:
    context = dataclasses.replace(PULL_REQUEST, base_ref=HOSTILE)
    for plots in ("mermaid", "text", "none"):
        text = comment(hostile(), context, plots=plots, examples=True, title=HOSTILE)
        raw_html, links = [], []
        for token in PARSER.parse(text):
            if token.type == "html_block":
                raw_html.append(OUR_HTML.sub("", token.content))
            for child in token.children or []:
                if child.type == "html_inline":
                    raw_html.append(OUR_HTML.sub("", child.content))
                if child.type == "link_open":
                    links.append(child.attrGet("href"))
        assert not [piece for piece in raw_html if "<" in piece]
        assert set(links) == {PULL_REQUEST.run_url}
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "javascript:" not in re.sub(r"`[^`]*`", "", text)


def test_tables_of_a_hostile_repository_keep_their_shape() -> None:
    tokens = PARSER.parse(comment(hostile(), examples=True))
    widths: list[list[int]] = []
    for token in tokens:
        if token.type == "table_open":
            widths.append([])
        elif token.type == "tr_open":
            widths[-1].append(0)
        elif token.type in {"td_open", "th_open"}:
            widths[-1][-1] += 1
    assert widths
    assert all(len(set(rows)) == 1 for rows in widths)
    lines = [line for line in comment(hostile(), examples=True).split("\n") if line.startswith("|")]
    assert sum(len(rows) for rows in widths) == len(lines) - len(widths)  # less the rule below each heading


# --- runs that cannot have the last word -----------------------------------------------------------------------------


def test_an_outdated_run_never_reads_like_a_verdict() -> None:
    text = markdown.comment(report.with_remark(shown(better()), OUTDATED))
    assert text.startswith("### ⚠️ digits: outdated — it said: may be merged — better than `main`\n")
    assert "> **Note:** Outdated: the pull request is at" in text


def test_a_hostile_reason_why_a_run_is_outdated_is_text() -> None:
    text = markdown.comment(report.with_remark(shown(hostile()), HOSTILE))
    assert [html for html in re.findall(r"<[^>]+>", re.sub(r"`+[^`]+`+|\]\(<[^>]+>\)", "", text)) if not OUR_HTML.fullmatch(html)] == []
    assert "\u202e" not in text


def test_what_a_maintainer_has_to_type_is_one_piece_of_code() -> None:
    command = f"gh workflow run mlgate-train.yml --repo acme/digits -f pull-request=7 -f ref={PULL_REQUEST.head_sha}"
    assert f"a maintainer must dispatch: `{command}`, or [run mlgate-train.yml from its page](<" in comment(CASES["without_secrets"]())


def test_a_command_for_another_repository_is_no_advice_of_ours() -> None:
    """Nor is what a stranger's evidence says first."""
    evidences = CASES["without_secrets"]()
    command = f"gh workflow run deploy.yml --repo evil/digits -f ref={PULL_REQUEST.head_sha}"
    evidences["gate"] = evidences["gate"].model_copy(update={"summary": f"gate closed\n{command}"})
    assert f"`{command}`" not in comment(evidences)


# --- golden files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["worse", "broken_contract", "regression", "overridden", "uncertified", "without_secrets", "outdated"])
def test_the_whole_comment_is_as_it_was_reviewed(case: str) -> None:
    """MLGATE_UPDATE_GOLDEN=1 writes the files anew; the difference is then for a person to read."""
    path = GOLDEN / f"{case}.md"
    text = markdown.comment(report.with_remark(shown(better()), OUTDATED)) if case == "outdated" else comment(CASES[case]())
    if os.environ.get("MLGATE_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
