"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: stands for a number that is not there
NOTHING = "–"


def percent(value: Any, digits: int = 1) -> str:
    """``0.8734`` becomes ``"87.3 %"``."""
    if not _is_number(value):
        return NOTHING
    return f"{100 * value:.{digits}f} %"


def interval(bounds: Any) -> str:
    """``(0.81, 0.92)`` becomes ``"81.0 – 92.0 %"``."""
    if not isinstance(bounds, Sequence) or len(bounds) != 2 or not all(map(_is_number, bounds)):
        return NOTHING
    return f"{100 * bounds[0]:.1f} – {100 * bounds[1]:.1f} %"


def number(value: Any, digits: int = 3) -> str:
    """Thousands apart, at most ``digits`` decimals."""
    if not _is_number(value):
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if value != 0 and abs(value) < 10.0**-digits:
        return f"{value:.1g}"
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds(value: Any) -> str:
    """``75`` becomes ``"1 min 15 s"``."""
    if not _is_number(value):
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(value: Any) -> str:
    """Bytes as MB or GB (powers of 1000)."""
    if not _is_number(value):
        return NOTHING
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def shortened(text: str, length: int) -> str:
    """Keep both ends of a name that is too long for its place."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
