"""The shift at every measured layer."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.plan import LayerShift
from frostline.report.charts.axis import Scale, beside
from frostline.report.charts.svg import LETTER, WIDTH, Chart, Hit, Line, Mark, Rect, Text
from frostline.report.depth import Depths
from frostline.wording.numbers import number
from frostline.wording.shift import chart_unit

_LEFT, _TOP, _BOTTOM, _HEIGHT = 40.0, 26.0, 176.0, 212.0


def shift_chart(layers: Sequence[LayerShift], depths: Depths, *, measure: str) -> Chart:
    """Lay out one column a layer, shallow first, with the frost line between two of them."""
    values = [layer.shift for layer in layers]
    # debiased estimates may fall a little below zero
    scale = Scale(min(0.0, *values, 0.0), max(1e-9, *values, 1e-9), _BOTTOM, _TOP)
    step = (WIDTH - _LEFT) / max(1, len(layers))
    zero = scale.at(0.0)
    marks: list[Mark] = beside(
        scale, _LEFT, chart_unit(measure), lambda v: number(v, 2), right=WIDTH
    )
    for i, layer in enumerate(layers):
        x, y = _LEFT + (i + 0.1) * step, scale.at(layer.shift)
        fate = depths.fate(layer.layer) or "frozen"
        height = max(0.5, abs(y - zero))
        marks.append(Rect(x, min(y, zero), 0.8 * step, height, f"bar {fate}"))
    marks.append(Line(_LEFT, zero, WIDTH, zero, "axis"))
    marks += _names(layers, step)
    line = depths.above_line([layer.layer for layer in layers])
    if line is not None and 0 < line < len(layers):
        x = _LEFT + line * step
        left = x > WIDTH - 90
        marks += [
            Line(x, _TOP - 6, x, _BOTTOM, "frost straight"),
            Text(
                x + (-5 if left else 5),
                _TOP,
                "frost line",
                "frost-name",
                "end" if left else "start",
            ),
        ]
    marks += [
        Hit(_LEFT + i * step, _TOP, step, _BOTTOM - _TOP, f"{one.layer}: {number(one.shift)}")
        for i, one in enumerate(layers)
    ]
    return Chart(
        name="Shift by depth",
        summary=_summary(layers),
        width=WIDTH,
        height=_HEIGHT,
        marks=marks,
        columns=("layer", "shift", "median over channels", "divergence (nats)"),
        rows=[(x.layer, number(x.shift), number(x.shift_median), number(x.kl)) for x in layers],
    )


def _names(layers: Sequence[LayerShift], step: float) -> list[Mark]:
    """Name the places where a new part of the network begins, as far as there is room."""
    marks: list[Mark] = []
    free = _LEFT - 3
    part = ""
    for i, layer in enumerate(layers):
        here = layer.layer.rpartition(".")[0] or layer.layer
        here = ".".join(here.split(".")[:2])
        x = _LEFT + (i + 0.5) * step
        if here != part:
            part = here
            half = LETTER * len(here) / 2
            centre = min(max(x, _LEFT - 3 + half), WIDTH - half)
            if centre - half >= free:
                marks += [
                    Line(x, _BOTTOM, x, _BOTTOM + 3, "axis"),
                    Text(centre, _BOTTOM + 15, here, "dim", "middle"),
                ]
                free = centre + half + 5
    middle = (_LEFT + WIDTH) / 2
    return [*marks, Text(middle, _HEIGHT - 4, "layer, first to last", "title", "middle")]


def _summary(layers: Sequence[LayerShift]) -> str:
    most = max(layers, key=lambda layer: layer.shift)
    return (
        f"{len(layers)} layers, first to last, from {number(layers[0].shift)} at {layers[0].layer} "
        f"to {number(layers[-1].shift)} at {layers[-1].layer}; the largest is "
        f"{number(most.shift)} at {most.layer}."
    )
