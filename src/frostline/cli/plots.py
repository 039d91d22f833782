"""Small plots of letters: bars, dots with intervals, lines of blocks; plain ASCII where needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Letters:
    """What plots are made of.

    ``bar`` and ``parts``: a full cell, and partly filled ones from empty upwards. ``levels``:
    heights from low to high. ``dot``, ``reach`` and ``ground``: a value, its interval, and the
    empty axis. ``frozen``, ``trained``, ``new``, ``removed`` and ``line``: one layer by
    its fate, and the frost line.
    """

    bar: str
    parts: str
    levels: str
    dot: str
    reach: str
    ground: str
    frozen: str
    trained: str
    new: str
    removed: str
    line: str


BLOCKS = Letters("█", " ▏▎▍▌▋▊▉", "▁▂▃▄▅▆▇█", "●", "━", "·", "■", "▲", "◆", "×", "│")
ASCII = Letters("#", " ", "_.-~=*#", "o", "=", ".", "#", "^", "+", "x", "|")


def letters(console: Console) -> Letters:
    """Return letters that the console can show."""
    return BLOCKS if console.encoding.lower().startswith("utf") else ASCII


def bar(value: float, most: float, width: int, kind: Letters = BLOCKS) -> str:
    """Return a horizontal bar for ``value`` on a scale from 0 to ``most``."""
    if most <= 0:
        return ""
    steps = len(kind.parts)
    filled = round(max(0.0, min(1.0, value / most)) * width * steps)
    full, rest = divmod(filled, steps)
    return kind.bar * full + (kind.parts[rest] if rest else "")


def dot(
    value: float, reach: float, ends: tuple[float, float], width: int, kind: Letters = BLOCKS
) -> str:
    """Return a dot on an axis between two ends, with its interval to both sides.

    >>> dot(0.5, 0.2, (0.0, 1.0), 11)
    '···━━●━━···'
    """
    low, high = ends

    def place(number: float) -> int:
        share = (number - low) / (high - low) if high > low else 0.0
        return round(max(0.0, min(1.0, share)) * (width - 1))

    line = [kind.ground] * width
    for i in range(place(value - reach), place(value + reach) + 1):
        line[i] = kind.reach
    line[place(value)] = kind.dot
    return "".join(line)


def spark(values: Sequence[float], kind: Letters = BLOCKS, *, lowest: float | None = None) -> str:
    """Return one letter a value, higher for larger ones.

    The axis begins at ``lowest``, or at the least of the values, and ends at the largest.
    """
    low = min(values, default=0.0) if lowest is None else lowest
    high = max(values, default=low)
    span = high - low or 1.0
    top = len(kind.levels) - 1
    return "".join(kind.levels[round((value - low) / span * top)] for value in values)


def axis(ends: tuple[float, float], width: int) -> str:
    """Return both ends of an axis of accuracies, left and right.

    >>> axis((0.5, 1.0), 12)
    '50%     100%'
    """
    left, right = (f"{100 * end:.0f}%" for end in ends)
    return left + right.rjust(width - len(left))
