"""What a table says of its images beside labels, parts and groups, to tell them apart by."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable
from frostline.data.sources.columns import Table, roles_of
from frostline.data.sources.data_frames import is_frame, open_frame
from frostline.data.sources.tables import JSON_LINES, name_in, open_table
from frostline.data.sources.written_paths import PathFinder

#: files that are tables, by their endings
TABLES = (".csv", ".tsv", *JSON_LINES, ".parquet")
#: columns that are looked at, at most
_MOST = 50

#: the cells of every column, as text, by the name of the image
OtherColumns = dict[str, dict[str, str]]


def other_columns(source: object, *, known: Collection[str]) -> OtherColumns:
    """Return the columns of a table that say neither path, label, part, group nor weight.

    Nothing for what is no table, or one that cannot be read any more: it was only to say more about
    images that are known already. Blank cells are left out.

    ``source``: a file or DataFrame; anything else is no table. ``known``: names of columns that
    hold labels or numbers to predict.
    """
    try:
        if isinstance(source, str | Path):
            table = Path(source).absolute()
            if table.suffix.lower() not in TABLES or not table.is_file():
                return {}
            columns, folder = open_table(table)[0], table.parent
        elif is_frame(source):
            columns, folder = open_frame(source), Path.cwd()
        else:
            return {}
        roles = roles_of("The table", columns, None, labelled=False)
        names = _images(columns, roles.path, folder)
    except InputError:
        return {}
    taken = {roles.path, roles.label, roles.split, roles.group, roles.weight, *roles.marks}
    found: OtherColumns = {}
    for place, name in enumerate(columns.names):
        shown = printable(name.strip())
        if place in taken or not shown or shown in known or not columns.flat(place):
            continue
        if _is_label(shown) or len(found) == _MOST:
            continue
        cells = map(label_text, columns.cells(place))
        found[shown] = {
            image: cell for image, cell in zip(names, cells, strict=True) if image and cell
        }
    return found


def _images(table: Table, column: int, folder: Path) -> list[str]:
    """Return what the image of every row is called; nothing where there is none."""
    finder = PathFinder(folder)
    texts = [label_text(cell) for cell in table.cells(column)]
    paths = [
        finder.find(text, at=table.place(row)) if text else None for row, text in enumerate(texts)
    ]
    return ["" if path is None else name_in(path, folder) for path in paths]


def _is_label(name: str) -> bool:
    return name.lower() in ("label", "labels", "class")
