"""The terminal: where results, progress and errors go."""

from __future__ import annotations

import io
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from frostline.cli.resource_errors import clear_shortages
from frostline.cli.streams import Written
from frostline.core.cancel import Cancelled, CancelToken
from frostline.core.errors import FrostlineError, InputError
from frostline.core.extras import needing_extras
from frostline.core.progress import Task
from frostline.data.naming import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: results go to standard output, everything about the work to standard error
out = Written(highlight=False)
err = Written(stderr=True, highlight=False)


#: what asks a command to end: Ctrl-C, and whoever stops processes in an orderly way
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Bar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, n: int = 1) -> None:
        self._bars.advance(self._task, n)


class TerminalProgress:
    """Progress bars with rate and time left; a line a task where there is no terminal."""

    def __init__(self, console: Console = err) -> None:
        self._console = console
        self._lock = threading.Lock()

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        """Show a bar for ``total`` items until the block ends."""
        if not self._console.is_terminal:
            self._console.print(Text(f"{label} ({total:,}) ..."))
        from frostline.cli.bars import bars_on

        with bars_on(self._console) as bars:
            yield _Bar(bars, bars.add_task(label, total=total))

    def note(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            # names of files may look like markup
            self._console.print(Text(visible(text), style="dim"))


def say_error(error: FrostlineError) -> None:
    """Print what was wrong and what to do, without a traceback."""
    # in a file or a log one message is one line
    whole = not err.is_terminal
    err.print(Text.assemble(("Error: ", "bold red"), _plain(error.message)), soft_wrap=whole)
    if error.hint:
        err.print(Text(_plain(error.hint)), soft_wrap=whole)


def _plain(text: str) -> str:
    """Return lines of text that cannot command a terminal: names may come from anywhere."""
    return "\n".join(map(visible, text.split("\n")))


def _write_any_name() -> None:
    """Spell out what a stream's encoding cannot take, such as file names that are no text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _be_somewhere() -> None:
    """Refuse to work in a folder that is gone: libraries end the process there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError(
            "The current folder does not exist any more.", hint="Change to another folder."
        ) from None


@contextmanager
def cli_error_handler(*, resumes: bool = False) -> Iterator[CancelToken]:
    """Turn errors raised on purpose, lack of room and signals into messages and exit codes.

    Yields what long work must ask: the exception of a signal is lost when it strikes inside a
    callback of a library, the token is not.

    ``resumes``: whether the same command goes on where this one was interrupted.
    """
    cancel = CancelToken()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        cancel.cancel(number)
        cancel.check()

    # Pillow warns about metadata that changes no pixel
    warnings.filterwarnings("ignore", module="PIL")
    _write_any_name()
    hook = sys.unraisablehook

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        # struck inside a callback: the token ends the work at its next chance
        if not isinstance(lost.exc_value, Cancelled):
            hook(lost)

    sys.unraisablehook = unraisable
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS} if main else {}
    try:
        with clear_shortages(), needing_extras("This command"):
            _be_somewhere()
            yield cancel
    except FrostlineError as error:
        say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as stopped:
        if main:
            # a second Ctrl-C, pressed in impatience, would break off the message
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        goes_on = " What was done is kept; the same command goes on from there." if resumes else ""
        err.print(f"\nInterrupted.{goes_on}")
        sys.exit(128 + (getattr(stopped, "signal", None) or signal.SIGINT))
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
