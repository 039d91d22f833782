"""Clients that mean no good, or do not know what they do; beside those of ``loading``."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

from benchmarks.serving.clients import Client, Crowd
from benchmarks.serving.clients import everybody as ordinary
from benchmarks.serving.wire import request

#: connections that a slow loris holds open at a time
_HELD = 20
#: what is no request, or a strange one, and the status it may get; none where the service hangs up
_NONSENSE = (
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", (b"400", b"")),
    (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", (b"400", b"")),
    (b"GET /health HTTP/9.9\r\n\r\n", (b"400", b"")),
    # long, but it came at once and is forgotten at once
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", (b"200", b"400")),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9_000_000, (b"400", b"")),
)


class Abusers(Crowd):
    """Clients that misbehave until a time is over.

    ``health`` counts what ``/health`` said by status, ``health_seconds`` how long that took, and
    ``ended`` the connections of the slow loris that the service closed.
    """

    def __init__(self, *crowd: Any) -> None:
        super().__init__(*crowd)
        self.health: dict[str, int] = {}
        self.health_seconds: list[float] = []
        self.ended = 0

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
        """What is no request at all."""
        chance = random.Random(seed)
        while self._going_on:
            raw, allowed = chance.choice(_NONSENSE)
            said = await self._raw(raw)
            self._count(said in allowed, f"{raw[:30]!r}: {said!r}", "no HTTP, or strange")
            await asyncio.sleep(0.3)

    async def elsewhere(self, seed: int) -> None:
        """Paths, methods and types that there are not."""
        chance = random.Random(seed)
        whole = request("/predict", self.material.good[:1])
        asked = (
            (b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
            (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
            (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
            (b"PUT /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"405"),
            (b"GET /predict HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
            (whole.replace(b"multipart/form-data", b"application/json"), b"415"),
            (whole.replace(b"Content-Type: multipart/form-data", b"X-Nothing: x", 1), b"415"),
            (whole.replace(b"; boundary=frostline-load", b"", 1), b"400"),
            (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"400"),
        )
        while self._going_on:
            raw, right = chance.choice(asked)
            said = await self._raw(raw)
            # a form without its boundary may be called a wrong type as well
            self._count(
                said == right or {said, right} <= {b"400", b"415", b"403", b"421"},
                f"{raw[:30]!r}: {said!r} instead of {right!r}",
                "wrong path, method or type",
            )
            await asyncio.sleep(0.2)

    async def doctor(self, seed: int) -> None:
        """Asks for the health five times a second."""
        del seed
        while self._going_on:
            began = time.perf_counter()
            said = await asked_health(self.place.host, self.place.port)
            self.health_seconds.append(time.perf_counter() - began)
            self.health[said] = self.health.get(said, 0) + 1
            await asyncio.sleep(0.2)

    async def _drip(self, seed: int) -> None:
        chance = random.Random(seed)
        while self._going_on:
            reader, writer = await asyncio.open_connection(self.place.host, self.place.port)
            writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            try:
                while self._going_on:
                    writer.write(b"z")
                    await writer.drain()
                    await asyncio.sleep(chance.uniform(0.3, 1.0))
                    if reader.at_eof():
                        raise ConnectionError("ended")
            except ConnectionError:
                self.ended += 1
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

    def _count(self, right: bool, wrong: str, kind: str) -> None:
        if right:
            self.tally.expected[kind] += 1
        else:
            self.tally.unexpected[wrong] += 1


async def asked_health(host: str, port: int) -> str:
    """What the service says of itself on a connection of its own, or how it cannot be asked."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    except ConnectionError as error:
        return type(error).__name__
    if not body:
        return "no answer"
    return f"{head.split()[1].decode()} {json.loads(body)['status']}"


def everybody(crowd: Abusers) -> list[Client]:
    """Return all clients: those of the ordinary load, and one of each that misbehaves."""
    return [
        *ordinary(crowd, 4),
        *(crowd.burst, crowd.loris, crowd.nonsense, crowd.elsewhere, crowd.doctor),
    ]
