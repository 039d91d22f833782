"""Parquet tables: only the columns that are asked for are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError
from frostline.core.extras import require_extra
from frostline.core.files import UnfitFileError, open_regular
from frostline.data.sources.columns import Table
from frostline.data.sources.table_text import MOST_ROWS

#: what the cells of one column may unpack to
_UNPACKED_BYTES = 2**32
#: a table may hold the images themselves, which are not read
_TABLE_BYTES = 2**40
_ROWS_AT_A_TIME = 65_536


def open_parquet(title: str, path: Path) -> Table:
    """Read which columns a Parquet file has; cells are read when they are asked for.

    Raises InputError if it is no such file, or has too many rows; MissingExtraError where Parquet
    cannot be read.

    ``title``: what to call the table in messages, such as ``"Table a.parquet"``.
    """
    require_extra("tables", f"{title} is Parquet, which")
    with _opened(title, path) as file:
        names = [str(name) for name in file.schema_arrow.names]
        flat = [not _is_nested(field.type) for field in file.schema_arrow]
        rows = file.metadata.num_rows
    if rows > MOST_ROWS:
        raise InputError(f"{title} has {rows:,} rows; at most {MOST_ROWS:,} are read.")
    return Table(
        names=names,
        length=rows,
        cells=lambda column: _cells(title, path, column),
        place=lambda row: f"row {row + 1}",
        flat=lambda column: flat[column],
    )


def _cells(title: str, path: Path, column: int) -> list[Any]:
    with _opened(title, path) as file:
        field = file.schema_arrow.field(column)
        _check_unpacked(title, file.metadata, field.name)
        if _is_nested(field.type) or _is_image(file, field):
            raise InputError(
                f"{title}: column {field.name!r} holds {field.type}, not text or numbers.",
                hint="Images themselves are read as a dataset of Hugging Face: "
                "datasets.load_dataset('parquet', data_files=...).",
            )
        cells: list[Any] = []
        for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=[field.name]):
            cells += batch.column(field.name).to_pylist()
        return cells


def _is_nested(kind: Any) -> bool:
    """Whether cells have named fields; lists of one label are labels."""
    import pyarrow as pa

    return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def _is_image(file: Any, field: Any) -> bool:
    """Whether a column of bytes holds no text."""
    import pyarrow as pa

    if not (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)):
        return False
    for batch in file.iter_batches(1, columns=[field.name]):
        (cell,) = batch.column(field.name).to_pylist()
        try:
            return cell is not None and not cell.decode().isprintable()
        except UnicodeDecodeError:
            return True
    return False


@contextmanager
def _opened(title: str, path: Path) -> Iterator[Any]:
    # loaded here because most sources never need it
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_regular(path, at_most=_TABLE_BYTES) as stream:
            yield pq.ParquetFile(stream)
    except InputError:
        raise
    except UnfitFileError as error:
        raise InputError(f"{title} cannot be read: {error}.") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise InputError(f"{title} is no Parquet file: {what}.") from None


def _check_unpacked(title: str, metadata: Any, name: str) -> None:
    """Refuse a column that is small as a file alone."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    unpacked = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == name)
    if unpacked > _UNPACKED_BYTES:
        raise InputError(
            f"{title}: column {name!r} unpacks to {metadata.num_rows:,} rows of "
            f"{unpacked / 2**30:,.1f} GiB; at most {_UNPACKED_BYTES / 2**30:.0f} GiB are read."
        )
