"""Large sets: thumbnails as vectors, and neighbours that are found without comparing all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates import kd_forest as trees
from frostline.data.duplicates import near_duplicates
from frostline.data.duplicates.descriptors import (
    describe,
    full_distances,
    principal_axes,
    rotate,
    squared_distances,
)
from frostline.data.duplicates.kd_forest import (
    LEAF,
    TREES,
    have_a_near_one,
    leaves,
    nearest_in_leaves,
)
from frostline.data.duplicates.near_duplicates import find_near_duplicates

Photo = Callable[..., Image.Image]
Thumbs = npt.NDArray[np.uint8]


@pytest.fixture
def pictures(photo: Photo) -> Thumbs:
    return np.stack([thumbnail(photo(seed, 48)) for seed in range(200)])


def cloud(n: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors whose axes have unequal spread; every tenth has a partner very near."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 24)) / np.sqrt(1.0 + np.arange(24))
    points[9::10] = points[8::10] + rng.normal(scale=0.01, size=points[8::10].shape)
    return np.asarray(points, dtype=np.float32)


def by_hand(pictures: Thumbs) -> npt.NDArray[np.float64]:
    """Unit vectors in double precision."""
    values = pictures.reshape(len(pictures), -1, 3).astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    flat = values.reshape(len(pictures), -1)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def test_descriptors_are_projections_of_unit_vectors(pictures: Thumbs) -> None:
    flat = pictures.reshape(len(pictures), -1)
    positions = np.arange(len(pictures))[::-1].copy()
    found = describe(flat, positions)
    units = by_hand(pictures)[positions]
    luma = units.reshape(-1, 8, 4, 8, 4, 3).sum(axis=(2, 4, 5)).reshape(-1, 64) / 4 / np.sqrt(3)
    np.testing.assert_allclose(found.values[:, :64], luma, atol=2e-6)
    exact = np.linalg.norm(units[:10, None] - units[None], axis=2)
    partial = np.sqrt(squared_distances(found.values[:10], found.values))
    assert (partial <= exact + 1e-3).all()
    assert np.median(partial / np.maximum(exact, 1e-9)) > 0.6, "most of a distance is kept"
    spread = (pictures.reshape(len(pictures), -1, 3)).std(axis=1)[positions]
    np.testing.assert_allclose(found.contrast, np.sqrt((spread**2).mean(axis=1)), rtol=1e-5)


def test_full_distances_are_those_of_the_whole_vectors(pictures: Thumbs) -> None:
    flat, units = pictures.reshape(len(pictures), -1), by_hand(pictures)
    positions = np.random.default_rng(0).permutation(len(pictures))[:80]
    rows, others = np.arange(5), np.arange(5, 75).reshape(5, 14)
    found = full_distances(flat, positions, describe(flat, positions), rows, others)
    chosen = units[positions]
    expected = np.linalg.norm(chosen[others] - chosen[rows][:, None], axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_leaves_hold_every_vector_once_and_each_tree_is_another_one() -> None:
    points = cloud(3000)
    first, again, other = (list(leaves(points, tree)) for tree in (0, 0, 1))
    assert np.array_equal(np.sort(np.concatenate(first)), np.arange(3000))
    assert all(0.3 * LEAF < len(leaf) <= LEAF for leaf in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert [len(leaf) for leaf in first] != [len(leaf) for leaf in other]
    same = np.zeros((3000, 4), dtype=np.float32)
    assert max(len(leaf) for leaf in leaves(same, 0)) <= LEAF, "equal vectors are divided, too"


def test_close_partners_and_neighbours_are_found() -> None:
    points = cloud(4000)
    squared = squared_distances(points, points)
    np.fill_diagonal(squared, np.inf)
    bound = 0.1**2
    near = have_a_near_one(points, bound=bound)
    assert not near[squared.min(axis=1) > bound + 1e-6].any()
    assert near[squared.min(axis=1) <= bound].mean() > 0.995
    rows = np.flatnonzero(near)
    neighbours, found = nearest_in_leaves(points, rows, 16)
    assert (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_allclose(found, np.take_along_axis(squared[rows], neighbours, 1), atol=1e-5)
    assert all(len(set(row)) == 16 for row in neighbours.tolist())
    partner = np.where(rows % 10 == 9, rows - 1, rows + 1)
    paired = rows % 10 >= 8
    assert (neighbours[paired, 0] == partner[paired]).mean() > 0.995
    exact = np.sqrt(np.sort(squared[rows], axis=1)[:, 15])
    assert np.median(np.sqrt(found[:, -1]) / exact) < 1.1


def test_work_grows_with_the_number_of_images_not_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []

    def counting(
        rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        compared.append(len(rows) * len(columns))
        return squared_distances(rows, columns)

    monkeypatch.setattr(trees, "squared_distances", counting)
    monkeypatch.setattr(near_duplicates, "squared_distances", counting)
    monkeypatch.setattr(near_duplicates, "COMPLETE_UP_TO", 1000)
    monkeypatch.setattr(near_duplicates, "_DIMENSION_SAMPLE", 50)
    work = []
    for n in (1200, 2400, 4800):
        pictures = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        compared.clear()
        assert not find_near_duplicates(pictures).complete
        work.append(sum(compared) / n)
    assert max(work) <= TREES * LEAF * 2 + 50
    assert work[2] < 1.3 * work[0]


def test_large_sets_are_searched_in_trees(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = [photo(seed, 48) for seed in range(700)]
    copies = [image.resize((40, 40), Image.Resampling.BICUBIC) for image in originals[:200]]
    pictures = np.stack([thumbnail(image) for image in [*originals, *copies]])
    everything = find_near_duplicates(pictures)
    monkeypatch.setattr(near_duplicates, "COMPLETE_UP_TO", 500)
    found = find_near_duplicates(pictures)
    assert everything.complete
    assert not found.complete
    assert found.groups == everything.groups
    assert set(found.groups) >= {(i, 700 + i) for i in range(200)}
    order = np.random.default_rng(1).permutation(len(pictures))
    shuffled = find_near_duplicates(pictures[order]).groups
    again = {frozenset(int(order[i]) for i in group) for group in shuffled}
    assert again == {frozenset(group) for group in found.groups}


def test_principal_axes_keep_distances(pictures: Thumbs) -> None:
    flat = pictures.reshape(len(pictures), -1)
    values = describe(flat, np.arange(len(flat))).values
    axes = principal_axes(values)
    np.testing.assert_allclose(axes.T @ axes, np.eye(96), atol=1e-9)
    turned = values.copy()
    rotate(turned, axes)
    np.testing.assert_allclose(
        squared_distances(turned[:9], turned), squared_distances(values[:9], values), atol=1e-5
    )
    spread = turned.var(axis=0)
    assert (np.diff(spread) <= 1e-9).all()
    # the last ones, along which nothing spreads, may be any
    again = principal_axes(values[::-1])
    np.testing.assert_allclose(again[:, :40], axes[:, :40], atol=1e-3)
