"""Whole cold fits, and how soon they read their first image."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.beside.resident import Peak, own_peak
from benchmarks.beside.trees import Tree

_HOOK = Path(__file__).parent / "first_read"
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Images:
    """What is fitted, and the folders that its image files lie in."""

    source: Path
    folders: tuple[Path, ...]
    number: int


def fit(tree: Tree, images: Images, own: Path, options: Sequence[str]) -> dict[str, Any]:
    """Fit into ``own / "run"`` with an empty cache; return what it took and what it is worth."""
    command = [*tree.frostline, "fit", str(images.source), "-o", str(own / "run"), *options]
    with (own / "log.txt").open("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=tree.env(own / "cache"), cwd=own
        )
        with Peak(process.pid) as peak:
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{log.read()[-2000:]}")
    metrics = json.loads((own / "run" / "metrics.json").read_text())
    return {
        "wall": round(wall, 2),
        "cpu": round(used.ru_utime + used.ru_stime, 2),
        "peak_memory": max(peak.bytes, own_peak(used.ru_maxrss)),
        "accuracy": metrics["test"]["accuracy"],
        "chosen": json.loads((own / "run" / "plan.json").read_text())["chosen"],
        "seconds": metrics["seconds"],
    }


def start(tree: Tree, images: Images, own: Path, options: Sequence[str]) -> float:
    """Seconds from the start of the process until a fit opens its first image; it is stopped there.

    Apart from :func:`fit`, so that nothing looks on while that is timed.
    """
    told = own / "first-read.txt"
    env = tree.env(own / "cache", _HOOK) | {
        "BESIDE_IMAGES": os.pathsep.join(f"{folder}{os.sep}" for folder in images.folders),
        "BESIDE_FIRST_READ": str(told),
    }
    command = [*tree.frostline, "fit", str(images.source), "-o", str(own / "stopped"), *options]
    with (own / "start-log.txt").open("w+") as log:
        began = time.monotonic()
        # a group of its own, so that its children end with it
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=env, cwd=own, start_new_session=True
        )
        try:
            while not told.exists():
                if process.poll() is not None or time.monotonic() - began > _PATIENCE_SECONDS:
                    log.seek(0)
                    raise RuntimeError(f"{command} read no image:\n{log.read()[-2000:]}")
                time.sleep(0.005)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return round(float(told.read_text()) - began, 3)
