"""Which columns of a table hold paths, labels, parts, groups and weights, by their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.data.naming import label_text, shorten
from frostline.data.notes import MarkedColumns, Note, TakenColumns
from frostline.data.sources.part_folders import part_of

#: other names of a role, those first that say it more plainly
_ALIASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "path": (
        ("filename", "file", "filepath", "file_path", "file_name", "image_path", "img_path",
         "image_file", "filenames", "filepaths", "files", "paths"),
        ("image", "img", "photo", "picture", "image_name", "img_name", "images"),
        ("id", "image_id", "img_id", "imageid", "id_code", "file_id", "name"),
    ),
    "label": (
        ("labels", "class", "class_name", "classname", "class_label", "classes", "category",
         "category_name", "label_name", "target", "species", "breed", "diagnosis", "dx", "tag",
         "tags", "y"),
        ("class_id", "label_id", "category_id", "target_id"),
    ),
    "weight": (("sample_weight",),),
    "split": (("set", "subset", "data_set", "dataset", "partition", "phase", "usage"),),
}  # fmt: skip
#: names that head the first line of a table
KNOWN_NAMES = frozenset(
    (
        "path",
        "label",
        "split",
        "group",
        "weight",
        *(n for t in _ALIASES.values() for g in t for n in g),
    )
)
#: names of columns that are looked at for a slip of the pen
_COMPARED = 100
_SHOWN = 12
#: columns that a command in a hint names
_FEW = 3
_GAPS = re.compile(r"[\s-]+")
#: how pandas calls columns without a name
_NO_NAME = re.compile(r"unnamed: \d+(_level_\d+)?")


@dataclass(frozen=True)
class Table:
    """Named columns, whose cells are read when they are asked for.

    - ``names``: of all columns, as they are written.
    - ``length``: number of rows.
    - ``cells``: returns the cells of the column at a position.
    - ``place``: names a row in messages: ``"line 7"``.
    - ``flat``: whether the column at a position may hold text or numbers.
    - ``order``: of the values of the column at a position, where it has one.
    """

    names: Sequence[str]
    length: int
    cells: Callable[[int], Sequence[Any]]
    place: Callable[[int], str]
    flat: Callable[[int], bool] = lambda column: True
    order: Callable[[int], Sequence[Any] | None] = lambda column: None


@dataclass(frozen=True)
class Roles:
    """Positions of the columns that are needed; ``marks`` are columns of 0 and 1 for a label."""

    path: int
    label: int | None
    marks: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None
    weight: int | None = None
    notes: tuple[Note, ...] = ()


def roles_of(title: str, table: Table, group_by: str | None, *, labelled: bool = True) -> Roles:
    """Choose the columns that are needed; the others may be whatever they are.

    Raises InputError if a column is missing, there twice, or could be one of two; SettingsError if
    the column ``group_by`` does not exist.

    ``title``: what to call the table in messages, such as ``"Table a.csv"``. ``group_by``: column
    that holds groups; ``group``, if there is one, when None. ``labelled``: whether there must be a
    label; else none is looked for.
    """
    names = [comparable(name) for name in table.names]
    path = position_of(title, names, "path")
    label = position_of(title, names, "label") if labelled else None
    if path is None:
        raise InputError(columns_are(title, table), hint=_missing_hint(names, "path", label))
    group = _group(title, table, names, group_by)
    split = position_of(title, names, "split", aliases=False)
    weight = position_of(title, names, "weight")
    marks: tuple[int, ...] = ()
    if labelled and label is None:
        taken = {path, group, split, weight}
        marks = _marks(table, [i for i, n in enumerate(names) if n and i not in taken])
        if not marks:
            raise InputError(columns_are(title, table), hint=_missing_hint(names, "label", path))
    if split is None:
        split = _named_split(title, table, names)
    roles = Roles(path, label, marks, split, group, weight)
    taken_as = {"path": path, "label": label, "split": split}
    other = tuple(
        (role, table.names[i])
        for role, i in taken_as.items()
        # labels have a name of their own, and are told as such
        if i is not None and names[i] != role and not (role == "label" and names[i] == "labels")
    )
    return replace(roles, notes=(TakenColumns(other),) if other else ())


def comparable(name: str) -> str:
    """Return a column's name as names are compared; blank for one without a name."""
    text = name if name.isascii() else unicodedata.normalize("NFC", name)
    text = text.strip(" \t\r\n'\"\ufeff").lower()
    if text.startswith("unnamed") and _NO_NAME.fullmatch(text):
        return ""
    return text if text.isidentifier() else _GAPS.sub("_", text)


def is_headed(names: Sequence[str]) -> bool:
    """Whether some name is one that a table's columns have."""
    return any(comparable(name) in KNOWN_NAMES for name in names)


def labels_of_marks(title: str, table: Table, marks: Sequence[int]) -> tuple[list[str], list[Note]]:
    """Return the name of the one column that is marked in every row.

    Raises InputError if a row marks none or several.
    """
    names = [table.names[i].strip() for i in marks]
    found = []
    for i, row in enumerate(zip(*(map(_mark, table.cells(m)) for m in marks), strict=True)):
        marked = [name for name, mark in zip(names, row, strict=True) if mark]
        if len(marked) != 1:
            raise InputError(
                f"{title} has no column 'label', and its columns of 0 and 1 mark "
                f"{shorten(marked) or 'none'} in {table.place(i)}; expected one class.",
                hint=f"For several labels an image, or none, name them: --target "
                f"{','.join(names[:_FEW])}{',...' if len(names) > _FEW else ''}; for one, add a "
                "column 'label'.",
            )
        found.append(marked[0])
    return found, [MarkedColumns(tuple(names))]


def position_of(title: str, names: Sequence[str], role: str, *, aliases: bool = True) -> int | None:
    """Return where the column of a role is, by its own name or else by another one.

    Raises InputError if there are several.
    """
    for group in ((role,), *(_ALIASES[role] if aliases else ())):
        found = [i for i, name in enumerate(names) if name in group]
        if len(found) == 1:
            return found[0]
        if len({names[i] for i in found}) == 1:
            raise InputError(
                f"{title} has more than one column {names[found[0]]!r}.",
                hint="Rename or remove all but one.",
            )
        if found:
            shown = [repr(names[i]) for i in found]
            raise InputError(
                f"{title} has no column {role!r}, but {shorten(shown)}, each of which may be it.",
                hint=f"Rename the one that is meant to {role!r}.",
            )
    return None


def _group(title: str, table: Table, names: Sequence[str], group_by: str | None) -> int | None:
    if group_by is None:
        return position_of(title, names, "group", aliases=False)
    found = [i for i, name in enumerate(names) if name == comparable(group_by)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{title} has more than one column {group_by.strip()!r}.")
    raise SettingsError(
        f"There is no column {group_by!r} to group by; the table has {_shown(table)}.",
        hint=did_you_mean(comparable(group_by), names),
    )


def _named_split(title: str, table: Table, names: Sequence[str]) -> int | None:
    """Return a column of another name that holds nothing but names of parts."""
    known = {name for group in _ALIASES["split"] for name in group}
    for i, name in enumerate(names):
        if name not in known or names.count(name) > 1 or not table.flat(i):
            continue
        values = {label_text(cell) for cell in table.cells(i)}
        parts = {value for value in values if part_of(value) is not None}
        if values and values == parts:
            return i
        if parts:
            others = sorted(values - parts)
            raise InputError(
                f"{title}: column {table.names[i]!r} names parts ({shorten(sorted(parts))}), but "
                f"also {shorten([repr(value) for value in others])}.",
                hint="Rename it to 'split' and use train, val or test alone, or call it otherwise.",
            )
    return None


def _marks(table: Table, candidates: Sequence[int]) -> tuple[int, ...]:
    """Return the columns that hold nothing but 0 and 1, if there are at least two."""
    found = [i for i in candidates if table.flat(i) and _holds_marks(table.cells(i))]
    return tuple(found) if len(found) > 1 else ()


def _holds_marks(cells: Sequence[Any]) -> bool:
    return bool(cells) and all(_mark(cell) is not None for cell in cells)


def _mark(cell: Any) -> bool | None:
    """Return what a cell of 0 or 1 says, None for any other."""
    if isinstance(cell, str):
        return _WRITTEN.get(cell.strip().lower())
    if isinstance(cell, (int, float)) or hasattr(cell, "dtype"):
        return _WRITTEN.get(str(label_text(cell)).lower())
    return None


_WRITTEN = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def columns_are(title: str, table: Table) -> str:
    """Say which columns a table has, and which it should have."""
    return (
        f"{title} has the columns {_shown(table) or '(none)'}; "
        "expected path, label and, where wanted, split, group and weight."
    )


def _shown(table: Table) -> str:
    first = [comparable(name) or "(unnamed)" for name in table.names[:_SHOWN]]
    return shorten([*first, *table.names[_SHOWN:]], limit=_SHOWN)


def _missing_hint(names: Sequence[str], role: str, other: int | None) -> str:
    others = [n for i, n in enumerate(names) if n and n not in KNOWN_NAMES and i != other]
    for name in others[:_COMPARED]:
        if did_you_mean(name, [role]):
            return f"About column {name!r}: {did_you_mean(name, [role])}"
    if len(names) == 1 and re.search(r"path.*label", names[0]):
        return "Columns are told apart by commas, semicolons, tabs or '|'."
    if len(others) == 1 and other is not None:
        return f"If {others[0]!r} is the {role}, rename it to {role!r}."
    return f"Add a column named {role!r}."
