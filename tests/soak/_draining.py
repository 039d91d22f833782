"""Stop a busy service: who was inside gets an answer, and nobody is told that all is well."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.serving.clients import Crowd, Tally
from benchmarks.serving.material import Material
from benchmarks.serving.service import started
from benchmarks.serving.wire import Place, get, request
from tests.soak._abusers import asked_health

#: clients whose request has come whole, and those of which only half has
_WHOLE, _HALF = 6, 3
_IMAGES = 20


def drained(run: Path, material: Material, log: Path, *, seed: int) -> dict[str, Any]:
    """Serve, fill the queue, send SIGTERM, and count what became of everybody."""
    with started(run, log) as (place, process):
        found = asyncio.run(_stop_in_the_middle(place, process, material, seed))
        began = time.perf_counter()
        found["exit_code"] = process.wait(90)
        found["seconds_after_the_last_answer"] = round(time.perf_counter() - began, 2)
    return found


async def _stop_in_the_middle(
    place: Place, process: subprocess.Popen[str], material: Material, seed: int
) -> dict[str, Any]:
    chance = random.Random(seed)
    inside, late = Tally(), Tally()
    crowd = Crowd(place, material, inside, time.monotonic() + 120)
    signalled = asyncio.Event()

    async def whole() -> None:
        await crowd._classify("whole", chance.sample(material.good, _IMAGES))

    async def half() -> None:
        files = chance.sample(material.good, 5)
        raw = request("/predict", files)
        reader, writer = await asyncio.open_connection(place.host, place.port, limit=2**24)
        writer.write(raw[: len(raw) // 2])
        await signalled.wait()
        await asyncio.sleep(3)
        try:
            writer.write(raw[len(raw) // 2 :])
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].split()[0])
            answer = json.loads(await reader.readexactly(length))
        except (ConnectionError, asyncio.IncompleteReadError):
            inside.unexpected["half a request got no answer"] += 1
            return
        finally:
            writer.close()
        if " 200 " not in head.splitlines()[0]:
            inside.unexpected[f"half a request: {head.splitlines()[0]}"] += 1
            return
        inside.seconds["half"].append(0.0)
        crowd._check(files, answer["results"])

    async def doctor() -> tuple[Counter[str], int]:
        """Ask until nobody answers; count what was said after it first said that it stops."""
        await signalled.wait()
        said: Counter[str] = Counter()
        relapses = 0
        while process.poll() is None:
            word = await asked_health(place.host, place.port)
            relapses += said["503 stopping"] > 0 and word == "200 ok"
            said[word] += 1
            if word not in ("200 ok", "503 stopping"):
                break
            await asyncio.sleep(0.05)
        return said, relapses

    async def latecomer() -> None:
        await signalled.wait()
        await asyncio.sleep(2)
        mine = Crowd(place, material, late, time.monotonic() + 60)
        await mine._classify("late", material.good[:1])

    tasks = [asyncio.ensure_future(whole()) for _ in range(_WHOLE)]
    tasks += [asyncio.ensure_future(half()) for _ in range(_HALF)]
    doctors, later = asyncio.ensure_future(doctor()), asyncio.ensure_future(latecomer())
    while json.loads(await get(place, "/health"))["queue"] < _IMAGES:
        await asyncio.sleep(0.01)
    # all halves have been sent by now
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    signalled.set()
    await asyncio.gather(*tasks, later)
    said, relapses = await doctors
    return {
        "asked": _WHOLE + _HALF,
        "answered": sum(map(len, inside.seconds.values())),
        "images": inside.images,
        "swapped": inside.swapped,
        "unexpected": dict(inside.unexpected),
        "late": dict(late.expected + late.unexpected),
        "late_answered": late.images,
        "health": dict(said),
        "well_again": relapses,
    }
