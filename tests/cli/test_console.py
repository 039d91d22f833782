"""Ctrl-C is never lost."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from frostline.cli.console import TerminalProgress, polite_exits


def test_an_interrupt_that_a_library_swallows_ends_the_work_at_the_next_step() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = 0
    with (
        pytest.raises(SystemExit) as ended,
        polite_exits(),
        TerminalProgress().task("work", 10) as bar,
    ):
        for _ in range(10):
            bar.advance()
            done += 1
            if done == 3:
                # what C code does with exceptions of its callbacks
                with contextlib.suppress(KeyboardInterrupt):
                    os.kill(os.getpid(), signal.SIGINT)
    assert ended.value.code == 130
    assert done == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_the_next_command_starts_afresh() -> None:
    with polite_exits(), TerminalProgress().task("work", 1) as bar:
        bar.advance()
