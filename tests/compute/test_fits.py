"""Results are kept within the cache's limit, and stand for their input and their code."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from frostline.compute.cache.eviction import items
from frostline.compute.cache.fits import code_of, content_of, kept
from frostline.compute.cache.store import Arrays, unpacked

SIZE = 20_000


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))


def keep(key: str) -> bytes:
    def pack(content: bytes) -> Arrays:
        return {"content": np.frombuffer(content, np.uint8)}

    return kept(
        key, lambda: key.encode() * SIZE, pack=pack, unpack=lambda a: a["content"].tobytes()
    )


def test_results_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "50KB")
    for key in "abcdef":
        assert keep(key) == key.encode() * SIZE
    left = items()
    assert 0 < sum(item.size for item in left) <= 50_000
    assert left[-1].path.stem == "f", "the latest is still there"


def test_columns_that_lie_side_by_side_are_kept_as_they_are(tmp_path: Path) -> None:
    columns = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    kept("k", lambda: columns, pack=lambda a: {"a": a}, unpack=lambda a: a["a"])
    (item,) = items()
    found = unpacked(item.path)
    assert found is not None
    np.testing.assert_array_equal(found["a"], columns)


def test_content_is_values_shape_and_type() -> None:
    one = np.arange(6)
    others: list[npt.NDArray[np.int64] | npt.NDArray[np.int32]] = [
        one[::-1],
        one.reshape(2, 3),
        one.astype(np.int32),
        np.arange(5),
    ]
    assert len({content_of(one), *(content_of(other) for other in others)}) == 5
    assert content_of(one, one) != content_of(one)
    assert content_of(np.asfortranarray(one.reshape(2, 3))) == content_of(one.reshape(2, 3))


def test_changed_code_is_other_code(tmp_path: Path) -> None:
    codes = set()
    for text in ("x = 1", "x = 2"):
        (tmp_path / "module.py").write_text(text)
        room = ModuleType("room")
        room.__path__ = [str(tmp_path)]
        codes.add(code_of(room))
    assert len(codes) == 2
