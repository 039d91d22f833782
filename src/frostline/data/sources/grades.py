"""The order of grades by their names, and whether labels look like grades or numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from frostline.core.errors import InputError
from frostline.data.naming import natural_key, shorten
from frostline.data.notes import SuggestedTask
from frostline.data.sources.columns import comparable

#: words that have an order which everybody knows; the lowest first
_SCALES = (
    ("none", "minimal", "mild", "moderate", "severe", "proliferative"),
    ("no", "slight", "mild", "moderate", "strong", "severe"),
    ("healthy", "mild", "moderate", "severe"),
    ("absent", "low", "medium", "high", "extreme"),
    ("very low", "low", "medium", "high", "very high"),
    ("tiny", "small", "medium", "large", "huge"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("unripe", "turning", "ripe", "overripe", "rotten"),
    ("very bad", "bad", "poor", "fair", "good", "very good", "excellent"),
    ("worn", "used", "good", "new"),
    ("first", "second", "third", "fourth", "fifth"),
)
#: names of columns that hold grades
_GRADED = re.compile(r"(^|_)(grade|level|severity|stage|rating|score|quality|degree)s?($|_)")
#: a number with anything around it that is the same in all grades: "grade 2", "3 stars", "T1"
_NUMBERED = re.compile(r"^(\D*?)([+-]?\d+(?:\.\d+)?)(\D*)$")
_GAPS = re.compile(r"[\s_-]+")
#: grades at most, and different values at least that look like numbers
_MOST_GRADES, _LEAST_NUMBERS = 10, 20


def in_order(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return grades from the lowest on, or None where their names have no evident order.

    Numbers, numbers with the same words around them or ahead of others, single letters, and words
    of a known scale have one.
    """
    return _by_number(names) or _by_letter(names) or _by_word(names)


def _by_number(names: Sequence[str]) -> tuple[str, ...] | None:
    found = [_NUMBERED.match(name.strip()) for name in names]
    numbers = {name: m for name, m in zip(names, found, strict=True) if m}
    if len(numbers) < len(names):
        return None
    around = {(m[1].casefold(), m[3].casefold()) for m in numbers.values()}
    ahead = not any(m[1] for m in numbers.values())
    values = {name: float(m[2]) for name, m in numbers.items()}
    # "0 none" and "1 mild" have other words, and each its own number
    if len(around) > 1 and not (ahead and len(set(values.values())) == len(names)):
        return None
    return tuple(sorted(names, key=lambda name: (values[name], natural_key(name))))


def _by_letter(names: Sequence[str]) -> tuple[str, ...] | None:
    alone = all(len(name.strip()) == 1 and name.strip().isalpha() for name in names)
    return tuple(sorted(names, key=str.casefold)) if alone else None


def _by_word(names: Sequence[str]) -> tuple[str, ...] | None:
    words = {name: _GAPS.sub(" ", name.strip().casefold()) for name in names}
    for scale in _SCALES:
        if set(words.values()) <= set(scale) and len(set(words.values())) == len(names):
            return tuple(sorted(names, key=lambda name: scale.index(words[name])))
    return None


def order_of(names: Sequence[str], title: str) -> tuple[str, ...]:
    """Return grades from the lowest on.

    Raises InputError where their names have no evident order.
    """
    found = in_order(names)
    if found is None:
        shown = shorten([repr(name) for name in sorted(names, key=natural_key)])
        raise InputError(
            f"It cannot be told in which order the grades of {title} come: {shown}.",
            hint="Number them, such as '0 low', '1 medium', '2 high', or give a pandas column of "
            "ordered categories.",
        )
    return found


def suggested(counts: Mapping[str, int], column: str) -> SuggestedTask | None:
    """Return which other task single labels look like, by their names and their column's.

    ``counts``: images of every label. ``column``: its name, blank without one.
    """
    found = [_NUMBERED.match(name.strip()) for name in counts]
    around = {comparable(m[1] + m[3]) for m in found if m} if all(found) else set()
    broken = around == {""} and any("." in name for name in counts)
    if around == {""} and len(counts) >= _LEAST_NUMBERS:
        mostly_rare = sum(counts.values()) < 5 * len(counts)
        return SuggestedTask("regression", column, len(counts)) if broken or mostly_rare else None
    names = tuple(counts)
    if not 3 <= len(names) <= _MOST_GRADES or in_order(names) is None:
        return None
    graded = any(map(_GRADED.search, (comparable(column), *around)))
    if broken or graded or _by_word(names):
        return SuggestedTask("ordinal", column, len(names))
    return None
