"""Compare what two runs of one job left: plans, taps, predictions, metrics and weights."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

#: largest accepted difference of two numbers, relative where they are larger than 1
TOLERANCE = 1e-6

#: what is compared, in the order of the table
#: keys that only the later tree writes, and sentences, stand apart: both may be expected
KINDS = ("plan", "taps", "predictions", "metrics", "weights", "others", "added", "words")

#: what tells of time, of the machine, of a version
_IGNORED = (
    *("metrics.seconds.*", "metrics.pass.*", "metrics.peak_memory_bytes"),
    *("metrics.history.*.seconds", "model.created", "model.frostline", "model.checksum"),
)
#: sentences for people: they may be put in other words
_WORDS = (
    *("plan.prior", "plan.explanation", "plan.evidence.shift.warnings"),
    *("plan.evidence.shift.preprocessing", "plan.candidates.*.stopped"),
    *("metrics.engine_reason", "metrics.caveats", "metrics.notes"),
    *("audit.notes", "audit.unreadable.*.reason", "evaluate.notes"),
)
_RUN_FILES = {"plan.json": "plan", "metrics.json": "metrics", "predictions.csv": "predictions"}
_OTHER_FILES = ("audit.json", "catalog.csv", "settings.json", "model/model.json")
_WEIGHTS = ("model/weights.safetensors", "model/familiar.safetensors")
_DIGEST_BYTES = 32

Json = dict[str, "Json"] | list["Json"] | str | float | bool | None
Flat = dict[str, str | float | bool | None]
#: rows of one image that have one shape and type, as bytes
Rows = dict[tuple[str, tuple[int, ...]], list[bytes]]


@dataclass(frozen=True)
class Difference:
    """One thing that differs; ``field`` is a dotted name that begins with the kind."""

    kind: str
    field: str
    what: str


@dataclass
class Comparison:
    """How many facts of each kind were compared, and which differ."""

    checked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    differences: list[Difference] = field(default_factory=list)

    def check(self, kind: str, name: str, what: str) -> None:
        """Count a fact; ``what`` says how it differs, and is empty where it does not."""
        self.checked[kind] += 1
        if what:
            self.differences.append(Difference(kind, name, what))


def compare(before: Path, after: Path) -> Comparison:
    """Compare the folders of one job: runs, printed JSON, pictures, and the store of taps."""
    found = Comparison()
    for name in _both(before, after, "run*"):
        for file, kind in {**_RUN_FILES, **dict.fromkeys(_OTHER_FILES, "others")}.items():
            _compare_file(found, kind, before / name / file, after / name / file, _short(name))
        for file in _WEIGHTS:
            _compare_tensors(found, before / name / file, after / name / file, _short(name))
    for pattern in ("*.json", "*.png"):
        for name in _both(before, after, pattern):
            kind = "predictions" if name.startswith("predict") else "others"
            _compare_file(found, kind, before / name, after / name, "")
    _compare_taps(found, before / "cache", after / "cache")
    return found


def _short(run: str) -> str:
    """Return what goes before the names of an additional run."""
    return run.removeprefix("run").removeprefix("-")


def _both(before: Path, after: Path, pattern: str) -> list[str]:
    return sorted({path.name for side in (before, after) for path in side.glob(pattern)})


def _missing(before: Path, after: Path) -> str:
    if before.exists() == after.exists():
        return ""
    return "is missing now" if before.exists() else "was missing before"


def _compare_file(found: Comparison, kind: str, before: Path, after: Path, run: str) -> None:
    if not before.exists() and not after.exists():
        return
    name = f"{before.stem}-{run}" if run else before.stem
    if gone := _missing(before, after):
        found.check(kind, name, gone)
    elif before.suffix == ".json":
        _compare_json(found, kind, name, _read_json(before), _read_json(after))
    elif before.name == "predictions.csv":
        _compare_predictions(found, name, _read_table(before), _read_table(after))
    else:
        same = before.read_bytes() == after.read_bytes()
        found.check(kind, name, "" if same else "other bytes")


# ---------------------------------------------------------------- JSON and tables


def _read_json(path: Path) -> Json:
    try:
        value: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "no JSON"
    return value


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def flat(value: Json, name: str) -> Iterator[tuple[str, str | float | bool | None]]:
    """Yield every leaf with its dotted name; what is empty counts as a leaf."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from flat(inner, f"{name}.{key}")
    else:
        yield name, str(value) if isinstance(value, dict | list) else value


def _compare_json(found: Comparison, kind: str, name: str, before: Json, after: Json) -> None:
    a, b = dict(flat(before, name)), dict(flat(after, name))
    known = {outer for key in a for outer in _outwards(key)}
    sentences: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for key in dict.fromkeys((*a, *b)):
        general = key.replace(name, name.partition("-")[0], 1)
        if any(fnmatchcase(general, pattern) for pattern in _IGNORED):
            continue
        words = next((w for w in _WORDS if fnmatchcase(general, w) or _below(general, w)), None)
        if words is not None:
            for side, values in zip((a, b), sentences[words], strict=True):
                values.extend([str(side[key])] if key in side else [])
        elif key not in a and _is_new_key(key, known):
            found.check("added", f"added.{key}", f"{b[key]!r} was missing before")
        else:
            found.check(kind, key, _leaf(a, b, key))
    for words, (old, new) in sentences.items():
        found.check("words", f"words.{words}", "" if old == new else _told(old, new))


def _outwards(key: str) -> Iterator[str]:
    """Yield a dotted name and everything that it lies in."""
    while key:
        yield key
        key = key.rpartition(".")[0]


def _is_new_key(key: str, known: set[str]) -> bool:
    """Whether a leaf lies under a key that was not written before, not in a list that grew."""
    first = [outer for outer in _outwards(key) if outer not in known][-1]
    return not first.rpartition(".")[2].isdigit()


def _below(name: str, pattern: str) -> bool:
    return fnmatchcase(name, f"{pattern}.*")


def _leaf(a: Flat, b: Flat, key: str) -> str:
    if key not in b:
        return f"{a[key]!r} is missing now"
    if key not in a:
        return f"{b[key]!r} was missing before"
    if same(a[key], b[key]):
        return ""
    return f"{a[key]!r}, now {b[key]!r}"


def same(a: str | float | bool | None, b: str | float | bool | None) -> bool:
    """Whether two leaves say the same: numbers within the tolerance, all else exactly."""
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    if not numbers:
        return type(a) is type(b) and a == b
    x, y = float(a or 0), float(b or 0)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    # a billionth more, for decimal places that were rounded
    return x == y or abs(x - y) <= TOLERANCE * max(1.0, abs(x), abs(y)) + 1e-9


def _told(old: list[str], new: list[str]) -> str:
    lost, won = ([x for x in p if x not in q] for p, q in ((old, new), (new, old)))
    return f"{lost or old}, now {won or new}"


def _compare_predictions(
    found: Comparison, name: str, before: list[dict[str, str]], after: list[dict[str, str]]
) -> None:
    a, b = ({row["path"]: row for row in rows} for rows in (before, after))
    if list(a) != list(b):
        found.check("predictions", f"{name}.path", "other images, or in another order")
    for path in a.keys() & b.keys():
        for column in dict.fromkeys((*a[path], *b[path])):
            old, new = (_number(row.get(column)) for row in (a[path], b[path]))
            what = "" if same(old, new) else f"{path}: {old!r}, now {new!r}"
            found.check("predictions", f"{name}.{column}", what)


def _number(text: str | None) -> str | float | None:
    try:
        return float(text) if text is not None and "." in text else text
    except ValueError:
        return text


# ---------------------------------------------------------------- tensors and taps


def _compare_tensors(found: Comparison, before: Path, after: Path, run: str) -> None:
    name = f"{before.stem}-{run}" if run else before.stem
    if not before.exists() and not after.exists():
        return
    if gone := _missing(before, after):
        found.check("weights", name, gone)
        return
    with safe_open(before, framework="numpy") as a, safe_open(after, framework="numpy") as b:
        old, new = list(a.keys()), list(b.keys())
        for tensor in dict.fromkeys((*old, *new)):
            if tensor not in new or tensor not in old:
                what = "is missing now" if tensor in old else "was missing before"
            else:
                what = _bits(a.get_tensor(tensor), b.get_tensor(tensor))
            found.check("weights", f"{name}.{tensor}", what)


def _bits(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> str:
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return f"{a.dtype} {a.shape}, now {b.dtype} {b.shape}"
    if a.tobytes() == b.tobytes():
        return ""
    most = np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0)
    return f"other bits, largest difference {most:.1e}"


def stored_rows(cache: Path) -> dict[str, Rows]:
    """Return what a store keeps for each image in real numbers, by the image's digest.

    Any file counts that is of the format safetensors and names digests, wherever it lies: taps,
    and what reaches the norm layers. What a row is called does not matter.
    """
    found: dict[str, Rows] = defaultdict(lambda: defaultdict(list))
    for path in sorted(cache.rglob("*")):
        try:
            with safe_open(path, framework="numpy") as shard:
                arrays = {name: shard.get_tensor(name) for name in list(shard.keys())}
        except (SafetensorError, OSError, TypeError):
            continue
        # two runs may have written the same row
        shape = (_DIGEST_BYTES,)
        named = [a for a in arrays.values() if a.dtype == np.uint8 and a.shape[1:] == shape]
        if len(named) != 1:
            continue
        for values in arrays.values():
            if values.dtype.kind == "f" and len(values) == len(named[0]):
                for digest, row in zip(named[0], values, strict=True):
                    rows = found[digest.tobytes().hex()][values.dtype.str, row.shape]
                    if row.tobytes() not in rows:
                        rows.append(row.tobytes())
    return found


def _compare_taps(found: Comparison, before: Path, after: Path) -> None:
    a, b = stored_rows(before), stored_rows(after)
    images: dict[str, list[str]] = defaultdict(list)
    for digest in dict.fromkeys((*a, *b)):
        old, new = a.get(digest, {}), b.get(digest, {})
        for kind in dict.fromkeys((*old, *new)):
            x, y = sorted(old.get(kind, [])), sorted(new.get(kind, []))
            name = f"taps.{'x'.join(map(str, kind[1]))}"
            if x == y:
                found.check("taps", name, "")
            else:
                images[name].append(_rows_told(x, y, kind[0]))
    for name, told in images.items():
        found.check("taps", name, f"{len(told)} images: {sorted(told)[-1]}")


def _rows_told(x: list[bytes], y: list[bytes], dtype: str) -> str:
    if len(x) != len(y):
        return f"{len(x)} rows, now {len(y)}"
    pairs = ((np.frombuffer(p, dtype), np.frombuffer(q, dtype)) for p, q in zip(x, y, strict=True))
    return max(_bits(p, q) for p, q in pairs)
