"""Work side by side: whole pieces in threads of our own, not each piece in threads of BLAS.

The BLAS behind NumPy and SciPy takes all cores by default, and its threads spin while they wait for
each other. Eigenvalues of a matrix of 2,000 rows make them wait thousands of times: on two cores
that takes longer than one thread alone, and several times as long beside another busy process.
Whole pieces need not wait at all, and what they give does not depend on how many run at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from frostline.core.cancel import CancelToken

T = TypeVar("T")


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Let BLAS compute with so many threads inside, and with as many as before afterwards.

    It counts for the whole process, and for every BLAS that is loaded by now.
    """
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=threads, user_api="blas"):
        yield


def side_by_side(
    tasks: Sequence[Callable[[], T]], *, threads: int, cancel: CancelToken | None = None
) -> list[T]:
    """Return what each task returns, in their order.

    BLAS computes with one thread for each of several tasks, so that their results are the same bits
    with any number of threads; a single task has them all. The first error, in the order of the
    tasks, is raised; what has not begun by then never does.

    - ``tasks``: the longest first, so that nothing waits for it at the end.
    - ``threads``: at a time; 1 runs them in the calling thread.
    - ``cancel``: asked before every task.
    """
    token = CancelToken() if cancel is None else cancel

    def run(task: Callable[[], T]) -> T:
        token.check()
        return task()

    alone = len(tasks) <= 1
    with blas_threads(threads if alone else 1):
        if threads <= 1 or alone:
            return [run(task) for task in tasks]
        pool = ThreadPoolExecutor(min(threads, len(tasks)), thread_name_prefix="frostline-fit")
        try:
            return [future.result() for future in [pool.submit(run, task) for task in tasks]]
        finally:
            # also reached by Ctrl-C: what runs is waited for, nothing else begins
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def meanwhile(task: Callable[[], T], *, threads: int) -> Iterator[Callable[[], T]]:
    """Run a task beside the ``with`` block; what it yields waits for the result.

    An error of the task is raised by whoever asks for its result. Where the block ends early, the
    task is waited for, unless it has not begun.

    ``threads``: 1 runs it in the calling thread, when its result is asked for.
    """
    with blas_threads(max(1, threads // 2)):
        if threads <= 1:
            yield task
            return
        pool = ThreadPoolExecutor(1, thread_name_prefix="frostline-fit")
        try:
            yield pool.submit(task).result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
