"""The store on disk: found by content, proof against damage, kills and other processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.compute.cache import locations
from frostline.compute.cache import store as store_module
from frostline.compute.cache.array_file import dumps, load
from frostline.compute.cache.store import Field, ImageStore
from frostline.core.errors import StoreError
from frostline.core.files import LEFTOVER_AGE, temporary_path
from frostline.core.progress import NullProgress

FIELDS = {"taps": Field("float32", (6,)), "small": Field("uint8", (2, 2)), "n": Field("int64")}


class Notes(NullProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, fact: object, /) -> None:
        self.texts.append(str(fact))


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def arrays_of(numbers: list[int]) -> dict[str, npt.NDArray[Any]]:
    """What belongs to each number, whoever stores it."""
    values = np.array(numbers)
    return {
        "taps": (values[:, None] * 1.5 + np.arange(6)).astype(np.float32),
        "small": np.repeat(values % 251, 4).reshape(-1, 2, 2).astype(np.uint8),
        "n": values.astype(np.int64) ** 2,
    }


def put(store: ImageStore, numbers: list[int]) -> None:
    store.add([digest(i) for i in numbers], arrays_of(numbers))


def check(
    store: ImageStore, asked: list[int], expected: list[int], notes: Notes | None = None
) -> None:
    """Ask for numbers; exactly the expected ones are found, with what belongs to them."""
    arrays, found = store.get([digest(i) for i in asked], notes)
    assert [i for i, known in zip(asked, found, strict=True) if known] == expected
    for name, values in arrays_of(expected).items() if expected else ():
        np.testing.assert_array_equal(arrays[name][found], values)
        assert arrays[name].dtype == np.dtype(FIELDS[name].dtype)
        assert not arrays[name][~found].any()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store" / "key"


def test_found_by_content_over_several_shards(folder: Path) -> None:
    store = ImageStore(folder, FIELDS)
    check(store, [1, 2], [])
    put(store, [3, 1])
    put(store, [7])
    check(ImageStore(folder, FIELDS), [9, 7, 3, 5, 1], [7, 3, 1])
    put(store, [])
    assert len(list(folder.glob("*.shard"))) == 2


def test_bytes_that_would_be_read_as_other_numbers_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "kept.shard"
    # one letter of the header makes integers of floats, or other rows of the same numbers
    for changed in (b'"I64"', b'"U64"'):
        path.write_bytes(dumps({"values": np.arange(6.0).reshape(2, 3)}))
        assert load(path) is not None
        path.write_bytes(path.read_bytes().replace(b'"F64"', changed))
        assert load(path) is None
        assert not path.exists()
    path.write_bytes(dumps({"values": np.arange(6.0).reshape(2, 3)}).replace(b"[2,3]", b"[3,2]"))
    assert load(path) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_a_damaged_shard_is_noted_removed_and_its_images_missing(folder: Path, damage: str) -> None:
    notes = Notes()
    put(ImageStore(folder, FIELDS), list(range(20)))
    (path,) = folder.glob("*.shard")
    put(ImageStore(folder, FIELDS), [50])
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-20 * 4] ^= 1
    elif damage == "cut":
        del content[-7:]
    elif damage == "empty":
        content.clear()
    else:
        content[:] = b"some text of somebody else"
    path.write_bytes(content)
    check(ImageStore(folder, FIELDS), [*range(20), 50], [50], notes)
    assert len(notes.texts) == 1
    assert path.name in notes.texts[0]
    assert not path.exists()


def test_no_single_damaged_byte_gets_through(folder: Path) -> None:
    put(ImageStore(folder, FIELDS), [1, 2, 3])
    (path,) = folder.glob("*.shard")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(content))[:400]:
        broken = bytearray(content)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        arrays, found = ImageStore(folder, FIELDS).get([digest(i) for i in (1, 2, 3)])
        for name, values in arrays_of([1, 2, 3]).items():
            # a digest may be lost, but what is found is right
            np.testing.assert_array_equal(arrays[name][found], values[found])


def test_a_shard_of_other_fields_is_not_taken_for_ours(folder: Path) -> None:
    put(ImageStore(folder, FIELDS), [1, 2])
    wider = {**FIELDS, "taps": Field("float32", (7,))}
    notes = Notes()
    _, found = ImageStore(folder, wider).get([digest(1)], notes)
    assert not found.any()
    assert notes.texts


def test_many_small_shards_are_merged_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SHARD_ROWS", 64)
    store = ImageStore(folder, FIELDS)
    put(store, list(range(1000, 1100)))
    full = set(folder.glob("*.shard"))
    for i in range(70):
        put(store, [i, i // 2])
    store.compact()
    left = set(folder.glob("*.shard"))
    assert full < left
    assert len(left) <= 4
    check(store, [*range(70), *range(1000, 1100)], [*range(70), *range(1000, 1100)])
    store.compact()
    assert set(folder.glob("*.shard")) == left


def test_few_shards_stay_as_they_are(folder: Path) -> None:
    store = ImageStore(folder, FIELDS)
    for i in range(5):
        put(store, [i])
    before = set(folder.glob("*.shard"))
    store.compact()
    assert set(folder.glob("*.shard")) == before


def test_leftovers_are_ignored_and_swept_when_old(folder: Path) -> None:
    put(ImageStore(folder, FIELDS), [1])
    (shard,) = folder.glob("*.shard")
    old, young = (temporary_path(shard) for _ in range(2))
    for path in (old, young):
        path.write_bytes(shard.read_bytes()[:50])
    before = time.time() - LEFTOVER_AGE - 60
    os.utime(old, (before, before))
    os.utime(shard, (before, before))
    notes = Notes()
    check(ImageStore(folder, FIELDS), [1, 2], [1], notes)
    assert not notes.texts
    left = {path.name for path in folder.iterdir() if path.is_file()}
    assert left == {shard.name, young.name}


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = ImageStore(tmp_path / "file" / "key", FIELDS)
    check(store, [1], [])
    with pytest.raises(StoreError, match="FROSTLINE_CACHE"):
        put(store, [1])


_ENDLESS = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from test_store import FIELDS, ImageStore, put
store = ImageStore(Path({folder!r}), FIELDS)
for i in range(0, 10**6, 50):
    put(store, list(range(i, i + 50)))
    print(i, flush=True)
"""


def test_a_killed_process_leaves_nothing_broken(folder: Path) -> None:
    code = _ENDLESS.format(here=str(Path(__file__).parent), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    notes = Notes()
    _, found = ImageStore(folder, FIELDS).get([digest(i) for i in range(1000)], notes)
    assert found.all()
    assert not notes.texts


def _work(folder: str, first: int, failures: Any) -> None:
    """Write, read and merge, over and over, in the way of everybody else."""
    notes = Notes()
    store = ImageStore(Path(folder), FIELDS)
    try:
        for i in range(first, first + 120):
            put(store, [i, 5000 + i % 7])
            if i % 10 == 0:
                store.compact(notes)
            _, found = store.get([digest(i)], notes)
            if not found.all():
                failures.put(f"{i} got lost")
    except (StoreError, OSError) as error:
        failures.put(repr(error))
    for text in notes.texts:
        failures.put(text)


def test_two_processes_share_one_store(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    workers = [
        context.Process(target=_work, args=(str(folder), first, failures)) for first in (0, 1000)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    assert failures.empty()
    everything = [*range(120), *range(1000, 1120), *range(5000, 5007)]
    check(ImageStore(folder, FIELDS), everything, everything)


def test_the_cache_lies_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert locations.cache_root() == tmp_path / "own"
    monkeypatch.delenv("FROSTLINE_CACHE")
    assert locations.cache_root() == tmp_path / "xdg" / "frostline"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locations.cache_root() == tmp_path / ".cache" / "frostline"
