"""Images leave the store without a trace, and nothing of others goes with them."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from frostline.compute.cache.fact import NUMBERS
from frostline.compute.cache.locations import cache_root, images_folder, kind_folder
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.compute.cache.purge import purge
from frostline.compute.cache.receipt import Receipt
from frostline.compute.cache.store import MAX_SMALL_SHARDS, Field, ImageStore
from frostline.core.errors import StoreError

RESULT = Memo(name="of a test", version=1, libraries=NUMBERS, result=dict[str, int])


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def digests(*numbers: int) -> list[str]:
    return [digest(number) for number in numbers]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageStore:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    return ImageStore(images_folder("key"), {"value": Field("float32", (2,))})


def add(store: ImageStore, *numbers: int) -> Receipt:
    values = np.array([[number, -number] for number in numbers], dtype=np.float32)
    receipt = store.add(digests(*numbers), {"value": values})
    assert receipt is not None
    return receipt


def has(store: ImageStore, *numbers: int) -> list[int]:
    arrays, found = store.get(digests(*numbers))
    for number, row, there in zip(numbers, arrays["value"], found, strict=True):
        assert not there or row.tolist() == [number, -number]
    return [number for number, there in zip(numbers, found, strict=True) if there]


def traces(*numbers: int) -> list[Path]:
    """Find files of the whole cache that name images, in bytes or in text."""
    wanted = [bytes.fromhex(digest(number)) for number in numbers]
    wanted += [digest(number).encode() for number in numbers]
    files = [path for path in cache_root().rglob("*") if path.is_file()]
    return [path for path in files if any(one in path.read_bytes() for one in wanted)]


def test_rows_go_and_all_others_stay(store: ImageStore) -> None:
    add(store, 1, 2, 3)
    add(store, 4, 5)
    add(store, 6)
    other = ImageStore(images_folder("other"), {"value": Field("float32", (2,))})
    add(other, 2, 7)
    assert len(traces(2, 6)) == 3
    found = purge(digests(2, 6, 99))
    assert found.images == 2
    assert traces(2, 6) == []
    assert has(store, 1, 2, 3, 4, 5, 6) == [1, 3, 4, 5]
    assert has(other, 2, 7) == [7]
    again = purge(digests(2, 6, 99))
    assert (again.images, again.files) == (0, 0)


def test_results_of_runs_go_and_engines_stay(store: ImageStore) -> None:
    add(store, 1)
    remember(RESULT, RESULT.key({}), {"a": 1})
    engine = kind_folder("engines") / "network.shard"
    engine.parent.mkdir(parents=True)
    engine.write_bytes(b"a network")
    assert purge(digests(5)).results == 1
    assert recall(RESULT, RESULT.key({})) is None
    assert engine.exists()
    assert has(store, 1) == [1]


def test_nothing_named_costs_nothing(store: ImageStore) -> None:
    remember(RESULT, RESULT.key({}), {"a": 1})
    assert purge(()).results == 0
    assert recall(RESULT, RESULT.key({})) == {"a": 1}


def test_leftovers_damage_and_refusals_hold_nothing_either(store: ImageStore) -> None:
    add(store, 1, 2)
    # written by a process that died before its receipt, or halfway
    orphan = store.write_shard(digests(2, 3), {"value": np.zeros((2, 2), dtype=np.float32)})
    half = store.folder / f".{orphan}.999999999-0123abcd.tmp"
    half.write_bytes(bytes.fromhex(digest(2)))
    damaged = store.folder / f"{'0' * 64}.shard"
    damaged.write_bytes(b"rubbish" + bytes.fromhex(digest(2)))
    receipt = Receipt(id="refused", rows=0, shard="", unreadable={digest(2): "no", digest(8): "n"})
    store.write_receipt(receipt)
    purge(digests(2))
    assert traces(2) == []
    assert has(store, 1, 2, 3) == [1]
    assert not (store.folder / orphan).exists()
    assert len(traces(8)) == 1


def test_what_cannot_be_removed_is_said(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = add(store, 1, 2)
    unlink = Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == receipt.shard:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match="cannot be removed: permission denied"):
        purge(digests(1))


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_purge_that_dies_loses_no_other_image(
    store: ImageStore, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step that changes the disk may be the last."""
    add(store, 1, 2, 3)
    add(store, 4, 2)
    left = [stop]
    replaced, unlink = os.replace, Path.unlink

    class Died(BaseException):
        pass

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            raise Died

    def dying_replace(source: Path, target: Path) -> Path:
        step()
        replaced(source, target)
        return Path(target)

    def dying_unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix != ".tmp":
            step()
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying_replace)
        patch.setattr(Path, "unlink", dying_unlink)
        try:
            purge(digests(2))
        except Died:
            pass
        else:
            assert left[0] > 0
    assert has(store, 1, 3, 4) == [1, 3, 4]
    purge(digests(2))
    assert traces(2) == []
    assert has(store, 1, 2, 3, 4) == [1, 3, 4]


def test_others_read_and_merge_meanwhile(store: ImageStore) -> None:
    """A reader finds all images that stay, whenever it looks."""
    stay = list(range(100, 100 + MAX_SMALL_SHARDS + 6))
    for number in stay:
        add(store, number, number + 1000)
    ended, wrong = threading.Event(), []

    def read() -> None:
        own = ImageStore(store.folder, {"value": Field("float32", (2,))})
        while not ended.is_set():
            if has(own, *stay) != stay:
                wrong.append("lost")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in stay[:20]:
            purge(digests(number + 1000))
        store.compact()
    finally:
        ended.set()
        reader.join()
    assert not wrong
    assert traces(*(number + 1000 for number in stay[:20])) == []
