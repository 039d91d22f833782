"""The work behind the endpoints: decode in threads, compute in batches, answer in order."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image

from frostline.core.errors import FrostlineError, InputError, UnreadableImageError
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.model.model import Model
from frostline.serve.corrections import check_names, read_correction
from frostline.serve.feedback import Feedback
from frostline.serve.heat_picture import overlay, picture_of
from frostline.serve.limits import Limits
from frostline.serve.memory import Memory, Share
from frostline.serve.metrics import Metrics
from frostline.serve.model_slot import ModelSlot
from frostline.serve.occlusion import Occlusion
from frostline.serve.problem_details import Problem, RequestError, busy, image_problem
from frostline.serve.response_schemas import (
    Classified,
    Explanation,
    Judged,
    Predictions,
    Reloaded,
    Unclassified,
)
from frostline.serve.served_model import Computation, FindNearest, Listener, ServedModel, in_words
from frostline.serve.uploads import Upload
from frostline.serve.watching import StreamWatch

T = TypeVar("T")

#: seconds in which a request that was sent before the service began to stop should have been seen
_ON_THEIR_WAY = 1.0


class Service:
    """A model that many requests share, and that another one can follow.

    - ``memory``: bytes of uploads that are held. ``queue``: images that wait or are worked on.
    - ``load``: opens the model that :meth:`reload` is to serve; None where none can follow.
    - ``feedback``: takes what people say of answers; None takes nothing.
    - ``watch``: chance of ever raising a false alarm that pictures are no longer what the model
      learned from; None watches nothing.
    - ``listeners``: makes what is told of the answers of a model, anew for each. A model is refused
      where it raises FrostlineError, and may be loaded again in a thread.
    - ``open_nearest``: makes what names training images beside the answers of a model, anew for
      each; None names none.
    """

    def __init__(
        self,
        model: Model,
        limits: Limits,
        *,
        load: Callable[[], Model] | None = None,
        feedback: Feedback | None = None,
        watch: float | None = None,
        listeners: Callable[[Model], Sequence[Listener]] | None = None,
        open_nearest: Callable[[Model], FindNearest] | None = None,
    ) -> None:
        self.limits = limits
        self.feedback = feedback
        self.metrics = Metrics()
        self.memory = Memory(limits.max_held_bytes)
        self.queue = 0
        self._listeners = listeners
        self._open_nearest = open_nearest
        self._false_alarms = watch
        self._explanations = 0
        self._draining = False
        self._refuse_from = 0.0
        self._closed = False
        self._seconds_an_image = 0.0
        self._decoders = ThreadPoolExecutor(
            min(available_cores(), 8), thread_name_prefix="frostline-decode"
        )
        self._slot = ModelSlot(model, self._serve, load=load, threads=self._decoders)
        self.metrics.queue.set_function(lambda: self.queue)
        self.metrics.held.set_function(lambda: self.memory.held)
        self.metrics.follow_counts(lambda: self.served.counts)
        if watch is not None:
            self.metrics.follow_watch(lambda: self.served.watch)

    @property
    def served(self) -> ServedModel:
        """What requests that come now are answered by."""
        return self._slot.served

    @property
    def model(self) -> Model:
        """The model that is served now."""
        return self.served.model

    @property
    def stopping(self) -> bool:
        """Whether no new request is taken on."""
        return self._draining or self._broken

    @property
    def _broken(self) -> bool:
        """Whether nothing can be answered any more."""
        return self._closed or not self.served.alive

    def warm_up(self) -> None:
        """Open the model and run it once, so that the first request is as fast as any.

        Raises EngineError if ONNX Runtime cannot run the model.
        """
        self.served.warm_up()

    def drain(self) -> None:
        """Refuse requests that come from now on; those that are on their way are still answered."""
        self._draining = True
        # on a busy machine a request may have been sent, and not yet seen
        self._refuse_from = time.monotonic() + _ON_THEIR_WAY

    def close(self) -> None:
        """Answer what was taken on, then stop the threads."""
        self._closed = True
        self._decoders.shutdown()
        self._slot.close()

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
        self,
        files: Sequence[Upload],
        share: Share,
        *,
        top: int | None = None,
        embeddings: bool = False,
    ) -> Predictions:
        """Return one result for each file, in order, all of one model.

        Raises RequestError with status 503 if the queue is full; FrostlineError if the model itself
        fails.

        ``files``: their content is dropped as soon as it is decoded. ``share``: from which the
        content's bytes are handed back then. ``top``: how many classes to list for each; all when
        None. ``embeddings``: whether what the head reads is told as well.
        """
        # images of one large request must not keep those of others waiting
        turns = asyncio.Semaphore(2 * self.limits.batch)

        async def one(file: Upload) -> Classified | Unclassified:
            async with turns:
                found = await self._prepare(served, file, share)
                if isinstance(found, Problem):
                    self.metrics.images.labels("refused").inc()
                    self.metrics.errors.labels(found.kind).inc()
                    return Unclassified(name=file.name, error=found)
                needed = embeddings or served.find_nearest is not None
                computed = await self._compute(served, found[0], embedding=needed)
                if not embeddings:
                    computed = computed._replace(embedding=None)
            self.metrics.images.labels("classified").inc()
            prediction = served.told(file.name, computed)
            served.heard(found[0], prediction, computed)
            return in_words(prediction, top=top)

        with self._places(len(files)), self._slot.keeping() as served:
            results = await asyncio.gather(*map(one, files))
        return Predictions(model=served.fingerprint, results=results)

    async def explain(self, file: Upload, share: Share, *, label: str | None) -> Explanation:
        """Return where the evidence for a class lies in one image.

        Raises RequestError with status 422 for an unknown class or an image that cannot be decoded,
        503 if too many heat maps are being made.

        ``label``: the class, label or column to explain; the answer when None.
        """
        with self._places(1), self._explaining(), self._slot.keeping() as served:
            classes = served.model.classes
            if label is not None:
                check_names([label], served.model.card)
            prepared, size = await self._prepared(served, file, share)
            row = (await self._compute(served, prepared)).row
            index = served.model.answering.foremost(row) if label is None else classes.index(label)
            occlusion = Occlusion(prepared)
            covered = await self._covered(served, occlusion, index)
            whole, is_number = float(row[index]), served.model.card.target.link_name == "identity"
            found_by = occlusion.difference if is_number else occlusion.heat
            heat = found_by(whole, covered)
            preprocessing = served.model.card.preprocessing

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
            model=served.fingerprint,
            name=file.name,
            label=classes[index],
            probability=None if is_number else whole,
            value=whole if is_number else None,
            heat=heat[np.ix_(places, places)].round(4).tolist(),
            strongest=float(np.abs(heat).max()),
            image=pictures[0],
            overlay=pictures[1],
        )

    async def judge(self, file: Upload, share: Share, *, label: str, model: str | None) -> Judged:
        """Keep what a person says is right for one image, beside what the model says of it.

        Raises RequestError with status 404 where nothing is kept, 409 if the answer that it is
        about came from another model, 422 for what the model cannot say or an image that cannot be
        decoded, 507 if no more is kept.

        ``label``: what is right. ``model``: fingerprint of the model that answered; None for the
        one that is served.
        """
        feedback = self.feedback
        if feedback is None:
            raise RuntimeError("a service without feedback was told some")
        with self._places(1), self._slot.keeping() as served:
            if model is not None and model != served.fingerprint:
                raise RequestError(
                    409,
                    "another_model",
                    name="model",
                    what=f"the answer came from {model[:80]!r}; {served.fingerprint!r} is served",
                    expected="feedback on an answer of this model; ask /predict again",
                )
            content = file.content or b""
            digest = hashlib.sha256(content).hexdigest()
            if feedback.keeps_images:
                share.take(len(content))
            else:
                content = b""
            prepared, _ = await self._prepared(served, file, share)
            prediction = served.told(file.name, await self._compute(served, prepared))
            correction = read_correction(label, served.model.card, prediction)
            entry = feedback.entry(digest, prediction, correction, model=served.fingerprint)
            written = await self._in_thread(lambda: feedback.keep(entry, content))
            served.counts.judged(
                digest, prediction, wrong=correction.wrong, outputs=correction.outputs
            )
        return Judged(**asdict(written))

    async def reload(self) -> Reloaded:
        """Serve the model that the folder holds by now, from the next request on.

        Takes and raises what :meth:`ModelSlot.reload` does, and refuses while the service stops.
        """
        if self.stopping:
            raise _ended()
        try:
            # whoever asked may leave; the model comes all the same
            found = await asyncio.shield(asyncio.ensure_future(self._slot.reload()))
        except FrostlineError:
            self.metrics.reloads.labels("refused").inc()
            raise
        self.metrics.reloads.labels("replaced" if found.changed else "unchanged").inc()
        return found

    def _serve(self, model: Model) -> ServedModel:
        listeners = self._listeners(model) if self._listeners is not None else ()
        rate = self._false_alarms
        return ServedModel(
            model,
            self.limits,
            on_batch=self._batch_done,
            watch=None if rate is None else StreamWatch(model, false_alarms=rate),
            listeners=listeners,
            find_nearest=None if self._open_nearest is None else self._open_nearest(model),
        )

    async def _covered(self, served: ServedModel, occlusion: Occlusion, index: int) -> list[float]:
        """One output for every variant; a few at a time, so that others pass."""
        found: list[float] = []
        variants = occlusion.variants()
        few = max(1, self.limits.batch // 2)
        while some := await self._in_thread(lambda: list(islice(variants, few))):
            rows = await asyncio.gather(*(self._compute(served, image) for image in some))
            found += [float(one.row[index]) for one in rows]
        return found

    async def _prepared(
        self, served: ServedModel, file: Upload, share: Share
    ) -> tuple[UInt8Array, tuple[int, int]]:
        """Decode the one upload of a request; RequestError with status 422 if it cannot be."""
        found = await self._prepare(served, file, share)
        if isinstance(found, Problem):
            self.metrics.images.labels("refused").inc()
            raise RequestError(422, **found.model_dump())
        return found

    async def _prepare(
        self, served: ServedModel, file: Upload, share: Share
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
                lambda: served.model.prepare_with_size(content, name=file.name)
            )
        except UnreadableImageError as error:
            return image_problem(error)
        finally:
            share.give(len(content))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def _compute(
        self, served: ServedModel, prepared: UInt8Array, *, embedding: bool = False
    ) -> Computation:
        try:
            return await asyncio.wrap_future(served.submit(prepared, embedding=embedding))
        except InputError as error:
            if not embedding:
                raise
            raise RequestError(
                422,
                "no_embedding",
                name="embeddings",
                what=error.message,
                expected="a request without it",
            ) from None

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
