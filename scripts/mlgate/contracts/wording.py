"""Broken rules as sentences a person reads: `age not in 0..120 in 3 of 14,998 rows (17, 904, 11350)`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlgate.evidence import BrokenRule, ContractFindings

_SHOWN_ROWS = 3
_MAX_LIST_LENGTH = 80
_NUMBER = r"(-?[\w.:+-]+)"
_SENTENCES = (
    (rf"in_range\({_NUMBER}, {_NUMBER}\)", "not in {0}..{1}"),
    (rf"(?:greater_than|gt)\({_NUMBER}\)", "not above {0}"),
    (rf"(?:greater_than_or_equal_to|ge)\({_NUMBER}\)", "below {0}"),
    (rf"(?:less_than|lt)\({_NUMBER}\)", "not below {0}"),
    (rf"(?:less_than_or_equal_to|le)\({_NUMBER}\)", "above {0}"),
    (r"isin\((.*)\)", "not one of {0}"),
    (r"notin\((.*)\)", "one of {0}"),
    (r"str_matches\((.*)\)", "not matching {0}"),
    (r"not nullable", "missing"),
    (r"unique", "not unique"),
    (r"unique \((.*)\)", "{0} not unique together"),
    (r"dtype (.*), found (.*)", "is {1}, not {0}"),
    (r"column missing", "is not there"),
    (r"type (\w+), found (.*)", "is {1}, not {0}"),
    (r"type (\w+)", "not of type {0}"),
    (r"str_length\(None, (\d+)\)", "longer than {0}"),
    (r"str_length\((\d+), None\)", "shorter than {0}"),
    (r"str_length\((\d+), (\d+)\)", "not {0} to {1} characters long"),
    (r"references (.*)", "not in {0}"),
    (r"fresh\((.*)\), newest (.*) old", "is stale: the newest is {1} old, not at most {0}"),
    (r"fresh\((.*)\), newest (.*) ahead", "is of the future: the newest is {1} ahead"),
    (r"fresh\((.*)\), found no time", "has no time that could be fresh"),
    (r"rows\((\d+), None\), found (\d+)", "{1} rows, fewer than {0}"),
    (r"rows\(None, (\d+)\), found (\d+)", "{1} rows, more than {0}"),
    (r"rows\((\d+), (\d+)\), found (\d+)", "{2} rows, not {0} to {1}"),
    (r"column not in the contract", "is not in the contract"),
    (r"no column matches", "matches no column"),
    (r"column out of order", "is not in its place"),
    (r"column names unique", "two columns have one name"),
    (r"at least one file", "the folder has no files"),
    (r"files (.*), found (.*)", "{1} files, not {0}"),
    (r"class '(.*)' there", "no file of class '{0}'"),
    (r"no class '(.*)', found (.*)", "class '{0}', which the contract does not know, has {1}"),
    (r"class '(.*)' of (.*) files, found (.*)", "class '{0}' has {2} files, fewer than {1}"),
    (r"classes within a ratio of (.*), found (.*): (.*)", "the largest class has {1} times the files of the smallest, not {0} ({2})"),
)
# Of a folder of files; what is said comes after `3 of 1,200 files`.
_OF_FILES = (
    (r"readable", "cannot be read"),
    (r"types (.*)", "are none of {0} by their names"),
    (r"content as named", "are not what their names say"),
    (r"decodable", "cannot be decoded"),
    (r"(size|width|height|duration|length) (.*)", "have a {0} that is not {1}"),
    (r"(mode|sample rate) (.*)", "have a {0} other than {1}"),
    (r"channels (.*)", "have other numbers of channels than {0}"),
    (r"listed in (.*)", "are not listed in {0}"),
    (r"(md5|sha256) as in (.*)", "have another {0} than {1} says"),
    (r"inside the folder", "point outside the folder"),
    (r"ordinary files", "are no ordinary files"),
    (r"in the folder of a class", "lie in no folder of a class"),
    (r"content of its own", "have the same content as another file"),
    (r"one class for one content", "have the same content as a file of another class"),
)
_VERBS = {"are": "is", "have": "has", "lie": "lies", "point": "points"}
_OF_ONE_FILE = (("their names say", "its name says"), ("their names", "its name"))
_OF_A_MANIFEST = (
    (r"every file of (.*) there", "listed in {0} are not there"),
    (r"one row a file in (.*)", "are listed in {0} before"),
    (r"a label in (.*)", "have no label in {0}"),
    (r"a (md5|sha256) in (.*)", "have no {0} in {1}"),
)


def sentence(rule: BrokenRule, total: int) -> str:
    """What is wrong, where, and how often.

    Args:
        rule: the broken rule.
        total: rows of the table.
    """
    if rule.names:
        return _about_files(rule)
    said = _said(rule.rule)
    about = f"{rule.column} {said}" if rule.column is not None else said
    if not rule.rows:
        return about
    shown = ", ".join(str(row) for row in rule.row_numbers[:_SHOWN_ROWS])
    more = ", …" if rule.rows > _SHOWN_ROWS else ""
    where = f" ({shown}{more})" if shown else ""  # Spark knows no numbers of rows
    return f"{about} in {rule.rows:,} of {total:,} rows{where}"


def _about_files(rule: BrokenRule) -> str:
    """`3 of 1,200 files cannot be decoded: cats/1.png (damaged), …`"""
    total = round(rule.rows / rule.share) if rule.share else rule.rows  # of the manifest's rows, where it is about these
    said = _matching(rule.rule, (*_OF_FILES, *_OF_A_MANIFEST)) or f"break {rule.rule}"
    if rule.rows == 1:
        verb, _, rest = said.partition(" ")
        said = f"{_VERBS.get(verb, verb)} {rest}"
        for many, one in _OF_ONE_FILE:
            said = said.replace(many, one)
    more = ", …" if rule.rows > _SHOWN_ROWS else ""
    return f"{rule.rows:,} of {total:,} files {said}: {', '.join(rule.names[:_SHOWN_ROWS])}{more}"


def summary(findings: ContractFindings) -> str:
    """A contract's result in one line."""
    if findings.is_passed and findings.folder is not None:
        known = f", {len(findings.folder.classes)} classes" if findings.folder.classes is not None else ""
        return f"{findings.data} keeps its contract: {findings.rows:,} files{known}{_warned(findings)}"
    if findings.is_passed:
        return f"{findings.data} keeps its contract: {findings.rows:,} rows, {findings.columns} columns{_warned(findings)}"
    more = len(findings.broken) - 1
    others = f", and {more} more broken {'rule' if more == 1 else 'rules'}" if more else ""
    return f"{findings.data} breaks its contract: {sentence(findings.broken[0], findings.rows)}{others}"


def _warned(findings: ContractFindings) -> str:
    """What breaks rules that only warn: the first in words, of the others how many."""
    if not findings.warnings:
        return ""
    more = len(findings.warnings) - 1
    return f"; warning: {findings.warnings[0]}{f', and {more} more' if more else ''}"


def _said(rule: str) -> str:
    return rule if " cannot be computed: " in rule else _matching(rule, _SENTENCES) or f"fails {rule}"


def _matching(rule: str, sentences: Iterable[tuple[str, str]]) -> str | None:
    for pattern, words in sentences:
        if match := re.fullmatch(pattern, rule):
            return words.format(*(_shortened(group) for group in match.groups()))
    return None


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LIST_LENGTH else text[: _MAX_LIST_LENGTH - 1] + "…"
