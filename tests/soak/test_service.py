"""The service under load and abuse: right answers, steady memory, ends in the middle of work."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import frostline
from benchmarks.serving.clients import Client, Crowd, Tally, everybody
from benchmarks.serving.material import Material, gather
from benchmarks.serving.service import memory_of, memory_until, served, started
from benchmarks.serving.wire import Place, get, request
from tests.soak.ground import ROUNDS

pytestmark = pytest.mark.soak
_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
#: connections that a slow loris holds open at a time
_HELD = 20
#: what is no request, or a strange one, and the status it may get; none where the service hangs up
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
_ODD: tuple[tuple[bytes, set[bytes]], ...] = (
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", {b"400", b""}),
    (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", {b"400", b""}),
    (b"GET /health HTTP/9.9\r\n\r\n", {b"400", b""}),
    # long, but it came at once and is forgotten at once
    (_GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n", {b"200", b"400"}),
    (_GET + b"X: " + b"a" * 9_000_000, {b"400", b""}),
    (_GET.replace(b" / ", b" /admin ") + b"\r\n", {b"404"}),
    (_GET.replace(b" / ", b" /../../etc/passwd ") + b"\r\n", {b"404"}),
    (_GET.replace(b" / ", b" /" + b"a" * 5000 + b" ") + b"\r\n", {b"404"}),
    (b"PUT /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", {b"405"}),
    (_GET.replace(b" / ", b" /predict ") + b"\r\n", {b"405"}),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", {b"400", b"403", b"421"}),
)


@pytest.fixture(scope="module")
def run(fast_run: Any) -> Path:
    return Path(fast_run.folder)


@pytest.fixture(scope="module")
def material(run: Path) -> Material:
    return gather(frostline.load(run))


class Abusers(Crowd):
    """Clients that mean no good, or do not know what they do."""

    def __init__(self, *crowd: Any) -> None:
        super().__init__(*crowd)
        self.health: Counter[str] = Counter()

    async def burst(self, seed: int) -> None:
        """Thirty small requests at once, again and again."""
        chance = random.Random(seed)
        while self._going_on:
            files = [chance.choice(self.material.good) for _ in range(30)]
            await asyncio.gather(*(self._classify("thirty at once", [file]) for file in files))
            await asyncio.sleep(1)

    async def loris(self, seed: int) -> None:
        """Connections whose headers never end, one letter at a time."""
        await asyncio.gather(*(self._drip(seed + i) for i in range(_HELD)))

    async def nonsense(self, seed: int) -> None:
        """What is no request, and paths, methods and types that there are not."""
        whole = request("/predict", self.material.good[:1])
        forms = (
            (whole.replace(b"multipart/form-data", b"application/json"), {b"415"}),
            (whole.replace(b"Content-Type: multipart/form-data", b"X-No: x", 1), {b"415"}),
            # a form without its boundary may be called a wrong type as well
            (whole.replace(b"; boundary=frostline-load", b"", 1), {b"400", b"415"}),
        )
        chance = random.Random(seed)
        while self._going_on:
            raw, right = chance.choice((*_ODD, *forms))
            said = await self._raw(raw)
            if said not in right:
                self.tally.unexpected[f"{raw[:30]!r}: {said!r} instead of {right!r}"] += 1
            await asyncio.sleep(0.2)

    async def doctor(self, seed: int) -> None:
        """Asks for the health five times a second."""
        del seed
        while self._going_on:
            self.health[await asked_health(self.place)] += 1
            await asyncio.sleep(0.2)

    async def _drip(self, seed: int) -> None:
        chance = random.Random(seed)
        while self._going_on:
            reader, writer = await asyncio.open_connection(self.place.host, self.place.port)
            writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            try:
                while self._going_on and not reader.at_eof():
                    writer.write(b"z")
                    await writer.drain()
                    await asyncio.sleep(chance.uniform(0.3, 1.0))
            except ConnectionError:
                continue
            finally:
                writer.close()

    async def _raw(self, raw: bytes) -> bytes:
        """Send bytes; return the status of the answer, nothing if there was none."""
        reader, writer = await asyncio.open_connection(self.place.host, self.place.port)
        try:
            writer.write(raw)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 60)
        except ConnectionError:
            return b""
        except TimeoutError:
            return b"no answer"
        finally:
            writer.close()
        return line.split()[1] if line.startswith(b"HTTP/") else line


async def asked_health(place: Place) -> str:
    """What the service says of itself on a connection of its own, or how it cannot be asked."""
    try:
        reader, writer = await asyncio.open_connection(place.host, place.port)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    except ConnectionError as error:
        return type(error).__name__
    return f"{head.split()[1].decode()} {json.loads(body)['status']}" if body else "no answer"


def test_a_crowd_of_abusers_changes_no_answer(
    run: Path, material: Material, tmp_path: Path
) -> None:
    async def crowd(place: Place) -> tuple[Abusers, list[float]]:
        # every image once, so that memory of the engine is taken before it is compared
        warm = Abusers(place, material, Tally(), time.monotonic() + 5)
        await asyncio.gather(warm.several(0), warm.large(1))
        found = Abusers(place, material, Tally(), time.monotonic() + _SECONDS)
        clients: list[Client] = [
            *everybody(found, 4),
            *(found.burst, found.loris, found.nonsense, found.doctor),
        ]
        watch = asyncio.ensure_future(memory_until(place, found.until))
        await asyncio.gather(*(client(seed) for seed, client in enumerate(clients)))
        return found, [*(await watch), await memory_of(place)]

    with served(run, tmp_path / "log.txt") as place:
        found, memory = asyncio.run(crowd(place))
    tally = found.tally
    assert tally.images > 0
    assert tally.swapped == 0
    assert not tally.unexpected
    assert set(found.health) == {"200 ok"}
    assert not (tmp_path / "log.txt").read_text().replace("Ctrl-C stops it.", "").strip()
    middle, last = (float(np.mean(part)) for part in np.array_split(np.array(memory), 3)[1:])
    assert last < 1.1 * middle


@pytest.mark.parametrize("seed", range(2 * ROUNDS))
def test_who_is_inside_when_it_stops_gets_an_answer(
    run: Path, material: Material, seed: int, tmp_path: Path
) -> None:
    with started(run, tmp_path / "log.txt") as (place, process):
        inside, late, said = asyncio.run(_stopped(place, process, material, seed))
        assert process.wait(90) == 0
    assert not inside.unexpected
    assert inside.swapped == 0
    # on a busy machine some are first seen after the signal, and told to come back
    assert sum(map(len, inside.seconds.values())) + inside.expected["busy (503)"] == 9
    assert late.images == 0
    # nobody is told that all is well once it has said that it stops
    assert said.count("503 stopping") > 0
    assert "200 ok" not in said[said.index("503 stopping") :]
    assert not (tmp_path / "log.txt").read_text().replace("Ctrl-C stops it.", "").strip()


async def _stopped(
    place: Place, process: subprocess.Popen[str], material: Material, seed: int
) -> tuple[Tally, Tally, list[str]]:
    """Send SIGTERM while six requests are inside and half of three more has come."""
    chance, inside, late = random.Random(seed), Tally(), Tally()
    crowd = Crowd(place, material, inside, time.monotonic() + 120)
    signalled = asyncio.Event()

    async def half() -> None:
        files = chance.sample(material.good, 5)
        raw = request("/predict", files)
        reader, writer = await asyncio.open_connection(place.host, place.port, limit=2**24)
        writer.write(raw[: len(raw) // 2])
        await signalled.wait()
        await asyncio.sleep(3)
        writer.write(raw[len(raw) // 2 :])
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if b" 200 " not in head.splitlines()[0]:
            inside.unexpected[f"half a request: {head!r}"] += 1
            return
        inside.seconds["half"].append(0.0)
        crowd._check(files, json.loads(body)["results"])

    async def doctor() -> list[str]:
        await signalled.wait()
        said: list[str] = []
        while process.poll() is None and (not said or "Error" not in said[-1]):
            said.append(await asked_health(place))
            await asyncio.sleep(0.05)
        return said

    async def latecomer() -> None:
        await signalled.wait()
        await asyncio.sleep(2)
        mine = Crowd(place, material, late, time.monotonic() + 60)
        await mine._classify("late", material.good[:1])

    whole = [crowd._classify("whole", chance.sample(material.good, 20)) for _ in range(6)]
    work = asyncio.gather(*whole, *(half() for _ in range(3)), latecomer())
    health = asyncio.ensure_future(doctor())
    while json.loads(await get(place, "/health"))["queue"] < 20:
        await asyncio.sleep(0.01)
    # all halves have been sent by now
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    signalled.set()
    await work
    return inside, late, await health
