"""A Markdown file of the user's own, made fit for a comment: its local pictures found and replaced, its length cut. It stays the user's:
nothing in it is escaped, and a mention in it is a mention."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)$")
# What may begin a code span, which is passed over; or ![text](address "title"), the address bare or between angle brackets.
_INLINE = re.compile(
    r"(?P<ticks>`+)"
    r"|!\[(?P<alt>(?:[^\[\]\\]|\\.|\[[^\[\]]*\])*)\]\(\s*(?:<(?P<angled>[^<>\n]*)>|(?P<bare>[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*))"
    r"(?P<title>\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
)
# Neither crosses another `<`: a text made to be slow is not.
_HTML = re.compile(
    r"(?P<before><img\b[^<>]{0,1000}?\bsrc\s*=\s*)(?P<quote>[\"'])(?P<address>[^\"'\n<>]{0,2000})(?P=quote)(?P<after>[^<>]{0,1000}>)",
    re.IGNORECASE,
)
_HTML_ALT = re.compile(r"\balt\s*=\s*([\"'])(?P<alt>[^\"'\n]*)\1", re.IGNORECASE)
_DEFINITION = re.compile(r"^(?P<before> {0,3}\[[^\[\]\n]+\]:\s*)(?:<(?P<angled>[^<>\n]*)>|(?P<bare>\S+))(?P<after>.*)$")
_REMOTE = re.compile(r"^(?!data:image/)(?:[A-Za-z][A-Za-z0-9+.-]*:|//|#|$)")


@dataclass(frozen=True)
class Picture:
    """A picture that a file shows from its own folder."""

    path: str
    """As it is written there, percent signs resolved; or the picture itself, `data:image/png;base64,…`, which GitHub would not show."""
    alt: str


def pictures(text: str) -> list[Picture]:
    """Local pictures of a Markdown file, each once, in order; `[name]: path` counts where the path has a picture's ending."""
    found: dict[str, Picture] = {}

    def note(picture: Picture) -> str | None:
        found.setdefault(picture.path, picture)
        return None

    _rewritten(text, note, lambda _: "")
    return list(found.values())


def with_pictures(text: str, url_of: Callable[[Picture], str | None], in_place: Callable[[Picture], str]) -> str:
    """The text with every local picture shown from its address.

    Args:
        text: Markdown.
        url_of: address of a picture; None where it has none.
        in_place: Markdown that stands where a picture without an address would.
    """
    return _rewritten(text, url_of, in_place)


def cut(text: str, limit: int, note: str) -> str:
    """At most `limit` characters, cut between lines, no code block or fold left open; `note` says that it was cut.

    Args:
        text: Markdown.
        limit: at least a few hundred more than the note has.
        note: Markdown of its own, after the text.
    """
    if len(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - len(note) - 200  # for what has to be closed
    fence, folds, size = "", 0, 0
    for line in text.split("\n"):
        size += len(line) + 1
        if size > room:
            break
        kept.append(line)
        fence = _fence_after(fence, line)
        folds += (
            0 if fence else len(re.findall(r"<details\b", line, re.IGNORECASE)) - len(re.findall(r"</details\s*>", line, re.IGNORECASE))
        )
    if not kept:  # one line of everything
        kept = [text[:room]]
    closing = [*([fence] if fence else []), *(["", *["</details>"] * min(folds, 15)] if folds > 0 else [])]
    return "\n".join([*kept, *closing, "", note, ""])


def _rewritten(text: str, url_of: Callable[[Picture], str | None], in_place: Callable[[Picture], str]) -> str:
    def inline(found: re.Match[str]) -> str:
        address = found["angled"] if found["angled"] is not None else found["bare"]
        if not _is_local(address):
            return found[0]
        picture = Picture(unquote(address), found["alt"])
        url = url_of(picture)
        return f"![{picture.alt}]({url}{found['title'] or ''})" if url else in_place(picture)

    def in_html(found: re.Match[str]) -> str:
        if not _is_local(found["address"]):
            return found[0]
        alt = _HTML_ALT.search(found[0])
        picture = Picture(unquote(found["address"]), alt["alt"] if alt else "")
        url = url_of(picture)
        return f'{found["before"]}"{url}"{found["after"]}' if url else in_place(picture)

    def definition(found: re.Match[str]) -> str:
        address = found["angled"] if found["angled"] is not None else found["bare"]
        if not _is_local(address) or not has_ending_of_a_picture(address):
            return found[0]
        url = url_of(Picture(unquote(address), ""))
        return f"{found['before']}{url}{found['after']}" if url else found[0]

    lines = []
    for line, is_code in _lines(text):
        changed = line if is_code else _HTML.sub(in_html, _inline(_DEFINITION.sub(definition, line), inline))
        lines.append(changed)
    return "\n".join(lines)


def _inline(line: str, replaced: Callable[[re.Match[str]], str]) -> str:
    """A line with its pictures replaced, those in code spans aside. Its time grows with the line, not with its square."""
    ends: dict[int, int] = {}  # of the code span that a run of backticks begins: at the next run of that length
    next_of_length: dict[int, int] = {}
    for run in reversed(list(re.finditer("`+", line))):
        length = run.end() - run.start()
        ends[run.start()] = next_of_length.get(length, run.end())
        next_of_length[length] = run.end()
    pieces, kept, position = [], 0, 0
    while found := _INLINE.search(line, position):
        position = found.end()
        if found["ticks"]:
            position = ends[found.start()]
            continue
        pieces += [line[kept : found.start()], replaced(found)]
        kept = position
    return "".join([*pieces, line[kept:]])


def has_ending_of_a_picture(path: str) -> bool:
    return path.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"))


def _is_local(address: str) -> bool:
    return _REMOTE.match(address) is None


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines, and whether each is part of a fenced code block."""
    fence = ""
    for line in text.split("\n"):
        before, fence = fence, _fence_after(fence, line)
        yield line, bool(before or fence)


def _fence_after(fence: str, line: str) -> str:
    """The fence that is open after a line; empty where none is."""
    found = _FENCE.match(line.rstrip("\r"))
    if found is None:
        return fence
    if not fence:
        is_opening = found["fence"][0] == "~" or "`" not in found["rest"]
        return found["fence"] if is_opening else ""
    closes = found["fence"][0] == fence[0] and len(found["fence"]) >= len(fence) and not found["rest"].strip()
    return "" if closes else fence
