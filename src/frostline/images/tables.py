"""A table of images: CSV, TSV or Parquet with the columns path, label and perhaps split, group."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from frostline.errors import InputError, SettingsError, did_you_mean
from frostline.files import UnfitFileError, is_file, read_regular
from frostline.images.listing import Found, Listing
from frostline.images.naming import label_text, printable, some
from frostline.images.parts import PART_NAMES, differently_spelled, part_of

_REQUIRED = ("path", "label")
_KNOWN = ("path", "label", "split", "group")
_DELIMITERS = ",;\t|"

#: more than a list of all images of ImageNet-21k takes
_TABLE_BYTES = 2**30
#: rows of any table, each of which takes half a kilobyte of memory, and what Parquet may unpack to
_MOST_ROWS, _UNPACKED_BYTES = 20_000_000, 2**32
_ROWS_AT_A_TIME = 65_536
#: names of columns that are looked at for a slip of the pen
_COMPARED = 100

#: a row's cells by column name, and where the row stands, such as "line 7"
Row = tuple[dict[str, str], str]


def list_table(table: Path, *, group_by: str | None = None) -> Listing:
    """List the images of a table; opens no image.

    Column names may have any case. Relative paths are relative to the table's folder. In
    ``split``, train, val and test are understood, and their other spellings.

    Parameters
    ----------
    table : Path
        An existing ``.csv``, ``.tsv`` or ``.parquet`` file.
    group_by : str or None, default=None
        Column that holds groups; ``group``, if there is one, when None.

    Raises
    ------
    InputError
        For wrong columns, blank cells, unknown split values, repeated or missing files.
    SettingsError
        If the column ``group_by`` does not exist.
    """
    columns, rows = _read(table)
    return list_rows(f"Table {table}", table.parent, columns, rows, group_by=group_by)


def list_rows(
    table: str,
    folder: Path,
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    group_by: str | None = None,
) -> Listing:
    """List the images that rows of text name; takes and raises what :func:`list_table` does.

    Parameters
    ----------
    table : str
        What to call the table in messages, such as ``"Table a.csv"``.
    folder : Path
        Where relative paths start.
    columns : sequence of str
        In lower case.
    rows : sequence of Row
    group_by : str or None, default=None
    """
    _check_columns(table, columns)
    group_column = _group_column(columns, group_by)
    if not rows:
        raise InputError(f"{table} has no rows.")
    for column in _REQUIRED:
        _refuse(table, f"no {column}", [at for row, at in rows if not row[column]])
    has_split = "split" in columns and any(row["split"] for row, _ in rows)
    if has_split:
        _check_split(table, rows)
    _check_repeats(table, folder, rows)
    listing = Listing()
    missing = []
    for row, _ in rows:
        path = Path(os.path.normpath(folder / row["path"]))
        if not is_file(path):
            missing.append(row["path"])
            continue
        part = part_of(row["split"]) if has_split else None
        group = row[group_column] or None if group_column else None
        name = _name(path, folder)
        listing.found.append(Found(path, name, printable(row["label"]), part, group))
    if missing:
        raise InputError(
            f"{table}: {len(missing):,} of {len(rows):,} files do not exist: {some(missing)}.",
            hint=f"Relative paths start from {folder}.",
        )
    return listing


def _read(table: Path) -> tuple[list[str], list[Row]]:
    try:
        content = read_regular(table, at_most=_TABLE_BYTES)
    except UnfitFileError as error:
        raise InputError(f"Table {table} cannot be read: {error}.") from None
    if table.suffix.lower() == ".parquet":
        return _read_parquet(table, content)
    return _read_text(table, content)


def _read_text(table: Path, content: bytes) -> tuple[list[str], list[Row]]:
    lines = content.count(b"\n")
    if lines > _MOST_ROWS:
        raise InputError(f"Table {table} has {lines:,} lines; at most {_MOST_ROWS:,} are read.")
    # spreadsheets write a byte-order mark before UTF-8, and UTF-16 as "Unicode text"
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"Table {table} is not UTF-8 text (line {line}).", hint="Save it as 'CSV UTF-8'."
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    columns: list[str] = []
    rows: list[Row] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = [cell.lower() for cell in cells]
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"Table {table}, line {reader.line_num}: {len(cells)} cells, "
                    f"but there are {len(columns)} columns."
                )
            rows.append((dict(zip(columns, cells, strict=True)), f"line {reader.line_num}"))
    except csv.Error as error:
        raise InputError(f"Table {table}, line {reader.line_num}: {error}.") from None
    return columns, rows


def _delimiter(text: str) -> str:
    """Return the delimiter under which the first line has the wanted, else the most, columns."""
    first = next((line for line in text.splitlines() if line.strip()), "")

    def fitness(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"').lower() for name in first.split(delimiter)]
        return sum(name in _KNOWN for name in names), len(names)

    return max(_DELIMITERS, key=fitness)


def _read_parquet(table: Path, content: bytes) -> tuple[list[str], list[Row]]:
    # loaded here because most sources never need it
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_unpacked(table, file.metadata)
        names = file.schema_arrow.names
        columns = [str(name).strip().lower() for name in names]
        counts = Counter(columns)
        wanted = {c: n for c, n in zip(columns, names, strict=True) if counts[c] == 1}
        cells: dict[str, list[str]] = {column: [] for column in wanted}
        n_rows = 0
        for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=list(wanted.values())):
            n_rows += batch.num_rows
            for column, name in wanted.items():
                cells[column] += [label_text(v) for v in batch.column(name).to_pylist()]
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"Table {table} is no Parquet file: {what}.") from None
    rows: list[Row] = [
        ({name: values[i] for name, values in cells.items()}, f"row {i + 1}") for i in range(n_rows)
    ]
    return columns, rows


def _check_unpacked(table: Path, metadata: Any) -> None:
    """Refuse a table that is small as a file alone."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if metadata.num_rows > _MOST_ROWS or unpacked > _UNPACKED_BYTES:
        raise InputError(
            f"Table {table} unpacks to {metadata.num_rows:,} rows of {unpacked / 2**30:,.1f} GiB; "
            f"at most {_MOST_ROWS:,} of {_UNPACKED_BYTES / 2**30:.0f} GiB are read."
        )


def _check_columns(table: str, columns: Sequence[str]) -> None:
    twice = sorted(name for name, count in Counter(columns).items() if count > 1)
    if twice:
        raise InputError(f"{table} has more than one column {twice[0]!r}.")
    missing = [name for name in _REQUIRED if name not in columns]
    if not missing:
        return
    others = [name for name in columns if name not in _KNOWN][:_COMPARED]
    hints = [(name, did_you_mean(name, missing)) for name in others]
    hint = next((f"About column {name!r}: {text}" for name, text in hints if text), "")
    raise InputError(
        f"{table} has the columns {some(columns, limit=12) or '(none)'}; "
        "expected path, label and, where wanted, split and group.",
        hint=hint or f"Add a column named {missing[0]!r}.",
    )


def _group_column(columns: Sequence[str], group_by: str | None) -> str | None:
    if group_by is None:
        return "group" if "group" in columns else None
    wanted = group_by.strip().lower()
    if wanted not in columns:
        raise SettingsError(
            f"There is no column {group_by!r} to group by; "
            f"the table has {some(columns, limit=12)}.",
            hint=did_you_mean(wanted, columns),
        )
    return wanted


def _check_split(table: str, rows: Sequence[Row]) -> None:
    blank = [at for row, at in rows if not row["split"]]
    _refuse(table, "no split, while other rows have one,", blank)
    values = {row["split"]: at for row, at in reversed(rows)}
    unknown = [value for value in reversed(values) if part_of(value) is None]
    if unknown:
        value, at = unknown[0], values[unknown[0]]
        raise InputError(
            f"{table}, {at}: split cannot be {value!r}; use train, val or test.",
            hint=did_you_mean(value.lower(), PART_NAMES),
        )
    twice = differently_spelled(reversed(values))
    if twice is not None:
        raise InputError(
            f"{table}: in split, {twice[0]!r} and {twice[1]!r} may be one part or two.",
            hint="Use train, val and test.",
        )


def _refuse(table: str, problem: str, places: Sequence[str]) -> None:
    if places:
        raise InputError(f"{table}: {problem} in {some(places)}.")


def _check_repeats(table: str, folder: Path, rows: Iterable[Row]) -> None:
    first: dict[str, str] = {}
    for row, at in rows:
        path = os.path.normpath(folder / row["path"])
        if path in first:
            raise InputError(
                f"{table}: {row['path']} is listed twice, in {first[path]} and {at}.",
                hint="List every image once.",
            )
        first[path] = at


def _name(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder)
    return printable(str(path.relative_to(folder) if inside else path))
