"""One model with everything that works for it: requests keep the one that they began with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.preprocessing import UInt8Array
from frostline.model.model import Model
from frostline.model.prediction import Computed, Neighbour, Prediction, told
from frostline.serve.answer_counts import AnswerCounts
from frostline.serve.batching import Batcher
from frostline.serve.limits import Limits
from frostline.serve.opening import fingerprint_of, warm_up
from frostline.serve.response_schemas import Classified, NearestImage
from frostline.serve.watching import StreamWatch


class Computation(NamedTuple):
    """What the network says of one image.

    ``row``: probabilities (C,). ``taps``: what passed at the depths of a watch, if there is one.
    ``embedding``: what the head reads, shape (d,), where that was asked for. ``nearest``: training
    images that it is most like, where these are named.
    """

    row: FloatArray
    unfamiliarity: float | None
    taps: Sequence[npt.NDArray[np.float32]] | None = None
    embedding: npt.NDArray[np.float32] | None = None
    nearest: tuple[Neighbour, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One picture that ``/predict`` answered.

    - ``prepared``: what the network saw, uint8 of shape (size, size, 3).
    - ``prediction``: what was told.
    """

    prepared: UInt8Array
    prediction: Prediction


#: told of every picture that was answered, one after the other and on the event loop: it must be
#: quick and never raise
Listener = Callable[[Answered], None]
#: names the training images that some embeddings, shape (n, d), are most like
FindNearest = Callable[[npt.NDArray[np.float32]], Sequence[tuple[Neighbour, ...]]]


class ServedModel:
    """A model, the thread that computes for it, and what was seen of its answers.

    A request that began with one model ends with it, whatever is served by then: all it is told
    comes from one, and :attr:`fingerprint` says which. Not for several threads: for one event loop.

    - ``loaded``: when that was, ISO 8601, UTC.
    - ``on_batch``: told the number of images and the seconds of every batch.
    - ``watch``: of the pictures that it answers; None for none.
    - ``listeners``: told of every answer of this model; a new one starts with new listeners.
    - ``find_nearest``: names training images beside every embedding; None names none.
    """

    def __init__(
        self,
        model: Model,
        limits: Limits,
        *,
        on_batch: Callable[[int, float], None],
        watch: StreamWatch | None = None,
        listeners: Sequence[Listener] = (),
        find_nearest: FindNearest | None = None,
    ) -> None:
        self.model = model
        self.fingerprint = fingerprint_of(model.card)
        self.loaded = datetime.now(UTC).isoformat(timespec="seconds")
        self.counts = AnswerCounts(model.card)
        self.watch = watch
        self.find_nearest = find_nearest
        self._listeners: tuple[Listener, ...] = (
            lambda one: self.counts.answered(one.prediction),
            *listeners,
        )
        self._users = 0
        wait, size = limits.wait_ms / 1000, limits.batch
        self._batcher = Batcher(self._run, size=size, wait=wait, on_batch=on_batch)
        # opens a session of its own, when somebody asks
        self._embedder = Batcher(self._run_embedding, size=size, wait=wait, on_batch=on_batch)

    @property
    def alive(self) -> bool:
        """Whether somebody computes."""
        return self._batcher.alive and self._embedder.alive

    @property
    def in_use(self) -> bool:
        """Whether a request is being answered by it."""
        return self._users > 0

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the model until the block ends."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def submit(self, prepared: UInt8Array, *, embedding: bool = False) -> Future[Computation]:
        """Queue one prepared image; ``embedding``: what the head reads is wanted as well."""
        return (self._embedder if embedding else self._batcher).submit(prepared)

    def told(self, name: str, computed: Computation) -> Prediction:
        """Say in classes what the network computed for one image."""
        found = Computed(name, computed.row, computed.unfamiliarity, computed.embedding)
        return replace(told(found, self.model.answering), nearest=computed.nearest)

    def heard(self, prepared: UInt8Array, prediction: Prediction, computed: Computation) -> None:
        """Tell the watch and the listeners of an answer."""
        if self.watch is not None and computed.taps is not None:
            self.watch.see(prepared, computed.taps, computed.unfamiliarity)
        for listener in self._listeners:
            listener(Answered(prepared, prediction))

    def _run(self, images: list[UInt8Array]) -> Iterator[Computation]:
        if self.watch is not None:
            return (Computation(*one) for one in self.watch.model.answer_prepared(images).each())
        answered = self.model.answer_prepared(images).each()
        return (Computation(one.row, one.unfamiliarity) for one in answered)

    def _run_embedding(self, images: list[UInt8Array]) -> Iterator[Computation]:
        found = list(self._embedded(images))
        if self.find_nearest is None:
            return iter(found)
        vectors = [one.embedding for one in found if one.embedding is not None]
        named = self.find_nearest(np.stack(vectors))
        return (one._replace(nearest=near) for one, near in zip(found, named, strict=True))

    def _embedded(self, images: list[UInt8Array]) -> Iterator[Computation]:
        answered = self.model.answer_prepared(images, embeddings=True).each()
        if self.watch is None:
            return (Computation(*one[:2], embedding=one.embedding) for one in answered)
        # what is watched, and told, is the same as for everybody else
        both = zip(self._run(images), answered, strict=True)
        return (one._replace(embedding=other.embedding) for one, other in both)

    def warm_up(self) -> None:
        """Open the graph and run it once, so that the first request is as fast as any.

        Raises EngineError if ONNX Runtime cannot run the model.
        """
        if self.watch is None:
            warm_up(self.model)
            return
        size = self.model.card.preprocessing.size
        self.watch.model.answer_prepared([np.zeros((size, size, 3), dtype=np.uint8)])

    def close(self) -> None:
        """Answer what is queued, then end the thread."""
        self._batcher.close()
        self._embedder.close()


def in_words(found: Prediction, *, top: int | None = None) -> Classified:
    """Return a prediction as it is sent; ``top``: how many classes to list, all when None."""
    listed = len(found.probabilities) if top is None else top
    value, interval = found.value, found.interval
    return Classified(
        name=found.name,
        label=found.label,
        confidence=None if math.isnan(found.confidence) else found.confidence,
        probabilities={} if value is not None else dict(found.top(listed)),
        unknown=found.unknown,
        unfamiliarity=found.unfamiliarity,
        set_95=list(found.set_95) if isinstance(found.set_95, tuple) else found.set_95,
        abstain=list(found.abstain) if isinstance(found.abstain, tuple) else found.abstain,
        labels=None if found.labels is None else list(found.labels),
        value=None if value is None else dict(zip(found.classes, value, strict=True)),
        interval=None if interval is None else dict(zip(found.classes, interval, strict=True)),
        embedding=None if found.embedding is None else found.embedding.tolist(),
        nearest=None
        if found.nearest is None
        else [NearestImage(**asdict(one)) for one in found.nearest],
    )
