"""A table of images with the columns path, label and perhaps split, group, weight."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from frostline.core.errors import InputError, did_you_mean
from frostline.core.files import UnfitFileError, read_regular
from frostline.data.catalog import Part
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.listing import Found, Listing
from frostline.data.naming import label_text, printable, shorten
from frostline.data.notes import NoHeader
from frostline.data.sources.columns import Roles, Table, comparable, is_headed, labels_of_marks
from frostline.data.sources.image_weights import read_weights, weighted
from frostline.data.sources.labels import LOST_NAMES
from frostline.data.sources.part_folders import PART_NAMES, differently_spelled, part_of
from frostline.data.sources.read_targets import read_targets
from frostline.data.sources.table_json import read_json_lines
from frostline.data.sources.table_parquet import open_parquet
from frostline.data.sources.table_text import read_text, with_first_row
from frostline.data.sources.target_choice import ANY, TargetChoice, Targets
from frostline.data.sources.target_columns import read_target_columns, roles_and_targets
from frostline.data.sources.written_paths import PathFinder

#: how files of JSON lines are called
JSON_LINES = (".jsonl", ".ndjson")
#: more than a list of all images of ImageNet-21k takes
_TEXT_BYTES = 2**30
#: cells of a first line that are looked at for an image
_LOOKED_AT = 100


def list_table(table: Path, *, group_by: str | None = None, choice: TargetChoice = ANY) -> Listing:
    """List the images of a table; opens no image.

    Column names may have any case. Relative paths are relative to the table's folder. In ``split``,
    train, val and test are understood, and their other spellings. Raises InputError for wrong
    columns, blank cells, unknown split values, repeated or missing files; SettingsError if the
    column ``group_by`` does not exist.

    ``table``: an existing ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file. ``group_by``:
    column that holds groups; ``group``, if there is one, when None. A column ``weight`` says how
    much images count.
    ``choice``: what is predicted, and from which columns.
    """
    title = f"Table {table}"
    columns, notes = open_table(table)
    listing = list_rows(title, table.parent, columns, group_by=group_by, choice=choice)
    listing.notes[:0] = notes
    return listing


def open_table(table: Path) -> tuple[Table, list[Any]]:
    """Return the columns of a table on disk, and notes on how it was read.

    Raises InputError if it cannot be read.

    ``table``: an existing ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.
    """
    title = f"Table {table}"
    if table.suffix.lower() == ".parquet":
        return open_parquet(title, table), []
    try:
        content = read_regular(table, at_most=_TEXT_BYTES)
    except UnfitFileError as error:
        raise InputError(f"{title} cannot be read: {error}.") from None
    if table.suffix.lower() in JSON_LINES:
        return read_json_lines(title, content), []
    columns, notes = read_text(title, content)
    roles = _roles_without_header(title, table.parent, columns)
    if roles:
        columns = with_first_row(columns, roles)
        notes.append(NoHeader(roles))
    return columns, notes


def list_rows(
    title: str,
    folder: Path,
    table: Table,
    *,
    group_by: str | None = None,
    choice: TargetChoice = ANY,
) -> Listing:
    """List the images that rows name; takes and raises what :func:`list_table` does.

    ``title``: what to call the table in messages, such as ``"Table a.csv"``. ``folder``: where
    relative paths start.
    """
    roles, columns = roles_and_targets(title, table, group_by, choice)
    if not table.length:
        raise InputError(f"{title} has no rows.")
    notes = list(roles.notes)
    paths = [label_text(cell) for cell in table.cells(roles.path)]
    _refuse_blank(title, "path", paths, table)
    if columns:
        targets = read_target_columns(title, table, columns, choice)
    else:
        targets = _labels(title, table, roles, choice)
    parts = _parts(title, table, roles.split)
    groups = [""] * table.length
    if roles.group is not None:
        groups = [label_text(cell) for cell in table.cells(roles.group)]
    weights = [1.0] * table.length
    if roles.weight is not None:
        weights = read_weights(title, table.cells(roles.weight), table.place)
    files, found_otherwise = _files(title, folder, table, paths)
    notes += [*targets.notes, *found_otherwise]
    listing = Listing(notes=notes, task=targets.task, outputs=targets.outputs)
    rows = zip(files, targets.entries(), parts, groups, weights, strict=True)
    for path, (label, truth), part, group, weight in rows:
        name = name_in(path, folder)
        listing.found.append(Found(path, name, label, part, group or None, weight, truth))
    return listing if roles.weight is None else weighted(listing, table.names[roles.weight])


def _labels(title: str, table: Table, roles: Roles, choice: TargetChoice) -> Targets:
    """Return what the column of labels says, or columns of 0 and 1 of which each row marks one."""
    if roles.label is None:
        labels, said = labels_of_marks(title, table, roles.marks)
        return Targets("single", labels, notes=said)
    cells = table.cells(roles.label)
    column = table.names[roles.label]
    targets = read_targets(
        cells,
        f"{title}: column {column.strip()!r}",
        lambda i: f"{title}, {table.place(i)}",
        choice=choice,
        column=column,
        order=table.order(roles.label),
    )
    # in a table of text nothing is missing but what is blank
    lost = not all(isinstance(cell, str) for cell in cells)
    _refuse_blank(title, "label", targets.labels, table, hint=LOST_NAMES if lost else "")
    return targets


def _files(
    title: str, folder: Path, table: Table, paths: Sequence[str]
) -> tuple[list[Path], list[Any]]:
    """Return the files that paths name, each of them once, and how they were read."""
    finder = PathFinder(folder)
    missing: list[str] = []
    files: list[Path] = []
    first: dict[str, int] = {}
    for i, text in enumerate(paths):
        path = finder.find(text, at=f"{title}, {table.place(i)}")
        if path is None:
            missing.append(text)
            continue
        other = first.setdefault(os.fspath(path), i)
        if other != i:
            written = "" if paths[other] == text else f", once as {printable(paths[other])}"
            raise InputError(
                f"{title}: {printable(text)} is listed twice, in {table.place(other)} and "
                f"{table.place(i)}{written}.",
                hint="List every image once.",
            )
        files.append(path)
    if missing:
        raise InputError(
            f"{title}: {len(missing):,} of {len(paths):,} files do not exist: {shorten(missing)}.",
            hint=finder.explain(missing),
        )
    return files, finder.notes()


def _roles_without_header(title: str, folder: Path, table: Table) -> tuple[str, ...]:
    """Return what two columns hold that have no names, since the first line names an image.

    Raises InputError if the first line names an image, and it cannot be told what the other columns
    hold.
    """
    names = table.names[:_LOOKED_AT]
    if any(comparable(name) in ("path", "label") for name in names):
        return ()
    finder = PathFinder(folder)
    named = [PurePath(name.replace("\\", "/")).suffix.lower() in EXTENSIONS for name in names]
    # a class may bear the name of a column, an image hardly
    if not any(named) and is_headed(table.names):
        return ()
    if not any(named):
        at = f"{title}, the first line"
        named = [bool(name) and finder.find(name, at=at) is not None for name in names]
    if not any(named):
        return ()
    if len(named) == 2 and sum(named) == 1:
        return tuple("path" if it else "label" for it in named)
    raise InputError(
        f"{title} has no header: its first line names an image, "
        f"{printable(table.names[named.index(True)])}.",
        hint="Put a line above it that names the columns, such as path,label,split.",
    )


def _parts(title: str, table: Table, column: int | None) -> list[Part | None]:
    """Return the part of every row; a column without any content gives none."""
    cells = [] if column is None else [label_text(cell) for cell in table.cells(column)]
    if not any(cells):
        return [None] * table.length
    _refuse_blank(title, "split, while other rows have one,", cells, table)
    known: dict[str, Part] = {}
    for i, cell in enumerate(cells):
        part = known.get(cell) or part_of(cell)
        if part is None:
            raise InputError(
                f"{title}, {table.place(i)}: split cannot be {cell!r}; use train, val or test.",
                hint=did_you_mean(cell.lower(), PART_NAMES),
            )
        known[cell] = part
    twice = differently_spelled(known)
    if twice is not None:
        raise InputError(
            f"{title}: in split, {twice[0]!r} and {twice[1]!r} may be one part or two.",
            hint="Use train, val and test.",
        )
    return [known[cell] for cell in cells]


def _refuse_blank(
    title: str, what: str, cells: Sequence[str], table: Table, *, hint: str = ""
) -> None:
    if all(cells):
        return
    places = [table.place(i) for i, cell in enumerate(cells) if not cell]
    raise InputError(
        f"{title}: no {what} in {shorten(places)}.",
        hint=hint or "Fill them in, or remove these rows.",
    )


def name_in(path: Path, folder: Path) -> str:
    """Return what an image is called whose table lies in a folder."""
    inside = path.is_relative_to(folder)
    return printable(str(path.relative_to(folder) if inside else path))
