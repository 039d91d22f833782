"""Copies are looked for once, and what was found is never mistaken for that of other images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.compute import kept_copies
from frostline.compute.cache.locations import fits_folder
from frostline.compute.cache.store import packed
from frostline.compute.kept_copies import copies_of
from frostline.data.duplicates.copies import Copies, find_copies

N = 60


@dataclass
class SeenStore:
    """The parts of a store that copies are found by."""

    digests: list[str]
    thumbnails: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32]

    @property
    def catalog(self) -> Any:
        return SimpleNamespace(digests=self.digests)

    @property
    def slices(self) -> dict[str, slice]:
        return {"early": slice(0, 1), "late": slice(0, 4)}

    def tap(self, names: list[str], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        assert names == ["late"]
        return self.features[rows]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    # one again, a little brighter, and one mirrored
    pictures[1] = np.clip(pictures[0].astype(int) + 3, 0, 255)
    pictures[3] = pictures[2][:, ::-1]
    digests = [f"{i:064x}" for i in range(N)]
    return SeenStore(digests, pictures, rng.normal(size=(N, 4)).astype(np.float32))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Copies]:
    """Every search that really ran."""
    ran: list[Copies] = []

    def search(*args: Any) -> Copies:
        ran.append(find_copies(*args))
        return ran[-1]

    monkeypatch.setattr(kept_copies, "find_copies", search)
    return ran


def test_a_second_look_reads_what_the_first_found(store: Any, searches: list[Copies]) -> None:
    first = copies_of(store)
    assert [0, 1] in first.near
    assert [2, 3] in first.altered
    assert copies_of(store) == first
    assert len(searches) == 1


@pytest.mark.parametrize("part", ["digests", "thumbnails", "features"])
def test_other_images_are_looked_at_anew(store: Any, searches: list[Copies], part: str) -> None:
    copies_of(store)
    if part == "digests":
        store.digests[5] = "f" * 64
    else:
        getattr(store, part)[5] += 1
    assert copies_of(store) == searches[-1]
    assert len(searches) == 2


@pytest.mark.parametrize(
    "found",
    [{}, {"near/members": np.array([N, 0]), "near/sizes": np.array([2])}, {"complete": None}],
    ids=["none", "beyond the images", "incomplete"],
)
def test_what_is_no_such_file_is_looked_for_again(
    store: Any, searches: list[Copies], found: dict[str, Any]
) -> None:
    first = copies_of(store)
    (path,) = fits_folder().iterdir()
    arrays = {
        f"{kind}/{what}": np.zeros(0, dtype=np.int64)
        for kind in ("near", "altered")
        for what in ("members", "sizes")
    }
    whole = {**arrays, "complete": np.array([1]), **found}
    path.write_bytes(packed({k: v for k, v in whole.items() if v is not None} if found else {}))
    assert copies_of(store) == first
    assert len(searches) == 2
