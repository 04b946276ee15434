"""Regular expressions of contracts, which mean what Python's `re` means, as Java reads them: for Spark, on whose machines no Python runs.

Both languages' engines backtrack alike; what differs is what `.`, `$`, `\\d`, `\\w` and `\\s` stand for, and that is written out. A pattern
with anything beyond (lookaround, back references, flags, `\\b`) is not translated.
"""

from __future__ import annotations

import re
from typing import Literal

Where = Literal["start", "anywhere", "whole"]

_TOKEN = re.compile(
    r"""(?P<plain> [A-Za-z0-9\ _@%&<>=:;/\#~`'"!,.^-] | [^\x00-\x7f] )
    | (?P<class> \\[dDwWsS] )
    | (?P<escape> \\[^A-Za-z0-9\s] )
    | (?P<control> \\[tnr] )
    | (?P<end> \$ )
    | (?P<group> \((?:\?:)? | \) | \| )
    | (?P<repeat> (?: [*+?] | \{\d{1,3}(?:,\d{0,3})?\} )\?? )
    | (?P<set> \[(?P<not>\^?)(?P<members>(?: [^\]\[\\^\x00-\x1f~&|-] | \\(?:[dws tnr]|[^A-Za-z0-9\s]) | [a-zA-Z0-9]-[a-zA-Z0-9] )+-?)\] )
    """,
    re.VERBOSE,
)
_MEMBER = re.compile(r"[a-zA-Z0-9]-[a-zA-Z0-9]|\\.|.", re.DOTALL)
# What `str.isspace` says, and `str.isalnum`: letters and numbers of any kind.
_IN_SETS = {
    r"\d": r"\p{Nd}",
    r"\w": r"\p{L}\p{N}_",
    r"\s": r"\x09-\x0d\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


def java_pattern(pattern: str, where: Where) -> str | None:
    """The same pattern for Java's `Matcher.find`; None where it may mean something else there.

    Args:
        pattern: a regular expression of Python's.
        where: from the start of the text, anywhere in it, or all of it.
    """
    written, at, last = [], 0, "start"
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None or (found.lastgroup == "repeat" and last in ("repeat", "start", "end", "open")):
            return None
        kind, text = str(found.lastgroup), found.group()
        written.append(_translated(kind, found))
        is_opening = kind == "group" and text != ")"
        last = "open" if is_opening else "end" if text in ("^", "$") else kind
        at = found.end()
    inside = "".join(written)
    # (?d): of all line breaks, `.` and `$` know only the newline.
    return {"start": rf"(?d)\A(?:{inside})", "anywhere": f"(?d){inside}", "whole": rf"(?d)\A(?:{inside})\z"}[where]


def _translated(kind: str, found: re.Match[str]) -> str:
    text = found.group()
    if kind == "class":
        members = _IN_SETS[text.lower()]
        return f"[^{members}]" if text[1].isupper() else f"[{members}]"
    if kind == "set":
        members = "".join(map(_member, _MEMBER.findall(found["members"])))
        return f"[{found['not']}{members}]"
    return text


def _member(text: str) -> str:
    if text in _IN_SETS:
        return _IN_SETS[text]
    if len(text) > 1 or text.isalnum() or not text.isascii():
        return text
    return f"\\{text}"
