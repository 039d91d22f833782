"""The service of a fitted run: memory, first answer, predictions a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.beside.resident import resident
from benchmarks.beside.trees import Tree
from benchmarks.serving.service import started
from benchmarks.serving.wire import Place, ask, request

_BATCHES = (1, 16)
File = tuple[str, bytes]


def serve(
    tree: Tree, run: Path, files: Sequence[File], own: Path, *, seconds: float
) -> dict[str, Any]:
    """Serve a run to one client that sends a request after the other.

    Returns
    -------
    dict
        ``first_answer`` seconds after the start of the process, ``memory`` in bytes after it and
        after the load, ``per_second`` images by number of images in a request.
    """
    began = time.perf_counter()
    with started(run, own / "serve-log.txt", tree.frostline, tree.env(own / "cache")) as live:
        place, process = live
        asyncio.run(_send(place, files[:1]))
        first = time.perf_counter() - began
        memory = {"first_answer": resident(process.pid)}
        rates = {n: asyncio.run(_rate(place, files, n, seconds)) for n in _BATCHES}
        memory["after_load"] = resident(process.pid)
    return {"first_answer": round(first, 3), "memory": memory, "per_second": rates}


async def _rate(place: Place, files: Sequence[File], n: int, seconds: float) -> float:
    """Images a second in requests of ``n``."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        some = [files[(done + i) % len(files)] for i in range(n)]
        await _send(place, [(f"{i}-{name}", content) for i, (name, content) in enumerate(some)])
        done += n
    return round(done / (time.perf_counter() - began), 1)


async def _send(place: Place, files: Sequence[File]) -> None:
    status, answer = await ask(place, request("/predict", files))
    if status != 200 or any("error" in result for result in answer["results"]):
        raise RuntimeError(f"the service answered {status}: {str(answer)[:500]}")
