"""Divide judged images by what they are like: camera, hour, size, brightness, columns of a table.

Names of slices are data: the words for people are made in :mod:`frostline.wording.comparison`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from frostline.comparing.judged import Judged
from frostline.core.arrays import BoolArray, FloatArray
from frostline.core.comparison_record import UnusedDimension
from frostline.data.decoding.facts import ImageFacts

#: values of a column that are looked at one by one; more numbers are divided at quartiles
MOST_VALUES = 20
#: of its dimension, a column is told from what images tell themselves
COLUMN = "column "
#: how much longer a side is than the other where an image is no square any more
_OBLONG = 1.2
_QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
_HOURS = ("00 to 05", "06 to 11", "12 to 17", "18 to 23")


@dataclass(frozen=True)
class Slice:
    """Some of the images: those of one value in one dimension. ``rows``: shape (n,)."""

    dimension: str
    value: str
    rows: BoolArray


@dataclass(frozen=True)
class Slices:
    """All slices, and dimensions that make none."""

    found: tuple[Slice, ...]
    unused: tuple[UnusedDimension, ...]


def slices_of(judged: Judged, facts: Sequence[ImageFacts | None]) -> Slices:
    """Divide the images by everything that is known of them.

    ``facts``: of every image; None where the image is not there.
    """
    found: list[Slice] = []
    unused: list[UnusedDimension] = []
    for dimension, values, kind in _dimensions(judged, facts):
        own, why = _divided(dimension, values, kind)
        found += own
        unused += [] if why is None else [why]
    return Slices(tuple(found), tuple(unused))


#: whether values are numbers to be divided at quartiles, or names
_Kind = str
_NAMES, _NUMBERS = "names", "numbers"


def _dimensions(
    judged: Judged, facts: Sequence[ImageFacts | None]
) -> Iterator[tuple[str, list[str | None] | list[float | None], _Kind]]:
    """Yield the name of each dimension, its value for every image, and of what kind these are."""
    if any(fact is not None for fact in facts):
        yield "brightness", [None if f is None else f.brightness for f in facts], _NUMBERS
        sizes = [None if f is None else f.width * f.height / 1e6 for f in facts]
        yield "size", sizes, _NUMBERS
        yield "shape", [None if f is None else _shape(f) for f in facts], _NAMES
        yield "camera", [None if f is None else f.camera or None for f in facts], _NAMES
        yield "hour", [None if f is None else _hours(f.hour) for f in facts], _NAMES
    yield "file type", [PurePath(name).suffix.lower() or None for name in judged.names], _NAMES
    for column, cells in judged.columns.items():
        values = [cells.get(name) for name in judged.names]
        distinct = {value for value in values if value is not None}
        numbers = [_number(value) for value in values]
        if len(distinct) > MOST_VALUES and _all_numbers(values, numbers):
            yield f"{COLUMN}{column}", numbers, _NUMBERS
        else:
            yield f"{COLUMN}{column}", values, _NAMES


def _divided(
    dimension: str, values: Sequence[str | float | None], kind: _Kind
) -> tuple[list[Slice], UnusedDimension | None]:
    known = [value for value in values if value is not None]
    distinct = len(set(known))
    if not known:
        return [], UnusedDimension(dimension=dimension, reason="not known")
    if distinct < 2:
        return [], UnusedDimension(dimension=dimension, reason="one value", values=distinct)
    if kind == _NUMBERS:
        numbers = np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
        return _quarters(dimension, numbers), None
    if distinct > MOST_VALUES:
        return [], UnusedDimension(dimension=dimension, reason="too many values", values=distinct)
    ordered = sorted(Counter(map(str, known)))
    return [
        Slice(dimension, value, np.array([own == value for own in values], dtype=bool))
        for value in ordered
    ], None


def _quarters(dimension: str, values: FloatArray) -> list[Slice]:
    """Divide at quartiles; equal numbers stay together, so there may be fewer than four."""
    known = ~np.isnan(values)
    edges = np.unique(np.quantile(values[known], (0.25, 0.5, 0.75)))
    place = np.full(len(values), -1)
    place[known] = np.searchsorted(edges, values[known], side="left")
    found = []
    for number in np.unique(place[known]).tolist():
        rows = place == number
        low, high = float(values[rows].min()), float(values[rows].max())
        name = _QUARTERS[number] if len(edges) == len(_QUARTERS) - 1 else f"part {number + 1}"
        found.append(Slice(dimension, f"{name}: {_plain(low)} to {_plain(high)}", rows))
    return found if len(found) > 1 else []


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _shape(fact: ImageFacts) -> str:
    if fact.width > _OBLONG * fact.height:
        return "wide"
    return "tall" if fact.height > _OBLONG * fact.width else "about square"


def _hours(hour: int | None) -> str | None:
    return None if hour is None else _HOURS[hour // 6]


def _number(text: str | None) -> float | None:
    try:
        found = None if text is None else float(text)
    except ValueError:
        return None
    return found if found is None or np.isfinite(found) else None


def _all_numbers(values: Sequence[str | None], numbers: Sequence[float | None]) -> bool:
    return all(n is not None for v, n in zip(values, numbers, strict=True) if v is not None)
