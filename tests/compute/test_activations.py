"""Stored activations: the prefix's output for every view, and no file left behind."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from frostline.backbones.network import Network
from frostline.compute.activations import Shelf, Slots, ViewPlan, fill
from frostline.compute.passes import FeatureStore
from frostline.compute.pictures import Pictures
from frostline.core.errors import CutError, StoreError
from frostline.core.progress import NullProgress, Task
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.views import Level, training_view

Run = Callable[..., FeatureStore]
CUT = "blocks.3"


@pytest.fixture
def store(run: Run, pictures: Catalog) -> FeatureStore:
    return run(pictures, workers=2)


def prefix_of(network: Network, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        x = torch.from_numpy(network.preprocessing.normalise(pixels))
        values: npt.NDArray[np.float32] = network.prefix(CUT)(x).numpy()
    return values


def test_values_are_the_prefix_of_every_view(run: Run, pictures: Catalog, lite0: Network) -> None:
    store = run(pictures, network=lite0, workers=2)
    rows = np.array([5, 0, 17, 9])
    stored = store.materialise(CUT, rows, Runtime(), views=3, level="standard", flip=True, seed=4)
    assert stored.values.shape == (4, 3, *lite0.cut(CUT).shape)
    assert stored.values.dtype == np.float16
    for place, row in enumerate(rows):
        digest = store.catalog.digests[row]
        views = [store.pixels(np.array([row]))[0]]
        views += [
            training_view(
                store.pictures.resized(digest),
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
            .materialise(CUT, np.array(rows), Runtime(), views=2, level="light", flip=False, seed=0)
            .values
        )
        found.append(np.stack([values[rows.index(row)] for row in (2, 3, 11)]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_no_rows_give_no_activations(store: FeatureStore, small: Network) -> None:
    rows = np.array([], dtype=np.int64)
    stored = store.materialise(CUT, rows, Runtime(), views=1, level="none", flip=False, seed=0)
    assert stored.values.shape == (0, 1, *small.cut(CUT).shape)


def test_an_unknown_cut_is_named(store: FeatureStore) -> None:
    with pytest.raises(CutError, match=r"blocks\.33"):
        store.materialise(
            "blocks.33", np.arange(3), Runtime(), views=1, level="none", flip=False, seed=0
        )


def test_nothing_is_left_behind(store: FeatureStore, cache: Path) -> None:
    stored = store.materialise(
        CUT, np.arange(3), Runtime(), views=1, level="none", flip=False, seed=0
    )
    part = stored.values[1]
    del store
    gc.collect()
    np.testing.assert_array_equal(part, stored.values[1])
    del stored
    gc.collect()
    assert list((cache / "activations").iterdir()) == []


class _Scaled:
    """An engine whose results outgrow half precision at bright images."""

    name, batch, lanes = "scaled", 4, 1

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
    images = Pictures(pictures, lite0.preprocessing, max_pixels=10**7, workers=0)
    slots = Slots(len(pictures), 1, (5,))
    rows = np.arange(len(pictures))
    fill(
        slots,
        slots.missing(rows, 1),
        _Scaled(factor),
        images,
        pictures.digests,
        ViewPlan("none", False, 0),
        label="test",
        runtime=Runtime(),
    )
    stored = slots.read(rows, 1)
    pixels = np.stack(list(images.pixels(pictures.digests)))
    assert pixels[:, 0, :5, 0].max() > 60
    assert stored.values.dtype == dtype
    assert slots.missing(rows, 1) == []
    np.testing.assert_allclose(
        stored.values[:, 0], pixels[:, 0, :5, 0].astype(np.float64) * factor, rtol=1e-3
    )


def test_what_is_stored_of_an_image_never_turns_on_what_was_stored_before(cache: Path) -> None:
    del cache
    fits, beyond = np.full((5,), 1.0 / 3, np.float32), np.full((5,), 7e4, np.float32)
    found = []
    for order in ([0, 1], [1, 0]):
        slots = Slots(2, 1, (5,))
        for row in order:
            slots.write(row, 0, (fits, beyond)[row])
        found.append(slots.read(np.arange(2), 1).values)
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0][1, 0, 0] == 7e4


def test_a_disk_that_fills_up_is_an_error_before_anything_is_written(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it says that there is room, and has none: somebody else was faster
    def full(handle: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match="cannot hold stored activations: No space left"):
        store.materialise(CUT, np.arange(3), Runtime(), views=2, level="light", flip=False, seed=0)


def test_space_is_taken_for_what_is_written_and_no_more(cache: Path) -> None:
    del cache
    slots = Slots(100, 4, (64, 8, 8))
    slots.make_room([(row, view) for row in (3, 4) for view in range(4)])
    assert slots._file is not None
    taken = os.fstat(slots._file.fileno()).st_blocks * 512
    assert 8 * slots.bytes_per_view <= taken <= 12 * slots.bytes_per_view


def test_a_disk_with_too_little_space_is_one_clear_error(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match="left"):
        store.materialise(CUT, np.arange(3), Runtime(), views=2, level="light", flip=False, seed=0)


def test_what_one_fold_stored_the_next_one_reads(run: Run, pictures: Catalog) -> None:
    heard = Counting()
    store = run(pictures, workers=2)

    def stored(rows: list[int], views: int, level: Level) -> npt.NDArray[np.floating]:
        found = store.materialise(
            CUT,
            np.array(rows),
            Runtime(progress=heard),
            views=views,
            level=level,
            flip=False,
            seed=0,
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
    again = run(pictures, workers=0).materialise(
        CUT, np.array([2, 3, 4]), Runtime(), views=3, level="light", flip=False, seed=0
    )
    np.testing.assert_array_equal(again.values, second)


def test_the_oldest_slots_make_room(cache: Path) -> None:
    del cache
    shelf, plan = Shelf(limit=1000), ViewPlan("none", False, 0)
    kept = [Slots(10, 1, (5, 5)) for _ in range(3)]
    for number, slots in enumerate(kept):
        shelf.make_room(8 * slots.bytes_per_view, slots)
        shelf.add(f"cut {number}", plan, slots)
        for row in range(8):
            slots.write(row, 0, np.ones((5, 5), dtype=np.float32))
        assert slots.used == 400
    assert shelf.find("cut 0", plan, 1) is None, "1200 bytes would be too many"
    assert shelf.find("cut 1", plan, 1) is kept[1]
    assert shelf.find("cut 2", plan, 1) is kept[2]


def test_slots_that_would_outgrow_the_limit_begin_anew(run: Run, pictures: Catalog) -> None:
    store = run(pictures, workers=2)
    view = Slots(1, 1, store.network.cut(CUT).shape).bytes_per_view
    heard, shelf = Counting(), Shelf(limit=10 * view)
    store = replace(store, _shelf=shelf)

    def stored(rows: range) -> npt.NDArray[np.floating]:
        found = store.materialise(
            CUT,
            np.array(rows),
            Runtime(progress=heard),
            views=2,
            level="light",
            flip=False,
            seed=0,
        ).values
        slots = shelf.find(CUT, ViewPlan("light", False, 0), 2)
        assert slots is not None
        assert shelf._used == slots.used <= 10 * view
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
