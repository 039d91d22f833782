"""The table of labels that people gave to images of a run or its pool, and the way back.

``labels.csv`` is what later fits read; it is replaced as a whole, and that is the moment at which
answers count. ``labels.csv.undo.json`` beside it is written before: an entry that tells of a table
which never came, because the process died in between, is passed over.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError
from frostline.core.files import MissingFileError, UnfitFileError, read_regular, write_text
from frostline.data.naming import encodable

#: answers about new images, and about images of the run: an update adds the ones and relabels the
#: others
LABELS, CORRECTIONS, UNDO_ENDING = "labels.csv", "corrections.csv", ".undo.json"
COLUMNS = ("path", "label", "digest", "split")
#: images that were chosen to be labelled are no fair sample: they teach, and never judge
_PART = "train"
_BYTES = 2**32
#: steps that can be undone
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said of an image.

    ``path``: absolute. ``digest``: SHA-256 of its content. ``label``: blank where it is none of the
    classes: such an image is set aside, so that it is not asked for again.
    """

    path: str
    label: str
    digest: str


@dataclass(frozen=True)
class LabelTable:
    """The answers of a table, and the steps that led to them, the last one last.

    - ``answers``: by digest, in the order in which images were first answered.
    - ``aside``: images that are none of the classes, by digest.
    """

    path: Path
    answers: dict[str, Answer]
    aside: dict[str, Answer]
    steps: tuple[dict[str, Any], ...] = ()

    @property
    def undo_path(self) -> Path:
        """Where the way back is kept."""
        return self.path.with_name(self.path.name + UNDO_ENDING)

    def with_answers(self, given: Sequence[Answer]) -> LabelTable:
        """Return the table after some answers, which become one step."""
        before = [self._state(one.digest) for one in given]
        step = {"before": before, "after": [asdict(one) for one in given]}
        found = self._changed((one.digest, one) for one in given)
        return replace(found, steps=(*self.steps, step)[-_STEPS:])

    def undone(self) -> LabelTable:
        """Return the table as it was before the last step; InputError if there is none."""
        if not self.steps:
            raise InputError(f"There is nothing to undo in {self.path}.")
        last = self.steps[-1]
        digests = [one["digest"] for one in last["after"]]
        states = [None if one is None else Answer(**one) for one in last["before"]]
        return replace(self._changed(zip(digests, states, strict=True)), steps=self.steps[:-1])

    def _state(self, digest: str) -> dict[str, str] | None:
        found = self.answers.get(digest) or self.aside.get(digest)
        return None if found is None else asdict(found)

    def _changed(self, states: Iterable[tuple[str, Answer | None]]) -> LabelTable:
        answers, aside = dict(self.answers), dict(self.aside)
        for digest, state in states:
            answers.pop(digest, None)
            aside.pop(digest, None)
            if state is not None:
                (answers if state.label else aside)[digest] = state
        return replace(self, answers=answers, aside=aside)

    def write(self) -> None:
        """Write both files, each whole; RunFolderError if one cannot be written.

        A process that dies leaves the table before or this one, and a way back that fits it.
        """
        text = self.to_csv()
        present = _text(self.path)
        told = {"table": _digest(text), "steps": self.steps, **_to_json(self)}
        # both states, until the table is there
        earlier = [] if present is None else _described(self.undo_path, present)
        write_text(self.undo_path, json.dumps([*earlier, told]) + "\n")
        write_text(self.path, text)

    def to_csv(self) -> str:
        """Return the table as text."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in sorted(self.answers.values(), key=lambda one: one.path):
            writer.writerow([encodable(one.path), encodable(one.label), one.digest, _PART])
        return stream.getvalue()


def read_label_table(path: Path) -> LabelTable:
    """Read a table of labels with its way back; an empty one where there is no file.

    Raises InputError if the file is no table of this kind.
    """
    text = _text(path)
    if text is None:
        return LabelTable(path, {}, {})
    for own in _described(LabelTable(path, {}, {}).undo_path, text):
        steps = tuple(own["steps"])
        return LabelTable(path, _answers(own["answers"]), _answers(own["aside"]), steps)
    # written by hand, or the way back was lost
    return LabelTable(path, {one.digest: one for one in _rows(path, text)}, {})


def _text(path: Path) -> str | None:
    try:
        return read_regular(path, at_most=_BYTES).decode("utf-8")
    except MissingFileError:
        return None
    except (UnfitFileError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _rows(path: Path, text: str) -> Iterable[Answer]:
    rows = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(rows, ())) != COLUMNS:
        raise InputError(
            f"{path} is no table of labels: its columns are not {', '.join(COLUMNS)}.",
            hint="Give another file with -o.",
        )
    for number, row in enumerate(rows, start=2):
        if len(row) != len(COLUMNS):
            raise InputError(f"{path}, line {number}: {len(row)} cells, not {len(COLUMNS)}.")
        yield Answer(row[0], row[1], row[2])


def _described(undo: Path, text: str) -> list[dict[str, Any]]:
    """Return what is kept of a table with this text: one entry, or none."""
    try:
        found = json.loads(read_regular(undo, at_most=_BYTES))
    except (UnfitFileError, ValueError, RecursionError):
        return []
    wanted, keys = _digest(text), {"table", "steps", "answers", "aside"}
    each = found if isinstance(found, list) else []
    fitting = [o for o in each if isinstance(o, dict) and keys <= o.keys() and o["table"] == wanted]
    return fitting[-1:]


def _to_json(table: LabelTable) -> dict[str, Any]:
    return {
        "answers": [asdict(one) for one in table.answers.values()],
        "aside": [asdict(one) for one in table.aside.values()],
    }


def _answers(values: Iterable[dict[str, str]]) -> dict[str, Answer]:
    return {one["digest"]: Answer(**one) for one in values}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
