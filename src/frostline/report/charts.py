"""Where the marks of the two evidence charts go; the template draws them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.plan import EvidenceSummary, LayerShift
from frostline.report.words import number, percent, shortened

#: width of every chart in its own units; the page scales it
WIDTH = 420.0


@dataclass(frozen=True)
class Bar:
    """One rectangle with a name, a text for its value and a longer hint."""

    x: float
    y: float
    width: float
    height: float
    name: str
    value: str
    hint: str
    kind: str
    whisker: tuple[float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """Bars in a box of ``width`` x ``height``; ``line`` is a reference (chance, or zero)."""

    width: float
    height: float
    bars: list[Bar]
    line: float
    top: str = ""


def probe_chart(evidence: EvidenceSummary) -> Chart:
    """Lay out probe accuracy by depth: one row a tap, shallow first, all taps at the end."""
    left, right, row = 118.0, 58.0, 24.0
    span = WIDTH - left - right
    bars = []
    for i, probe in enumerate([*evidence.probes, evidence.all_taps]):
        kind = "all" if i == len(evidence.probes) else "tap"
        if kind == "tap" and probe.tap == evidence.best_tap:
            kind = "best"
        name = "all together" if kind == "all" else probe.tap
        low, high = (
            left + span * min(1.0, max(0.0, probe.accuracy + sign * probe.standard_error))
            for sign in (-1, 1)
        )
        bars.append(
            Bar(
                x=left,
                y=i * row + 4,
                width=span * probe.accuracy,
                height=row - 8,
                name=shortened(name, 17),
                value=percent(probe.accuracy),
                hint=f"{name}: {percent(probe.accuracy)}, standard error "
                f"{percent(probe.standard_error)}, {probe.dimensions} values an image",
                kind=kind,
                whisker=(low, high),
            )
        )
    return Chart(WIDTH, len(bars) * row, bars, left + span * evidence.chance)


def shift_chart(layers: Sequence[LayerShift]) -> Chart:
    """Lay out the shift at every measured layer: one column a layer, shallow first."""
    height, head = 130.0, 16.0
    values = [layer.shift for layer in layers]
    # debiased estimates may fall a little below zero
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 1e-9)
    scale = (height - head) / (high - low)
    zero = head + high * scale
    step = WIDTH / max(1, len(layers))
    bars = [
        Bar(
            x=i * step + 0.1 * step,
            y=zero - max(0.0, layer.shift) * scale,
            width=0.8 * step,
            height=max(0.5, abs(layer.shift) * scale),
            name=shortened(layer.layer, 24),
            value=number(layer.shift),
            hint=f"{layer.layer}: {number(layer.shift)}",
            kind=("early", "middle", "late")[min(2, 3 * i // max(1, len(layers)))],
        )
        for i, layer in enumerate(layers)
    ]
    return Chart(WIDTH, height, bars, zero, number(high))
