"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

#: stands for a number that is not there
NOTHING = "–"


def percent(value: Any, digits: int = 1) -> str:
    """``0.8734`` becomes ``"87.3%"``."""
    if not is_number(value):
        return NOTHING
    return f"{100 * value:.{digits}f}%"


def interval(bounds: Any) -> str:
    """``(0.81, 0.92)`` becomes ``"81.0 to 92.0%"``."""
    if not isinstance(bounds, Sequence) or len(bounds) != 2 or not all(map(is_number, bounds)):
        return NOTHING
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}%"


def points(value: Any) -> str:
    """A difference of accuracies: ``0.021`` becomes ``"+2.1 points"``."""
    return f"{100 * value:+.1f} points" if is_number(value) else NOTHING


def fixed(value: Any, digits: int) -> str:
    """Exactly ``digits`` decimals, so that numbers side by side can be compared."""
    return f"{value:.{digits}f}" if is_number(value) else NOTHING


def number(value: Any, digits: int = 3) -> str:
    """Thousands apart, at most ``digits`` decimals."""
    if not is_number(value):
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and abs(value) < 10.0**-digits:
        return f"{value:.1g}"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds(value: Any) -> str:
    """``75`` becomes ``"1 min 15 s"``."""
    if not is_number(value):
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
    if not is_number(value):
        return NOTHING
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def plural(count: int, one: str, many: str = "") -> str:
    """``(2, "layer")`` becomes ``"2 layers"``; thousands apart."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """``["a", "b", "c"]`` becomes ``"a, b and c"``; of more names the first few."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def truncated(names: Iterable[str], missing: int) -> str:
    """Names side by side, and how many more there are."""
    return ", ".join([*names, *([f"and {missing} more"] if missing else [])])


def shortened(text: str, length: int) -> str:
    """Keep both ends of a name that is too long for its place."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
