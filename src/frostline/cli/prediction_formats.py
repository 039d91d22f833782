"""Predictions as a table for people, JSON and CSV: every image has its place in each of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.cli.console import out
from frostline.cli.streams import write_csv, write_json
from frostline.core.errors import UnreadableImageError
from frostline.data.naming import visible
from frostline.model.prediction import Prediction

Result = tuple[Path, Prediction | UnreadableImageError]

#: columns of a CSV before those of the classes; the rest come after them, where they move none
FIRST = ("path", "label", "confidence", "unknown", "unfamiliarity")
ERROR = "error"
LAST = (ERROR, "set_95", "abstain", "interval")
#: begins the column of every class where a class is called like another column
PREFIX = "p_"


def class_columns(classes: Sequence[str]) -> list[str]:
    """Return what the columns of the classes are called: each differs from all others.

    They bear the names of the classes. If one of these is also the name of another column, all
    begin with ``p_``, as none of the others does.
    """
    if {*FIRST, *LAST}.isdisjoint(classes):
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
    write_json(
        [
            {"path": path_text(path), "error": result.reason}
            if isinstance(result, UnreadableImageError)
            else {"path": path_text(path), **_told(classes, result)}
            for path, result in results
        ]
    )


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
    if result.value is None:
        shares = map(float, result.probabilities)
        return {**found, "probabilities": dict(zip(classes, shares, strict=True))}
    one = len(result.value) == 1
    value = result.value[0] if one else dict(zip(classes, result.value, strict=True))
    return {**found, "value": value, "interval": _interval(classes, result)}


def _interval(classes: Sequence[str], result: Prediction) -> object:
    """Return both ends around the number, by column where there are several; None if unknown."""
    if result.interval is None or len(result.interval) == 1:
        return None if result.interval is None else result.interval[0]
    return dict(zip(classes, result.interval, strict=True))


def print_csv(classes: Sequence[str], results: Sequence[Result]) -> None:
    """Print a heading, and one line of CSV for every image."""
    write_csv(_lines(classes, results))


def _lines(classes: Sequence[str], results: Sequence[Result]) -> Iterator[Sequence[object]]:
    yield [*FIRST, *class_columns(classes), *LAST]
    for path, result in results:
        if isinstance(result, UnreadableImageError):
            yield [
                path_text(path),
                *[""] * (len(FIRST) - 1 + len(classes)),
                result.reason,
                *[""] * 3,
            ]
            continue
        # empty where the model does not tell
        unknown = "" if result.unknown is None else str(result.unknown).lower()
        score = "" if result.unfamiliarity is None else f"{result.unfamiliarity:.4f}"
        shares = [f"{p:.6f}" for p in result.probabilities]
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
            "" if result.interval is None else json.dumps(_interval(classes, result)),
        ]


def _others(result: Prediction, top: int) -> str:
    """Return the likeliest classes, or labels, beside those that were given."""
    if result.value is not None:
        return ""
    named = result.top(top)[1:]
    if result.labels is not None:
        named = [one for one in result.top(top) if one[0] not in result.labels]
    return ", ".join(f"{visible(name)} {p:.1%}" for name, p in named)


def print_table(results: Sequence[Result], *, top: int) -> None:
    """Print what was classified, with the ``top`` likeliest classes."""
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    table.add_column("label", style="bold", overflow="fold")
    table.add_column("confidence", justify="right")
    strange = any(isinstance(r, Prediction) and r.unknown for _, r in results)
    unsure = any(isinstance(r, Prediction) and r.abstain for _, r in results)
    if strange or unsure:
        table.add_column("", style="yellow")
    table.add_column("then", style="dim", overflow="fold")
    for path, result in results:
        if not isinstance(result, UnreadableImageError):
            others = _others(result, top)
            marks = {"unknown": result.unknown, "no answer": result.abstain}
            mark = [", ".join(name for name, there in marks.items() if there)]
            table.add_row(
                Text(visible(str(path))),
                Text(visible(result.label)),
                "" if math.isnan(result.confidence) else f"{result.confidence:.1%}",
                *(mark if strange or unsure else []),
                Text(others),
            )
    if table.row_count:
        out.print(table)
    if strange:
        said = (
            "unknown: unlike everything in training; the label is the nearest of the known classes"
        )
        out.print(said, style="dim")
    if unsure:
        out.print("no answer: less sure than the bound on wrong answers asks for", style="dim")
