"""Images without labels: those of a folder, of a table, or a list of paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.files import UnfitFileError, read_regular
from frostline.core.machine import available_cores
from frostline.core.runtime import Runtime
from frostline.core.task import Task
from frostline.data.catalog import Catalog, ImageRow, Unreadable
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.decoding.image_refs import Content, content_of
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.value_ranges import may_be_special
from frostline.data.naming import label_text, natural_key, printable
from frostline.data.sources.columns import Table, roles_of
from frostline.data.sources.folders import instead
from frostline.data.sources.scanning import files_below
from frostline.data.sources.table_json import read_json_lines
from frostline.data.sources.table_parquet import open_parquet
from frostline.data.sources.table_text import read_text
from frostline.data.sources.tables import JSON_LINES
from frostline.data.sources.written_paths import PathFinder

#: a folder, a table with a column of paths, an image, or several paths of images
Pool = str | Path | Iterable[str | Path]

_TABLES = (".csv", ".tsv", *JSON_LINES, ".parquet")
_TEXT_BYTES = 2**30


def open_unlabelled(
    pool: Pool, classes: tuple[str, ...], *, task: Task = "single", runtime: Runtime
) -> Catalog:
    """List images of which no label is known, and read each once for its digest.

    Labels in a table, or folders that look like classes, are not looked at: the label of every row
    is -1. A table may have a column of groups. Files that cannot be read are in ``unreadable``.
    Raises InputError if the pool does not exist, is no folder, table or image, or has no image.

    ``classes``: of the model; what the images may be of.
    """
    name, files, groups = _files(pool)
    rows: list[ImageRow] = []
    digests: list[str] = []
    special: set[str] = set()
    unreadable: list[Unreadable] = []
    with runtime.progress.task("Reading files", len(files)) as bar:
        contents = read_in_order(files, _content, workers=min(8, available_cores()))
        for (path, said), content in zip(files, contents, strict=True):
            if isinstance(content, UnreadableImageError):
                unreadable.append(Unreadable(said, content.reason))
            else:
                rows.append(ImageRow(path, said, -1, group=groups.get(path)))
                digests.append(content.digest)
                if may_be_special(content.head):
                    special.add(content.digest)
            bar.advance()
            runtime.cancel.check()
    if not rows:
        first = unreadable[0]
        raise InputError(f"No readable image in {name}: {first.path}: {first.reason}.")
    return Catalog(
        source=name,
        classes=classes,
        rows=tuple(rows),
        digests=tuple(digests),
        unreadable=tuple(unreadable),
        special=frozenset(special),
        task=task,
    )


def _content(file: tuple[Path, str]) -> Content:
    return content_of(file[0], name=file[1])


def _files(pool: Pool) -> tuple[str, list[tuple[Path, str]], dict[Path, str]]:
    """Return what to call the pool, its files, each once, with names for people, and groups."""
    if not isinstance(pool, str | Path):
        paths = [Path(one) for one in pool]
        if not paths:
            raise InputError("The list of images is empty.")
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path} does not exist.")
        return "the list", _named(paths, None), {}
    given = Path(pool)
    path = given.expanduser().absolute()
    if path.is_dir():
        found, left_out = files_below(path)
        if not found:
            raise InputError(f"The folder {given} has no image{instead(left_out)}.")
        ordered = sorted((Path(file.path) for file in found), key=lambda p: natural_key(str(p)))
        return str(given), _named(ordered, path), {}
    if not path.is_file():
        raise InputError(f"{given} does not exist.")
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        found_there, groups = _of_table(path)
        return str(given), _named(found_there, path.parent), groups
    if suffix in EXTENSIONS:
        return str(given), _named([path], path.parent), {}
    raise InputError(
        f"{given} is neither a folder nor a table ({', '.join(_TABLES)}) nor an image.",
        hint="Give a folder of images, or a table with a column 'path'.",
    )


def _named(paths: Iterable[Path], below: Path | None) -> list[tuple[Path, str]]:
    """Name each file once, by its path below a folder where it lies there."""
    found: dict[Path, str] = {}
    for path in paths:
        whole = path.expanduser().absolute()
        inside = below is not None and whole.is_relative_to(below)
        found[whole] = printable(str(whole.relative_to(below) if inside and below else whole))
    return list(found.items())


def _of_table(path: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the files of a table in the order of its rows, and the groups that it names."""
    title = f"Table {path}"
    table = _table(title, path)
    if not table.length:
        raise InputError(f"{title} has no rows.")
    roles = roles_of(title, table, None, labelled=False)
    role = roles.path
    of_rows = table.cells(roles.group) if roles.group is not None else None
    groups: dict[Path, str] = {}
    finder, found, missing = PathFinder(path.parent), [], []
    for number, cell in enumerate(table.cells(role)):
        text = label_text(cell)
        if not text:
            raise InputError(f"{title}, {table.place(number)}: the path is blank.")
        file = finder.find(text, at=f"{title}, {table.place(number)}")
        if file is None:
            missing.append(text)
        else:
            found.append(file)
            group = "" if of_rows is None else label_text(of_rows[number])
            if group:
                groups[file.expanduser().absolute()] = group
    if missing:
        one = "image does" if len(missing) == 1 else "images do"
        raise InputError(
            f"{title}: {len(missing):,} {one} not exist, the first: {missing[0]}.",
            hint=finder.explain(missing),
        )
    return found, groups


def _table(title: str, path: Path) -> Table:
    if path.suffix.lower() == ".parquet":
        return open_parquet(title, path)
    try:
        content = read_regular(path, at_most=_TEXT_BYTES)
    except UnfitFileError as error:
        raise InputError(f"{title} cannot be read: {error}.") from None
    if path.suffix.lower() in JSON_LINES:
        return read_json_lines(title, content)
    return read_text(title, content)[0]
