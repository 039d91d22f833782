"""The confusion matrix of many classes: coloured cells, grouped by what is confused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.report.charts.svg import Cells, Chart, Mark, Path, Rect, Text
from frostline.report.confused import Grouping
from frostline.wording.numbers import plural, shortened

#: shades of a colour
LEVELS = 8
#: cells off the diagonal that are drawn, the most frequent first
MOST_CELLS = 8000
_SIDE = 860.0
_LETTERS = 16
_AXIS = 20.0


@dataclass(frozen=True)
class Matrix:
    """The drawing, and what is needed to name the pair below the pointer.

    ``left``, ``top`` and ``cell``: corner of the first cell and side of every cell, in the
    chart's units. ``cells``: ``true,predicted,count,level`` of every cell drawn, semicolons between
    them. ``order``: classes by row, as drawn. ``left_out``: kinds of mistakes that were not drawn.
    """

    chart: Chart
    left: float
    top: float
    cell: float
    cells: str
    order: tuple[int, ...]
    left_out: int


def matrix_chart(
    classes: Sequence[str], confusion: Sequence[Sequence[int]], grouping: Grouping
) -> Matrix:
    """Lay out rows of true and columns of predicted classes in the order of ``grouping``."""
    counts = np.asarray(confusion, dtype=np.int64)
    n = len(classes)
    cell = 18.0 if n <= 40 else max(1.0, math.floor(_SIDE / n))
    named = cell >= 8
    small = cell < 12
    letter = 4.8 if small else 6.7
    gutter = letter * min(_LETTERS, max(map(len, classes))) + 6 if named else 4.0
    left = top = _AXIS + gutter
    found, left_out = _cells(counts)
    place = {c: i for i, c in enumerate(grouping.order)}
    marks: list[Mark] = [Rect(left, top, n * cell, n * cell, "field")]
    for right in (True, False):
        for level in range(1, LEVELS + 1):
            corners = [
                (left + place[p] * cell, top + place[t] * cell)
                for t, p, _, shade in found
                if (t == p) is right and shade == level
            ]
            kind = f"cell {'right' if right else 'wrong'} level-{level}"
            if corners:
                marks.append(Cells(corners, cell, kind))
    for a, b in grouping.groups:
        if b - a < n:
            x, y, side = left + a * cell, top + a * cell, (b - a) * cell
            corners4 = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
            marks.append(Path(corners4, "group", closed=True))
    if named:
        size = "class-name small" if small else "class-name"
        for i, c in enumerate(grouping.order):
            name = shortened(classes[c], _LETTERS)
            middle = (i + 0.5) * cell
            marks += [
                Text(left - 4, top + middle + cell * 0.25, name, f"{size} row", "end"),
                Text(left + middle + cell * 0.25, top - 4, name, f"{size} column", turned=True),
            ]
    side = n * cell
    marks += [
        Text(left + side / 2, 12, "predicted class", "title", "middle"),
        Text(12, top + side / 2, "true class", "title", "middle", turned=True),
    ]
    return Matrix(
        chart=Chart(
            name="Confusion matrix",
            summary=_summary(counts, n),
            width=left + side + 2,
            height=top + side + 2,
            marks=marks,
        ),
        left=left,
        top=top,
        cell=cell,
        cells=";".join(f"{t},{p},{count},{level}" for t, p, count, level in found),
        order=grouping.order,
        left_out=left_out,
    )


def _cells(counts: np.ndarray) -> tuple[list[tuple[int, int, int, int]], int]:
    """Return true, predicted, count and shade of every cell to be drawn, and how many are not."""
    totals = np.maximum(counts.sum(axis=1), 1)
    true, predicted = np.nonzero(counts)
    number = counts[true, predicted]
    off = true != predicted
    keep = ~off
    most = np.argsort(-number[off], kind="stable")[:MOST_CELLS]
    keep[np.flatnonzero(off)[most]] = True
    # the eye sees small shares better on a scale of roots
    shade = np.ceil(np.sqrt(number / totals[true]) * LEVELS).astype(int)
    rows = [
        (int(true[i]), int(predicted[i]), int(number[i]), int(shade[i]))
        for i in np.flatnonzero(keep)
    ]
    return rows, int((~keep).sum())


def _summary(counts: np.ndarray, n: int) -> str:
    right, total = int(np.trace(counts)), int(counts.sum())
    kinds = int(np.count_nonzero(counts)) - int(np.count_nonzero(counts.diagonal()))
    return (
        f"{plural(n, 'class', 'classes')}: {right:,} of {total:,} images lie on the diagonal, "
        f"where truth and prediction agree; {plural(kinds, 'kind')} of mistakes lie off it."
    )
