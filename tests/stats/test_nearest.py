"""The most similar rows, found a block at a time, are those of one product of all."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.stats import inputs
from frostline.stats.nearest import NearestRows


def test_blocks_find_what_one_product_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows = (random.standard_normal((53, 7)) * [1, 1, 1, 100, 1, 1, 0]).astype(np.float32)
    queries = random.standard_normal((21, 7)).astype(np.float32) * 3
    scaled, asked = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, queries))
    cosine = asked @ scaled.T
    expected = np.argsort(-cosine, axis=1)[:, :5]
    monkeypatch.setattr(inputs, "CHUNK_ROWS", 4)
    places, found = NearestRows(rows).find(queries, 5)
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_allclose(found, np.take_along_axis(cosine, expected, axis=1), atol=1e-5)


def test_every_row_is_nearest_to_itself_and_ties_go_by_place() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    rows[30] = rows[3]
    places, found = NearestRows(rows).find(rows, 2)
    own = np.arange(40)
    own[30] = 3
    np.testing.assert_array_equal(places[:, 0], own)
    np.testing.assert_allclose(found[:, 0], 1, atol=1e-6)
    assert places[3].tolist() == places[30].tolist() == [3, 30]
    assert NearestRows(rows).find(rows[:0], 3)[0].shape == (0, 3)


@pytest.mark.parametrize("k", [0, -1, 6])
def test_numbers_of_neighbours_that_there_cannot_be_are_refused(k: int) -> None:
    table = NearestRows(np.eye(5, dtype=np.float32))
    with pytest.raises(InputError, match="from 1 to 5"):
        table.find(np.eye(5, dtype=np.float32), k)
    with pytest.raises(InputError, match="5 columns"):
        table.find(np.eye(4, dtype=np.float32), 1)
