"""Sources of rows: one whose labels or volume differ from what the same source has in the holdout or had at the baseline.

Sources differ among themselves for good reasons, so each is compared with itself first. Without anything to compare with, a source is told
of only where it stands out from at least seven others, far beyond how these differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.encoding import Floats, Integers, Labels
from mlgate.screens.subject import Answer, Reference, Subject, count, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_MOST_SOURCES = 1_000
_LEAST_ROWS = 30
_LEAST_SOURCES = 8
_STANDS_OUT = 6.0
_ROW_NUMBERS = 10


def jumps(subject: Subject) -> Answer:
    """Sources whose label rate or volume jumped."""
    if subject.columns.source is None:
        return not_run("needs 'source'")
    keys = subject.train.keys
    names = sorted(str(each) for each in encoding.as_text(keys["source"]).drop_nulls().unique())
    if not names:
        return not_run("no row names its source")
    if len(names) > _MOST_SOURCES:
        return not_run(f"{len(names):,} sources; expected at most {_MOST_SOURCES:,}")
    comparable = [one for one in subject.references if "source" in one.rows.keys.columns]
    items: list[ScreenItem] = []
    for reference in comparable:
        known = {item.where for item in items}
        items += [item for item in _against(subject, reference, names) if item.where not in known]
    items += [item for item in _among_themselves(subject, names) if item.where not in {one.where for one in items}]
    if not items:
        against = f" as in {' and as in '.join(one.name for one in comparable)}" if comparable else " among one another"
        return Answer(f"labels and volume of {count(len(names), 'source')} are alike{against}")
    return Answer("; ".join(f"source '{item.where}' {item.what}" for item in items[:3]), items)


def _against(subject: Subject, reference: Reference, names: list[str]) -> list[ScreenItem]:
    tolerated = subject.settings.sources.at_most
    theirs = reference.rows.keys
    every = sorted({*names, *(str(each) for each in encoding.as_text(theirs["source"]).drop_nulls().unique())})
    if len(every) > _MOST_SOURCES:
        return []
    mine_of, theirs_of = (_codes(keys, every) for keys in (subject.train.keys, theirs))
    limit = chance.ALARM / (2 * len(every))
    n, m = int((mine_of >= 0).sum()), int((theirs_of >= 0).sum())
    coded = _labels(subject, theirs)
    items = []
    for at, name in enumerate(every):
        here, there = mine_of == at, theirs_of == at
        a, b = int(here.sum()), int(there.sum())
        if min(n, m) == 0:
            break
        share, earlier = a / n, b / m
        said = []
        if abs(share - earlier) > tolerated and chance.rates_differ(a, n, b, m) <= limit:
            said.append(f"has {percent(share)} of the rows, and {percent(earlier)} in {reference.name}")
        if coded is not None and min(a, b) >= _LEAST_ROWS:
            changed = _label_change(coded, here, there, tolerated, limit)
            said += [f"{changed} in {reference.name}"] if changed else []
        if said:
            items.append(_item(name, " and ".join(said), here))
    return items


def _label_change(coded: Labels, here: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_], tolerated: float, limit: float) -> str:
    """What is other about the labels of one source: nothing where it may be chance."""
    mine, theirs = coded.values[0][here], coded.values[1][there]
    if coded.kind == "numbers":
        mine, theirs = mine[~np.isnan(mine)], theirs[~np.isnan(theirs)]
        if min(len(mine), len(theirs)) < _LEAST_ROWS:
            return ""
        distance = chance.ks_statistic(mine, theirs)
        if distance <= tolerated or chance.ks_tail(distance, len(mine), len(theirs)) > limit:
            return ""
        return f"has labels of {mine.mean():.4g} on average, and {theirs.mean():.4g}"
    width = len(coded.names)
    counted, other = (np.bincount(each[each >= 0], minlength=width) for each in (mine, theirs))
    variation, probability = chance.two_samples(counted, other)
    if variation <= tolerated or probability > limit:
        return ""
    rate, earlier = counted / counted.sum(), other / other.sum()
    most = int(np.abs(rate - earlier).argmax())
    return f"has the label '{coded.names[most]}' in {percent(float(rate[most]))} of its rows, and {percent(float(earlier[most]))}"


def _among_themselves(subject: Subject, names: list[str]) -> list[ScreenItem]:
    """Sources whose label stands out from all others: beyond chance, and far beyond how the others differ among one another."""
    coded = _labels(subject, None)
    if coded is None or len(names) < _LEAST_SOURCES:
        return []
    source, values = _codes(subject.train.keys, names), coded.values[0]
    items: dict[str, ScreenItem] = {}
    kept = np.flatnonzero((source >= 0) & (~np.isnan(values) if coded.kind == "numbers" else values >= 0))
    sizes = np.bincount(source[kept], minlength=len(names))
    large = np.flatnonzero(sizes >= _LEAST_ROWS)
    if len(large) < _LEAST_SOURCES:
        return []
    for label, hits in _by_label(coded, values[kept]):
        rates = np.bincount(source[kept], weights=hits, minlength=len(names))[large] / sizes[large]
        middle = float(np.median(rates))
        between = 1.4826 * float(np.median(np.abs(rates - middle)))
        noise = hits.std() / np.sqrt(sizes[large])
        spread = np.sqrt(between**2 + noise**2)
        for at in np.flatnonzero((np.abs(rates - middle) > _STANDS_OUT * spread) & (spread > 0)):
            name = names[int(large[at])]
            if coded.kind == "classes" and abs(rates[at] - middle) <= subject.settings.sources.at_most:
                continue
            what = (
                f"has the label '{label}' in {percent(float(rates[at]))} of its rows; of the others, half have less than {percent(middle)}"
                if coded.kind == "classes"
                else f"has labels of {rates[at]:.4g} on average; of the others, half have less than {middle:.4g}"
            )
            items.setdefault(name, _item(name, what, source == large[at]))
    return list(items.values())


def _by_label(coded: Labels, values: Floats | Integers) -> list[tuple[str, Floats]]:
    if coded.kind == "numbers":
        return [("mean", values.astype(np.float64))]
    return [(name, (values == at).astype(np.float64)) for at, name in enumerate(coded.names[:50])]


def _labels(subject: Subject, other: pl.DataFrame | None) -> Labels | None:
    if subject.columns.label is None or (other is not None and "label" not in other.columns):
        return None
    columns = [subject.train.keys["label"], *([other["label"]] if other is not None else [])]
    coded = encoding.labels(columns, subject.columns.kinds[subject.columns.label])
    return None if isinstance(coded, str) else coded


def _codes(keys: pl.DataFrame, names: list[str]) -> Integers:
    place = {name: at for at, name in enumerate(names)}
    return np.array([-1 if each is None else place[each] for each in encoding.as_text(keys["source"]).to_list()], dtype=np.int64)


def _item(name: str, what: str, here: npt.NDArray[np.bool_]) -> ScreenItem:
    return ScreenItem(where=name, what=what, rows=int(here.sum()), row_numbers=np.flatnonzero(here)[:_ROW_NUMBERS].tolist())
