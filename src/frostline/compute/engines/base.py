"""What an engine is, and how images pass through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np

from frostline.core.preprocessing import FloatArray, UInt8Array

T = TypeVar("T")

#: images that engines are compared on, at most
CHECK_IMAGES = 8


class Engine(Protocol):
    """Runs one frozen part of a network.

    - ``name``: such as ``"onnxruntime-fp32"``.
    - ``batch``: number of images that every call gets.
    - ``concurrent_batches``: calls that may run at the same time, from threads of their own: where
      operators gain little from several threads, several batches side by side gain more.
    - ``fixed_batch``: the batch that it has where none is measured. An image's bits are those of
      this one: another ``batch`` is only taken where it gives the same.
    """

    name: str
    batch: int
    concurrent_batches: int
    fixed_batch: int

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...)."""
        ...


class FirstImages:
    """The first images of a pass, prepared when they are asked for and kept.

    ``total``: images of the pass; None if these are only examples. ``waiting``: seconds that were
    spent on waiting for them.
    """

    def __init__(self, source: Iterable[UInt8Array], total: int | None = None) -> None:
        self.total = total
        self.waiting = 0.0
        self._source = iter(source)
        self._taken: list[UInt8Array] = []

    def up_to(self, count: int) -> list[UInt8Array]:
        """Return the first ``count`` images (size, size, 3), or all there are."""
        began = time.perf_counter()
        self._taken.extend(islice(self._source, max(0, count - len(self._taken))))
        self.waiting += time.perf_counter() - began
        return self._taken[:count]


@dataclass
class PassTimes:
    """Where the seconds of a pass went: waiting for decoded images, or computing."""

    waiting: float = 0.0
    computing: float = 0.0
    images: int = 0

    @property
    def limited_by(self) -> str:
        """What a faster machine would need more of; empty where nothing ran."""
        if not self.images:
            return ""
        # decoding goes on while the engine computes: only what it is waited for counts
        return "decoding" if self.waiting > self.computing else "computing"


def run_parts(engine: Engine, images: UInt8Array) -> FloatArray:
    """Run images (n, size, size, 3) as they are, no more at a time than the engine takes."""
    step = engine.batch
    found = [engine.run(images[start : start + step]) for start in range(0, len(images), step)]
    return np.concatenate(found)


def run_batches(
    engine: Engine, images: Iterable[tuple[T, UInt8Array]], times: PassTimes | None = None
) -> Iterator[tuple[T, FloatArray]]:
    """Run images one batch at a time; yield each item's tag with its own result, in order.

    Every call of the engine gets a full batch, the last one padded with blank images: libraries
    choose their kernels by batch size, and an image must get the same bits whatever else is
    computed beside it.

    ``images``: a tag and pixels (size, size, 3) each; read lazily, one batch further ahead of what
    is yielded than the engine runs at once. ``times``: gets the seconds added.
    """
    spent = PassTimes() if times is None else times
    for chunk, results in _computed(engine, iter(images), spent):
        spent.images += len(chunk)
        for (tag, _), result in zip(chunk, results, strict=False):
            yield tag, result


def _computed(
    engine: Engine, source: Iterator[tuple[T, UInt8Array]], spent: PassTimes
) -> Iterator[tuple[list[tuple[T, UInt8Array]], FloatArray]]:
    """Yield batches with their results, in order."""
    if engine.concurrent_batches == 1:
        # in the caller's thread: libraries keep a team of threads for every thread that calls them
        while chunk := _next(source, engine.batch, spent):
            began = time.perf_counter()
            results = engine.run(_full_batch(chunk, engine.batch))
            spent.computing += time.perf_counter() - began
            yield chunk, results
        return
    running: deque[tuple[list[tuple[T, UInt8Array]], Future[FloatArray]]] = deque()
    pool = ThreadPoolExecutor(engine.concurrent_batches, thread_name_prefix="frostline-engine")
    try:
        while True:
            chunk = _next(source, engine.batch, spent)
            if chunk:
                running.append((chunk, pool.submit(engine.run, _full_batch(chunk, engine.batch))))
            # one batch more than can run, so that no thread waits for images
            while running and (not chunk or len(running) > engine.concurrent_batches):
                began = time.perf_counter()
                done, future = running.popleft()
                results = future.result()
                spent.computing += time.perf_counter() - began
                yield done, results
            if not chunk:
                return
    finally:
        # also reached when the consumer stops early or is interrupted
        pool.shutdown(wait=True, cancel_futures=True)


def _next(
    source: Iterator[tuple[T, UInt8Array]], count: int, spent: PassTimes
) -> list[tuple[T, UInt8Array]]:
    began = time.perf_counter()
    chunk = list(islice(source, count))
    spent.waiting += time.perf_counter() - began
    return chunk


def _full_batch(chunk: list[tuple[T, UInt8Array]], size: int) -> UInt8Array:
    batch = np.zeros((size, *chunk[0][1].shape), dtype=np.uint8)
    for place, (_, image) in enumerate(chunk):
        batch[place] = image
    return batch
