"""The target of images that have one value each: a label, several, a grade, or numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable, shorten
from frostline.data.notes import GradesInOrder
from frostline.data.sources.columns import comparable
from frostline.data.sources.grades import order_of, suggested
from frostline.data.sources.label_columns import cells_of, holds_several, read_label_sets
from frostline.data.sources.labels import SEVERAL, read_labels
from frostline.data.sources.mark_columns import is_unknown
from frostline.data.sources.number_columns import read_numbers
from frostline.data.sources.target_choice import Place, TargetChoice, Targets


def read_targets(
    values: Sequence[Any],
    title: str,
    place: Place,
    *,
    choice: TargetChoice,
    column: str = "",
    classes: Sequence[Any] | None = None,
    ids: bool = False,
    order: Sequence[Any] | None = None,
) -> Targets:
    """Return what is to be predicted of every image.

    Where the task is left open, lists of several labels or of none, and a column ``labels`` of text
    or lists, are several labels; all else is one. Raises InputError for
    what cannot be read as such.

    - ``title``: what to call the values in messages. ``place``: names one of them there.
    - ``column``: its name, blank for values that are in no table.
    - ``classes``: names of the classes, where numbers are positions among them; ``ids``: whether
      lists of numbers are always such positions.
    - ``order``: of grades, the lowest first, where the source says it.
    """
    if choice.task == "regression":
        return _numbers(values, title, place, column, classes)
    if choice.task == "multilabel" or (
        choice.task == "auto" and _are_several(values, title, place, choice, column)
    ):
        return read_label_sets(values, title, place, choice=choice, classes=classes, ids=ids)
    labels, notes = read_labels(values, place, classes=classes)
    if choice.task == "ordinal":
        return _grades(title, Targets("ordinal", labels, notes=notes), choice, order)
    found = Targets("single", labels, notes=notes)
    if choice.task == "auto":
        other = None if classes else suggested(Counter(filter(None, labels)), column.strip())
        if other is not None:
            notes.append(other)
    return found


def _are_several(
    values: Sequence[Any], title: str, place: Place, choice: TargetChoice, column: str
) -> bool:
    if choice.separator is not None:
        return True
    cells = cells_of(values)
    lists = [i for i, cell in enumerate(cells) if isinstance(cell, list)]
    if lists and holds_several(cells):
        single = [i for i, cell in enumerate(cells) if not isinstance(cell, list)]
        plain = next((i for i in single if not is_unknown(cells[i])), None)
        if plain is None:
            return True
        listed = next((i for i in lists if len(cells[i]) > 1), None)
        if listed is not None:
            items = [printable(label_text(item)) for item in cells[listed]]
            raise InputError(
                f"{place(listed)} has {len(items)} labels: {shorten(items)}; {place(plain)} has "
                f"one that is no list: {printable(label_text(cells[plain]))!r}.",
                hint=SEVERAL,
            )
    # numbers of classes in a column of that name are what datasets call one label an image
    return comparable(column) == "labels" and any(isinstance(cell, (str, list)) for cell in cells)


def _grades(
    title: str, found: Targets, choice: TargetChoice, order: Sequence[Any] | None
) -> Targets:
    """Add the order of the grades to what was read; that of a model is known."""
    if choice.known:
        return found
    names = sorted(set(filter(None, found.labels)))
    given = [label_text(one) for one in order or ()]
    known = set(given) >= set(names)
    found.outputs = tuple(n for n in given if n in names) if known else order_of(names, title)
    found.notes.append(GradesInOrder(found.outputs))
    return found


def _numbers(
    values: Sequence[Any], title: str, place: Place, column: str, names: Sequence[Any] | None
) -> Targets:
    """Return one number an image, or several of a list; ``names``: of several."""
    cells = [cell.tolist() if hasattr(cell, "tolist") else cell for cell in values]
    widths = {len(cell) for cell in cells if isinstance(cell, (list, tuple))}
    name = column.strip() or "value"
    if widths <= {1}:
        read = read_numbers(title, cells, place)
        only = (name,) if names is None or len(names) != 1 else tuple(names)
        return Targets("regression", values=[(number,) for number in read], outputs=only)
    if len(widths) > 1:
        i, first = next((i, c) for i, c in enumerate(cells) if isinstance(c, (list, tuple)))
        j, other = next(
            (j, c)
            for j, c in enumerate(cells)
            if isinstance(c, (list, tuple)) and len(c) != len(first)
        )
        raise InputError(
            f"{title}: {place(j)} has {len(other)} numbers, while {place(i)} has {len(first)}; "
            "expected as many for every image.",
            hint="Use NaN for what is not known.",
        )
    (width,) = widths
    unknown = (math.nan,) * width
    columns = [
        read_numbers(title, [one[k] for one in _filled(cells, unknown, title, place)], place)
        for k in range(width)
    ]
    outputs = tuple(f"{name} {k}" for k in range(width))
    if names is not None and len(names) == width:
        outputs = tuple(names)
    return Targets("regression", values=list(zip(*columns, strict=True)), outputs=outputs)


def _filled(
    cells: Sequence[Any], unknown: tuple[float, ...], title: str, place: Place
) -> list[Sequence[Any]]:
    found: list[Sequence[Any]] = []
    for i, cell in enumerate(cells):
        if isinstance(cell, (list, tuple)):
            found.append(cell)
        elif is_unknown(cell):
            found.append(unknown)
        else:
            raise InputError(f"{title}: {place(i)} has one number, others have {len(unknown)}.")
    return found
