"""Predictions as a table for people, JSON and CSV: every image has its place in each of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from frostline.cli.console import out
from frostline.cli.streams import write_csv, write_json
from frostline.core.errors import UnreadableImageError
from frostline.data.naming import visible
from frostline.model.prediction import Neighbour, Prediction

Result = tuple[Path, Prediction | UnreadableImageError]

#: columns of a CSV before those of the classes; the rest come after them, where they move none
FIRST = ("path", "label", "confidence", "unknown", "unfamiliarity")
ERROR = "error"
LAST = (ERROR, "set_95", "abstain", "interval")
#: begins the column of every class where a class is called like another column
PREFIX = "p_"
#: columns and keys that are there where somebody asked
EMBEDDING, NEAREST = "embedding", "nearest"


def class_columns(classes: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
    """Return what the columns of the classes are called: each differs from all others.

    They bear the names of the classes. If one of these is also the name of another column, all
    begin with ``p_``, as none of the others does.

    ``beside``: further columns that were asked for.
    """
    if {*FIRST, *LAST, *beside}.isdisjoint(classes):
        return list(classes)
    return [f"{PREFIX}{name}" for name in classes]


def path_text(path: Path) -> str:
    """Return a path as text, read as UTF-8 also where the locale knows fewer letters."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeError:
        # a name that is no text at all
        return str(path)


def print_json(classes: Sequence[str], results: Sequence[Result]) -> None:
    """Print one JSON list with an object for every image."""
    objects = [object_of(classes, path, result) for path, result in results]
    # a line for every number of a vector would help nobody
    write_json(objects, indent=None if any(EMBEDDING in one for one in objects) else 2)


def object_of(
    classes: Sequence[str], path: Path, result: Prediction | UnreadableImageError
) -> dict[str, object]:
    """Return what is told of one image, or why nothing is, as JSON types."""
    if isinstance(result, UnreadableImageError):
        return {"path": path_text(path), "error": result.reason}
    return {"path": path_text(path), **_told(classes, result)}


def neighbours_of(result: Prediction) -> list[dict[str, object]] | None:
    """Return the training images that one is most like, as JSON types; None if nobody asked."""
    return None if result.nearest is None else [asdict(one) for one in result.nearest]


def _told(classes: Sequence[str], result: Prediction) -> dict[str, object]:
    """Return what is told of one image, as JSON types: numbers have no probabilities."""
    found: dict[str, object] = {
        "label": result.label,
        "confidence": None if math.isnan(result.confidence) else result.confidence,
        "unknown": result.unknown,
        "unfamiliarity": result.unfamiliarity,
        "set_95": result.set_95,
        "abstain": result.abstain,
    }
    if result.labels is not None:
        found["labels"] = list(result.labels)
    if result.embedding is not None:
        found[EMBEDDING] = result.embedding.tolist()
    if result.nearest is not None:
        found[NEAREST] = neighbours_of(result)
    if result.value is None:
        shares = map(float, result.probabilities)
        return {**found, "probabilities": dict(zip(classes, shares, strict=True))}
    one = len(result.value) == 1
    value = result.value[0] if one else dict(zip(classes, result.value, strict=True))
    return {**found, "value": value, "interval": interval_of(classes, result)}


def interval_of(classes: Sequence[str], result: Prediction) -> object:
    """Return both ends around the number, by column where there are several; None if unknown."""
    if result.interval is None or len(result.interval) == 1:
        return None if result.interval is None else result.interval[0]
    return dict(zip(classes, result.interval, strict=True))


def print_csv(classes: Sequence[str], results: Sequence[Result]) -> None:
    """Print a heading, and one line of CSV for every image."""
    write_csv(csv_lines(classes, results))


def asked_for(results: Iterable[Result]) -> list[str]:
    """Return the columns beside the usual ones that predictions have."""
    first = next((one for _, one in results if isinstance(one, Prediction)), None)
    return [NEAREST] if first is not None and first.nearest is not None else []


def csv_lines(classes: Sequence[str], results: Sequence[Result]) -> Iterator[Sequence[object]]:
    """Yield a heading, and one line for every image."""
    beside = asked_for(results)
    yield [*FIRST, *class_columns(classes, beside), *LAST, *beside]
    for path, result in results:
        if isinstance(result, UnreadableImageError):
            yield [
                path_text(path),
                *[""] * (len(FIRST) - 1 + len(classes)),
                result.reason,
                *[""] * (3 + len(beside)),
            ]
            continue
        # empty where the model does not tell
        unknown = "" if result.unknown is None else str(result.unknown).lower()
        score = "" if result.unfamiliarity is None else f"{result.unfamiliarity:.4f}"
        # numbers have a scale of their own, probabilities lie between 0 and 1
        form = ".6f" if result.value is None else ".9g"
        shares = [format(p, form) for p in result.probabilities]
        yield [
            path_text(path),
            result.label,
            "" if math.isnan(result.confidence) else f"{result.confidence:.6f}",
            unknown,
            score,
            *shares,
            "",
            "" if result.set_95 is None else json.dumps(result.set_95, ensure_ascii=False),
            "" if result.abstain is None else json.dumps(result.abstain, ensure_ascii=False),
            "" if result.interval is None else json.dumps(interval_of(classes, result)),
            *(json.dumps(neighbours_of(result), ensure_ascii=False) for _ in beside),
        ]


@dataclass(frozen=True)
class _Columns:
    """What a table says of each image beside its path and what is wrong with it.

    ``of``: the texts of one image, one a column.
    """

    names: tuple[str, ...]
    of: Callable[[Prediction, int], tuple[str, ...]]
    right: tuple[int, ...] = ()


def _of_class(result: Prediction, top: int) -> tuple[str, ...]:
    # the answer need not be the likeliest class
    others = [one for one in result.top(top) if one[0] != result.label]
    return result.label, f"{result.confidence:.1%}", _likely(others)


def _of_labels(result: Prediction, top: int) -> tuple[str, ...]:
    given = result.labels or ()
    named = dict(zip(result.classes, result.probabilities, strict=True))
    said = ", ".join(f"{name} {named[name]:.1%}" for name in given)
    return said or "none", _likely([one for one in result.top(top) if one[0] not in given])


def _of_numbers(result: Prediction, top: int) -> tuple[str, ...]:
    ends = result.interval or (None,) * len(result.classes)
    return tuple(map(_number, result.value or (), ends))


def _number(value: float, ends: tuple[float, float] | None) -> str:
    return f"{value:.4g}" if ends is None else f"{value:.4g} ({ends[0]:.4g} to {ends[1]:.4g})"


def _likely(named: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {p:.1%}" for name, p in named)


def _columns(result: Prediction) -> _Columns:
    """Return what the table has of models like the one that predicted this."""
    if result.value is not None:
        names = result.classes
        return _Columns(tuple(names), _of_numbers, tuple(range(len(names))))
    if result.labels is not None:
        return _Columns(("labels", "then"), _of_labels)
    return _Columns(("label", "confidence", "then"), _of_class, (1,))


def _marks(result: Prediction) -> str:
    """Return what is wrong with an answer: unlike everything in training, too unsure."""
    unsure = result.abstain
    named = f"no answer: {', '.join(unsure)}" if isinstance(unsure, tuple) else "no answer"
    there = {"unknown": result.unknown, named: unsure}
    return ", ".join(words for words, is_so in there.items() if is_so)


def _like(path: Path, nearest: Sequence[Neighbour]) -> str:
    """Return one line on the training images that an image is most like."""
    said = ", ".join(f"{one.path} ({one.label}, {one.similarity:.3f})" for one in nearest)
    return f"{path} is most like {said}"


def print_table(results: Sequence[Result], *, top: int) -> None:
    """Print what was predicted, with the ``top`` likeliest classes or labels."""
    read = [(path, r) for path, r in results if isinstance(r, Prediction)]
    if not read:
        return
    columns = _columns(read[0][1])
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    for i, name in enumerate(columns.names):
        justify: JustifyMethod = "right" if i in columns.right else "left"
        style = "dim" if name == "then" else "" if name == "confidence" else "bold"
        table.add_column(Text(visible(name)), style=style, overflow="fold", justify=justify)
    marks = [_marks(result) for _, result in read]
    if any(marks):
        table.add_column("", style="yellow")
    for (path, result), mark in zip(read, marks, strict=True):
        texts = [Text(visible(text)) for text in columns.of(result, top)]
        table.add_row(
            Text(visible(str(path))), *texts, *([Text(visible(mark))] if any(marks) else [])
        )
    out.print(table)
    for path, result in read:
        if result.nearest is not None:
            out.print(Text(visible(_like(path, result.nearest)), style="dim"))
    if any(result.unknown for _, result in read):
        rest = ""
        if read[0][1].value is None:
            rest = "; the answer is the nearest that the model knows"
        out.print(f"unknown: unlike everything in training{rest}", style="dim")
    if any(result.abstain for _, result in read):
        out.print("no answer: less sure than the bound on wrong answers asks for", style="dim")
