"""What a report consists of, before it is Markdown, HTML or terminal text. Every string in it is raw; the renderers escape all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Code:
    """A name, hash or command, shown monospaced."""

    text: str
    limit: int = 80


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class Link:
    """A link; the text alone where the address is not plain http(s)."""

    text: str
    url: str


@dataclass(frozen=True)
class IntervalBar:
    """A difference and its bounds drawn in characters; left out where a picture of the same stands beside."""

    text: str


Span = str | Code | Strong | Link | IntervalBar
Line = tuple[Span, ...]


@dataclass(frozen=True)
class Table:
    headings: tuple[str, ...]
    align: str
    """`l` or `r` for each column."""
    rows: tuple[tuple[Line, ...], ...]
    unit: str = "row"
    """What one row is, for `… 930 more slices in the report`."""
    rows_per_unit: int = 1
    is_matrix: bool = False
    is_cut_last: bool = False
    """Whether a comment that is too long cuts rows of it rather than drop its section."""


@dataclass(frozen=True)
class Paragraph:
    line: Line


@dataclass(frozen=True)
class Items:
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Log:
    """The end of a command's output."""

    text: str


@dataclass(frozen=True)
class Commands:
    """What to type."""

    lines: tuple[str, ...]


# --- what figures show -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IntervalRow:
    """One difference with its bounds, in the unit it is shown in."""

    label: str
    metric: str
    """Rows of one metric share an axis."""
    unit: str
    difference: float
    low: float | None
    high: float | None
    margin: float | None
    is_lower_better: bool


@dataclass(frozen=True)
class Intervals:
    rows: tuple[IntervalRow, ...]


@dataclass(frozen=True)
class Bars:
    labels: tuple[str, ...]
    values: tuple[float, ...]
    texts: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Matrices:
    classes: tuple[str, ...]
    candidate: tuple[tuple[int, ...], ...]
    baseline: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class Histogram:
    edges: tuple[float, ...]
    candidate: tuple[int, ...]
    baseline: tuple[int, ...] | None


@dataclass(frozen=True)
class Shift:
    """How the rows of one column fall into bins, before and now."""

    title: str
    labels: tuple[str, ...]
    """Of the bins."""
    before: tuple[float, ...]
    """Share of the rows in each."""
    now: tuple[float, ...]


@dataclass(frozen=True)
class Shifts:
    columns: tuple[Shift, ...]


@dataclass(frozen=True)
class Curve:
    """How a number went while a model was trained."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Step and value, in order of steps; at least two."""


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis: of one quantity, as the loss on the training data and the loss beside them."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Curves:
    panels: tuple[Panel, ...]
    axis: str
    """What is counted from left to right: `epoch`."""


@dataclass(frozen=True)
class Figure:
    """A picture; the same numbers always stand in a table beside it."""

    key: str
    title: str
    description: str
    data: Intervals | Bars | Matrices | Histogram | Shifts | Curves


Block = Paragraph | Items | Table | Log | Commands | Figure


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    blocks: tuple[Block, ...]
    is_open: bool = False
    """Shown unfolded: it is why the answer is what it is."""


@dataclass(frozen=True)
class Answer:
    """The verdict line."""

    tone: Literal["good", "bad", "unsure"]
    statement: str
    """`may be merged`; says it without the mark or a colour."""
    because: Line
    is_passed: bool = False
    """Whether the gate is open and its stage passed."""

    @property
    def mark(self) -> str:
        return {"good": "✅", "bad": "❌", "unsure": "⚠️"}[self.tone]


@dataclass(frozen=True)
class ReportView:
    """Everything a report shows, in the order it shows it."""

    model: str
    title: str
    answer: Answer
    headline: str
    """Why, in one sentence."""
    notes: tuple[Line, ...]
    """What a reviewer must not miss."""
    comparison: Table | None
    caption: Line
    legend: str
    """How to read the bars of characters."""
    differences: Figure | None
    rules: Table | None
    sections: tuple[Section, ...]
    footer: Line
    run_url: str | None
    plots: Literal["mermaid", "text", "branch", "none"]
    decision: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    """By stage, as it stands in its file."""
    picture_urls: dict[str, str] = field(default_factory=dict)
    """Where figures are shown from, by key; for `plots: branch`."""
    rules_title: str = "Rules"
    """What the folded rules say without being unfolded."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        of_sections = (block for section in self.sections for block in section.blocks if isinstance(block, Figure))
        return (*((self.differences,) if self.differences else ()), *of_sections)
