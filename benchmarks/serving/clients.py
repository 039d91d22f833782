"""Clients of every kind, each in its own loop, each checking what it is told."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from benchmarks.serving.material import File, Material
from benchmarks.serving.wire import Place, ask, leave, request

#: largest accepted distance of a probability from what the model alone says
TOLERANCE = 1e-3
_TRIES_LATER = 503


class Tally:
    """What all clients saw.

    Attributes
    ----------
    seconds : dict of str to list of float
        For every answer, by kind of client.
    expected : Counter
        Errors that had to come, by kind.
    unexpected : Counter
        Anything else, in words.
    swapped : int
        Answers that belong to another image, or to none.
    images : int
        Images that were classified.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.expected: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.swapped = 0
        self.images = 0


class Crowd:
    """Clients that go on until a time is over.

    Parameters
    ----------
    place : Place
    material : Material
    tally : Tally
    until : float
        On the clock of ``time.monotonic``.
    """

    def __init__(self, place: Place, material: Material, tally: Tally, until: float) -> None:
        self.place, self.material, self.tally, self.until = place, material, tally, until

    async def valid(self, seed: int) -> None:
        """One good image after the other."""
        chance = random.Random(seed)
        while self._going_on:
            await self._classify("one image", [chance.choice(self.material.good)])

    async def several(self, seed: int) -> None:
        """Ten good images in a request."""
        chance = random.Random(seed)
        while self._going_on:
            await self._classify("ten images", chance.sample(self.material.good, 10))

    async def large(self, seed: int) -> None:
        """Photographs of 12 megapixels."""
        chance = random.Random(seed)
        while self._going_on:
            await self._classify("12 megapixels", [chance.choice(self.material.large)])
            await asyncio.sleep(0.5)

    async def slow(self, seed: int) -> None:
        """A good image, in pieces over three seconds."""
        chance = random.Random(seed)
        while self._going_on:
            files = [chance.choice(self.material.good)]
            await self._classify("over 3 seconds", files, pieces=10, seconds=3.0)

    async def broken(self, seed: int) -> None:
        """Broken files, each beside a good one that must not suffer."""
        chance = random.Random(seed)
        for bad, kind in itertools.cycle(self.material.broken):
            if not self._going_on:
                return
            good = chance.choice(self.material.good)
            answer = await self._timed("broken beside good", request("/predict", [bad, good]))
            if answer is not None:
                first, second = answer["results"]
                self._must("error" in first and first["error"]["kind"] == kind, kind)
                self._check([good], [second])
            await asyncio.sleep(0.1)

    async def wrong(self, seed: int) -> None:
        """Requests that are refused as a whole."""
        chance = random.Random(seed)
        wrong = [
            (request("/predict", self.material.good[:1], field="file"), "wrong_field"),
            (request("/predict", self.material.good[:1] * 150), "too_many_files"),
            (request("/predict", []), "no_files"),
            (request("/predict?tpo=1", self.material.good[:1]), "unknown_parameter"),
            (request("/predict", [("large.bin", bytes(60_000_000))] * 2), "request_too_large"),
        ]
        while self._going_on:
            raw, kind = chance.choice(wrong)
            answer = await self._timed("refused", raw, refused=True)
            if answer is not None:
                self._must(answer["error"]["kind"] == kind, kind)
            await asyncio.sleep(0.5)

    async def leaving(self, seed: int) -> None:
        """Clients that hang up at any point."""
        chance = random.Random(seed)
        while self._going_on:
            raw = request("/predict", chance.sample(self.material.good, 5))
            try:
                await leave(self.place, raw, chance.randint(1, len(raw)))
            except OSError as error:
                self.tally.unexpected[f"leaving: {type(error).__name__}"] += 1
            await asyncio.sleep(0.1)

    async def heat(self, seed: int) -> None:
        """A heat map every ten seconds."""
        chance = random.Random(seed)
        while self._going_on:
            file = chance.choice(self.material.good)
            answer = await self._timed("heat map", request("/explain", [file]))
            if answer is not None:
                row = self.material.rows[file[0]]
                self._must(abs(answer["probability"] - row.max()) < TOLERANCE, None)
            await asyncio.sleep(10)

    @property
    def _going_on(self) -> bool:
        return time.monotonic() < self.until

    async def _classify(self, kind: str, files: list[File], **how: Any) -> None:
        answer = await self._timed(kind, request("/predict", files), **how)
        if answer is not None:
            self._check(files, answer["results"])

    async def _timed(
        self, kind: str, raw: bytes, *, refused: bool = False, **how: Any
    ) -> dict[str, Any] | None:
        """Ask and note the time; None when there is nothing to check."""
        began = time.perf_counter()
        try:
            status, answer = await ask(self.place, raw, **how)
        except OSError as error:
            self.tally.unexpected[f"{kind}: {type(error).__name__}"] += 1
            return None
        if status == _TRIES_LATER:
            self.tally.expected["busy (503)"] += 1
            await asyncio.sleep(1)
            return None
        self.tally.seconds[kind].append(time.perf_counter() - began)
        if (status == 200) == refused:
            self.tally.unexpected[f"{kind}: status {status}"] += 1
            return None
        found: dict[str, Any] = answer
        return found

    def _must(self, right: bool, kind: str | None) -> None:
        if not right:
            self.tally.unexpected[f"wrong answer about {kind or 'a heat map'}"] += 1
        elif kind is not None:
            self.tally.expected[kind] += 1

    def _check(self, files: list[File], results: list[dict[str, Any]]) -> None:
        for (name, _), result in zip(files, results, strict=True):
            shares = result.get("probabilities")
            if shares is None:
                self.tally.unexpected[f"no answer: {result['error']['kind']}"] += 1
                continue
            found = np.array([shares[label] for label in self.material.classes])
            far = np.abs(found - self.material.rows[name]).max() > TOLERANCE
            self.tally.swapped += bool(far or result["name"] != name)
            self.tally.images += 1


Client = Callable[[int], Coroutine[None, None, None]]


def everybody(crowd: Crowd, n_valid: int) -> list[Client]:
    """Return all clients of the mixed load: ``n_valid`` ordinary ones and one of each other."""
    others = (
        *(crowd.several, crowd.large, crowd.slow, crowd.slow, crowd.broken),
        *(crowd.wrong, crowd.leaving, crowd.heat),
    )
    return [*[crowd.valid] * n_valid, *others]
