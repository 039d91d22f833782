"""Small SVG plots for the page of the study; text stays text, colours work in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#2f7fd3", "#d9822b", "#3a9e6d", "#9b59b6", "#c0392b", "#7f8c8d")
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" '
    'font-size="12" role="img" aria-label="{label}">\n'
    '<rect width="100%" height="100%" fill="#ffffff"/>\n'
)


def bars(title: str, unit: str, values: Sequence[tuple[str, float, float]]) -> str:
    """Horizontal bars with a second, paler value behind each: (name, value, behind)."""
    left, width, row = 250, 420, 24
    most = max(max(v, b) for _, v, b in values) or 1.0
    height = 60 + row * len(values)
    out = [_HEAD.format(w=left + width + 60, h=height, label=escape(title))]
    out.append(f'<text x="10" y="20" font-size="14">{escape(title)}</text>\n')
    for i, (name, value, behind) in enumerate(values):
        y = 36 + i * row
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>\n')
        for size, colour in ((behind, "#cfe0f2"), (value, _COLOURS[0])):
            length = max(0.0, size) / most * width
            out.append(
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="16" fill="{colour}"/>\n'
            )
        end = left + max(value, behind, 0.0) / most * width + 4
        out.append(f'<text x="{end:.1f}" y="{y + 13}">{value:.1f}</text>\n')
    out.append(f'<text x="{left}" y="{height - 8}">{escape(unit)}</text>\n</svg>\n')
    return "".join(out)


def panels(title: str, ticks: Sequence[str], data: Mapping[str, Mapping[str, list[float]]]) -> str:
    """One small panel for each set: lines over sizes, accuracy in per cent from 0 to 100."""
    wide, high, columns = 190, 150, 4
    rows = -(-len(data) // columns)
    names = list(dict.fromkeys(line for lines in data.values() for line in lines))
    w, h = columns * wide + 20, rows * high + 70
    out = [_HEAD.format(w=w, h=h, label=escape(title))]
    out.append(f'<text x="10" y="20" font-size="14">{escape(title)}</text>\n')
    for i, name in enumerate(names):
        x, colour = 10 + i * 170, _COLOURS[i % len(_COLOURS)]
        out.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + 17}" y="41">{escape(name)}</text>\n')
    for i, (panel, lines) in enumerate(data.items()):
        x0, y0 = 40 + (i % columns) * wide, 75 + (i // columns) * high
        inner_w, inner_h = wide - 55, high - 50
        out.append(f'<text x="{x0}" y="{y0 - 6}" font-weight="bold">{escape(panel)}</text>\n')
        for level in (0, 50, 100):
            height = y0 + inner_h * (1 - level / 100)
            out.append(
                f'<line x1="{x0}" x2="{x0 + inner_w}" y1="{height:.0f}" y2="{height:.0f}" '
                'stroke="#ddd"/>'
                f'<text x="{x0 - 4}" y="{height + 4:.0f}" text-anchor="end" '
                f'font-size="10">{level}</text>\n'
            )
        for j, tick in enumerate(ticks):
            place = x0 + inner_w * j / max(1, len(ticks) - 1)
            out.append(
                f'<text x="{place:.0f}" y="{y0 + inner_h + 14}" text-anchor="middle" '
                f'font-size="10">{escape(tick)}</text>\n'
            )
        for name, values in lines.items():
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            points = [
                (x0 + inner_w * j / max(1, len(ticks) - 1), y0 + inner_h * (1 - v / 100))
                for j, v in enumerate(values)
                if v == v
            ]
            text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            out.append(
                f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
            )
            out += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points
            ]
    return "".join([*out, "</svg>\n"])
