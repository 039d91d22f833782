"""Reading in threads: the order, the errors and the bound never depend on the threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from frostline.core.errors import UnreadableImageError
from frostline.data.decoding.read_ahead import read_in_order


def outcome(workers: int, window: int | None = None) -> list[str]:
    def load(item: int) -> str:
        if item % 7 == 3:
            raise UnreadableImageError(f"image {item}", "truncated")
        return f"pixels {item}"

    return [str(r) for r in read_in_order(range(100), load, workers=workers, window=window)]


def test_any_number_of_workers_gives_the_same() -> None:
    expected = [f"image {i}: truncated." if i % 7 == 3 else f"pixels {i}" for i in range(100)]
    for workers in (0, 1, 2, 5):
        for window in (None, 1, 3):
            assert outcome(workers, window) == expected


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_other_errors_are_raised_in_place(workers: int) -> None:
    def load(item: int) -> int:
        if item == 5:
            raise KeyError("a fault of ours")
        return item

    seen: list[object] = []
    with pytest.raises(KeyError, match="a fault of ours"):
        seen.extend(read_in_order(range(20), load, workers=workers))
    results = read_in_order(range(20), load, workers=workers)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]


def test_no_more_than_the_window_is_loaded_ahead() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def load(item: int) -> int:
        with lock:
            started.append(item)
        return item

    for taken, result in enumerate(read_in_order(range(50), load, workers=2, window=6), start=1):
        assert result == taken - 1
        with lock:
            assert max(started) < taken + 6


def test_stopping_early_ends_the_threads() -> None:
    before = threading.active_count()
    results = cast(Iterator[int], read_in_order(range(1000), lambda item: item, workers=3))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_nothing_to_read() -> None:
    assert list(read_in_order([], str, workers=2)) == []
