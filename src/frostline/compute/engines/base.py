"""What an engine is, which part of a network it runs, and how images pass through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from torch import nn

from frostline.backbones.network import Network
from frostline.compute.cache.fact import digest_of
from frostline.core.preprocessing import FloatArray, Preprocessing, UInt8Array

T = TypeVar("T")


class Engine(Protocol):
    """Runs one frozen part of a network.

    Attributes
    ----------
    name : str
        Such as ``"onnxruntime-fp32"``.
    batch : int
        Number of images that every call gets.
    lanes : int
        Calls that may run at the same time, from threads of their own: where operators gain
        little from several threads, several batches side by side gain more.
    """

    name: str
    batch: int
    lanes: int

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...)."""
        ...


@dataclass(frozen=True)
class FrozenPart:
    """A part of a network that nobody will change while it is used.

    Attributes
    ----------
    module : nn.Module
        Normalised float32 images (n, 3, size, size) to one float tensor (n, ...).
    preprocessing : Preprocessing
    key : str
        Stands for the weights, the preprocessing and what the module computes.
    blocks : tuple of slice
        Columns that are compared on their own when two engines are checked against each other;
        empty: the whole result is one block.
    """

    module: nn.Module
    preprocessing: Preprocessing
    key: str
    blocks: tuple[slice, ...] = ()


def part_key(network: Network, what: str, names: Sequence[str]) -> str:
    """Return what stands for a part's weights, its preprocessing and what it computes."""
    return digest_of([network.weights_id, network.preprocessing, what, list(names)])


def taps_part(network: Network, taps: Sequence[str]) -> FrozenPart:
    """Return the part that gives the pooled activations at ``taps``, side by side."""
    body = network.body(taps)
    key = part_key(network, "taps", list(body.slices))
    return FrozenPart(body, network.preprocessing, key, tuple(body.slices.values()))


def prefix_part(network: Network, cut: str) -> FrozenPart:
    """Return the part from the image to the activations at ``cut``."""
    name = network.cut(cut).name
    key = part_key(network, "prefix", [name])
    return FrozenPart(network.prefix(name), network.preprocessing, key)


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


def through(
    engine: Engine, images: Iterable[tuple[T, UInt8Array]], times: PassTimes | None = None
) -> Iterator[tuple[T, FloatArray]]:
    """Run images one batch at a time; yield each item's tag with its own result, in order.

    Every call of the engine gets a full batch, the last one padded with blank images: libraries
    choose their kernels by batch size, and an image must get the same bits whatever else is
    computed beside it.

    Parameters
    ----------
    engine : Engine
    images : iterable of (tag, uint8 array of shape (size, size, 3))
        Read lazily, as many batches ahead of what is yielded as the engine has lanes, and one.
    times : PassTimes or None, default=None
        Gets the seconds added.
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
    if engine.lanes == 1:
        # in the caller's thread: libraries keep a team of threads for every thread that calls them
        while chunk := _next(source, engine.batch, spent):
            began = time.perf_counter()
            results = engine.run(_full_batch(chunk, engine.batch))
            spent.computing += time.perf_counter() - began
            yield chunk, results
        return
    running: deque[tuple[list[tuple[T, UInt8Array]], Future[FloatArray]]] = deque()
    pool = ThreadPoolExecutor(engine.lanes, thread_name_prefix="frostline-engine")
    try:
        while True:
            chunk = _next(source, engine.batch, spent)
            if chunk:
                running.append((chunk, pool.submit(engine.run, _full_batch(chunk, engine.batch))))
            # one batch waits for the next free lane, so that no lane waits for images
            while running and (not chunk or len(running) > engine.lanes):
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
