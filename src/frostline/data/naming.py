"""Names: natural order, text that can always be printed, short lists for messages."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence

_DIGITS = re.compile(r"([0-9]+)")
#: what moves a cursor, ends a line or begins a command of a terminal
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: letters of a name in a message, and how many of its end are shown when it is longer
_LONGEST, _END = 200, 40
#: halves of characters that stand for no byte of a file name either
_HALVES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")


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
    """Return a path with forward slashes in composed Unicode that every writer accepts.

    What is no text, or would act on a terminal, is spelled out: ``\\xff``, ``\\x1b``, ``\\n``.
    """
    text = path if os.sep == "/" else path.replace(os.sep, "/")
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", visible(encodable(text)))


def encodable(text: str) -> str:
    """Return text that UTF-8 can take: undecodable file names hold lone surrogates."""
    whole = _HALVES.sub(_spelled, text)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def visible(text: str) -> str:
    """Return text in which control characters are spelled out."""
    return _CONTROLS.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def shorten(names: Sequence[object], *, limit: int = 5) -> str:
    """Return the first few names, and how many more there are; long names lose their middle."""
    shown = ", ".join(_short(str(name)) for name in names[:limit])
    more = len(names) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]} ... {name[-_END:]}"


def label_text(value: object) -> str:
    """Turn a label or cell into text; missing ones are blank, whole floats stay whole."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").strip()
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


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 image, 2,000 images, 2 classes."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
