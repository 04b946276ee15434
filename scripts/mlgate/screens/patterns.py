"""Text that does not belong into data, as patterns that run with everything else in one pass: what is hidden, what runs, who is meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_ROW_NUMBERS = 10
_CANDIDATES = 100_000
"""Cells of one column that are looked at one by one, where a pattern alone does not tell."""


_CARDS_AMONG_NUMBERS = 0.3


@dataclass(frozen=True)
class Pattern:
    name: str
    regex: str
    """In the syntax of Rust's regex: a cell that holds it, is one."""
    words: str
    """What a column with such cells does: `holds e-mail addresses`."""
    check: Callable[[str], str | None] | None = None
    """Whether a cell really is one, as the piece that is; None where the pattern alone says so."""


@dataclass(frozen=True)
class Matches:
    rows: int
    row_numbers: tuple[int, ...]
    """The first ten."""
    samples: tuple[str, ...]
    """The first few, masked."""


def _luhn(text: str) -> str | None:
    """A card number in a text: 13 to 19 digits of a card's first digit whose check digit is right."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if 13 <= len(digits) <= 19 and len(set(digits)) > 1 and is_luhn(digits):
            return digits
    return None


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _iban(text: str) -> str | None:
    for match in _IBAN.finditer(text):
        number = re.sub(r"\s", "", match[0]).upper()
        for length in range(len(number), 14, -1):  # blanks allowed: a word behind it may have been taken for more of it
            if is_iban(number[:length]):
                return number[:length]
    return None


def is_iban(number: str) -> bool:
    """Whether the check digits are right: modulo 97 (ISO 13616)."""
    if not 15 <= len(number) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def _phone(text: str) -> str | None:
    if _iban(text) or _luhn(text):  # whose digits may look like one
        return None
    for match in _PHONE.finditer(text):
        if 8 <= len(re.sub(r"\D", "", match[0])) <= 15:
            return match[0]
    return None


def _direction(text: str) -> str | None:
    """Signs that are not seen, unless they belong to an emoji or to a script that needs them."""
    flags = {at for flag in _FLAGS.finditer(text) for at in range(*flag.span())}
    for match in re.finditer(_UNSEEN, text):
        at, sign = match.start(), match[0]
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if sign == "\u200d" and _EMOJI.fullmatch(before) and _EMOJI.fullmatch(after):
            continue  # joins two emoji
        if sign in "\u200c\u200d" and "\u0590" < before < "\u1fff":
            continue  # Persian and the scripts of India are written with it
        if sign in "\u200e\u200f" and re.search("[\u0590-\u08ff]", text):
            continue  # a mark between Arabic or Hebrew and anything else
        if sign >= "\U000e0100" and re.fullmatch("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]", before):
            continue  # chooses the form of an ideograph
        if at in flags:
            continue  # the flags of England, Scotland, Wales
        return f"U+{ord(sign):04X}"
    return None


def _in_tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(sign)) for sign in text)


_FLAGS = re.compile(f"\U0001f3f4(?:{'|'.join(map(_in_tags, ('gbeng', 'gbsct', 'gbwls')))})\U000e007f")
_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u2049\u20e3\u2122-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001fbff]")


_CARD = re.compile(r"(?<![\d.])[3-6]\d(?:[ -]?\d){11,17}(?![\d.]\d|\d)")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}")
_PHONE = re.compile(
    r"(?<![\w+.])(?<!\d[ -])(?:\+|00)[1-9](?!\d{15})\d{0,2}(?:[ ./-]?\(?(?!\d{16})\d{1,5}\)?){2,6}(?![\w.]\d|\d)"
    r"|(?<!\w)\(\d{3}\) ?\d{3}[ -]\d{4}(?!\d)"
)
# Letters of Cyrillic and Greek that look like Latin ones, next to Latin ones. A Greek letter that does not is a symbol: Δt, μm.
_ALIKE = "АВЕЅІЈКМНОРСТХУаеоѕіјрсухԁΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"

_UNSEEN = (
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\u3164\ufeff\uffa0"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)

HIDDEN = (
    Pattern(
        "hidden",
        _UNSEEN,
        "holds characters that are not seen",
        _direction,
    ),
    Pattern("lookalike", f"[A-Za-z][{_ALIKE}]|[{_ALIKE}][A-Za-z]", "mixes letters that look alike within a word"),
)
FORMULAS = (
    Pattern(
        "formula",
        r"^[\s]*(?:=\s*[-+@\"'(]?\s*[A-Za-z0-9_'\"$(]|[+\-@][\s+\-=]*[A-Za-z_.$]+[\w.$]*(?:\(|!|\|)|[+\-@][\s+\-=]*\$?[A-Z]{1,3}\$?\d+\s*[-+*/^&:(]|[+\-@][^|]*\|.*!)",
        "holds cells that a spreadsheet would run",
    ),
)
PERSONAL = (
    Pattern("e-mail", r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,24}", "holds e-mail addresses"),
    Pattern("telephone", r"(?:\+|00)[1-9][\d ./()-]{6,}|\(\d{3}\) ?\d{3}[ -]\d{4}", "holds telephone numbers", _phone),
    Pattern("card", r"[3-6]\d(?:[ -]?\d){11,17}", "holds card numbers", _luhn),
    Pattern("IBAN", r"[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}", "holds IBANs", _iban),
)
ALL = (*HIDDEN, *FORMULAS, *PERSONAL)
_ANY = r"^\s*[=+\-@]|[^\x00-\x7f]|@|\d(?:[ ./()-]{0,2}\d){7}|[A-Za-z]{2}\d\d ?[A-Za-z0-9]"
"""What every cell has that any pattern is found in."""


def mask(name: str, piece: str) -> str:
    """A value so that nobody learns it: only its form, and no more of it than receipts print."""
    match name:
        case "e-mail":
            return f"{piece[:1]}…@…"
        case "card":
            return f"… {piece[-4:]}"
        case "IBAN":
            return f"{piece[:2].upper()}… {piece[-2:]}"
        case "telephone":
            return f"… {re.sub(r'[^0-9]', '', piece)[-2:]}"
        case "hidden":
            return piece
        case _:
            return "".join("x" if sign.isalpha() else "0" if sign.isdigit() else sign for sign in piece[:20])


def masked(text: str) -> str:
    """A text of a report with the personal data in it masked: classes, sources and groups are named there, and may be called anything."""
    for pattern in PERSONAL:

        def shown(match: re.Match[str], pattern: Pattern = pattern) -> str:
            return mask(pattern.name, match[0]) if pattern.check is None or pattern.check(match[0]) else match[0]

        text = re.sub(pattern.regex, shown, text)
    return text


def query(numbered: pl.LazyFrame, texts: Sequence[str], integers: Sequence[str], index: str) -> pl.LazyFrame:
    """What to ask of columns of text, and of whole numbers, which may be those of cards; one row.

    Args:
        numbered: the table with a column of row numbers.
        index: the name of that column.
    """
    import polars as pl

    if not texts and not integers:
        return numbered.select()
    cells = {name: pl.col(name).cast(pl.String) for name in texts}
    long = {name: pl.col(name).is_between(3 * 10**12, 7 * 10**18) for name in integers}
    # Only rows with a sign that some pattern begins with are looked at any closer.
    wanted = pl.any_horizontal(*(cell.str.contains(_ANY) for cell in cells.values()), *long.values()).fill_null(value=False)
    hits: dict[str, tuple[pl.Expr, pl.Expr, int]] = {}
    for at, name in enumerate(integers):
        hits[f"digits_{at}"] = (long[name], pl.col(name), _CANDIDATES)
    for at, name in enumerate(texts):
        for pattern in ALL:
            shown = _CANDIDATES if pattern.check else _ROW_NUMBERS
            hits[f"{pattern.name}_{at}"] = (cells[name].str.contains(pattern.regex), cells[name], shown)
    marked = numbered.filter(wanted).with_columns(hit.fill_null(value=False).alias(f"is_{key}") for key, (hit, _, _) in hits.items())
    asked = []
    for key, (_, cell, shown) in hits.items():
        is_hit = pl.col(f"is_{key}")
        asked += [
            is_hit.sum().alias(f"n_{key}"),
            pl.col(index).filter(is_hit).head(shown).implode().alias(f"rows_{key}"),
            cell.filter(is_hit).head(shown).cast(pl.String).implode().alias(f"cells_{key}"),
        ]
    return marked.select(asked)


def in_text(values: Mapping[str, Any], at: int) -> dict[str, Matches]:
    """What those expressions answered of one column, what cannot be told by a pattern looked at cell by cell.

    Args:
        values: answers by name.
        at: the column's place among those of text.
    """
    return {pattern.name: _matches(pattern, values, f"{pattern.name}_{at}") for pattern in ALL}


def in_integers(values: Mapping[str, Any], at: int) -> dict[str, Matches]:
    """The same of a column of whole numbers."""
    card = next(pattern for pattern in PERSONAL if pattern.name == "card")
    return {card.name: _matches(card, values, f"digits_{at}")}


def _matches(pattern: Pattern, values: Mapping[str, Any], key: str) -> Matches:
    rows, cells = _listed(values[f"rows_{key}"]), _listed(values[f"cells_{key}"])
    candidates = int(values[f"n_{key}"])
    pieces = [(row, pattern.check(cell) if pattern.check else _piece(pattern, cell)) for row, cell in zip(rows, cells, strict=True)]
    real = [(row, piece) for row, piece in pieces if piece is not None]
    if pattern.name == "card" and len(real) < _CARDS_AMONG_NUMBERS * len(rows):
        real = []  # one number in ten has a check digit that fits by chance
    return Matches(
        rows=len(real) if pattern.check else candidates,
        row_numbers=tuple(row for row, _ in real[:_ROW_NUMBERS]),
        samples=tuple(dict.fromkeys(mask(pattern.name, piece) for _, piece in real[:3])),
    )


def _piece(pattern: Pattern, cell: str) -> str:
    match = re.search(pattern.regex, cell)
    return match[0] if match and pattern.name == "e-mail" else cell


def _listed(value: Any) -> list[Any]:
    """Of an imploded column, which Polars answers as a series or a list."""
    return [] if value is None else list(value)


def is_in(pattern: Pattern, text: str) -> bool:
    """Whether one text, such as a column's name, holds it."""
    return re.search(pattern.regex, text) is not None and (pattern.check is None or pattern.check(text) is not None)
