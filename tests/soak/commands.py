"""Commands of Frostline in forked processes, with a signal at a moment of one's choice.

Importing PyTorch takes five seconds, a small run two: so hundreds of runs can be killed in minutes.
The children are forked before any library has started threads, which a fork would not copy.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_FORK = multiprocessing.get_context("forkserver")
_LABEL = 64
_LOOK = 0.002
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Job:
    """One command of Frostline.

    Attributes
    ----------
    arguments : list of str
        What stands behind ``frostline``.
    cache : Path
    said : Path
        File for everything it prints.
    after : float or None
        Processor seconds after which it gets ``signal``; None for never.
    before : tuple of callable
        What its process does first: limits, clocks that jump.
    """

    arguments: list[str]
    cache: Path
    said: Path
    after: float | None = None
    signal: int = signal.SIGKILL
    before: tuple[Callable[[], object], ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a command ended: negative codes are signals."""

    code: int
    seconds: float
    phase: str
    said: str

    @property
    def killed(self) -> bool:
        """Whether it died of SIGKILL."""
        return self.code == -signal.SIGKILL

    @property
    def clear(self) -> bool:
        """Whether it ended well, or with one message instead of a traceback or a crash."""
        clear = self.code > 0 and "Traceback" not in self.said and self.said.count("rror:") == 1
        return self.code == 0 or clear


@contextmanager
def forking() -> Iterator[None]:
    """Start the server that has imported everything; it lives as long as this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("COLUMNS", "400")
        _FORK.set_forkserver_preload(["tests.soak.everything"])
        forkserver.ensure_running()
        yield


def run(*jobs: Job) -> list[Ended]:
    """Run commands side by side; return when all have ended."""
    children = [_Child(job) for job in jobs]
    while any(child.runs() for child in children):
        time.sleep(_LOOK)
    return [child.ended() for child in children]


def one(job: Job) -> Ended:
    """Run one command."""
    return run(job)[0]


def fresh(job: Job) -> Ended:
    """Run one command in a process that imports everything anew."""
    began = time.monotonic()
    environment = {**os.environ, "FROSTLINE_CACHE": str(job.cache), **job.env}
    with job.said.open("w") as said:
        command = [sys.executable, "-m", "frostline", *job.arguments]
        done = subprocess.run(command, stdout=said, stderr=said, env=environment, check=False)
    return Ended(done.returncode, time.monotonic() - began, "", _text(job.said))


def limit_memory(more: int) -> None:
    """Let this process have only so many bytes of address space more than it has now."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + more, resource.getrlimit(resource.RLIMIT_AS)[1]))


class _Child:
    """One forked command, and when it is to get a signal."""

    def __init__(self, job: Job) -> None:
        job.said.parent.mkdir(parents=True, exist_ok=True)
        job.said.unlink(missing_ok=True)
        self._job = job
        self._label: Any = _FORK.RawArray(ctypes.c_char, _LABEL)
        self._sent, self._phase, self._seconds = False, "", 0.0
        self._process: ForkServerProcess = _FORK.Process(target=_run, args=(job, self._label))
        self._process.start()

    def runs(self) -> bool:
        """Whether the child still runs; sends the signal when its time has come."""
        if not self._process.is_alive():
            return False
        after, pid, spent = self._job.after, self._process.pid, self._spent()
        if after is not None and spent >= after and not self._sent and pid is not None:
            self._phase, self._sent = self._label.value.decode(), True
            os.kill(pid, self._job.signal)
        return True

    def ended(self) -> Ended:
        self._process.join()
        phase = self._phase or self._label.value.decode()
        return Ended(int(self._process.exitcode or 0), self._seconds, phase, _text(self._job.said))

    def _spent(self) -> float:
        """Processor seconds of the child so far: other programs stretch the time of a clock."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self._seconds
        self._seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        return self._seconds


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _run(job: Job, label: Any) -> None:
    """Be the command."""
    os.environ.update({"FROSTLINE_CACHE": str(job.cache), **job.env})
    said = os.open(job.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _tell_phases(label)
    for change in job.before:
        change()
    sys.argv = ["frostline", *job.arguments]
    from frostline.cli.main import run

    run()


def _tell_phases(label: Any) -> None:
    """Write the phase that a run is in where the parent can read it, whenever it changes."""
    from frostline.core.stopwatch import Stopwatch

    plain = Stopwatch.phase

    @contextmanager
    def phase(self: Stopwatch, name: str) -> Iterator[None]:
        label.value = name.encode()[: _LABEL - 1]
        with plain(self, name):
            yield
        label.value = f"after {name}".encode()[: _LABEL - 1]

    label.value = b"starting"
    Stopwatch.phase = phase  # type: ignore[method-assign]
