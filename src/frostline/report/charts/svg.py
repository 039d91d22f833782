"""Charts as plain marks, and how marks become SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from frostline.wording.numbers import shortened

#: width of a chart in its own units; on a phone a unit is a little less than a pixel
WIDTH = 360.0
#: height of text, and about the width of a letter of it
TEXT, LETTER = 12.0, 6.3


@dataclass(frozen=True)
class Rect:
    """A rectangle; ``kind`` becomes its class."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    round: float = 0.0


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


@dataclass(frozen=True)
class Path:
    """A line through points, or an area when ``closed``."""

    points: Sequence[tuple[float, float]]
    kind: str
    closed: bool = False


@dataclass(frozen=True)
class Cells:
    """Squares of one ``side`` with their upper left corners at ``corners``."""

    corners: Sequence[tuple[float, float]]
    side: float
    kind: str


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    kind: str


@dataclass(frozen=True)
class Text:
    """One line of text; ``anchor`` is start, middle or end, ``turned`` reads upwards."""

    x: float
    y: float
    text: str
    kind: str = ""
    anchor: str = "start"
    turned: bool = False


@dataclass(frozen=True)
class Hit:
    """A place that says ``tip`` when it is pointed at; lies over the marks."""

    x: float
    y: float
    width: float
    height: float
    tip: str


Mark = Rect | Line | Path | Cells | Dot | Text | Hit


@dataclass(frozen=True)
class Chart:
    """Marks in a box, with a name and a summary for those who cannot see it.

    - ``name``: what is drawn, a few words.
    - ``summary``: what it shows, a sentence or two.
    - ``width`` and ``height``: in the chart's own units.
    - ``marks``: in the order in which they are drawn.
    - ``columns`` and ``rows``: the same as a table: names of the columns, and text for every row.
    """

    name: str
    summary: str
    width: float
    height: float
    marks: list[Mark] = field(default_factory=list)
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()

    def svg(self) -> Markup:
        """Return the drawing as markup; everything that came from outside is escaped."""
        head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><desc>{}</desc>').format(
            _n(self.width), _n(self.height), f"{self.name}. {self.summary}", self.summary
        )
        body = Markup("\n").join(_drawn(mark) for mark in self.marks)
        return head + Markup("\n") + body + Markup("</svg>")


def room_for(text: str, length: float) -> str:
    """Shorten a text to what fits into ``length`` units."""
    return shortened(text, max(4, int(length / LETTER)))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _drawn(mark: Mark) -> Markup:
    match mark:
        case Rect():
            corner = Markup(' rx="{}"').format(_n(mark.round)) if mark.round else ""
            return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"{}/>').format(
                mark.kind, *map(_n, (mark.x, mark.y, mark.width, mark.height)), corner
            )
        case Line():
            return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                mark.kind, *map(_n, (mark.x1, mark.y1, mark.x2, mark.y2))
            )
        case Path():
            way = " L".join(f"{_n(x)} {_n(y)}" for x, y in mark.points)
            return Markup('<path class="{}" d="M{}{}"/>').format(
                mark.kind, way, " Z" if mark.closed else ""
            )
        case Cells():
            side = _n(mark.side)
            square = f"h{side}v{side}h-{side}z"
            return Markup('<path class="{}" d="{}"/>').format(
                mark.kind, "".join(f"M{_n(x)} {_n(y)}{square}" for x, y in mark.corners)
            )
        case Dot():
            return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
                mark.kind, *map(_n, (mark.x, mark.y, mark.radius))
            )
        case Text():
            turn = f' transform="rotate(-90 {_n(mark.x)} {_n(mark.y)})"' if mark.turned else ""
            return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}"{}>{}</text>').format(
                mark.kind, _n(mark.x), _n(mark.y), mark.anchor, Markup(turn), mark.text
            )
        case Hit():
            return Markup(
                '<rect class="hit" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
            ).format(*map(_n, (mark.x, mark.y, mark.width, mark.height)), mark.tip)
