"""Run work on many images in threads, and hand back the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from frostline.core.errors import UnreadableImageError

T = TypeVar("T")
R = TypeVar("R")


def read_in_order(
    items: Sequence[T], load: Callable[[T], R], *, workers: int, window: int | None = None
) -> Iterator[R | UnreadableImageError]:
    """Apply ``load`` to every item; yield results in the order of the items.

    An image that cannot be read does not stop the others: its error takes the place of its
    result. Every other exception is raised, at the place of the item that caused it. What is
    yielded never depends on the number of workers.

    Parameters
    ----------
    load : callable
        Called once for each item; with workers it runs in their threads.
    workers : int
        Threads; 0 runs ``load`` in the calling thread.
    window : int or None, default=None
        How many items may be loaded or waiting at any time, so that memory stays bounded;
        four for each worker when None.

    Yields
    ------
    The return value of ``load``, or the :class:`~frostline.core.errors.UnreadableImageError` it
    """
    if workers <= 0:
        for item in items:
            yield _outcome(load, item)
        return
    size = max(1, 4 * workers if window is None else window)
    waiting: deque[Future[R | UnreadableImageError]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="frostline-read")
    try:
        for item in items:
            if len(waiting) >= size:
                yield waiting.popleft().result()
            waiting.append(pool.submit(_outcome, load, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        # also reached when the consumer stops early or is interrupted
        pool.shutdown(wait=True, cancel_futures=True)


def _outcome(load: Callable[[T], R], item: T) -> R | UnreadableImageError:
    try:
        return load(item)
    except UnreadableImageError as error:
        return error
