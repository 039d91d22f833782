"""A service of a run on digits, as a process of its own, and what it says of its memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.serving.material import write_digits
from benchmarks.serving.wire import Place, get

_FROSTLINE = (sys.executable, "-m", "frostline")
_MEMORY = "process_resident_memory_bytes"


def fit_digits(folder: Path) -> Path:
    """Fit some digits below ``folder``; return the run."""
    images, run = write_digits(folder / "digits"), folder / "run"
    subprocess.run(
        [*_FROSTLINE, "fit", str(images), "-o", str(run), "--effort", "fast"],
        check=True,
        capture_output=True,
    )
    return run


@contextlib.contextmanager
def served(run: Path, log: Path) -> Iterator[Place]:
    """Serve on a free port, in a process of its own."""
    with started(run, log) as (place, _):
        yield place


@contextlib.contextmanager
def started(
    run: Path,
    log: Path,
    frostline: Sequence[str] = _FROSTLINE,
    env: Mapping[str, str] = os.environ,
) -> Iterator[tuple[Place, subprocess.Popen[str]]]:
    """Serve on a free port; also return the process, which may be stopped before the end."""
    command = [*frostline, "serve", str(run), "--port", "0"]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**env, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout is not None
        said = process.stdout.readline()
        if "http://" not in said:
            sys.exit(f"The service did not start: {log.read_text()}")
        try:
            place = Place("127.0.0.1", int(said.rstrip().rstrip("/").rpartition(":")[2]))
            yield place, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(60)


async def memory_of(place: Place) -> float:
    """Bytes of memory that the service has, as it says itself."""
    lines = (await get(place, "/metrics")).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(_MEMORY))


async def memory_until(place: Place, until: float) -> list[float]:
    """Bytes of memory, every second."""
    found = []
    while time.monotonic() < until:
        found.append(await memory_of(place))
        await asyncio.sleep(1)
    return found


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Some of them, in milliseconds."""
    found = {f"p{q}": round(1000 * float(np.percentile(seconds, q)), 1) for q in (50, 90, 95, 99)}
    return {"n": len(seconds), **found, "max": round(1000 * max(seconds), 1)}
