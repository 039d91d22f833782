"""Batches: together but never mixed up, whatever fails or leaves."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest

from frostline.core.preprocessing import UInt8Array
from frostline.model.model import Probabilities
from frostline.serve.batching import Batcher

pytestmark = pytest.mark.slow


class Recorder:
    """Answers each image with its own first value, when it is let go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.busy = threading.Event()
        self.failing = False

    def __call__(self, images: list[UInt8Array]) -> Probabilities:
        self.busy.set()
        assert self.go.wait(30)
        self.sizes.append(len(images))
        if self.failing:
            raise ValueError("no")
        return np.array([[image.flat[0], 1.0] for image in images])


def image(value: int) -> UInt8Array:
    return np.full((2, 2, 3), value, dtype=np.uint8)


def test_whoever_waits_shares_the_next_batch() -> None:
    run = Recorder()
    batcher = Batcher(run, size=4, wait=0.0)
    first = batcher.submit(image(0))
    assert run.busy.wait(30)
    others = [batcher.submit(image(i)) for i in range(1, 10)]
    run.go.set()
    found = [f.result(30)[0] for f in (first, *others)]
    assert found == list(range(10))
    assert run.sizes == [1, 4, 4, 1]
    batcher.close()


def test_the_first_of_a_batch_waits_for_others() -> None:
    run = Recorder()
    run.go.set()
    batcher = Batcher(run, size=3, wait=30.0)
    futures = [batcher.submit(image(i)) for i in range(3)]
    assert [f.result(30)[0] for f in futures] == [0, 1, 2]
    # a full batch does not wait on
    assert run.sizes == [3]
    batcher.close()


def test_cancelled_images_are_not_computed() -> None:
    run = Recorder()
    batcher = Batcher(run, size=4, wait=0.0)
    first = batcher.submit(image(0))
    assert run.busy.wait(30)
    gone, stays = batcher.submit(image(1)), batcher.submit(image(2))
    assert gone.cancel()
    run.go.set()
    assert stays.result(30)[0] == 2
    assert run.sizes == [1, 1]
    with pytest.raises(CancelledError):
        gone.result()
    assert first.result()[0] == 0
    batcher.close()


def test_a_failure_reaches_everyone_in_the_batch_and_nobody_else() -> None:
    run = Recorder()
    run.failing = True
    run.go.set()
    batcher = Batcher(run, size=2, wait=30.0)
    futures = [batcher.submit(image(i)) for i in range(2)]
    for future in futures:
        with pytest.raises(ValueError, match="no"):
            future.result(30)
    run.failing = False
    after = [batcher.submit(image(i)) for i in range(2)]
    assert after[1].result(30)[0] == 1
    assert batcher.alive
    batcher.close()


def test_closing_answers_what_is_queued() -> None:
    run = Recorder()
    batcher = Batcher(run, size=2, wait=0.0)
    futures = [batcher.submit(image(i)) for i in range(5)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    run.go.set()
    closing.join(30)
    assert not wait(futures, timeout=30).not_done
    assert [f.result()[0] for f in futures] == list(range(5))
    assert not batcher.alive
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(image(0))
    batcher.close()
