"""Standard output and error, whoever reads them: a terminal, a pipe, a file, or nobody any more."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleDimensions, RenderableType

from frostline.core.errors import InputError

#: letters of a line where nobody said how many fit: a table takes what its widest row needs
_ENDLESS = 100_000
#: a frame would fill an endless line
_FRAME = 100


class Written(Console):
    """A console whose lines are as long as they need to be, unless a terminal shows them.

    Whatever reads a pipe or a file would otherwise get lines that are broken, and names that are
    cut, at the 80th letter. ``COLUMNS`` sets another width. Lines that nobody reads are dropped:
    what is written to files must not suffer.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Letters of a line, and lines."""
        found = super().size
        return ConsoleDimensions(_ENDLESS, found.height) if self._is_endless() else found

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def on_broken_pipe(self) -> None:
        """Go on without a reader."""
        self.quiet = True
        drop_lines(sys.stderr if self.stderr else sys.stdout)

    def framed(self, frame: RenderableType) -> None:
        """Print what takes a whole line, however long that is."""
        self.print(frame, width=_FRAME if self._is_endless() else None)

    def _is_endless(self) -> bool:
        if self.is_jupyter or self._width is not None:
            return False
        if self._environ.get("COLUMNS", "").isdigit():
            return False
        try:
            return not self.file.isatty()
        except ValueError:
            # closed
            return True


def drop_lines(stream: TextIO) -> None:
    """Let what is still on its way to a pipe without a reader vanish, instead of failing later."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        # no file of the system: then nothing is on its way
        pass


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Write JSON to standard output.

    Raises InputError if there is no standard output.

    ``indent``: None for one line.
    """
    with _data() as stream:
        stream.write(json.dumps(value, indent=indent) + "\n")


def write_csv(rows: Iterable[Sequence[object]]) -> None:
    """Write lines of CSV to standard output; takes and raises what :func:`write_json` does."""
    with _data() as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


@contextmanager
def _data() -> Iterator[TextIO]:
    """Give standard output as programs read it: UTF-8 and plain line ends in every locale.

    A program that stops reading has seen enough, and is no error.
    """
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise InputError(
            "There is no standard output to write to: it is closed.",
            hint="Send it to a file: > answers.",
        )
    if isinstance(stream, io.TextIOWrapper):
        # names of files that are no text hold halves of letters
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        drop_lines(stream)
