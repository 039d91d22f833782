"""Names: natural order, text that can always be printed, short lists for messages."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(text: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Return a sort key under which ``"2"`` comes before ``"10"`` and case matters last."""
    parts = _DIGITS.split(text.casefold())
    key: list[str | tuple[int, str]] = []
    for position, part in enumerate(parts):
        if position % 2:
            # numbers of any length compare by digit count, then digit by digit
            digits = part.lstrip("0")
            key.append((len(digits), digits))
        else:
            key.append(part)
    return tuple(key), text


def printable(path: str) -> str:
    """Return a path with forward slashes in composed Unicode that every writer accepts."""
    text = path if os.sep == "/" else path.replace(os.sep, "/")
    # undecodable file names hold lone surrogates, which no UTF-8 file can take
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def some(names: Sequence[object], *, limit: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:limit])
    more = len(names) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def label_text(value: object) -> str:
    """Turn a label or cell into text; missing ones are blank, whole floats stay whole."""
    if value is None:
        return ""
    try:
        missing = bool(value != value)
    except (TypeError, ValueError):
        # that is how pandas' NA answers
        missing = True
    if missing:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
