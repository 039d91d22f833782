"""The service under load and abuse: a minute of it, and ends in the middle of work."""

from __future__ import annotations

import asyncio
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import frostline
from benchmarks.serving.clients import Tally
from benchmarks.serving.material import Material, gather
from benchmarks.serving.service import fit_digits, memory_of, memory_until, percentiles, served
from benchmarks.serving.wire import Place
from tests.soak import record
from tests.soak._abusers import Abusers, everybody
from tests.soak._draining import drained

ORDER = 4
TITLE = "The service under load and abuse"
NAME = "service"
_SECONDS = 60.0
_ENDS = 10


def run(work: Path, until: float) -> None:
    """Measure what is missing; anew when everything is there."""
    found = record.read(NAME)
    if found.get("whole"):
        found = {}
    fitted = fit_digits(work)
    material = gather(frostline.load(fitted))
    if "minute" not in found:
        busy = os.getloadavg()[0]
        log = work / "minute.txt"
        with served(fitted, log) as place:
            seconds = max(5.0, min(_SECONDS, until - time.monotonic() - 30))
            found["minute"] = asyncio.run(_minute(place, material, seconds))
        said = log.read_text().replace("Ctrl-C stops it.", "").strip()
        # above zero, others used the cores as well
        found["minute"] |= {"log": said[-2000:], "load_before": round(busy, 1)}
        found["service"] = {name: version(name) for name in ("fastapi", "starlette", "uvicorn")}
        record.write(NAME, found)
    ends: list[dict[str, Any]] = found.get("ends", [])
    while len(ends) < _ENDS and time.monotonic() < until:
        log = work / f"end-{len(ends)}.txt"
        end = drained(fitted, material, log, seed=len(ends))
        said = log.read_text().replace("Ctrl-C stops it.", "").strip()
        ends.append({**end, "log": said[-500:]})
        record.write(NAME, {**found, "ends": ends, "whole": len(ends) == _ENDS})


async def _minute(place: Place, material: Material, seconds: float) -> dict[str, Any]:
    tally = Tally()
    # every image once, so that memory of the engine is taken before it is compared
    warm = Abusers(place, material, Tally(), time.monotonic() + 5)
    await asyncio.gather(warm.several(0), warm.large(1))
    before = await memory_of(place)
    crowd = Abusers(place, material, tally, time.monotonic() + seconds)
    clients = everybody(crowd)
    watch = asyncio.ensure_future(memory_until(place, crowd.until))
    began = time.perf_counter()
    await asyncio.gather(*(client(seed) for seed, client in enumerate(clients)))
    lasted = time.perf_counter() - began
    memory = await watch
    await asyncio.sleep(2)
    return {
        "seconds": round(lasted, 1),
        "clients": len(clients),
        "connections_of_the_slow_loris": 20,
        "ended_by_the_service": crowd.ended,
        "latency_ms": {k: percentiles(v) for k, v in sorted(tally.seconds.items())},
        "health_ms": percentiles(crowd.health_seconds),
        "health": dict(crowd.health),
        "requests": sum(map(len, tally.seconds.values())),
        "images": tally.images,
        "swapped": tally.swapped,
        "expected_errors": dict(sorted(tally.expected.items())),
        "unexpected": dict(tally.unexpected),
        "memory_mb": {
            "before": round(before / 1e6),
            "every_5_seconds": [round(m / 1e6) for m in memory[::5]],
            "second_third": _mean(memory, 1),
            "last_third": _mean(memory, 2),
            "highest": round(max(memory) / 1e6),
            "after": round(await memory_of(place) / 1e6),
        },
    }


def _mean(memory: list[float], third: int) -> int:
    of = np.array_split(np.array(memory), 3)[third]
    return round(float(of.mean()) / 1e6) if len(of) else 0


def section(found: dict[str, Any]) -> str:
    """The figures in words and tables."""
    minute, cores = found["minute"], found["machine"]["cores"]
    memory = minute["memory_mb"]
    lines = [
        f"{minute['clients']} kinds of clients at once for {minute['seconds']:.0f} seconds on "
        f"loopback, sharing {cores} core(s) with the service and with other work (processes that "
        f"wanted a core before it began: {minute['load_before']:g}): ordinary ones, ten and thirty "
        "images at once, 12 megapixels, broken and cut-off uploads, refused requests, wrong paths, "
        "methods and types, no HTTP at all, 20 connections whose headers never end, and one that "
        "asks for the health five times a second.",
        "",
        "| client | answers | p50, ms | p95, ms | p99, ms | longest, ms |",
        "|---|---|---|---|---|---|",
        *(_row(kind, of) for kind, of in minute["latency_ms"].items()),
        _row("health", minute["health_ms"]),
        "",
        f"- {minute['images']:,} images classified. Answers that were not the model's own for the "
        f"image: {minute['swapped']}.",
        f"- The health was {_counts(minute['health'])}.",
        f"- Errors that had to come: {_counts(minute['expected_errors'])}. Other errors: "
        f"{_counts(minute['unexpected'])}. Lines in the log: {len(minute['log'].splitlines())}.",
        f"- Memory: {memory['before']} MB before; {memory['second_third']} MB in the second third, "
        f"{memory['last_third']} MB in the last; {memory['highest']} MB at most, "
        f"{memory['after']} MB after.",
    ]
    ends = found.get("ends", [])
    if ends:
        lines += ["", _ends(ends)]
    return "\n".join([*lines, ""])


def _ends(ends: list[dict[str, Any]]) -> str:
    def total(key: str) -> int:
        return sum(end[key] for end in ends)

    health: dict[str, int] = {}
    for end in ends:
        for word, count in end["health"].items():
            health[word] = health.get(word, 0) + count
    lost = sum(sum(end["unexpected"].values()) for end in ends)
    late = total("asked") - total("answered") - lost
    return (
        f"SIGTERM in the middle of work, {len(ends)} times: {total('answered')} of "
        f"{total('asked')} requests that had begun were answered (of a third of them only half had "
        f"come), {total('images'):,} images, {total('swapped')} swapped. {late} were first seen "
        "more than a second after the signal, on so busy a machine, and were told to come back; "
        f"{lost} got no answer. Asked for its health from the signal on, the service said: "
        f"{_counts(health)}; after its first `stopping` it called itself well again "
        f"{total('well_again')} times. Requests sent two seconds after the signal and classified "
        f"all the same: {total('late_answered')}. Exit codes other than 0: "
        f"{sum(end['exit_code'] != 0 for end in ends)}."
    )


def _row(name: str, found: dict[str, float]) -> str:
    cells = (found["n"], *(f"{found[k]:,.0f}" for k in ("p50", "p95", "p99", "max")))
    return f"| {name} | {' | '.join(map(str, cells))} |"


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count:,} × {word}" for word, count in found.items()) or "none"
