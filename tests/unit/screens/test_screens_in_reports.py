"""What a report shows of the screens: a line an entry, a table of findings, what was not looked for, and groups."""

from __future__ import annotations

from typing import Any

from mlgate import evidence as e
from mlgate.config import ReportConfig
from mlgate.render import markdown, terminal, view
from report_cases import CASES, screen, stage


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def comment(screens: list[e.ScreenFindings], **more: Any) -> str:
    data = e.ScreenedData(train="train.csv", holdout=None, rows=1_437, holdout_rows=None, screens=screens, duration_s=0.3, **more)
    findings = e.ValidationFindings(contracts=[], validated=[], screened=[data])
    status: Any = "failed" if data.failed else "passed"
    evidences = {"validate-data": stage("validate-data", "looked through", 0.3, findings, status)}
    return plain(markdown.comment(view.build(evidences, model="digits", report=ReportConfig())))


def test_an_entry_that_is_clean_is_one_line() -> None:
    shown = comment([screen(name, "warn", "clean", "in order") for name in ("shift", "duplicates")])
    assert "<summary>Screens: 1 file clean</summary>" in shown
    assert "- ✅ `train.csv`: 2 screens clean; 1,437 rows, 0.3 s" in shown
    assert "Not looked for" not in shown


def test_what_was_found_is_a_table_with_places() -> None:
    found = e.ScreenItem(where="remark", what="holds e-mail addresses", rows=41, row_numbers=[3, 8], samples=["a…@…"])
    shown = comment([screen("personal_data", "fail", "failed", "…", [found]), screen("shift", "warn", "clean", "in order")])
    assert "#### Screens: 1 failed" in shown
    assert "|❌ `personal_data` fails|`remark`|holds e-mail addresses: `a…@…`|41|3, 8, …|" in shown
    assert "a screen of the data says no; nothing was trained" in shown


def test_a_contract_in_order_stays_folded_when_a_screen_ends_the_run() -> None:
    found = e.ScreenItem(where="remark", what="holds e-mail addresses", rows=41)
    data = e.ScreenedData(
        train="t.csv", holdout=None, rows=9, holdout_rows=None, screens=[screen("formulas", "fail", "failed", "…", [found])], duration_s=0.3
    )
    kept = e.ContractFindings(data="t.csv", schema_path="mlgate.yaml", is_passed=True, rows=9, columns=1, broken=[], duration_s=0.1)
    findings = e.ValidationFindings(contracts=[kept], validated=[], screened=[data])
    built = view.build({"validate-data": stage("validate-data", "…", 0.3, findings, "failed")}, model="m", report=ReportConfig())
    assert [(one.key, one.is_open) for one in built.sections[:2]] == [("screens", True), ("contract", False)]


def test_a_warning_is_folded_and_noted() -> None:
    shown = comment([screen("shift", "warn", "warned", "column 'x' moved", [e.ScreenItem(where="x", what="differs by D = 0.30")])])
    assert "<summary>Screens: 1 finding to look at</summary>" in shown
    assert "Found in `train.csv`, to look at: `shift`: column 'x' moved." in shown


def test_what_was_not_looked_for_is_said_with_its_reason() -> None:
    screens = [screen(name, "warn", "not run", "needs 'label'") for name in ("classes", "labels")]
    shown = comment([*screens, screen("formulas", "off", "not run", "off")], note="p.csv is not there")
    assert "- `classes`, `labels`: needs 'label'" in shown
    assert "- `formulas`: off" in shown
    assert "- p.csv is not there" in shown


def test_groups_stand_beside_what_they_are_compared_with() -> None:
    shown = plain(markdown.comment(view.build(CASES["poisoned"](), model="digits", report=ReportConfig())))
    assert "<summary>Groups in the data: the smallest, sex = f, has 702 rows</summary>" in shown
    assert "|`sex = f`|702|49 % (50 %)|31 % (30 %)|" in shown
    assert "|`sex missing`|17|1.2 % (1.0 %)|– (25 %)|" in shown


def test_a_terminal_says_that_the_last_lines_were_not_looked_for() -> None:
    found = e.ScreenItem(where="remark", what="holds e-mail addresses", rows=41)
    screens = [screen("personal_data", "fail", "failed", "…", [found]), screen("classes", "warn", "not run", "needs 'label'")]
    data = e.ScreenedData(train="t.csv", holdout=None, rows=9, holdout_rows=None, screens=screens, duration_s=0.3)
    findings = e.ValidationFindings(contracts=[], validated=[], screened=[data])
    built = view.build({"validate-data": stage("validate-data", "…", 0.3, findings, "failed")}, model="m", report=ReportConfig())
    assert "  Not looked for:\n  classes: needs 'label'\n" in terminal.summary(built, is_coloured=False)
