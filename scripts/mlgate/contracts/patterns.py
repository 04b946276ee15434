"""Regular expressions of contracts, which mean what Python's `re` means, over text in Polars.

Polars has the regular expressions of Rust: fast, but with other ideas of `$`, of `\\w` beyond ASCII, and without lookaround. A pattern that
both read alike is left to Polars; where it has classes such as `\\w`, cells beyond plain ASCII are Python's, where it has `$`, those with
a line break at the end, and so is every other pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Where = Literal["start", "anywhere", "whole"]

_TOKEN = re.compile(
    r"""(?P<plain> [A-Za-z0-9\ _@%&<>=:;/#~`'"!,.^-] )
    | (?P<escape> \\(?: [dDwW] | [^A-Za-z0-9\s] ) )
    | (?P<control> \\[tnr] )
    | (?P<space> \\s )
    | (?P<no_space> \\S )
    | (?P<end> \$ | \\Z )
    | (?P<group> \((?:\?:)? | \) | \| )
    | (?P<repeat> (?: [*+?] | \{\d{1,3}(?:,\d{0,3})?\} )\?? )
    | (?P<set> \[\^?(?:
        [A-Za-z0-9\ _@%<>=:;/\#`'"!,.+*?$(){}|] | \\(?:[dDwstnr]|[^A-Za-z0-9\s]) | (?:a-z|A-Z|0-9|[a-y]-[b-z]|[A-Y]-[B-Z])
      )+-?\] )
    """,
    re.VERBOSE,
)
_IN_RUST = {"space": r"[\s\x1c-\x1f]", "no_space": r"[^\s\x1c-\x1f]", "end": r"\z"}


_CLASS = re.compile(r"\\[dDwWsS]")


def rust_pattern(pattern: str, where: Where) -> str | None:
    """The same pattern for Rust, on plain ASCII that does not end in a line break; None where it may mean something else there."""
    written, at, last = [], 0, "start"
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None or (found.lastgroup == "repeat" and last in ("repeat", "start", "end", "open")):
            return None
        kind = str(found.lastgroup)
        written.append(found.group().replace(r"\s", r"\s\x1c-\x1f") if kind == "set" else _IN_RUST.get(kind, found.group()))
        last = "open" if kind == "group" and found.group() != ")" else "end" if kind == "plain" and found.group() == "^" else kind
        at = found.end()
    inside = "".join(written)
    whole = {"start": rf"\A(?:{inside})", "anywhere": inside, "whole": rf"\A(?:{inside})\z"}[where]
    return whole if _is_taken(whole) else None


def _is_taken(pattern: str) -> bool:
    """Rust refuses patterns that unfold to more than some size."""
    import polars as pl

    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        return False
    return True


def matching(text: pl.Expr, pattern: str, where: Where) -> pl.Expr:
    """Whether each text matches, as `re.match`, `re.search` or `re.fullmatch` would say; null where it is null.

    Args:
        text: of strings.
        pattern: a regular expression of Python's.
        where: from the start of the text, anywhere in it, or all of it.
    """
    import polars as pl

    python = _python(pattern, where)
    rust = rust_pattern(pattern, where)
    # Only these are read otherwise. What Python need not look at cannot keep it busy for hours, either, by repeats in repeats.
    has_classes, has_end = _CLASS.search(pattern) is not None, "$" in pattern

    def of_python(cells: pl.Series) -> pl.Series:
        return pl.Series([None if cell is None else python(cell) for cell in cells], dtype=pl.Boolean)

    def of_both(cells: pl.Series) -> pl.Series:
        answers = cells.str.contains(str(rust))
        foreign = pl.Series([False]).new_from_index(0, len(cells)) if len(cells) else cells.is_null()
        if has_classes:
            foreign = foreign | (cells.str.len_bytes() != cells.str.len_chars())
        if has_end:
            foreign = foreign | cells.str.ends_with("\n")
        if not foreign.any():
            return answers
        return (
            pl.DataFrame({"rust": answers, "text": cells.set(~foreign, None)})
            .select(pl.when(pl.col("text").is_not_null()).then(of_python(cells.set(~foreign, None))).otherwise("rust"))
            .to_series()
        )

    if rust is not None and not has_classes and not has_end:
        return text.str.contains(rust)
    chosen = of_python if rust is None else of_both
    return text.map_batches(chosen, return_dtype=pl.Boolean, is_elementwise=True)


def _python(pattern: str, where: Where) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    look = {"start": compiled.match, "anywhere": compiled.search, "whole": compiled.fullmatch}[where]
    return lambda text: look(text) is not None
