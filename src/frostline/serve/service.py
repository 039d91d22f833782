"""The work behind the endpoints: decode in threads, compute in batches, answer in order."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image

from frostline.core.errors import UnreadableImageError, did_you_mean
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.model.model import Model, Probabilities
from frostline.model.prediction import Computed, told
from frostline.serve.batching import Batcher
from frostline.serve.heat_picture import overlay, picture_of
from frostline.serve.limits import Limits
from frostline.serve.memory import Memory, Share
from frostline.serve.metrics import Metrics
from frostline.serve.occlusion import Occlusion
from frostline.serve.problem_details import Problem, RequestError, busy, image_problem
from frostline.serve.response_schemas import Classified, Explanation, Unclassified
from frostline.serve.uploads import Upload
from frostline.wording.tasks import TASKS

T = TypeVar("T")

#: seconds in which a request that was sent before the service began to stop should have been seen
_ON_THEIR_WAY = 1.0


class Service:
    """One model that many requests share.

    ``memory``: bytes of uploads that are held. ``queue``: images that wait or are worked on.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.metrics = Metrics()
        self.memory = Memory(limits.max_held_bytes)
        self.queue = 0
        self._explanations = 0
        self._draining = False
        self._refuse_from = 0.0
        self._closed = False
        self._seconds_an_image = 0.0
        self._decoders = ThreadPoolExecutor(
            min(available_cores(), 8), thread_name_prefix="frostline-decode"
        )
        self._batcher = Batcher(
            lambda images: model.answer_prepared(images).each(),
            size=limits.batch,
            wait=limits.wait_ms / 1000,
            on_batch=self._batch_done,
        )
        self.metrics.queue.set_function(lambda: self.queue)
        self.metrics.held.set_function(lambda: self.memory.held)

    @property
    def stopping(self) -> bool:
        """Whether no new request is taken on."""
        return self._draining or self._broken

    @property
    def _broken(self) -> bool:
        """Whether nothing can be answered any more."""
        return self._closed or not self._batcher.alive

    def warm_up(self) -> None:
        """Open the model and run it once, so that the first request is as fast as any.

        Raises EngineError if ONNX Runtime cannot run the model.
        """
        size = self.model.card.preprocessing.size
        self.model.predict_prepared([np.zeros((size, size, 3), dtype=np.uint8)])

    def drain(self) -> None:
        """Refuse requests that come from now on; those that are on their way are still answered."""
        self._draining = True
        # on a busy machine a request may have been sent, and not yet seen
        self._refuse_from = time.monotonic() + _ON_THEIR_WAY

    def close(self) -> None:
        """Answer what was taken on, then stop the threads."""
        self._closed = True
        self._decoders.shutdown()
        self._batcher.close()

    def check_open(self) -> None:
        """Refuse a request that comes while the service stops.

        Raises RequestError with status 503 and the seconds after which to try again.
        """
        if self.stopping and (self._broken or time.monotonic() >= self._refuse_from):
            raise _ended()

    def check_room(self, n_images: int) -> None:
        """Refuse what would not fit into the queue.

        Raises RequestError with status 503 and the seconds after which to try again.
        """
        # not while it merely drains: a request whose images are here by now came before that
        if self._broken:
            raise _ended()
        if self.queue + n_images > self.limits.max_queue:
            raise busy(
                f"{self.queue:,} images are waiting and {n_images:,} more came",
                retry_after=self._seconds_until_free(),
            )

    async def classify(
        self, files: Sequence[Upload], share: Share, *, top: int | None = None
    ) -> list[Classified | Unclassified]:
        """Return one result for each file, in order.

        Raises RequestError with status 503 if the queue is full; FrostlineError if the model itself
        fails.

        ``files``: their content is dropped as soon as it is decoded. ``share``: from which the
        content's bytes are handed back then. ``top``: how many classes to list for each; all when
        None.
        """
        # images of one large request must not keep those of others waiting
        turns = asyncio.Semaphore(2 * self.limits.batch)

        async def one(file: Upload) -> Classified | Unclassified:
            async with turns:
                found = await self._prepare(file, share)
                if isinstance(found, Problem):
                    self.metrics.images.labels("refused").inc()
                    self.metrics.errors.labels(found.kind).inc()
                    return Unclassified(name=file.name, error=found)
                row, unfamiliarity = await self._compute(found[0])
            self.metrics.images.labels("classified").inc()
            return self._in_words(file.name, row, unfamiliarity, top)

        with self._places(len(files)):
            return await asyncio.gather(*map(one, files))

    async def explain(self, file: Upload, share: Share, *, label: str | None) -> Explanation:
        """Return where the evidence for a class lies in one image.

        Raises RequestError with status 422 for an unknown class or an image that cannot be decoded,
        503 if too many heat maps are being made.

        ``label``: the class, label or column to explain; the answer when None.
        """
        classes, words = self.model.classes, TASKS[self.model.card.task]
        if label is not None and label not in classes:
            raise RequestError(
                422,
                "unknown_label",
                name="label",
                what=f"the model has no {words.one} {label!r}. "
                f"{did_you_mean(label, classes)}".strip(),
                expected=f"one of the model's {words.many}, see /model",
            )
        with self._places(1), self._explaining():
            found = await self._prepare(file, share)
            if isinstance(found, Problem):
                self.metrics.images.labels("refused").inc()
                raise RequestError(422, **found.model_dump())
            prepared, size = found
            row, _ = await self._compute(prepared)
            index = self.model.answering.foremost(row) if label is None else classes.index(label)
            occlusion = Occlusion(prepared)
            covered = await self._covered(occlusion, index)
            whole, is_number = float(row[index]), self.model.card.target.link_name == "identity"
            found_by = occlusion.difference if is_number else occlusion.heat
            heat = found_by(whole, covered)
            preprocessing = self.model.card.preprocessing

            def shaped(square: Image.Image) -> Image.Image:
                return preprocessing.in_own_shape(square, *size)

            pictures = await self._in_thread(
                lambda: (picture_of(prepared, shaped), overlay(heat, shaped))
            )
        self.metrics.images.labels("explained").inc()
        # one value a place of the window says all there is to say
        step = heat.shape[0] / occlusion.cells
        places = ((np.arange(occlusion.cells) + 0.5) * step).astype(int)
        return Explanation(
            name=file.name,
            label=classes[index],
            probability=None if is_number else whole,
            value=whole if is_number else None,
            heat=heat[np.ix_(places, places)].round(4).tolist(),
            strongest=float(np.abs(heat).max()),
            image=pictures[0],
            overlay=pictures[1],
        )

    async def _covered(self, occlusion: Occlusion, index: int) -> list[float]:
        """One output for every variant; a few at a time, so that others pass."""
        found: list[float] = []
        variants = occlusion.variants()
        few = max(1, self.limits.batch // 2)
        while some := await self._in_thread(lambda: list(islice(variants, few))):
            rows = await asyncio.gather(*map(self._compute, some))
            found += [float(row[index]) for row, _ in rows]
        return found

    async def _prepare(
        self, file: Upload, share: Share
    ) -> tuple[UInt8Array, tuple[int, int]] | Problem:
        """Decode one upload in a thread, with its width and height; or say what is wrong."""
        if file.content is None:
            return Problem(
                kind="file_too_large",
                name=file.name,
                what=f"more than {self.limits.max_bytes:,} bytes",
                expected=f"files of at most {self.limits.max_bytes:,} bytes",
            )
        content, file.content = file.content, None
        try:
            return await self._in_thread(
                lambda: self.model.prepare_with_size(content, name=file.name)
            )
        except UnreadableImageError as error:
            return image_problem(error)
        finally:
            share.give(len(content))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def _compute(self, prepared: UInt8Array) -> tuple[Probabilities, float | None]:
        return await asyncio.wrap_future(self._batcher.submit(prepared))

    def _in_words(
        self, name: str, row: Probabilities, unfamiliarity: float | None, top: int | None
    ) -> Classified:
        found = told(Computed(name, row, unfamiliarity), self.model.answering)
        return Classified(
            name=name,
            label=found.label,
            confidence=None if math.isnan(found.confidence) else found.confidence,
            probabilities={}
            if found.value is not None
            else dict(found.top(len(row) if top is None else top)),
            unknown=found.unknown,
            unfamiliarity=unfamiliarity,
            set_95=list(found.set_95) if isinstance(found.set_95, tuple) else found.set_95,
            abstain=list(found.abstain) if isinstance(found.abstain, tuple) else found.abstain,
            labels=None if found.labels is None else list(found.labels),
            value=None
            if found.value is None
            else dict(zip(found.classes, found.value, strict=True)),
            interval=None
            if found.interval is None
            else dict(zip(found.classes, found.interval, strict=True)),
        )

    @contextmanager
    def _places(self, n_images: int) -> Iterator[None]:
        self.check_room(n_images)
        self.queue += n_images
        try:
            yield
        finally:
            self.queue -= n_images

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        if self._explanations >= self.limits.max_explanations:
            raise busy(f"{self._explanations} heat maps are being made", retry_after=5)
        self._explanations += 1
        try:
            yield
        finally:
            self._explanations -= 1

    def _batch_done(self, n_images: int, seconds: float) -> None:
        self.metrics.batches.observe(n_images)
        self.metrics.compute.inc(seconds)
        self._seconds_an_image += 0.1 * (seconds / n_images - self._seconds_an_image)

    def _seconds_until_free(self) -> int:
        """A guess from the pace of the last batches, from 1 to 60."""
        return max(1, min(60, math.ceil(self.queue * self._seconds_an_image)))


def _ended() -> RequestError:
    return busy("the service is stopping", retry_after=5)
