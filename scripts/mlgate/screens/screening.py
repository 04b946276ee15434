"""All screens over one entry of `data.screens`: tables in, findings out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.config import SCREENS, ScreenLevel, ScreensConfig
from mlgate.evidence import BiasFindings, ScreenFindings, ScreenItem
from mlgate.screens import bias, labels, patterns, probabilities, reading, repeated, shift, single_columns, sources, text
from mlgate.screens.subject import Answer, Reference, Subject, keyed, not_run

if TYPE_CHECKING:
    import polars as pl

_ITEMS = 100
_Screen = Callable[[Subject], Answer]
_PLAIN: dict[str, _Screen] = {
    "columns": shift.schema,
    "leakage": repeated.shared_rows,
    "duplicates": repeated.repeated_rows,
    "conflicts": repeated.conflicts,
    "classes": labels.classes,
    "labels": labels.agreement,
    "sources": sources.jumps,
    "shift": shift.distributions,
    "target_leakage": single_columns.target_leakage,
    "redundant_columns": single_columns.redundant,
    "hidden_unicode": text.hidden_unicode,
    "formulas": text.formulas,
    "personal_data": text.personal_data,
}


@dataclass(frozen=True)
class Tables:
    """The data of one entry."""

    train: pl.LazyFrame
    holdout: pl.LazyFrame | None = None
    probabilities: pl.LazyFrame | None = None
    earlier: pl.LazyFrame | None = None
    """Train at the baseline commit."""
    earlier_name: str = "the baseline"


@dataclass(frozen=True)
class Screened:
    rows: int
    holdout_rows: int | None
    screens: list[ScreenFindings]
    bias: list[BiasFindings]


def screen(tables: Tables, settings: ScreensConfig, *, where: str, hashes: Answer) -> Screened:
    """Look one entry through.

    Args:
        tables: its data, not read yet.
        settings: the entry.
        where: the entry, for messages: `mlgate.yaml: data.screens[0]`.
        hashes: what the screen of hashes says: files are not seen here.

    Raises:
        InputError: a column that is named is nowhere, a table cannot be read, or the probabilities are none of train's.
    """
    subject = _read(tables, settings, where)
    if subject.train.n == 0:
        return not_screened(settings, f"{settings.train} has no rows", hashes, holdout_rows=subject.holdout.n if subject.holdout else None)
    answers = {name: run(subject) for name, run in _PLAIN.items() if settings.screen(name).level != "off"}
    answers["hashes"] = hashes
    if settings.label_errors.level != "off":
        table = tables.probabilities.collect() if tables.probabilities is not None else None
        answers["label_errors"] = probabilities.suspicious(subject, table, str(settings.probabilities))
    groups: list[BiasFindings] = []
    if settings.bias.level != "off":
        answers["bias"], found = bias.groups(subject)
        groups = [_with_masked_groups(each) for each in found]
    return Screened(subject.train.n, subject.holdout.n if subject.holdout else None, _judged(answers, settings), groups)


def not_screened(settings: ScreensConfig, why: str, hashes: Answer, *, holdout_rows: int | None = None) -> Screened:
    """An entry whose rows nothing looks at; of its files, hashes still tell."""
    answers = {name: not_run(why) for name in SCREENS}
    return Screened(0, holdout_rows, _judged({**answers, "hashes": hashes}, settings), [])


def _read(tables: Tables, settings: ScreensConfig, where: str) -> Subject:
    columns = reading.columns(
        tables.train,
        tables.holdout,
        label=settings.label,
        id=settings.id,
        source=settings.source,
        protected=settings.protected,
        ignored=settings.ignored,
        where=where,
    )
    named = {settings.train: tables.train, **({str(settings.holdout): tables.holdout} if tables.holdout is not None else {})}
    columns = reading.with_plain(columns, named)
    key = keyed(columns)
    train = reading.read(tables.train, columns, keyed=key, is_counting=True, name=settings.train)
    holdout = None
    if tables.holdout is not None:
        holdout = reading.read(tables.holdout, columns, keyed=key, is_counting=False, name=str(settings.holdout))
    # Of train as it was, labels, sources and groups are all that is asked.
    earlier = None
    if tables.earlier is not None:
        earlier = reading.read(tables.earlier, columns, keyed=[], is_counting=False, name=f"{settings.train} of {tables.earlier_name}")
    return Subject(settings, columns, train, holdout, Reference(tables.earlier_name, earlier) if earlier is not None else None)


def _judged(answers: dict[str, Answer], settings: ScreensConfig) -> list[ScreenFindings]:
    found = []
    for name in SCREENS:
        level: ScreenLevel = settings.screen(name).level
        answer = answers.get(name) if level != "off" else not_run("off")
        if answer is None:
            continue
        verdict = "not run" if not answer.is_run else "clean" if not answer.items else "failed" if level == "fail" else "warned"
        found.append(
            ScreenFindings.model_validate(
                {
                    "name": name,
                    "level": level,
                    "verdict": verdict,
                    "sentence": patterns.masked(answer.sentence[:2_000]),
                    "items": [_masked(item) for item in answer.items[:_ITEMS]],
                }
            )
        )
    return found


def _masked(item: ScreenItem) -> ScreenItem:
    """A finding whose class, source or group is called by personal data names nobody."""
    return item.model_copy(update={"where": item.where and patterns.masked(item.where), "what": patterns.masked(item.what)})


def _with_masked_groups(of: BiasFindings) -> BiasFindings:
    named = [each.model_copy(update={"group": patterns.masked(each.group)}) for each in of.groups]
    labels = [patterns.masked(each) for each in of.labels]
    return of.model_copy(update={"groups": named, "labels": labels, "smallest": of.smallest and patterns.masked(of.smallest)})
