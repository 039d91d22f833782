"""A partition is a pure function: the same bytes, however often and by whomever it is run."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import frostline
from frostline.backbones.network import Network
from frostline.compute.cache.eviction import items, prune
from frostline.compute.cache.receipt import Receipt, entries, receipts_in
from frostline.compute.engines.base import Engine
from frostline.compute.engines.choose import open_engine
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.features import Features
from frostline.compute.frozen import Frozen, run_frozen
from frostline.compute.image_loader import ImageLoader
from frostline.compute.partition import (
    MAX_PARTITION_ROWS,
    PartitionSpec,
    library_versions,
    run_partition,
    split_into_partitions,
)
from frostline.core.errors import EngineError, InputError
from frostline.core.preprocessing import UInt8Array
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import open_source
from tests.end_to_end.dying import dying, renaming_to

HOW: dict[str, Any] = {
    "key": "partition",
    "engine": "torch-cpu-fp32",
    "batch": 16,
    "threads": 1,
    "precision": "fp32",
    "max_pixels": 10**7,
}


class Counting:
    """An engine that says how many images it was really given."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.batch = engine.name, engine.batch
        self.concurrent_batches = engine.concurrent_batches
        self.fixed_batch = engine.fixed_batch
        self.batches = 0

    def run(self, batch: UInt8Array) -> npt.NDArray[np.float32]:
        self.batches += 1
        return self._engine.run(batch)


@pytest.fixture
def engine(small: Network) -> Counting:
    size = small.preprocessing.size
    blank = np.zeros((2, size, size, 3), np.uint8)
    opened, _ = open_engine(taps_part(small, small.taps), check=blank, threads=1, kind="torch")
    return Counting(opened)


@pytest.fixture
def images(small: Network, pictures: Catalog) -> ImageLoader:
    return ImageLoader(pictures, small.preprocessing, max_pixels=10**7, workers=2)


@pytest.fixture
def spec(small: Network, pictures: Catalog, cache: Path) -> PartitionSpec:
    del cache
    return PartitionSpec.of(pictures.digests, width=small.body(small.taps).width, **HOW)


def content_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_two_runs_leave_the_same_bytes(
    spec: PartitionSpec, images: ImageLoader, engine: Counting, cache: Path
) -> None:
    receipt = run_partition(spec, images, engine)
    first, batches = content_of(cache), engine.batches
    assert receipt.rows == len(spec.digests)
    assert len(first) == 2, "one shard, one receipt"
    assert run_partition(spec, images, engine) == receipt
    assert content_of(cache) == first
    assert engine.batches == batches, "nothing is computed again"
    shutil.rmtree(cache)
    assert run_partition(spec, images, engine) == receipt
    assert content_of(cache) == first


def test_a_run_killed_between_shard_and_receipt_leaves_the_same_bytes_when_it_is_run_again(
    spec: PartitionSpec, images: ImageLoader, engine: Counting, cache: Path
) -> None:
    run_partition(spec, images, engine)
    expected = content_of(cache)
    shutil.rmtree(cache)
    with dying(renaming_to(".json")):
        run_partition(spec, images, engine)
    left = [path.suffix for path in cache.rglob("*") if path.is_file()]
    assert sorted(left) == [".shard", ".tmp"]
    _, found = spec.store().get(spec.digests)
    assert not found.any(), "without a receipt nothing is there"
    run_partition(spec, images, engine)
    assert {
        name: held for name, held in content_of(cache).items() if ".tmp" not in name
    } == expected


def test_a_run_killed_before_the_shard_leaves_no_receipt(
    spec: PartitionSpec, images: ImageLoader, engine: Counting, cache: Path
) -> None:
    with dying(renaming_to(".shard")):
        run_partition(spec, images, engine)
    assert not list(cache.rglob("*.json"))


def test_rows_that_somebody_else_stored_are_not_computed_and_the_bytes_are_the_same(
    spec: PartitionSpec, images: ImageLoader, engine: Counting, cache: Path
) -> None:
    run_partition(spec, images, engine)
    expected = content_of(cache)
    shutil.rmtree(cache)
    run_partition(spec.only(spec.digests[::2]), images, engine)
    engine.batches = 0
    run_partition(spec, images, engine)
    assert engine.batches == 1, "ten images, one batch"
    found = content_of(cache)
    assert expected.items() <= found.items()
    assert len(found) == 4


def test_images_that_cannot_be_read_are_in_the_receipt(
    small: Network, pictures_folder: Path, tmp_path: Path, engine: Counting, cache: Path
) -> None:
    del cache
    folder = Path(shutil.copytree(pictures_folder, tmp_path / "folder"))
    (folder / "photos/2.jpg").write_bytes((folder / "photos/2.jpg").read_bytes()[:500])
    catalog = open_source(folder)
    loader = ImageLoader(catalog, small.preprocessing, max_pixels=10**7, workers=0)
    spec = PartitionSpec.of(catalog.digests, width=small.body(small.taps).width, **HOW)
    receipt = run_partition(spec, loader, engine)
    (bad,) = receipt.unreadable
    names = {digest: row.name for digest, row in zip(catalog.digests, catalog.rows, strict=True)}
    assert names[bad] == "photos/2.jpg"
    assert receipt.rows == len(catalog) - 1
    assert Receipt.from_json(receipt.to_json()) == receipt


def test_partitions_are_those_of_the_images_whatever_their_order() -> None:
    digests = [f"{number:064x}" for number in np.random.default_rng(0).permutation(1000)]
    one = split_into_partitions(digests, rows=256, width=4, **HOW)
    other = split_into_partitions([*digests[::-1], *digests[:9]], rows=256, width=4, **HOW)
    assert one == other
    assert [len(spec.digests) for spec in one] == [256, 256, 256, 232]
    assert sorted(digests) == [digest for spec in one for digest in spec.digests]
    assert PartitionSpec.from_json(one[0].to_json()) == one[0]
    assert one[0].id != dataclasses.replace(one[1]).id
    with pytest.raises(InputError, match="too large"):
        split_into_partitions(map(str, range(MAX_PARTITION_ROWS + 1)), rows=10**4, width=4, **HOW)


@pytest.mark.parametrize("change", ["versions", "engine", "batch"])
def test_other_libraries_or_engines_are_refused(
    spec: PartitionSpec, images: ImageLoader, engine: Counting, cache: Path, change: str
) -> None:
    other: Any = {
        "versions": {**library_versions(), "numpy": "0.9"},
        "engine": "onnxruntime-fp32",
        "batch": 4,
    }[change]
    with pytest.raises(EngineError, match=r"numpy 0\.9|onnxruntime-fp32|batch 4"):
        run_partition(dataclasses.replace(spec, **{change: other}), images, engine)
    assert not content_of(cache)


def written(folder: Path, numbers: Sequence[int]) -> None:
    """Write digits, each with a pixel of its own, in the folder of its class."""
    digits = load_digits()
    for number in numbers:
        values = np.kron(digits.images[number], np.ones((4, 4))) * 15
        values[0, 0] = number % 251
        target = folder / str(digits.target[number] % 2)
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(target / f"{number}.png")


@pytest.mark.parametrize("partition", [40, 512])
def test_a_hundred_new_images_compute_a_hundred_rows_and_moved_ones_none(
    run: Callable[..., Frozen],
    tmp_path: Path,
    partition: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frostline.compute.taps_pass.PARTITION_ROWS", partition)
    folder = tmp_path / "images"
    written(folder, range(150))
    first = run(open_source(folder))
    assert first.report.computed == 150
    written(folder, range(150, 250))
    grown = run(open_source(folder))
    assert grown.report.computed == grown.report.times.images == 100
    for path in [*folder.rglob("*.png")][::3]:
        path.rename(path.with_name(f"renamed {path.name}"))
    folder.rename(tmp_path / "elsewhere")
    moved = run(open_source(tmp_path / "elsewhere"))
    assert moved.report.computed == 0
    assert {*_taps(moved)} == {*_taps(grown)} >= {*_taps(first)}


def _taps(frozen: Frozen) -> list[bytes]:
    return [taps.tobytes() for taps in frozen.features.taps]


def test_every_partition_of_a_pass_has_a_receipt(
    run: Callable[..., Frozen], pictures: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.compute.taps_pass.PARTITION_ROWS", 5)
    run(pictures)
    (folder,) = (cache / "images").iterdir()
    receipts = [Receipt.from_json(path.read_bytes()) for path in receipts_in(folder)]
    assert sum(receipt.rows for receipt in receipts) == len(set(pictures.digests))
    named = {entry.shard for entry in entries(receipts_in(folder))}
    assert named == set(folder.glob("*.shard"))
    expected = split_into_partitions(
        pictures.digests,
        rows=5,
        **{**HOW, "key": folder.name, "max_pixels": Runtime().max_pixels},
        width=run(pictures).features.values.shape[1],
    )
    assert {receipt.id for receipt in receipts} == {spec.id for spec in expected}


def test_a_killed_pass_keeps_the_partitions_that_were_done(
    small: Network, pictures: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.compute.taps_pass.PARTITION_ROWS", 5)
    undisturbed = run_frozen(small, pictures, Runtime())
    expected = content_of(cache / "images")
    shutil.rmtree(cache / "images")
    with dying(renaming_to(".json", times=3)):
        run_frozen(small, pictures, Runtime())
    again = run_frozen(small, pictures, Runtime())
    assert again.report.computed == undisturbed.report.computed - 10
    np.testing.assert_array_equal(again.features.taps, undisturbed.features.taps)
    left = content_of(cache / "images")
    assert {name: held for name, held in left.items() if ".tmp" not in name} == expected


def test_stores_of_earlier_versions_are_ignored_and_can_be_removed(
    run: Callable[..., Frozen], pictures: Catalog, cache: Path
) -> None:
    first = run(pictures)
    (folder,) = (cache / "images").iterdir()
    # as earlier versions left it: shards, and nothing that names them
    shutil.rmtree(folder / "receipts")
    before = set(folder.glob("*.shard"))
    (folder / "0123456789abcdef.shard").write_bytes(b"of another format")
    again = run(pictures)
    assert again.report.computed == first.report.computed
    np.testing.assert_array_equal(again.features.taps, first.features.taps)
    assert before < set(folder.glob("*.shard"))
    prune(to=0)
    assert not items()
    assert not folder.exists()


def test_features_hold_what_was_found_and_nothing_that_computes() -> None:
    hints = get_type_hints(Features)
    assert [field.name for field in dataclasses.fields(Features)] == list(hints)
    assert not {Progress, Settings, Runtime, Network, Engine, ImageLoader} & set(hints.values())
    assert Features.__dataclass_params__.frozen  # type: ignore[attr-defined]


#: what needs PyTorch; everything else of the room does without
_WITH_TORCH = {
    *("choose", "frozen_part", "module", "moments_module"),
    *("onnx_export", "torch_engine", "torch_runtime"),
}


def test_a_pass_is_imported_without_pytorch() -> None:
    root = Path(str(frostline.__file__)).parent / "compute"
    names = [
        ".".join(("frostline.compute", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("*.py"))
        if path.stem not in {"__init__", *_WITH_TORCH}
    ]
    assert "frostline.compute.partition" in names
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
