"""Stored activations: the prefix's output for every view, and no file left behind."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from frostline.backbones.network import Network
from frostline.compute.activation_buffer import ActivationBuffer
from frostline.compute.activation_cache import CLEAN, ActivationCache, ViewPlan
from frostline.compute.frozen import Frozen
from frostline.compute.image_loader import ImageLoader
from frostline.core.errors import CutError, StoreError
from frostline.core.progress import NullProgress, Task
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.views import Level, training_view

pytestmark = pytest.mark.slow

Run = Callable[..., Frozen]
CUT = "blocks.3"


@pytest.fixture
def store(run: Run, pictures: Catalog) -> Frozen:
    return run(pictures, workers=2)


def prefix_of(network: Network, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        x = torch.from_numpy(network.preprocessing.normalise(pixels))
        values: npt.NDArray[np.float32] = network.prefix(CUT)(x).numpy()
    return values


def test_values_are_the_prefix_of_every_view(run: Run, pictures: Catalog, lite0: Network) -> None:
    store = run(pictures, network=lite0, workers=2)
    rows = np.array([5, 0, 17, 9])
    stored = store.activations.get(
        CUT, rows, Runtime(), views=3, plan=ViewPlan("standard", True, 4)
    )
    assert stored.values.shape == (4, 3, *lite0.cut(CUT).shape)
    assert stored.values.dtype == np.float16
    for place, row in enumerate(rows):
        digest = store.catalog.digests[row]
        views = [store.runner.pixels(np.array([row]))[0]]
        views += [
            training_view(
                store.runner.images.resized(digest),
                lite0.preprocessing,
                level="standard",
                flip=True,
                seed=4,
                epoch=view,
                key=digest,
            )
            for view in (1, 2)
        ]
        assert not np.array_equal(views[1], views[2])
        expected = prefix_of(lite0, np.stack(views))
        np.testing.assert_allclose(
            stored.values[place], expected, rtol=2e-3, atol=2e-3 * expected.std()
        )


def test_workers_and_other_rows_never_change_a_bit(
    run: Run, pictures: Catalog, lite0: Network
) -> None:
    found = []
    for workers, rows in ((0, [3, 11, 2]), (2, [3, 11, 2]), (1, [7, 2, 8, 11, 3])):
        values = (
            run(pictures, network=lite0, workers=workers)
            .activations.get(CUT, np.array(rows), Runtime(), views=2, plan=ViewPlan("light"))
            .values
        )
        found.append(np.stack([values[rows.index(row)] for row in (2, 3, 11)]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_no_rows_give_no_activations(store: Frozen, small: Network) -> None:
    rows = np.array([], dtype=np.int64)
    stored = store.activations.get(CUT, rows, Runtime())
    assert stored.values.shape == (0, 1, *small.cut(CUT).shape)


def test_an_unknown_cut_is_named(store: Frozen) -> None:
    with pytest.raises(CutError, match=r"blocks\.33"):
        store.activations.get("blocks.33", np.arange(3), Runtime())


def test_nothing_is_left_behind(store: Frozen, cache: Path) -> None:
    stored = store.activations.get(CUT, np.arange(3), Runtime())
    part = stored.values[1]
    del store
    gc.collect()
    np.testing.assert_array_equal(part, stored.values[1])
    del stored
    gc.collect()
    assert list((cache / "activations").iterdir()) == []


class _Scaled:
    """An engine whose results outgrow half precision at bright images."""

    name, batch, concurrent_batches, fixed_batch = "scaled", 4, 1, 4

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def run(self, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = batch[:, 0, :5, 0].astype(np.float32) * self.factor
        return values


@pytest.mark.parametrize(("factor", "dtype"), [(1.0, np.float16), (1000.0, np.float32)])
def test_values_beyond_half_precision_are_kept_in_single(
    pictures: Catalog,
    lite0: Network,
    cache: Path,
    factor: float,
    dtype: npt.DTypeLike,
) -> None:
    del cache
    images = ImageLoader(pictures, lite0.preprocessing, max_pixels=10**7, workers=0)
    buffer = ActivationBuffer(len(pictures), 1, (5,))
    rows = np.arange(len(pictures))
    activations = ActivationCache(lite0, images, pictures.digests)
    missing = buffer.missing(rows, 1)
    activations._fill(buffer, missing, _Scaled(factor), CLEAN, "test", Runtime())
    stored = buffer.read(rows, 1)
    pixels = np.stack(list(images.pixels(pictures.digests)))
    assert pixels[:, 0, :5, 0].max() > 60
    assert stored.values.dtype == dtype
    assert buffer.missing(rows, 1) == []
    np.testing.assert_allclose(
        stored.values[:, 0], pixels[:, 0, :5, 0].astype(np.float64) * factor, rtol=1e-3
    )


def test_what_is_stored_of_an_image_never_turns_on_what_was_stored_before(cache: Path) -> None:
    del cache
    fits, beyond = np.full((5,), 1.0 / 3, np.float32), np.full((5,), 7e4, np.float32)
    found = []
    for order in ([0, 1], [1, 0]):
        buffer = ActivationBuffer(2, 1, (5,))
        for row in order:
            buffer.write(row, 0, (fits, beyond)[row])
        found.append(buffer.read(np.arange(2), 1).values)
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0][1, 0, 0] == 7e4


def test_a_disk_that_fills_up_is_an_error_before_anything_is_written(
    store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it says that there is room, and has none: somebody else was faster
    def full(handle: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match="cannot hold stored activations: No space left"):
        store.activations.get(CUT, np.arange(3), Runtime(), views=2, plan=ViewPlan("light"))


def test_space_is_taken_for_what_is_written_and_no_more(cache: Path) -> None:
    del cache
    buffer = ActivationBuffer(100, 4, (64, 8, 8))
    buffer.make_room([(row, view) for row in (3, 4) for view in range(4)])
    assert buffer._file is not None
    taken = os.fstat(buffer._file.fileno()).st_blocks * 512
    assert 8 * buffer.bytes_per_view <= taken <= 12 * buffer.bytes_per_view


def test_a_disk_with_too_little_space_is_one_clear_error(
    store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match="left"):
        store.activations.get(CUT, np.arange(3), Runtime(), views=2, plan=ViewPlan("light"))


def test_what_one_fold_stored_the_next_one_reads(run: Run, pictures: Catalog) -> None:
    heard = Counting()
    store = run(pictures, workers=2)

    def stored(rows: list[int], views: int, level: Level) -> npt.NDArray[np.floating]:
        found = store.activations.get(
            CUT,
            np.array(rows),
            Runtime(progress=heard),
            views=views,
            plan=ViewPlan(level),
        )
        return found.values

    heard.totals.clear()
    first = stored([0, 1, 2, 3], 3, "light")
    assert heard.totals == [12]
    second = stored([2, 3, 4], 3, "light")
    assert heard.totals == [12, 3], "only the new image is computed"
    np.testing.assert_array_equal(second[:2], first[2:])
    clean = stored([5, 4, 0], 1, "none")
    assert heard.totals == [12, 3, 1], "the clean view is the same for every kind of view"
    np.testing.assert_array_equal(clean[1:, 0], np.stack([second[2, 0], first[0, 0]]))
    assert stored([0, 5], 5, "light").shape[1] == 5
    assert heard.totals == [12, 3, 1, 2 + 4]
    again = run(pictures, workers=0).activations.get(
        CUT, np.array([2, 3, 4]), Runtime(), views=3, plan=ViewPlan("light")
    )
    np.testing.assert_array_equal(again.values, second)


def test_the_oldest_buffers_make_room(run: Run, pictures: Catalog) -> None:
    store = run(pictures)
    rows = np.arange(8)
    cuts = [cut.name for cut in store.network.cuts[2:5]]
    sizes = [store.activations.get(cut, rows, Runtime()).values.nbytes for cut in cuts]
    limit = sum(sizes) - 1
    heard, images = Counting(), store.runner.images
    cache = ActivationCache(store.network, images, store.catalog.digests, limit=limit)
    for cut in [*cuts, *cuts[1:]]:
        cache.get(cut, rows, Runtime(progress=heard))
        assert cache._used <= limit
    assert heard.totals == [8, 8, 8], "the last two are there"
    cache.get(cuts[0], rows, Runtime(progress=heard))
    assert heard.totals == [8, 8, 8, 8], "the first one made room"


def test_a_buffer_that_would_outgrow_the_limit_begins_anew(run: Run, pictures: Catalog) -> None:
    store = run(pictures, workers=2)
    view = ActivationBuffer(1, 1, store.network.cut(CUT).shape).bytes_per_view
    heard, digests = Counting(), store.catalog.digests
    cache = ActivationCache(store.network, store.runner.images, digests, limit=10 * view)

    def stored(rows: range) -> npt.NDArray[np.floating]:
        found = cache.get(
            CUT, np.array(rows), Runtime(progress=heard), views=2, plan=ViewPlan("light")
        ).values
        buffer = cache._find(CUT, ViewPlan("light"), 2)
        assert buffer is not None
        assert cache._used == buffer.used <= 10 * view
        return found

    first = stored(range(4))
    second = stored(range(3, 8))
    assert heard.totals == [8, 10], "14 views are too many, so only the new rows are kept"
    np.testing.assert_array_equal(second[0], first[3])
    np.testing.assert_array_equal(stored(range(4)), first)


class Counting(NullProgress):
    """Remembers how much work every task announced."""

    def __init__(self) -> None:
        self.totals: list[int] = []

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        self.totals.append(total)
        return super().task(label, total)
