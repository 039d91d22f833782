"""Work side by side gives what it gives one after the other, and ends when it should."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from frostline.core.cancel import Cancelled, CancelToken
from frostline.core.threads import blas_threads, meanwhile, side_by_side


def _blas() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_blas_has_the_threads_asked_for_and_gets_its_own_back() -> None:
    with blas_threads(3):
        assert _blas() == {3}
        with blas_threads(1):
            assert _blas() == {1}
        assert _blas() == {3}
        with pytest.raises(ZeroDivisionError), blas_threads(1):
            1 / 0  # noqa: B018
        assert _blas() == {3}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_the_same_bits_with_any_number_of_threads(threads: int) -> None:
    rng = np.random.default_rng(0)
    tables = [rng.standard_normal((300, width)) for width in (400, 90, 250, 30)]
    tasks = [partial(_largest_eigenvalue, table) for table in tables]
    with blas_threads(1):
        expected = [task() for task in tasks]
    assert side_by_side(tasks, threads=threads) == expected


def test_a_single_task_has_all_threads_of_blas() -> None:
    assert side_by_side([_blas], threads=3) == [{3}]
    assert side_by_side([_blas, _blas], threads=3) == [{1}, {1}]
    assert side_by_side([], threads=3) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_error_is_raised_and_nothing_begins_after_it(threads: int) -> None:
    begun: list[int] = []

    def task(number: int) -> int:
        begun.append(number)
        if number < 2:
            time.sleep(0.01)
            raise ValueError(f"task {number}")
        time.sleep(0.05)
        return number

    with pytest.raises(ValueError, match="task 0"):
        side_by_side([partial(task, number) for number in range(50)], threads=threads)
    assert len(begun) < 10
    assert threading.active_count() < 50


def test_cancelling_ends_it_between_tasks() -> None:
    cancel = CancelToken()
    tasks: list[Callable[[], None]] = [cancel.cancel, *[lambda: time.sleep(0.01)] * 50]
    began = time.perf_counter()
    with pytest.raises(Cancelled):
        side_by_side(tasks, threads=2, cancel=cancel)
    assert time.perf_counter() - began < 0.4


@pytest.mark.parametrize("threads", [1, 2])
def test_meanwhile_a_task_runs_beside_the_block(threads: int) -> None:
    with meanwhile(threading.get_ident, threads=threads) as result:
        assert (result() == threading.get_ident()) == (threads == 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_both_sides_pass_through(threads: int) -> None:
    with pytest.raises(ZeroDivisionError), meanwhile(lambda: 1 / 0, threads=threads) as result:
        result()
    ended: list[bool] = []

    def slow() -> None:
        time.sleep(0.05)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt), meanwhile(slow, threads=threads):
        time.sleep(0.01)
        raise KeyboardInterrupt
    # what runs is not left behind
    assert bool(ended) == (threads > 1)


def _largest_eigenvalue(table: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(table @ table.T)[-1])
