"""What people said of a service's answers: one line of JSON each, appended and never rewritten.

A line is written with one call and is on the disk before it is acknowledged. A process that dies in
between leaves at most the beginning of one line: the next writer ends that line, and readers pass
it over. Several threads and processes may write to one file; a lock lets one at a time.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from frostline.core.errors import FrostlineError, InputError
from frostline.core.files import UnfitFileError, read_regular, replacing
from frostline.core.machine import lock_in_turn

#: the file, and the folder with the pictures of those entries that keep them
FEEDBACK, PICTURES = "feedback.jsonl", "images"
_BYTES = 2**32
_BLOCK = 2**20


class FeedbackFullError(FrostlineError, RuntimeError):
    """No entry may be added: what is kept comes first, and new ones are refused."""


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """What a person said of one answer.

    - ``time``: ISO 8601, UTC.
    - ``model``: fingerprint of the model that answered.
    - ``digest``: SHA-256 of the picture's file.
    - ``predicted``, ``label``: the answer and what is right, as text: a class, labels or numbers
      with ``;`` between, ``?`` for what nobody knows. A blank label is none of the classes.
    - ``wrong``: whether these differ.
    - ``confidence``: of the answer; None for numbers.
    - ``image``: where the picture is kept, from the folder of the file; blank where it is not.
    """

    time: str
    model: str
    digest: str
    predicted: str
    label: str
    wrong: bool
    confidence: float | None = None
    image: str = ""

    def to_line(self) -> bytes:
        """Return the entry as one line."""
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Picture:
    """A picture that is kept with its entry: its bytes, and the ending of its name."""

    content: bytes
    ending: str


class FeedbackLog:
    """The entries of a folder, to which more are added until a bound is reached.

    ``max_entries``: lines in the file. ``max_bytes``: of the file and all kept pictures. Raises
    InputError if the folder cannot be written.
    """

    def __init__(self, folder: Path, *, max_entries: int, max_bytes: int) -> None:
        self.folder, self.path = folder, folder / FEEDBACK
        self._max_entries, self._max_bytes = max_entries, max_bytes
        # for systems without locks of files
        self._turn = threading.Lock()
        with self._locked() as handle:
            _count(handle)

    def __len__(self) -> int:
        """Entries in the file now."""
        with self._locked() as handle:
            return _count(handle)

    def append(self, entry: FeedbackEntry, picture: Picture | None = None) -> FeedbackEntry:
        """Add one entry and return it as it was written; it is on the disk then.

        Raises FeedbackFullError if there is no room for it; InputError if it cannot be written.

        ``picture``: kept beside the file under its digest, where it is not there yet.
        """
        if picture is not None:
            values = asdict(entry) | {"image": f"{PICTURES}/{entry.digest}{picture.ending}"}
            entry = FeedbackEntry(**values)
        line = entry.to_line()
        with self._locked() as handle:
            kept = self.folder / entry.image
            new = picture is not None and not kept.is_file()
            needed = len(line) + (len(picture.content) if picture is not None and new else 0)
            self._check_room(handle, needed)
            if picture is not None and new:
                # before the line, so that no line names a picture that is not there
                with replacing(kept, failure=InputError) as temporary:
                    temporary.write_bytes(picture.content)
            self._write(handle, line)
        return entry

    def _check_room(self, handle: int, needed: int) -> None:
        entries, held = _count(handle), os.fstat(handle).st_size + self._pictures()
        if entries < self._max_entries and held + needed <= self._max_bytes:
            return
        found = (
            f"{entries:,} entries"
            if entries >= self._max_entries
            else f"{held:,} bytes of at most {self._max_bytes:,}"
        )
        raise FeedbackFullError(
            f"{self.folder} holds {found}; nothing more is taken.",
            hint="Take the answers with 'frostline label', then move the folder away.",
        )

    def _write(self, handle: int, line: bytes) -> None:
        end = os.fstat(handle).st_size
        try:
            if end and _read(handle, end - 1, 1) != b"\n":
                # somebody died while writing: that line ends here
                line = b"\n" + line
            written = os.write(handle, line)
            if written < len(line):
                raise OSError("the disk is full")
            os.fsync(handle)
        except OSError as error:
            # under the lock nobody else has written since
            os.ftruncate(handle, end)
            raise _cannot(self.path, error) from None

    def _pictures(self) -> int:
        try:
            return sum(entry.stat().st_size for entry in os.scandir(self.folder / PICTURES))
        except OSError:
            return 0

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file, alone among all threads and processes."""
        with self._turn, self._opened() as handle:
            lock_in_turn(handle)
            yield handle

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            # only the service's own user reads what people said
            handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise _cannot(self.path, error) from None
        try:
            yield handle
        finally:
            os.close(handle)


def _count(handle: int) -> int:
    lines, at = 0, 0
    while block := _read(handle, at, _BLOCK):
        lines += block.count(b"\n")
        at += len(block)
    return lines


def _read(handle: int, start: int, n_bytes: int) -> bytes:
    os.lseek(handle, start, os.SEEK_SET)
    return os.read(handle, n_bytes)


def read_feedback(path: Path) -> tuple[FeedbackEntry, ...]:
    """Read the entries of a file in their order; lines that are none are passed over.

    Raises InputError if the file cannot be read, or none of its lines is an entry.
    """
    try:
        content = read_regular(path, at_most=_BYTES)
    except UnfitFileError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    lines = [line for line in content.split(b"\n") if line.strip()]
    found = tuple(entry for line in lines if (entry := _entry(line)) is not None)
    if lines and not found:
        raise InputError(
            f"{path} has no line of feedback in it.",
            hint=f"Give the {FEEDBACK} of the folder that 'frostline serve --feedback' wrote.",
        )
    return found


_FIELDS = {
    **dict.fromkeys(("time", "model", "digest", "predicted", "label", "image"), (str,)),
    "wrong": (bool,),
    "confidence": (float, int, type(None)),
}


def _entry(line: bytes) -> FeedbackEntry | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    # later versions may say more
    known = {field.name: values.get(field.name, "") for field in fields(FeedbackEntry)}
    if not all(isinstance(known[name], kinds) for name, kinds in _FIELDS.items()):
        return None
    return FeedbackEntry(**known)


def _cannot(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror or error}.")
