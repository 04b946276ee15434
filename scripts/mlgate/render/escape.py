"""Text of unknown origin made harmless for Markdown on GitHub, fenced blocks, mermaid diagrams and CI logs.

Metric, column, slice, parameter, file and branch names, commands, error messages and log tails come from the repository under test,
and on a fork from a stranger. Three layers keep them from being anything but text:

1. `clean` removes what is not seen or moves other text (control, escape, bidirectional and zero-width characters, piles of combining
   marks), puts everything on one line and caps the length.
2. Every character that Markdown or HTML could read as structure becomes a numeric character reference. CommonMark (section 2.5) says
   that these never stand for structure, in table cells too (where a backslash works in one place and shows in another).
3. GitHub looks for mentions, issues, commits, emoji and bare links in the *rendered* text, where `&#64;` is `@` again (github/markup#1168:
   neither backslash nor reference keeps a mention from being one). It never looks inside code, so a word that could trigger any of these
   is shown as a code span. Nothing invisible is inserted: what a reader copies is what was there.

A code span reads no references, and a pipe in it would still end a table cell: a span is closed before each pipe and opened after it.
"""

from __future__ import annotations

import html
import re
import unicodedata

ELLIPSIS = "…"
CELL_LIMIT = 80
SENTENCE_LIMIT = 800
LOG_LINES = 30
LOG_LIMIT = 4_000
_MAX_READ = 50_000
"""Characters that are looked at, of text of any length: thousands of cells must not take seconds each."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Variation selectors, the combining grapheme joiner, blank letters: nothing to see, much to hide.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]|(?<!\u26a0)\ufe0f")
# A no-break space is what keeps a number and its unit together.
_SPACES = re.compile("[^\\S\u00a0]+")
_KEPT_SPACES = " \u00a0"
_MAX_COMBINING = 3

# An underscore inside a word is no emphasis in GFM, and names are full of them.
_STRUCTURE = re.compile(r"[\\`*\[\]<>&|~$@#]|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(?:[-+=](?=[\s=-]|$)|\d{1,9}(?P<mark>[.)])(?=\s|$))")
_TRIGGER = re.compile(
    r"""[@\#$`]                             # mentions, issues, math
    | :[\w+-]+:                             # emoji
    | \bwww\. | // | (?:mailto|xmpp):       # bare links
    | \b(?:GH|GHSA|CVE)-                    # references to issues and advisories
    | (?<![0-9A-Za-z])[0-9a-f]{7,64}(?![0-9A-Za-z])   # commits
    """,
    re.VERBOSE | re.IGNORECASE,
)


def clean(text: str, limit: int) -> str:
    """One line of visible text, at most `limit` characters; what is cut off is marked by an ellipsis."""
    read = text[: max(_MAX_READ, limit)]
    line = _SPACES.sub(" ", _visible(read, keep="\u00a0\ufe0f")).strip()
    return line if len(line) <= limit and len(read) == len(text) else line[: limit - 1].rstrip() + ELLIPSIS


def text(value: str, limit: int = SENTENCE_LIMIT, *, is_line_start: bool = True) -> str:
    """Markdown that renders as exactly this text, in a paragraph, a heading, a list or a table cell."""
    line = clean(value, limit)
    words = [_code_spans(word) if _TRIGGER.search(word) else _references(word) for word in line.split(" ")]
    joined = " ".join(words)
    start = _LINE_START.match(joined) if is_line_start else None
    if start:
        at = start.start("mark") if start["mark"] else 0
        joined = f"{joined[:at]}&#{ord(joined[at])};{joined[at + 1 :]}"
    return joined


def spaces_around(value: str) -> tuple[str, str]:
    """The spaces that keep a piece of a line apart from its neighbours; `clean` trims them."""
    if not value.strip():
        return value[:1], ""
    return value[0] if value[0] in _KEPT_SPACES else "", value[-1] if value[-1] in _KEPT_SPACES else ""


def code(value: str, limit: int = CELL_LIMIT) -> str:
    """Markdown that renders as exactly this text in a monospaced font; for names, hashes and commands."""
    return _code_spans(clean(value, limit))


def summary(value: str, limit: int = SENTENCE_LIMIT) -> str:
    """The same for `<summary>`, whose line GitHub reads as HTML, without Markdown."""
    line = html.escape(clean(value, limit))
    return " ".join(f"<code>{word}</code>" if _TRIGGER.search(html.unescape(word)) else word for word in line.split(" "))


def block(value: str, language: str = "text") -> str:
    """A fenced block of the last lines of a log, or of commands; the fence is longer than any in it."""
    lines = _visible(value[-_MAX_READ:].replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t").strip("\n").split("\n")
    kept = "\n".join(line.rstrip() for line in lines[-LOG_LINES:])[-LOG_LIMIT:]
    longest = max((len(run) for run in re.findall(r"`+", kept)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{kept}\n{fence}"


def log_lines(value: str) -> str:
    """The last lines of a log as plain text with line breaks, for HTML (which escapes it) and terminals."""
    fenced = block(value)
    return "\n".join(fenced.split("\n")[1:-1])


def mermaid_label(value: str, limit: int = 24) -> str:
    """A label fit for a quoted string of a mermaid diagram: letters, digits and a few marks; anything else is a middle dot."""
    return "".join(letter if letter.isalnum() or letter in " _-.,()/%+:=" else "·" for letter in clean(value, limit))


def log_line(value: str, limit: int = SENTENCE_LIMIT) -> str:
    """Text as one line for standard output, where a no-break space helps nobody."""
    return no_command(clean(value, limit).replace("\u00a0", " "))


def no_command(line: str) -> str:
    """A line that GitHub's runner cannot take for a workflow command (`::x::` at the start, `##[x]` anywhere)."""
    line = line.replace("##[", "## [")
    start = len(line) - len(line.lstrip())
    return f"{line[:start]}: :{line[start + 2 :]}" if line.startswith("::", start) else line


def link(label: str, url: str) -> str:
    """A Markdown link; the label alone where the address is not plain http(s)."""
    safe = safe_url(url)
    return f"[{_references(clean(label, CELL_LIMIT))}](<{safe}>)" if safe else text(label, CELL_LIMIT)


def picture(description: str, url: str) -> str:
    """A Markdown picture with its description as text; empty where the address is not plain http(s)."""
    safe = safe_url(url)
    return f"![{_references(clean(description, SENTENCE_LIMIT))}](<{safe}>)" if safe else ""


def safe_url(url: str) -> str | None:
    """An http(s) address of unreserved characters only, or None."""
    return url if re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!&+,;=%-]{1,2000}", url) else None


def size(markdown: str) -> int:
    """Length as the strictest reading of GitHub's limits has it: bytes of UTF-8."""
    return len(markdown.encode())


def _visible(value: str, keep: str) -> str:
    """Without what cannot be seen; whitespace becomes a space unless it is to be kept."""
    stripped = _BLANK.sub("", _ESCAPE_SEQUENCE.sub("", value))
    out: list[str] = []
    combining = 0
    for letter in stripped:
        category = unicodedata.category(letter)
        combining = combining + 1 if category in {"Mn", "Me"} else 0
        if letter in keep:
            out.append(letter)
        elif letter.isspace():
            out.append(" ")
        elif category not in _INVISIBLE and combining <= _MAX_COMBINING:
            out.append(letter)
    return "".join(out)


def _references(value: str) -> str:
    return _STRUCTURE.sub(lambda found: f"&#{ord(found[0])};", value)


def _code_spans(value: str) -> str:
    return "&#124;".join(_code_span(part) for part in value.split("|"))


def _code_span(value: str) -> str:
    """One code span; spaces at its ends stand outside, where CommonMark would strip them."""
    inner = value.strip(" ")
    if not inner:
        return value
    fence = "`" * (max((len(run) for run in re.findall(r"`+", inner)), default=0) + 1)
    room = " " if inner.startswith("`") or inner.endswith("`") else ""
    before, _, after = value.partition(inner)
    return f"{before}{fence}{room}{inner}{room}{fence}{after}"
