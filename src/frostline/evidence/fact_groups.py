"""Facts about images in groups, as columns for a fit and as values to divide by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.confound_record import FactGroupName, FactName, UnusedFacts
from frostline.data.decoding.file_facts import FileFacts
from frostline.stats.clusters import clusters

#: values that are told apart by name; rarer ones are one value together
MOST_VALUES = 20
#: images that make a value of its own
_FEWEST = 3
#: numbers of so few different values are names
_FEW_NUMBERS = 12
#: parts of equal size into which numbers are cut, beside the numbers themselves
_PARTS = 8
#: how much longer a side is than the other where an image is no square any more
_OBLONG = 1.2
OTHERS, NONE = "other", "none"


@dataclass(frozen=True)
class Values:
    """Which value of a fact every image has.

    ``codes``: shape (n,). ``names`` and ``colours`` (``""`` where it is none): of each value.
    """

    codes: IntArray
    names: tuple[str, ...]
    colours: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """One fact about n images.

    ``names``: of values, or None for numbers. ``numbers``, shape (n, d): without gaps, in one
    unit; colours where d is 3, in [0, 1].
    """

    name: FactName
    names: tuple[str, ...] | None = None
    numbers: FloatArray | None = None

    @property
    def columns(self) -> FloatArray:
        """Columns (n, d) that let a linear fit tell values, and ranges of numbers, apart."""
        if self.numbers is None:
            codes = self.values().codes
            return _indicators(codes)
        parts = [self.numbers]
        for column in self.numbers.T:
            edges = np.unique(np.quantile(column, np.arange(1, _PARTS) / _PARTS))
            parts.append(_indicators(np.searchsorted(edges, column, side="left")))
        return np.concatenate(parts, axis=1)

    def values(self) -> Values:
        """Divide the images by it."""
        if self.names is not None:
            counts = Counter(self.names)
            ordered = sorted(counts, key=lambda name: (-counts[name], name))
            kept = sorted(name for name in ordered[:MOST_VALUES] if counts[name] >= _FEWEST)
            place = {name: at for at, name in enumerate(kept)}
            codes = np.array([place.get(name, len(kept)) for name in self.names], dtype=np.int64)
            every = (*kept, OTHERS) if codes.max(initial=0) == len(kept) else tuple(kept)
            return Values(codes, every, ("",) * len(every))
        numbers = np.empty((0, 1)) if self.numbers is None else self.numbers
        codes = clusters(numbers)
        names, colours = [], []
        for code in range(int(codes.max(initial=-1)) + 1):
            own = numbers[codes == code]
            if own.shape[1] == 3:
                colours.append(_hex(own.mean(axis=0)))
                names.append(colours[-1])
            else:
                colours.append("")
                names.append(_range(self.name, own))
        return Values(codes, tuple(names), tuple(colours))


@dataclass(frozen=True)
class FactGroup:
    """Facts of one kind."""

    name: FactGroupName
    facts: tuple[Fact, ...]

    @property
    def columns(self) -> FloatArray:
        """Columns of all facts, (n, d)."""
        return np.concatenate([fact.columns for fact in self.facts], axis=1)


def fact_groups(
    files: Sequence[FileFacts | None], colours: FloatArray | None, borders: FloatArray | None
) -> tuple[list[FactGroup], list[UnusedFacts]]:
    """Arrange what is known of n images; facts that are the same of all of them are left out.

    ``files``: None for an image without a file. ``colours`` and ``borders``: shape (n, 3), in
    [0, 1].
    """
    facts: dict[FactGroupName, list[Fact | None]] = {
        "file": _of_file(files),
        "camera": [
            _named("camera", files, lambda f: f.camera or None),
            _named("orientation", files, lambda f: f.orientation),
            _named("hour", files, lambda f: None if f.hour is None else f"{f.hour:02d}"),
            _named("month", files, lambda f: None if f.month is None else f"{f.month:02d}"),
        ],
        "compression": [
            _numbered("JPEG quality", files, lambda f: f.quality),
            _named("JPEG tables", files, lambda f: f.tables),
            _named("JPEG subsampling", files, lambda f: f.subsampling or None),
            _numbered("bytes a pixel", files, lambda f: np.log(_bytes_a_pixel(f))),
        ],
        "colour": [None if colours is None else Fact("mean colour", numbers=colours)],
        "border": [None if borders is None else Fact("border colour", numbers=borders)],
    }
    found, unused = [], []
    for name, every in facts.items():
        known = [fact for fact in every if fact is not None]
        varying = tuple(fact for fact in known if _varies(fact))
        if varying:
            found.append(FactGroup(name, varying))
        else:
            reason = UnusedFacts(group=name, reason="one value" if known else "not known")
            unused.append(reason)
    return found, unused


def _of_file(files: Sequence[FileFacts | None]) -> list[Fact | None]:
    sizes = _numbered("pixel size", files, lambda f: np.log(f.width * f.height))
    distinct = {(f.width, f.height) for f in files if f is not None}
    if len(distinct) <= MOST_VALUES:
        sizes = _named("pixel size", files, lambda f: f"{f.width} x {f.height}")
    return [
        _named("file type", files, lambda f: f.format),
        _named("pixel mode", files, lambda f: f.mode),
        _numbered("file size", files, lambda f: np.log(f.bytes)),
        sizes,
        _named("shape", files, _shape),
    ]


def _named(
    name: FactName,
    files: Sequence[FileFacts | None],
    told: Callable[[FileFacts], str | int | None],
) -> Fact | None:
    values = [None if file is None else told(file) for file in files]
    if all(value is None for value in values):
        return None
    return Fact(name, names=tuple(NONE if value is None else str(value) for value in values))


def _numbered(
    name: FactName,
    files: Sequence[FileFacts | None],
    told: Callable[[FileFacts], float | None],
) -> Fact | None:
    values = [None if file is None else told(file) for file in files]
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) < len(values) or len(set(known)) <= _FEW_NUMBERS:
        # a gap is a value like others: whether a file says it may be what gives it away
        return Fact(name, names=_in_parts(name, values))
    return Fact(name, numbers=np.array(values, dtype=np.float64)[:, None])


def _in_parts(name: FactName, values: Sequence[float | None]) -> tuple[str, ...]:
    """Return a name for each value: itself, of few, else the cluster that it lies in."""
    known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    there = ~np.isnan(known)
    names = np.full(len(values), NONE, dtype=object)
    if len(np.unique(known[there])) <= _FEW_NUMBERS:
        names[there] = [_range(name, np.array([[value]])) for value in known[there]]
        return tuple(names.tolist())
    divided = Fact(name, numbers=known[there][:, None]).values()
    names[there] = [divided.names[code] for code in divided.codes]
    return tuple(names.tolist())


def _varies(fact: Fact) -> bool:
    if fact.numbers is not None:
        return bool(np.ptp(fact.numbers, axis=0).max(initial=0.0) > 1e-6)
    return len(set(fact.names or ())) > 1


def _indicators(codes: IntArray) -> FloatArray:
    found: FloatArray = (codes[:, None] == np.unique(codes)[None]).astype(np.float64)
    return found


def _bytes_a_pixel(file: FileFacts) -> float:
    return max(file.bytes, 1) / max(file.width * file.height, 1)


def _shape(file: FileFacts) -> str:
    if file.width > _OBLONG * file.height:
        return "wide"
    return "tall" if file.height > _OBLONG * file.width else "about square"


def _hex(colour: FloatArray) -> str:
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, c))):02x}" for c in colour.tolist())


_UNITS: dict[FactName, tuple[Callable[[float], float], str]] = {
    "file size": (lambda v: float(np.exp(v)) / 1e3, " kB"),
    "pixel size": (lambda v: float(np.exp(v)) / 1e6, " megapixels"),
    "bytes a pixel": (lambda v: float(np.exp(v)), ""),
}


def _range(name: FactName, values: FloatArray) -> str:
    """Return the lowest and the highest of some numbers in their own unit."""
    turned, unit = _UNITS.get(name, (float, ""))
    low, high = (f"{turned(float(end)):.3g}" for end in (values.min(), values.max()))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
