"""Run a process within limits of time and memory, and see what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from benchmarks.beside.resident import resident

_EVERY_SECONDS = 0.05
_LAST_WORDS = 4000


@dataclass(frozen=True)
class Ran:
    """How a process ended.

    Attributes
    ----------
    ended : str
        "well", "failed", "too slow" or "too large".
    cpu : float
        Processor seconds, its children's included.
    peak : int
        Most bytes that it and its children held at once, pages of several counted once.
    output : str
        What it printed.
    errors : str
        The end of what it said on standard error.
    """

    ended: str
    cpu: float
    peak: int
    output: str
    errors: str

    @property
    def well(self) -> bool:
        """Whether it did what it was asked for."""
        return self.ended == "well"


def run(command: Sequence[str], *, env: dict[str, str], seconds: float, memory: int) -> Ran:
    """Run a command until it ends, or has taken too long or too much.

    Parameters
    ----------
    command : sequence of str
    env : dict of str to str
        Added to this process's own.
    seconds : float
        Of the clock.
    memory : int
        Bytes, of the process and its children.
    """
    began, peak, ended = time.monotonic(), 0, ""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            list(command), stdout=out, stderr=err, env=os.environ | env, start_new_session=True
        )
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, resident(process.pid))
            if time.monotonic() - began > seconds:
                ended = "too slow"
            elif peak > memory:
                ended = "too large"
            if ended:
                os.killpg(process.pid, signal.SIGKILL)
                _, status, used = os.wait4(process.pid, 0)
                break
            time.sleep(_EVERY_SECONDS)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = [_read(file) for file in (out, err)]
    ended = ended or ("failed" if process.returncode else "well")
    cpu = round(used.ru_utime + used.ru_stime, 1)
    return Ran(ended, cpu, peak, said[0], said[1][-_LAST_WORDS:])


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
