"""Where a value lies on an axis, and how the axis is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from frostline.report.charts.svg import Line, Mark, Text

#: an axis of accuracies begins and ends at a multiple of this
_ROUND = 0.05


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` lie between the places ``start`` and ``stop``.

    With ``doublings`` equal factors take equal room, instead of equal differences.
    """

    low: float
    high: float
    start: float
    stop: float
    doublings: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value; those beyond an end lie at that end."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.doublings:
            low, high, value = math.log2(low), math.log2(high), math.log2(value)
        share = (value - low) / (high - low) if high > low else 0.0
        return self.start + share * (self.stop - self.start)


def accuracy_scale(values: Iterable[float], *, start: float, stop: float) -> Scale:
    """Return the scale of a few accuracies in [0, 1], with ends at round numbers around them."""
    found = [min(1.0, max(0.0, value)) for value in values]
    low = math.floor(min(found, default=0.0) / _ROUND - 0.2) * _ROUND
    high = math.ceil(max(found, default=1.0) / _ROUND + 0.2) * _ROUND
    return Scale(max(0.0, round(low, 2)), min(1.0, round(high, 2)), start, stop)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two ends, at most ``most`` of them.

    >>> ticks(0, 1)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0):
        step = power * factor
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]
    return [low, high]


def below(
    scale: Scale, y: float, title: str, words: Callable[[float], str], *, top: float, most: int = 5
) -> list[Mark]:
    """Draw a horizontal axis at ``y`` with its name, and faint lines up to ``top``."""
    marks: list[Mark] = []
    for value in ticks(scale.low, scale.high, most):
        x = scale.at(value)
        marks += [Line(x, top, x, y, "grid"), Text(x, y + 17, words(value), "dim", "middle")]
    middle = (scale.start + scale.stop) / 2
    return [
        *marks,
        Line(scale.start, y, scale.stop, y, "axis"),
        Text(middle, y + 32, title, "title", "middle"),
    ]


def beside(
    scale: Scale,
    x: float,
    title: str,
    words: Callable[[float], str],
    *,
    right: float,
    most: int = 5,
) -> list[Mark]:
    """Draw a vertical axis at ``x`` with its name on top, and faint lines to ``right``."""
    marks: list[Mark] = []
    for value in ticks(scale.low, scale.high, most):
        y = scale.at(value)
        marks += [Line(x, y, right, y, "grid"), Text(x - 6, y + 4, words(value), "dim", "end")]
    return [*marks, Text(0, 11, title, "title")]


def whole_percent(value: float) -> str:
    """Return ``"75%"`` for 0.75, with a decimal only where it is needed."""
    return f"{100 * value:.4g}%"
