"""The cache stays within its limit, loses the least recently used first, and can be verified."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.compute.cache import eviction
from frostline.compute.cache.array_file import load
from frostline.compute.cache.eviction import (
    Item,
    Watch,
    damaged,
    items,
    keep_within_limit,
    limit,
    parse_size,
    prune,
)
from frostline.compute.cache.locations import images_folder, kind_folder, write_whole
from frostline.compute.cache.receipt import Receipt
from frostline.compute.cache.store import Field, ImageStore
from frostline.compute.engines.remembered import Choice, recall_choice, remember_choice
from frostline.core.errors import SettingsError

FIELDS = {"taps": Field("float32", (250,))}


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def filled(key: str, number: int, *, age: float) -> Path:
    """Store one shard of 100 images that was last used ``age`` seconds ago."""
    folder = images_folder(key)
    before = set(folder.glob("*.shard")) if folder.exists() else set()
    values = np.full((100, 250), number, dtype=np.float32)
    names = [digest(100 * number + i) for i in range(100)]
    ImageStore(folder, FIELDS).add(names, {"taps": values})
    (path,) = set(folder.glob("*.shard")) - before
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def three(cache: Path) -> list[Path]:
    del cache
    return [filled("a", 1, age=3000), filled("a", 2, age=2000), filled("b", 3, age=1000)]


def test_the_least_recently_used_goes_first(three: list[Path]) -> None:
    assert [item.path for item in items()] == three
    size = items()[0].size
    assert size > 100 * 250 * 4
    assert [item.path for item in prune(to=2 * size)] == three[:1]
    assert [path.exists() for path in three] == [False, True, True]
    assert prune(to=2 * size) == []


def test_reading_is_using(three: list[Path]) -> None:
    ImageStore(images_folder("a"), FIELDS).get([digest(100)])
    assert [item.path for item in items()] == [three[1], three[2], three[0]]


def test_old_files_and_empty_folders_go(three: list[Path]) -> None:
    write_whole(kind_folder("engines") / "network.onnx", b"exported")
    assert [item.path for item in prune(older_than=1500)] == three[:2]
    assert not images_folder("a").exists()
    assert [item.kind for item in items()] == ["images", "engines"]
    assert len(prune(to=0)) == 2
    assert items() == []


def test_every_pass_keeps_the_cache_within_its_limit(
    three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "250 kB")
    assert limit() == 250_000
    keep_within_limit()
    assert [path.exists() for path in three] == [False, True, True]
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "plenty")
    with pytest.raises(SettingsError, match="FROSTLINE_CACHE_LIMIT"):
        limit()


def test_a_long_pass_stays_within_the_limit_and_rarely_looks(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cache
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "6400 kB")
    looks = 0
    plain = eviction.keep_within_limit

    def counting() -> list[Item]:
        nonlocal looks
        looks += 1
        return plain()

    monkeypatch.setattr(eviction, "keep_within_limit", counting)
    watch = Watch()
    largest = 0
    for number in range(200):
        path = filled("a", number, age=1000 - number)
        watch.wrote(path.stat().st_size)
        largest = max(largest, sum(item.size for item in items()))
    assert largest < 6_400_000 * 66 / 64 + 110_000
    assert len(items()) > 50
    assert 90 <= looks <= 200 * 110_000 / 100_000
    looks = 0
    for _ in range(1000):
        watch.wrote(1000)
    assert looks <= 10


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500MB", 500 * 10**6), ("1.5 gb", 15 * 10**8), ("12", 12)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text, "it") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "nan", "inf GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="5GB"):
        parse_size(text, "it")


def test_damage_is_found_and_removed(three: list[Path]) -> None:
    assert damaged() == []
    content = bytearray(three[1].read_bytes())
    content[-1] ^= 1
    three[1].write_bytes(bytes(content))
    assert damaged() == [three[1]]
    assert [path.exists() for path in three] == [True, False, True]


def test_the_command_shows_verifies_and_prunes(three: list[Path]) -> None:
    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["cache", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    told = json.loads(said("show", "--json"))
    assert told["images"]["files"] == 3
    assert told["images"]["bytes"] == sum(path.stat().st_size for path in three)
    assert "3 files are whole, 0 were damaged" in said("verify")
    assert "2 files removed" in said("prune", "--older", "25m")
    assert "1 files removed" in said("prune", "--all")
    refused = CliRunner().invoke(app, ["cache", "prune"])
    assert refused.exit_code != 0
    wrong = CliRunner().invoke(app, ["cache", "prune", "--older", "soon"])
    assert wrong.exit_code != 0


def test_what_the_first_version_kept_is_counted_and_pruned_but_never_read(cache: Path) -> None:
    names = ["images/key/a.shard", "fits/a.shard", "engines/a.onnx", "choices/a.json"]
    for name in names:
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".shard"):
            metadata = {"format": "frostline-arrays-2", "tree": "00000000"}
            path.write_bytes(save({"tree": np.zeros(3)}, metadata=metadata))
        else:
            path.write_bytes(b"content" + hashlib.sha256(b"content").digest())
    told = CliRunner().invoke(app, ["cache", "show", "--json"]).output
    counts = {name.partition("/")[0]: 1 for name in names}
    shown = json.loads(told)
    assert {kind: shown[kind]["files"] for kind in counts} == counts
    assert damaged() == []
    assert len(items()) == 4
    assert load(cache / names[0]) is None
    said = CliRunner().invoke(app, ["cache", "prune", "--all"]).output
    assert "3 files removed" in said
    assert not list(cache.rglob("*")), "nothing is left, no folder either"


def test_the_engine_that_was_measured_is_counted_verified_and_pruned(cache: Path) -> None:
    remember_choice("part", 1, "fp32", Choice("onnx", 4, 2, {"onnx": 98.0}))
    found = recall_choice("part", 1, "fp32", ["onnx"])
    assert found is not None
    assert (found.engine, found.batch, found.lanes) == ("onnx", 4, 2)
    assert recall_choice("part", 1, "fp32", ["torch"]) is None
    (item,) = items()
    assert item.kind == "choices"
    item.path.write_bytes(item.path.read_bytes()[:-1])
    assert damaged() == [item.path]
    remember_choice("part", 1, "fp32", Choice("onnx", 4, 2, {}))
    assert "1 files removed" in CliRunner().invoke(app, ["cache", "prune", "--all"]).output
    assert not list(cache.rglob("*"))


def test_a_receipt_that_names_no_rows_goes_with_the_rest(cache: Path) -> None:
    # of a partition none of whose images could be read
    receipt = Receipt(id="a" * 8, rows=0, shard="", unreadable={digest(1): "it is empty"})
    write_whole(receipt.path(images_folder("key")), receipt.to_json())
    assert CliRunner().invoke(app, ["cache", "prune", "--all"]).exit_code == 0
    assert not list(cache.rglob("*"))
