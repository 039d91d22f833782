"""Tables of text: CSV and TSV in the dialects that spreadsheets and programs write."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from frostline.core.errors import InputError
from frostline.data.naming import printable
from frostline.data.notes import Note, SkippedLines
from frostline.data.sources.columns import KNOWN_NAMES, Table, comparable

_DELIMITERS = ",;\t|"
#: rows of any table, each of which takes half a kilobyte of memory
MOST_ROWS = 20_000_000
#: how a spreadsheet names the delimiter in a line of its own
_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
#: how other kinds of files begin, and what to do with them
_OTHER_KINDS = (
    (b"PK\x03\x04", "a spreadsheet or an archive", "Save it as 'CSV UTF-8'."),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "Save it as 'CSV UTF-8'."),
    (b"PAR1", "a Parquet table", "Call it .parquet."),
    (b"\x1f\x8b", "compressed", "Unpack it."),
)


def read_text(title: str, content: bytes) -> tuple[Table, list[Note]]:
    """Read a table of text, and say which lines are no rows.

    The first line names the columns. Blank lines, comments before it, and delimiters at the end of
    a row are no cells. Raises InputError if it is no text, too long, or a row has another number of
    cells.

    ``title``: what to call the table in messages, such as ``"Table a.csv"``.
    """
    lines = content.count(b"\n")
    if lines > MOST_ROWS:
        raise InputError(f"{title} has {lines:,} lines; at most {MOST_ROWS:,} are read.")
    text, delimiter = _beginning(decoded(title, content))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    rows: list[list[str]] = []
    places: list[int] = []
    comments = headers = 0
    try:
        with _long_cells(len(text)):
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                if not names:
                    names = [cell.strip() for cell in cells]
                    header = cells
                    continue
                if len(cells) != len(names):
                    if cells[0].lstrip().startswith("#"):
                        comments += 1
                        continue
                    cells = _without_end(title, cells, len(names), reader.line_num)
                if cells == header:
                    headers += 1
                    continue
                rows.append(cells)
                places.append(reader.line_num)
    except csv.Error as error:
        raise InputError(
            f"{title}, line {reader.line_num}: {error}.",
            hint="Is there a quotation mark too many or too few?",
        ) from None
    notes: list[Note] = []
    if comments:
        notes.append(SkippedLines("comment", comments))
    if headers:
        notes.append(SkippedLines("header", headers))
    return rows_of_text(names, rows, places), notes


def rows_of_text(names: Sequence[str], rows: Sequence[list[str]], places: Sequence[int]) -> Table:
    """Return a table of rows, with the lines on which they end."""
    return Table(
        names=names,
        length=len(rows),
        cells=lambda column: [row[column] for row in rows],
        place=lambda row: f"line {places[row]}",
    )


def with_first_row(table: Table, names: Sequence[str]) -> Table:
    """Return a table whose header is its first row, under other names."""
    return Table(
        names=names,
        length=table.length + 1,
        cells=lambda column: [table.names[column], *table.cells(column)],
        place=lambda row: "the first line" if row == 0 else table.place(row - 1),
    )


def decoded(title: str, content: bytes) -> str:
    """Return the text of a table, in the encodings that spreadsheets write.

    Raises InputError for anything else. ``title``: what to call the table in messages.
    """
    for beginning, kind, hint in _OTHER_KINDS:
        if content.startswith(beginning):
            raise InputError(f"{title} is {kind}, not text.", hint=hint)
    encoding = "utf-8-sig"
    # spreadsheets write a byte-order mark before UTF-8, and UTF-16 as "Unicode text"
    if content[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        encoding = "utf-32"
    elif content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{title} is not UTF-8 text (line {line}).", hint="Save it as 'CSV UTF-8'."
        ) from None


def _beginning(text: str) -> tuple[str, str]:
    """Return the text without what stands before its header, and the delimiter.

    Lines are emptied, not removed, so that their numbers stay true.
    """
    at = 0
    delimiter = ""
    while at < len(text):
        end = min((i for i in (text.find("\n", at), text.find("\r", at)) if i >= 0), default=-1)
        end = len(text) if end < 0 else end
        named = _SEPARATOR.fullmatch(text[at:end])
        line = text[at:end].strip()
        if named and not delimiter:
            delimiter = named[1]
        elif line.startswith("#"):
            if _n_known(line.lstrip("# "), _best(line.lstrip("# "))):
                # a header behind the sign of a comment
                first = text.index("#", at)
                return text[:at] + text[first:].lstrip("# "), delimiter or _best(line)
        elif line:
            return text, delimiter or _best(line)
        text = text[:at] + text[end:]
        at += 1
    return text, delimiter or ","


def _best(line: str) -> str:
    """Return the delimiter under which a line has the wanted, else the most, columns."""
    return max(_DELIMITERS, key=lambda sign: (_n_known(line, sign), line.count(sign)))


def _n_known(line: str, delimiter: str) -> int:
    return sum(comparable(name.strip().strip('"')) in KNOWN_NAMES for name in line.split(delimiter))


def _without_end(title: str, cells: list[str], columns: int, line: int) -> list[str]:
    """Return a row without blank cells at its end that no column has."""
    if len(cells) > columns and not any(map(str.strip, cells[columns:])):
        return cells[:columns]
    raise InputError(
        f"{title}, line {line}: {len(cells)} cells, but there are {columns} columns.",
        hint=f"It begins with {printable(cells[0])[:40]!r}; put cells that hold the delimiter "
        "between quotation marks.",
    )


@contextmanager
def _long_cells(limit: int) -> Iterator[None]:
    """Let cells be as long as they are: the text itself is bounded."""
    before = csv.field_size_limit(max(limit, 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)
