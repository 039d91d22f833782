"""What was left out is measured once for the same features, and never taken from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.features.locations import fits_folder
from frostline.features.store import packed
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


def test_the_same_features_are_measured_once(measured: list[int], features: Any) -> None:
    first = familiar.left_out_distances(features, FOLDS, BLOCKS)
    assert first.shape == (60, 2 * len(BLOCKS))
    np.testing.assert_array_equal(familiar.left_out_distances(features, FOLDS, BLOCKS), first)
    assert measured == [60]


def test_anything_else_is_measured_anew(measured: list[int], features: Any) -> None:
    familiar.left_out_distances(features, FOLDS, BLOCKS)
    other = features.copy()
    other[3, 4] += 1
    familiar.left_out_distances(other, FOLDS, BLOCKS)
    familiar.left_out_distances(features, FOLDS[::-1], BLOCKS)
    familiar.left_out_distances(features, FOLDS, [slice(0, 5), slice(5, 16)])
    assert len(measured) == 4


def test_distances_of_other_images_are_measured_again(measured: list[int], features: Any) -> None:
    first = familiar.left_out_distances(features, FOLDS, BLOCKS)
    (path,) = fits_folder().iterdir()
    path.write_bytes(packed({"distances": first[:7]}))
    np.testing.assert_array_equal(familiar.left_out_distances(features, FOLDS, BLOCKS), first)
    assert len(measured) == 2
