"""The network as a column of layers, with the frost line drawn through it."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.report.charts.svg import (
    WIDTH,
    Chart,
    Dot,
    Hit,
    Line,
    Mark,
    Path,
    Rect,
    Text,
    room_for,
)
from frostline.report.depth import Depths, Layer
from frostline.wording.numbers import plural
from frostline.wording.tasks import TASKS, TaskWords

_LEFT, _BOX, _ROW, _HEAD = 14.0, 230.0, 26.0, 22.0
#: where activations run down to the head
_BUS = 268.0
#: longer runs of layers with one fate are folded in the middle
_FOLD = 18

FATES = {
    "frozen": ("Frozen", "kept bit by bit as pretrained"),
    "inner": ("Partly trained", "small parts in them learn, the rest is frozen"),
    "trained": ("Trained", "start from pretrained weights"),
    "new": ("New", "made for these {things}"),
    "removed": ("Removed", "no longer part of the network"),
}


def fate_words(fate: str, words: TaskWords) -> tuple[str, str]:
    """Return the heading of layers of one fate, and what that means."""
    title, text = FATES[fate]
    return title, text.format(things=words.things)


def column_chart(depths: Depths, *, n_outputs: int, words: TaskWords = TASKS["single"]) -> Chart:
    """Lay out the layers from the image down to the classes; what was removed comes last.

    ``words``: of what is predicted.
    """
    old = list(depths.old)
    frozen = old[: depths.line] if not depths.scattered else []
    removed = [layer for layer in old if layer.fate == "removed"]
    rest = [layer for layer in old if layer not in removed and layer not in frozen]
    marks: list[Mark] = []
    y = _pill(marks, 2.0, "your image", "pill")
    bus: list[float] = []
    if frozen:
        top = y
        y = _group(marks, y, "frozen", frozen, bus, words)
        marks.insert(0, Rect(0, top, WIDTH, y - top, "ground", 6))
    if not depths.scattered and old:
        y = _frost_line(marks, y)
    for fate in ("frozen", "inner", "trained"):
        layers = [layer for layer in rest if layer.fate == fate]
        if layers:
            y = _group(marks, y, fate, layers, bus, words)
    if depths.new:
        y = _group(marks, y, "new", list(depths.new), [], words)
        if bus:
            _read(marks, bus, y - _ROW / 2 - 2)
    y = _pill(marks, y + 6, words.count(n_outputs), "pill")
    if removed:
        y = _group(marks, y + 8, "removed", removed, [], words)
    return Chart(
        name="The network, layer by layer",
        summary=_summary(depths),
        width=WIDTH,
        height=y + 2,
        marks=marks,
        columns=("layer", "what happens to it", "read by the head"),
        rows=[
            (layer.name, FATES[layer.fate][0].lower(), "yes" if layer.read else "")
            for layer in (*frozen, *rest, *depths.new, *removed)
        ],
    )


def _summary(depths: Depths) -> str:
    said = []
    for fate in FATES:
        count = sum(layer.fate == fate for layer in (*depths.old, *depths.new))
        if count:
            said.append(f"{plural(count, 'layer')}: {FATES[fate][0].lower()}")
    text = "; ".join(said) + "."
    if depths.scattered:
        return f"{text} Small parts train at every depth, so there is no frost line."
    if 0 < depths.line < len(depths.old):
        above, under = depths.old[depths.line - 1], depths.old[depths.line]
        return f"{text} The frost line runs between {above.name} and {under.name}."
    where = "below the last layer" if depths.line else "above the first layer"
    return f"{text} The frost line runs {where}."


def _pill(marks: list[Mark], y: float, text: str, kind: str) -> float:
    middle = _LEFT + _BOX / 2
    # as wide as "100 classes" at least; bold letters take some 7 pixels
    half = max(55.0, 3.5 * len(text) + 12.0)
    marks += [
        Rect(middle - half, y, 2 * half, 22, kind, 11),
        Text(middle, y + 15, text, "strong", "middle"),
    ]
    return y + 32


def _group(
    marks: list[Mark],
    y: float,
    fate: str,
    layers: Sequence[Layer],
    bus: list[float],
    words: TaskWords,
) -> float:
    """Draw layers of one fate under a heading; note in ``bus`` where the head reads."""
    title, text = fate_words(fate, words)
    marks.append(Text(_LEFT, y + 14, f"{title}: {plural(len(layers), 'layer')}, {text}", "note"))
    y += _HEAD
    for layer in _folded(layers):
        if isinstance(layer, int):
            marks.append(Text(_LEFT + _BOX / 2, y + 13, f"{layer} more", "dim", "middle"))
        else:
            marks += [
                Rect(_LEFT, y, _BOX, _ROW - 4, f"layer {fate}", 4),
                Rect(_LEFT, y, 5, _ROW - 4, f"edge {fate}", 2),
                Text(_LEFT + 14, y + 15, room_for(layer.name, _BOX - 24), f"name {fate}"),
                Hit(_LEFT, y, _BOX, _ROW - 4, f"{layer.name}: {FATES[fate][0].lower()}"),
            ]
            if layer.read:
                bus.append(y + _ROW / 2 - 2)
        y += _ROW
    return y + 4


def _folded(layers: Sequence[Layer]) -> list[Layer | int]:
    if len(layers) <= _FOLD:
        return list(layers)
    half = _FOLD // 2
    return [*layers[:half], len(layers) - 2 * half, *layers[-half:]]


def _frost_line(marks: list[Mark], y: float) -> float:
    """Draw the line over the whole width, jagged as frozen ground is."""
    y += 8
    step = WIDTH / 48
    marks += [
        Path([(i * step, y + (0, -3.0, 1.0, 3.0)[i % 4]) for i in range(49)], "frost"),
        Text(WIDTH, y - 7, "frost line", "frost-name", "end"),
    ]
    return y + 8


def _read(marks: list[Mark], bus: Sequence[float], y: float) -> None:
    """Draw how the activations of several layers run down to the head."""
    right = _LEFT + _BOX
    for place in bus:
        marks += [Line(right, place, _BUS, place, "bus"), Dot(right, place, 3, "tap")]
    marks += [
        Line(_BUS, bus[0], _BUS, y, "bus"),
        Path([(_BUS, y), (right + 5, y)], "bus"),
        Path([(right + 8, y - 4), (right + 1, y), (right + 8, y + 4)], "arrow", closed=True),
        Text(_BUS + 14, (bus[0] + y) / 2, "read by the new head", "dim", "middle", turned=True),
    ]
