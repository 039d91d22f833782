"""What plans and results look like in a notebook: short, and everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

#: readable on light and on dark pages
COLOURS = {"frozen": "#3f8fcb", "trained": "#d0722f", "new": "#2f9a6c", "removed": "#8a97a3"}
_STYLE = "border:1px solid #8a97a355;border-radius:8px;padding:10px 14px;max-width:46em"
#: more marks than this would not fit into a line
_MOST = 60


def card(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a small card: a title and rows of a name and markup that is safe already."""
    lines = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding:3px 14px 3px 0;'
        f'font-weight:600;white-space:nowrap">{escape(name)}</th>'
        f'<td style="text-align:left;padding:3px 0">{content}</td></tr>'
        for name, content in rows
        if content
    )
    return (
        f'<div style="{_STYLE}"><div style="font-weight:700;margin-bottom:4px">{escape(title)}'
        f'</div><table style="border:0;background:none">{lines}</table></div>'
    )


def strip(layers: Sequence[tuple[str, str]]) -> str:
    """Return one small box a layer, given as (name, fate), first to last."""
    step = -(-len(layers) // _MOST) or 1
    return "".join(
        f'<span title="{escape(f"{name}: {fate}")}" style="display:inline-block;width:10px;'
        f'height:16px;margin-right:2px;border-radius:2px;background:{COLOURS[fate]}"></span>'
        for name, fate in layers[::step]
    )


def columns(values: Sequence[tuple[str, float]], *, top: float) -> str:
    """Return one small column a value, given as (name, value) on a scale from 0 to ``top``."""
    step, height = 14, 40
    bars = "".join(
        f'<rect x="{i * step}" y="{height * (1 - _share(value, top)):.1f}" width="{step - 3}" '
        f'height="{height * _share(value, top):.1f}" fill="{COLOURS["frozen"]}">'
        f"<title>{escape(f'{name}: {value:.1%}')}</title></rect>"
        for i, (name, value) in enumerate(values)
    )
    width = max(1, len(values) * step)
    return f'<svg width="{width}" height="{height}" role="img" aria-label="by depth">{bars}</svg>'


def sentences(lines: Iterable[str]) -> str:
    """Return lines of text, one below the other."""
    return "<br>".join(escape(line) for line in lines)


def _share(value: float, top: float) -> float:
    return max(0.0, min(1.0, value / top)) if top > 0 else 0.0
