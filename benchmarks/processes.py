"""Run a process and see what it took."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds, peak memory in bytes, and what was printed."""

    wall: float
    cpu: float
    peak_memory: int
    output: str


def run(command: list[str], env: dict[str, str], *, errors: int = subprocess.STDOUT) -> Cost:
    """Run a command to its end; RuntimeError with its last words if it fails.

    Parameters
    ----------
    command : list of str
    env : dict of str to str
        Added to this process's own.
    errors : int, default=subprocess.STDOUT
        Where standard error goes, as for ``subprocess.Popen``.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | env
    )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{output[-2000:]}")
    wall = time.perf_counter() - began
    return Cost(
        round(wall, 1), round(used.ru_utime + used.ru_stime, 1), used.ru_maxrss * 1024, output
    )
