"""Ctrl-C is never lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from frostline.cli.console import TerminalProgress, cli_error_handler


@pytest.mark.parametrize("resumes", [True, False])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_its_code_and_says_how_to_go_on(
    number: signal.Signals, code: int, resumes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, cli_error_handler(resumes=resumes):
        os.kill(os.getpid(), number)
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert "Interrupted." in said
    # an export or a prediction begins anew
    assert ("the same command goes on from there" in said) is resumes
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_swallows_ends_the_work_at_the_next_step(
    number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    done = 0
    with (
        pytest.raises(SystemExit) as ended,
        cli_error_handler() as cancel,
        TerminalProgress().task("work", 10) as bar,
    ):
        for _ in range(10):
            bar.advance()
            cancel.check()
            done += 1
            if done == 3:
                # what C code does with exceptions of its callbacks
                with contextlib.suppress(KeyboardInterrupt):
                    os.kill(os.getpid(), number)
    assert ended.value.code == code
    assert done == 3
    assert signal.getsignal(number) is before


def test_the_next_command_starts_afresh() -> None:
    with cli_error_handler() as cancel:
        cancel.check()


_STRUCK_IN_A_CALLBACK = """
import os, signal
from frostline.cli.console import cli_error_handler

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

with cli_error_handler() as cancel:
    one = Swallows()
    del one
    cancel.check()
"""


def test_a_signal_that_strikes_where_python_ignores_errors_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STRUCK_IN_A_CALLBACK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert "Interrupted." in done.stderr
    assert "Traceback" not in done.stderr
