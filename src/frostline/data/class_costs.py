"""What it costs to take one class for another, by the names of the classes."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frostline.core.errors import SettingsError, did_you_mean
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.data.naming import label_text, shorten

Costs = tuple[tuple[float, ...], ...]
#: by true class and by answer
_Table = dict[str, dict[str, Any]]

_FORM = (
    "The first line names the answers, each further one starts with a true class: "
    "',cat,dog', 'cat,0,1', 'dog,5,0'."
)


def read_class_costs(given: str, classes: Sequence[str]) -> Costs:
    """Return costs in the order of the classes: rows are the truth, columns the answers.

    Raises SettingsError if the file cannot be read or has another form; a name is unknown, missing
    or there twice; or a cost is no finite number of at least 0, not 0 where the answer is right, or
    0 everywhere.

    ``given``: the name of a CSV file, or the table itself as JSON, ``{true: {answer: cost}}``.
    """
    where, table = _table(given)
    answers = list(dict.fromkeys(name for row in table.values() for name in row))
    _check_names(where, "true classes", list(table), classes)
    _check_names(where, "answers", answers, classes)
    costs = tuple(
        tuple(_cost(where, table, true, answer) for answer in classes) for true in classes
    )
    if not any(map(any, costs)):
        raise SettingsError(f"{where}: no mistake costs anything.")
    return costs


def costs_as_json(given: str) -> str:
    """Return costs as JSON, whatever file they stand in: what a run is compared by.

    Raises SettingsError as :func:`read_class_costs` does about the form.
    """
    return json.dumps(_table(given)[1])


def _table(given: str) -> tuple[str, _Table]:
    """Return what to call the table, and its cells."""
    if given.lstrip().startswith("{"):
        return "costs", _from_json(given)
    where = f"Costs {given}"
    try:
        text = read_regular(Path(given), at_most=JSON_BYTES).decode("utf-8-sig")
    except (UnfitFileError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {error}.") from None
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise SettingsError(f"{where} holds no table of classes by classes.", hint=_FORM)
    answers = [label_text(cell) for cell in rows[0][1:]]
    twice = next((name for name in answers if answers.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"{where}: {twice!r} has two columns.")
    found: _Table = {}
    for row in rows[1:]:
        true = label_text(row[0])
        if true in found:
            raise SettingsError(f"{where}: {true!r} has two rows.")
        if len(row) != len(rows[0]):
            raise SettingsError(
                f"{where}: the row of {true!r} has {len(row) - 1} costs for {len(answers)} "
                "answers.",
                hint=_FORM,
            )
        found[true] = dict(zip(answers, row[1:], strict=True))
    return where, found


def _from_json(given: str) -> _Table:
    try:
        read = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"costs is no JSON: {error}.") from None
    if not all(isinstance(row, Mapping) for row in read.values()):
        raise SettingsError("costs must hold a cost for every answer, for every true class.")
    return {str(true): dict(row) for true, row in read.items()}


def _check_names(where: str, what: str, found: Sequence[str], classes: Sequence[str]) -> None:
    unknown = [name for name in found if name not in classes]
    if unknown:
        raise SettingsError(
            f"{where}: among the {what}, {unknown[0]!r} is no class.",
            hint=did_you_mean(unknown[0], classes) or f"Classes: {shorten(list(classes))}.",
        )
    missing = [name for name in classes if name not in found]
    if missing:
        raise SettingsError(
            f"{where}: among the {what}, {shorten(missing)} is missing: every class needs one.",
            hint=_FORM,
        )


def _cost(where: str, table: _Table, true: str, answer: str) -> float:
    cell = table[true].get(answer, 0.0 if true == answer else "nothing")
    try:
        cost = float(cell)
    except (TypeError, ValueError):
        cost = math.nan
    if not math.isfinite(cost) or cost < 0:
        raise SettingsError(
            f"{where}: taking {true!r} for {answer!r} cannot cost {cell!r}; it must be a number "
            "of at least 0."
        )
    if true == answer and cost:
        raise SettingsError(
            f"{where}: answering {true!r} rightly costs {cost:g}; it must cost 0.",
            hint="Subtract it from the other costs of that row.",
        )
    return cost
