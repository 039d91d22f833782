"""Features are described once, and what was found is never taken for that of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.compute.cache.locations import fits_folder
from frostline.compute.cache.store import packed
from frostline.stats.ood import fit_familiarity
from frostline.training import familiar

BLOCKS = [slice(0, 6), slice(6, 16)]
FOLDS = [(np.arange(20, 60), np.arange(20)), (np.arange(20), np.arange(20, 60))]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of features of every measurement that really ran."""
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    ran: list[int] = []
    measure = familiar._left_out

    def counted(features: Any, folds: Any, blocks: Any) -> Any:
        ran.append(len(features))
        return measure(features, folds, blocks)

    monkeypatch.setattr(familiar, "_left_out", counted)
    return ran


@pytest.fixture
def features() -> Any:
    return np.random.default_rng(0).gamma(1.0, size=(60, 16)).astype(np.float32)


def same(one: Any, other: Any) -> bool:
    (found, distances), (again, more) = one, other
    arrays = found.arrays()
    assert arrays.keys() == again.arrays().keys()
    alike = [np.array_equal(values, again.arrays()[name]) for name, values in arrays.items()]
    return all(alike) and np.array_equal(distances, more)


def test_the_same_features_are_described_once(measured: list[int], features: Any) -> None:
    first = familiar.described_once(features, FOLDS, BLOCKS)
    found, distances = first
    assert distances.shape == (60, 2 * len(BLOCKS))
    again = familiar.described_once(features, FOLDS, BLOCKS)
    assert same(again, first)
    np.testing.assert_array_equal(again[0].distances(features), found.distances(features))
    assert measured == [60]


def test_anything_else_is_described_anew(measured: list[int], features: Any) -> None:
    familiar.described_once(features, FOLDS, BLOCKS)
    other = features.copy()
    other[3, 4] += 1
    familiar.described_once(other, FOLDS, BLOCKS)
    familiar.described_once(features, FOLDS[::-1], BLOCKS)
    familiar.described_once(features, FOLDS, [slice(0, 5), slice(5, 16)])
    assert len(measured) == 4


def test_what_is_no_such_file_is_described_again(measured: list[int], features: Any) -> None:
    first = familiar.described_once(features, FOLDS, BLOCKS)
    (path,) = fits_folder().iterdir()
    narrow = fit_familiarity(features[:, :8], blocks=[slice(0, 8)])
    for arrays in (
        {"distances": first[1]},
        {**first[0].arrays(), "distances": first[1][:7]},
        {**narrow.arrays(), "distances": first[1]},
    ):
        path.write_bytes(packed(arrays))
        assert same(familiar.described_once(features, FOLDS, BLOCKS), first)
    assert len(measured) == 4
