"""Selections read like the arrays they stand for, and models never gather them whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.errors import InputError
from frostline.stats.inputs import CHUNK_ROWS, linear_outputs
from frostline.stats.selection import Selection, part_of
from tests.stats.on_labels import ridge_loo, ridge_without

Float32 = npt.NDArray[np.float32]
COLUMNS = [slice(6, 9), slice(0, 4), slice(4, 6)]


@pytest.fixture
def table() -> Float32:
    return np.random.default_rng(0).normal(size=(CHUNK_ROWS + 500, 9)).astype(np.float32)


@pytest.fixture
def rows(table: Float32) -> npt.NDArray[np.int64]:
    return np.random.default_rng(1).permutation(len(table))[: CHUNK_ROWS + 300]


def test_it_reads_like_the_array(table: Float32, rows: npt.NDArray[np.int64]) -> None:
    selection = Selection(table, rows, COLUMNS)
    expected = np.concatenate([table[rows][:, columns] for columns in COLUMNS], axis=1)
    np.testing.assert_array_equal(np.asarray(selection), expected)
    np.testing.assert_array_equal(np.asarray(selection, dtype=np.float64), expected)
    assert (selection.shape, selection.ndim, len(selection)) == (expected.shape, 2, len(expected))
    assert selection.dtype == np.float32
    some = np.array([5, 0, 7, 5])
    np.testing.assert_array_equal(selection[some], expected[some])
    np.testing.assert_array_equal(selection[3:9], expected[3:9])
    assert selection[some].flags.c_contiguous
    np.testing.assert_array_equal(np.asarray(selection.part(some)), expected[some])
    np.testing.assert_array_equal(selection.part(some).part(np.array([2]))[:], expected[[7]])
    np.testing.assert_array_equal(np.asarray(part_of(selection, some)), expected[some])
    np.testing.assert_array_equal(np.asarray(part_of(table, some)), table[some])
    with pytest.raises(ValueError, match="copied"):
        np.asarray(selection, copy=False)


@pytest.mark.parametrize("block", [slice(0, 9), slice(0, 3), slice(2, 5), slice(3, 9), slice(8, 9)])
def test_columns_count_from_the_first_one(table: Float32, block: slice) -> None:
    selection = Selection(table, np.arange(6), COLUMNS)
    np.testing.assert_array_equal(np.asarray(selection.only(block)), selection[:][:, block])


def test_absent_rows_are_not_numbers(table: Float32) -> None:
    selection = Selection(table, np.array([3, -1, 4]), COLUMNS)
    assert np.isnan(selection[:][1]).all()
    np.testing.assert_array_equal(selection[:][[0, 2]], Selection(table, [3, 4], COLUMNS)[:])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not finite"):
        ridge_loo(selection, [0, 1, 0], n_classes=2)


class Watched(Selection):
    """Remembers how many rows were gathered at once."""

    most = 0

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        found = super().__getitem__(rows)
        Watched.most = max(Watched.most, len(found))
        return found


def test_models_fit_alike_and_gather_a_chunk_at_a_time(
    table: Float32, rows: npt.NDArray[np.int64]
) -> None:
    labels = np.random.default_rng(2).integers(0, 3, len(rows))
    groups = np.arange(len(rows)) // 2
    Watched.most = 0
    selection = Watched(table, rows, COLUMNS)
    array = np.asarray(Selection(table, rows, COLUMNS))
    options: dict[str, Any] = {"n_classes": 3, "blocks": [slice(0, 5), slice(5, 9)]}
    lazy = ridge_loo(selection, labels, groups=groups, **options)
    eager = ridge_loo(array, labels, groups=groups, **options)
    for name in ("weight", "bias", "loo", "fitted", "loo_mse"):
        np.testing.assert_array_equal(getattr(lazy, name), getattr(eager, name))
    halves = np.arange(len(rows)) % 2
    (lazily,) = ridge_without(selection, labels, [halves], alpha=0.1, **options)
    (eagerly,) = ridge_without(array, labels, [halves], alpha=0.1, **options)
    np.testing.assert_array_equal(lazily, eagerly)
    np.testing.assert_array_equal(
        linear_outputs(selection, eager.weight, eager.bias), eager.predict(array)
    )
    assert 0 < Watched.most <= CHUNK_ROWS
