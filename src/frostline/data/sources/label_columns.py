"""Several labels of one image: texts with separators, lists, sets and vectors of 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable, shorten
from frostline.data.notes import MixedLabels, Note, OneLabelEach, SeparatedLabels, VectorLabels
from frostline.data.sources.label_separators import (
    check_separator,
    found_separator,
    split_labels,
)
from frostline.data.sources.labels import parsed_list, text_of_label
from frostline.data.sources.mark_columns import UNKNOWN, is_unknown, mark_value
from frostline.data.sources.target_choice import LabelSet, Place, TargetChoice, Targets

#: an image of which nothing is known
NOTHING_KNOWN = LabelSet(frozenset(), complete=False)


def cells_of(values: Iterable[Any]) -> list[Any]:
    """Return lists as lists, however they are wrapped or written; all else as it is."""
    return [_unwrapped(value) for value in values]


def holds_several(cells: Sequence[Any]) -> bool:
    """Whether some cell is a list of several labels or of none.

    Vectors with a single 1 each are one label: its place.

    ``cells``: of :func:`cells_of`.
    """
    lists = [cell for cell in cells if isinstance(cell, list)]
    if all(len(cell) == 1 and not isinstance(cell[0], list) for cell in lists):
        return False
    return not (are_vectors(lists) and all(cell.count(1) == 1 for cell in lists))


def are_vectors(lists: Sequence[Sequence[Any]]) -> bool:
    """Whether lists are as long as each other and hold nothing but numbers or unknown ones."""
    widths = {len(one) for one in lists}
    return (
        len(widths) == 1
        and widths != {0}
        and widths != {1}
        and all(isinstance(value, (int, float)) or value is None for one in lists for value in one)
    )


def read_label_sets(
    values: Iterable[Any],
    title: str,
    place: Place,
    *,
    choice: TargetChoice,
    classes: Sequence[Any] | None = None,
    ids: bool = False,
) -> Targets:
    """Return the labels of every image.

    A text holds labels with a separator between, or is written as a list. A blank one and an empty
    list are none of the labels. ``?``, None and NaN are unknown; beside labels they mean that
    nothing is known of the others. Raises InputError for what is no label, and where it cannot be
    told what stands between labels.

    - ``title``: what to call the column in messages. ``place``: names an image there.
    - ``classes``: names of the labels, where numbers are positions among them.
    - ``ids``: whether numbers in a list are always such positions, or labels themselves, even
      where 0 and 1 could mark whether an image has the label of that place.
    """
    cells = cells_of(values)
    lists = [cell for cell in cells if isinstance(cell, list)]
    if lists and not ids and are_vectors(lists):
        fits = classes is None or len(classes) == len(lists[0])
        if fits and all(_is_mark(value) for one in lists for value in one):
            return _of_vectors(cells, place, choice.known or classes)
    notes: list[Note] = []
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip() not in ("", UNKNOWN)]
    separator = None
    if lists and texts:
        notes.append(MixedLabels(len(lists), len(texts), texts[0]))
    elif texts:
        separator = _separator(texts, title, choice)
    sets: dict[LabelSet, LabelSet] = {}
    found = []
    for i, cell in enumerate(cells):
        own = _label_set(cell, separator, place, i, classes)
        # images with the same labels share them
        found.append(sets.setdefault(own, own))
    if separator is not None:
        several = [text for text in texts if len(_named(text, separator)) > 1]
        if several:
            names = {name for own in found for name in own.names}
            example = next((t for t in several if UNKNOWN not in t), several[0])
            read = tuple(_named(example, separator))
            notes.append(SeparatedLabels(separator, len(several), len(names), example, read))
    if choice.task == "auto" and all(len(own.names) == 1 and own.complete for own in found):
        notes.append(OneLabelEach(len(sets)))
    return Targets("multilabel", sets=found, notes=notes)


def _named(text: str, separator: str) -> list[str]:
    """Return the labels of a text without the sign for what is not known."""
    return [label for label in split_labels(text, separator) if label != UNKNOWN]


def _separator(texts: Sequence[str], title: str, choice: TargetChoice) -> str | None:
    if choice.separator is not None:
        check_separator(texts, choice.separator, title)
        return choice.separator
    return found_separator(texts, title, sure=choice.task == "multilabel")


def _label_set(
    cell: Any, separator: str | None, place: Place, i: int, classes: Sequence[Any] | None
) -> LabelSet:
    """Return the labels that one cell names."""
    if isinstance(cell, str):
        items: list[Any] = split_labels(cell, separator)
    elif isinstance(cell, list):
        items = cell
    else:
        items = [cell]
    names: set[str] = set()
    complete = True
    for item in items:
        if isinstance(item, float) and not (math.isnan(item) or item.is_integer()):
            raise InputError(
                f"The labels of {place(i)} hold the number {item:g}, which is none.",
                hint="If numbers are to be predicted: task='regression'.",
            )
        if isinstance(item, list):
            raise InputError(f"The labels of {place(i)} are lists within a list: {shorten(items)}.")
        text = text_of_label(item, place, i, classes)
        if text in ("", UNKNOWN):
            # None, NaN and ?, or a negative class number
            complete = complete and isinstance(item, str) and text == ""
        else:
            names.add(text)
    return LabelSet(frozenset(names), complete) if names or complete else NOTHING_KNOWN


def _of_vectors(cells: Sequence[Any], place: Place, names: Sequence[Any] | None) -> Targets:
    """Return marks of vectors, whose places are the labels."""
    width = len(next(cell for cell in cells if isinstance(cell, list)))
    if names is not None and len(names) != width:
        raise InputError(
            f"{place(0)} has {width} values of 0 and 1, but there are {len(names)} labels.",
            hint=f"The labels are {shorten([repr(str(name)) for name in names])}.",
        )
    unknown = (math.nan,) * width
    kept: dict[tuple[float, ...], tuple[float, ...]] = {}
    values = []
    for i, cell in enumerate(cells):
        if isinstance(cell, list):
            own = tuple(number for number in map(mark_value, cell) if number is not None)
        elif is_unknown(cell):
            own = unknown
        else:
            raise InputError(
                f"The label of {place(i)} is {printable(label_text(cell))!r}, while others are "
                f"vectors of {width} values."
            )
        values.append(kept.setdefault(own, own))
    outputs = tuple(str(name) for name in (range(width) if names is None else names))
    notes: list[Note] = [VectorLabels(width)]
    return Targets("multilabel", values=values, outputs=outputs, notes=notes)


def _is_mark(value: Any) -> bool:
    return mark_value(value) is not None


def _unwrapped(value: Any) -> Any:
    if isinstance(value, str):
        written = parsed_list(value) if value.strip()[:1] in ("[", "(") else None
        return value if written is None else _unwrapped(list(written))
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        value = value.tolist()
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) == 1 and (isinstance(value[0], (list, tuple)) or hasattr(value[0], "shape")):
        return _unwrapped(value[0])
    return [_unwrapped(item) if hasattr(item, "shape") else item for item in value]
