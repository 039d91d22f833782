"""Tables of JSON lines: an object a line, whose keys name the columns."""

from __future__ import annotations

import json
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import printable
from frostline.data.sources.columns import Table
from frostline.data.sources.table_text import MOST_ROWS, decoded


def read_json_lines(title: str, content: bytes) -> Table:
    """Read a table of JSON lines; blank lines are no rows, and what a row lacks is missing.

    Raises InputError if it is no text, too long, or a line is no object.

    ``title``: what to call the table in messages, such as ``"Table a.jsonl"``.
    """
    lines = decoded(title, content).splitlines()
    if len(lines) > MOST_ROWS:
        raise InputError(f"{title} has {len(lines):,} lines; at most {MOST_ROWS:,} are read.")
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    names: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(
                f"{title}, line {number}: {printable(line.strip())[:40]!r} is no JSON object.",
                hint='Write one a line, such as {"path": "a.jpg", "labels": ["cat", "dog"]}.',
            )
        rows.append(row)
        places.append(number)
        names.update(dict.fromkeys(row))
    columns = list(names)
    return Table(
        names=columns,
        length=len(rows),
        cells=lambda column: [row.get(columns[column]) for row in rows],
        place=lambda row: f"line {places[row]}",
        flat=lambda column: not any(isinstance(row.get(columns[column]), dict) for row in rows),
    )
