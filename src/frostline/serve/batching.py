"""Let images of many requests go through the network together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from frostline.core.preprocessing import UInt8Array

#: what is said about one image
Said = TypeVar("Said")
_Item = tuple[UInt8Array, Future[Said]]


class Batcher(Generic[Said]):
    """One batch computes at a time; whoever comes meanwhile shares the next one.

    - ``run``: takes at most ``size`` prepared images and returns what is said about each.
    - ``size``: images in one batch at most.
    - ``wait``: how long the first image of a batch waits for others, in seconds.
    - ``on_batch``: told the number of images and the seconds of every batch that was computed.
    """

    def __init__(
        self,
        run: Callable[[list[UInt8Array]], Iterable[Said]],
        *,
        size: int,
        wait: float,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        self._run, self._size, self._wait = run, size, wait
        self._on_batch = on_batch
        self._waiting: queue.SimpleQueue[_Item[Said] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="frostline-compute")
        self._thread = threading.Thread(target=self._work, name="frostline-batch", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether somebody computes."""
        return self._thread.is_alive()

    def submit(self, image: UInt8Array) -> Future[Said]:
        """Queue one prepared image.

        Returns
        -------
        Future
            Of what is said about it. Cancelled ones are never computed.

        Raises
        ------
        RuntimeError
            After :meth:`close`.
        """
        future: Future[Said] = Future()
        # so that nothing is queued behind the end
        with self._closing:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.put((image, future))
        return future

    def close(self) -> None:
        """Answer what is queued, then end the thread. Closing twice is fine."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()
        self._pool.shutdown()

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._collect()
            wanted = [item for item in batch if item[1].set_running_or_notify_cancel()]
            if wanted:
                self._answer(wanted)

    def _collect(self) -> tuple[list[_Item[Said]], bool]:
        """Wait for one image, then a little for others."""
        batch: list[_Item[Said]] = []
        until = 0.0
        while len(batch) < self._size:
            try:
                patience = max(0.0, until - time.monotonic()) if batch else None
                item = self._waiting.get(timeout=patience)
            except queue.Empty:
                break
            if item is None:
                return batch, False
            if not batch:
                until = time.monotonic() + self._wait
            batch.append(item)
        return batch, True

    def _answer(self, batch: list[_Item[Said]]) -> None:
        began = time.perf_counter()
        # a pool keeps whatever goes wrong for those who wait, and this thread lives on
        outcome = self._pool.submit(self._run, [image for image, _ in batch])
        error = outcome.exception()
        if error is not None:
            for _, future in batch:
                future.set_exception(error)
            return
        if self._on_batch is not None:
            self._on_batch(len(batch), time.perf_counter() - began)
        for (_, future), row in zip(batch, outcome.result(), strict=True):
            future.set_result(row)
