"""What people answered: a contact sheet's file, a table of labels, or feedback on a service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.data.naming import label_text
from frostline.data.sources.columns import comparable
from frostline.data.sources.table_text import read_text
from frostline.run.feedback_log import read_feedback

#: what the file of a sheet says it is
KIND = "frostline answers"
_TABLES = (".csv", ".tsv")
_FEEDBACK = ".jsonl"


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """One answer as it was given, not checked yet.

    ``place``: where it stands, for messages. ``path``: blank where the file tells only the digest.
    ``digest``: blank where the file tells none.
    ``label``: blank for an image that is none of the classes.
    """

    place: str
    path: str
    label: str
    digest: str = ""


@dataclass(frozen=True)
class GivenAnswers:
    """All answers of a file, and what it says of itself.

    ``skipped``: rows without an answer. ``new_classes``: classes that were added by name in a
    sheet. ``mixed``: whether they may be about images of the run and others alike.
    """

    answers: tuple[GivenAnswer, ...]
    skipped: int = 0
    new_classes: frozenset[str] = frozenset()
    mixed: bool = False


def read_answers(path: Path) -> GivenAnswers:
    """Read the answers of a sheet's ``.json``, a table with path and label, or a feedback file.

    In a table a blank label is no answer; of feedback on one picture the latest counts. Raises
    InputError if the file is none of these, or damaged.
    """
    if path.suffix.lower() == _FEEDBACK:
        return _of_feedback(path)
    try:
        content = read_regular(path, at_most=JSON_BYTES)
    except UnfitFileError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    if path.suffix.lower() in _TABLES:
        return _of_table(path, content)
    if path.suffix.lower() == ".json":
        return _of_sheet(path, content)
    raise InputError(
        f"{path} is neither the .json of a contact sheet nor a table (.csv, .tsv), nor the "
        "feedback.jsonl of a service.",
        hint="Give the file that the sheet saved, or suggestions.csv with its column 'label' "
        "filled in.",
    )


def _of_feedback(path: Path) -> GivenAnswers:
    latest = {entry.digest: entry for entry in read_feedback(path)}
    return GivenAnswers(
        tuple(
            GivenAnswer(f"{path}, said at {one.time}", one.image, one.label, one.digest)
            for one in latest.values()
        ),
        mixed=True,
    )


def _of_table(path: Path, content: bytes) -> GivenAnswers:
    title = f"Table {path}"
    table, _ = read_text(title, content)
    names = [comparable(name) for name in table.names]
    if "path" not in names or "label" not in names:
        raise InputError(
            f"{title} has the columns {', '.join(table.names)}; answers need path and label.",
            hint="Fill in the column 'label' of suggestions.csv.",
        )
    columns = {
        name: [label_text(cell) for cell in table.cells(names.index(name))]
        for name in ("path", "label", "digest")
        if name in names
    }
    digests = columns.get("digest", [""] * table.length)
    answers = []
    for number in range(table.length):
        place = f"{title}, {table.place(number)}"
        if not columns["path"][number]:
            raise InputError(f"{place}: the path is blank.")
        if columns["label"][number]:
            answers.append(
                GivenAnswer(
                    place, columns["path"][number], columns["label"][number], digests[number]
                )
            )
    return GivenAnswers(tuple(answers), skipped=table.length - len(answers))


def _of_sheet(path: Path, content: bytes) -> GivenAnswers:
    damaged = InputError(
        f"{path} is not the file of a contact sheet, or damaged.",
        hint="Open the sheet again and save the answers anew: it keeps them.",
    )
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise damaged
    rows, new = found.get("answers"), found.get("new_classes", [])
    if not isinstance(rows, list) or not isinstance(new, list):
        raise damaged
    answers = []
    for number, row in enumerate(rows, start=1):
        fields = row if isinstance(row, dict) else {}
        values = [fields.get(name) for name in ("path", "label", "digest")]
        if not all(isinstance(value, str) for value in values) or not values[0]:
            raise damaged
        answers.append(GivenAnswer(f"{path}, answer {number}", *map(str, values)))
    skipped = found.get("skipped", 0)
    return GivenAnswers(
        tuple(answers),
        skipped=skipped if isinstance(skipped, int) else 0,
        new_classes=frozenset(map(str, new)),
    )
