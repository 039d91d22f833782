"""Find what is fastest here by computing the first images of a pass, and keep what came out."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from frostline.compute.engines.base import Engine, FirstImages, run_batches
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.core.preprocessing import FloatArray, UInt8Array

#: batches that are tried, and one more at which an image must have the same bits
BATCHES = (1, 2, 4, 8)
_SAME_BITS_AT = (1, 2, 4, 8, 16)
#: images of one measurement, at least; each is made twice
_TIMED_IMAGES = 32
_ROUNDS = 2
#: an engine that takes this many times as long as another will not win by being timed again
_OUT_OF_THE_RACE = 1.5
#: a smaller gain is noise as often as not: then the usual batch stays
_CLEARLY_FASTER = 0.95
#: fewer lanes also look good while something else runs beside, and are bad ever after
_CLEARLY_FASTER_LANES = 0.85
#: share of the processor that lanes must have had for their number to be judged
_UNDISTURBED = 0.8


@dataclass(frozen=True)
class Seconds:
    """What an image took: wall seconds, and those of the processor."""

    wall: float = float("inf")
    processor: float = float("inf")

    def least(self, other: Seconds) -> Seconds:
        """Return the less of each."""
        return Seconds(min(self.wall, other.wall), min(self.processor, other.processor))


@dataclass
class Started:
    """An engine that has computed the first images of a pass.

    ``results``: of these images, in their order. ``seconds``: the least that one of them took.
    """

    engine: Engine
    results: list[FloatArray] = field(default_factory=list)
    seconds: Seconds = Seconds()

    @property
    def rate(self) -> float:
        """Images a second, where nothing else runs beside."""
        return self.engine.concurrent_batches / self.seconds.processor

    def go_on(self, images: FirstImages, count: int, engine: Engine | None = None) -> Seconds:
        """Compute the images up to ``count``; return what one of them took.

        ``engine``: the same engine with another batch or other lanes.
        """
        fresh = images.up_to(count)[len(self.results) :]
        if not fresh:
            return Seconds()
        began, wall = time.process_time(), time.perf_counter()
        found = run_batches(engine or self.engine, ((None, image) for image in fresh))
        self.results += [result for _, result in found]
        # whatever other processes do, an image takes equally much of the processor
        spent = time.process_time() - began
        seconds = Seconds((time.perf_counter() - wall) / len(fresh), spent / len(fresh))
        self.seconds = self.seconds.least(seconds)
        return seconds


def race(started: Sequence[Started], images: FirstImages, deadline: float) -> None:
    """Let engines compute the same images, and note what an image takes.

    ``deadline``: on the clock of :func:`time.perf_counter`; by then all stop that have computed
    something. The results of all but the fastest are lost.
    """
    done = max(len(one.results) for one in started)
    for one in started:
        one.go_on(images, done)
        # its first images found an engine that was cold
        one.seconds = Seconds()
    for turn in range(_ROUNDS):
        done += _TIMED_IMAGES
        # who comes first has decoders beside it
        for one in started[:: -1 if turn else 1]:
            least = min(other.seconds.processor for other in started)
            hopeless = one.seconds.processor > _OUT_OF_THE_RACE * least
            if turn and (hopeless or time.perf_counter() > deadline):
                continue
            one.go_on(images, done)


def tune(started: Started, images: FirstImages) -> bool:
    """Give an engine the batch and the lanes with which it is fastest, while it computes.

    Every image is computed once. The batch changes only where no bit of a result turns on it: where
    a test on these images says so; the number of lanes never changes a bit. At most half of a pass
    is spent on this; returns whether it is long enough.
    """
    usual, lanes = started.engine, started.engine.concurrent_batches
    # other engines are opened for one batch
    free = isinstance(usual, OnnxEngine)
    batches = sorted({*BATCHES, usual.batch}) if free else [usual.batch]
    needed = [max(_TIMED_IMAGES, batch * lanes) for batch in (*batches, *batches[-1:] * 2)]
    if len(started.results) + _ROUNDS * sum(needed) > (images.total or 0) / 2:
        return False
    if free and not same_bits_at_any_batch(usual, images.up_to(max(_SAME_BITS_AT))):
        batches = [usual.batch]
    seconds = _measured(started, images, [(batch, lanes) for batch in batches], rounds=_ROUNDS)
    batch = min(batches, key=lambda batch: seconds[batch, lanes].processor)
    found, usually = seconds[batch, lanes], seconds[usual.batch, lanes]
    if found.processor > _CLEARLY_FASTER * usually.processor:
        batch, found = usual.batch, usually
    if lanes > 1:
        # half the lanes cost half the speed while they are tried
        both = _measured(started, images, [(batch, lanes), (batch, lanes // 2)], rounds=1)
        wide, narrow = both.values()
        undisturbed = wide.processor > _UNDISTURBED * lanes * wide.wall
        if undisturbed and narrow.wall < _CLEARLY_FASTER_LANES * wide.wall:
            lanes, found = lanes // 2, narrow
    started.engine, started.seconds = paced(usual, batch, lanes), found
    return True


def paced(engine: Engine, batch: int, lanes: int) -> Engine:
    """Return an engine of the same weights and memory with another batch and other lanes."""
    other = copy.copy(engine)
    other.batch, other.concurrent_batches = batch, lanes
    return other


def same_bits_at_any_batch(engine: Engine, images: Sequence[UInt8Array]) -> bool:
    """Whether 16 images have the same bits at batches of 1, 2, 4, 8 and 16, beside others."""
    whole = max(_SAME_BITS_AT)
    if len(images) < whole:
        return False
    given = np.stack(images[:whole])
    starts = np.cumsum((0, *_SAME_BITS_AT))
    parts = [given, *(given[a:b] for a, b in pairwise(starts[:-1]))]
    with ThreadPoolExecutor(engine.concurrent_batches) as pool:
        expected, *found = pool.map(engine.run, parts)
    together = np.concatenate(found)
    return np.array_equal(together, expected[: len(together)])


def _measured(
    started: Started,
    images: FirstImages,
    ways: Sequence[tuple[int, int]],
    *,
    rounds: int,
) -> dict[tuple[int, int], Seconds]:
    """Return what an image takes with batches and lanes, the least of a few times each."""
    seconds = dict.fromkeys(ways, Seconds())
    for turn in range(rounds):
        for batch, lanes in list(ways)[:: -1 if turn else 1]:
            count = len(started.results) + max(_TIMED_IMAGES, batch * lanes)
            found = started.go_on(images, count, paced(started.engine, batch, lanes))
            seconds[batch, lanes] = seconds[batch, lanes].least(found)
    return seconds
