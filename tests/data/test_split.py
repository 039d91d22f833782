"""Splits: laws that hold for any labels and groups, checked by counting."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.core.errors import InputError
from frostline.data.catalog import Catalog, ImageRow, Part
from frostline.data.splitting.split import make_split, stratified_folds, stratified_holdout

IntArray = npt.NDArray[np.int64]
Rows = tuple[IntArray, IntArray, list[str]]
TRAIN: Part = "train"
VAL: Part = "val"
TEST: Part = "test"


def digests_of(n: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(n)]


@st.composite
def rows(draw: st.DrawFn, *, pure: bool = False, least: int = 4) -> Rows:
    """Labels, groups and digests; ``pure``: no group mixes labels."""
    n = draw(st.integers(least, 80))
    labels = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), dtype=np.int64)
    raw = draw(st.lists(st.integers(0, draw(st.integers(1, n))), min_size=n, max_size=n))
    groups = np.array(raw, dtype=np.int64)
    return labels, groups * 10 + labels if pure else groups, digests_of(n)


def groups_per_class(labels: IntArray, groups: IntArray) -> dict[int, int]:
    found: dict[int, set[int]] = defaultdict(set)
    for label, group in zip(labels.tolist(), groups.tolist(), strict=True):
        found[label].add(group)
    return {label: len(own) for label, own in found.items()}


@settings(deadline=None, max_examples=150)
@given(rows(), st.floats(0.05, 0.5), st.integers(0, 5))
def test_holdout_keeps_groups_whole_and_classes_learnable(
    data: Rows, fraction: float, seed: int
) -> None:
    labels, groups, digests = data
    rest, held = stratified_holdout(labels, groups, digests, fraction=fraction, seed=seed)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    assert not set(groups[rest].tolist()) & set(groups[held].tolist())
    assert set(labels[rest].tolist()) == set(labels.tolist())


@settings(deadline=None, max_examples=100)
@given(rows(pure=True), st.floats(0.05, 0.5))
def test_holdout_takes_from_every_class_that_can_give(data: Rows, fraction: float) -> None:
    labels, groups, digests = data
    _, held = stratified_holdout(labels, groups, digests, fraction=fraction, seed=0)
    able = {label for label, count in groups_per_class(labels, groups).items() if count > 1}
    assert set(labels[held].tolist()) == able


@settings(deadline=None, max_examples=100)
@given(rows(), st.integers(2, 6), st.integers(0, 5))
def test_folds_test_every_row_once_with_groups_whole(data: Rows, n_folds: int, seed: int) -> None:
    labels, groups, digests = data
    if len(set(groups.tolist())) < 2:
        with pytest.raises(InputError, match="one group"):
            stratified_folds(labels, groups, digests, n_folds=n_folds, seed=seed)
        return
    folds = stratified_folds(labels, groups, digests, n_folds=n_folds, seed=seed)
    assert 2 <= len(folds) <= n_folds
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested.tolist()) == list(range(len(labels)))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(len(labels)))
        assert not set(groups[train].tolist()) & set(groups[test].tolist())


@settings(deadline=None, max_examples=100)
@given(rows(pure=True), st.integers(2, 6))
def test_every_training_fold_has_every_class_that_can_be_spread(data: Rows, n_folds: int) -> None:
    labels, groups, digests = data
    counts = groups_per_class(labels, groups)
    if sum(counts.values()) < 2:
        return
    able = {label for label, count in counts.items() if count > 1}
    for train, _ in stratified_folds(labels, groups, digests, n_folds=n_folds, seed=1):
        assert able <= set(labels[train].tolist())


@settings(deadline=None, max_examples=60)
@given(rows(), st.randoms(use_true_random=False))
def test_neither_order_nor_group_numbers_matter(data: Rows, random: object) -> None:
    labels, groups, digests = data
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    renamed = (groups[order] * 7919 + 13) % 100_003

    def chosen(positions: IntArray, names: list[str]) -> set[str]:
        return {names[i] for i in positions}

    moved = [digests[i] for i in order]
    _, held = stratified_holdout(labels, groups, digests, fraction=0.3, seed=4)
    _, again = stratified_holdout(labels[order], renamed, moved, fraction=0.3, seed=4)
    assert chosen(held, digests) == chosen(again, moved)
    if len(set(groups.tolist())) > 1:
        folds = stratified_folds(labels, groups, digests, n_folds=3, seed=4)
        others = stratified_folds(labels[order], renamed, moved, n_folds=3, seed=4)
        assert [chosen(test, digests) for _, test in folds] == [
            chosen(test, moved) for _, test in others
        ]


def test_shares_are_stratified_and_exact_for_single_images() -> None:
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    digests = digests_of(1000)
    rest, held = stratified_holdout(labels, np.arange(1000), digests, fraction=0.2, seed=0)
    assert np.bincount(labels[held]).tolist() == [140, 50, 10]
    assert (np.diff(rest) > 0).all()
    assert (np.diff(held) > 0).all()
    for _, test in stratified_folds(labels, np.arange(1000), digests, n_folds=5, seed=0):
        assert np.bincount(labels[test]).tolist() == [140, 50, 10]


def test_folds_are_balanced_in_total_when_classes_are_small() -> None:
    labels = np.repeat(np.arange(50), 3)
    folds = stratified_folds(labels, np.arange(150), digests_of(150), n_folds=5, seed=0)
    assert [len(test) for _, test in folds] == [30] * 5


def test_large_groups_come_close_to_the_share() -> None:
    sizes = [40, 30, 20, 10, 5, 5, 5, 5, 40, 40]
    groups = np.repeat(np.arange(10), sizes)
    for seed in range(20):
        _, held = stratified_holdout(
            np.zeros(200, dtype=int), groups, digests_of(200), fraction=0.2, seed=seed
        )
        assert 20 <= len(held) <= 60


def test_seeds_differ_and_agree_with_chance() -> None:
    labels, digests = np.zeros(400, dtype=int), digests_of(400)
    picks = [
        set(stratified_holdout(labels, np.arange(400), digests, fraction=0.2, seed=s)[1].tolist())
        for s in range(30)
    ]
    counts = Counter(i for pick in picks for i in pick)
    assert all(len(pick) == 80 for pick in picks)
    # binomial(30, 0.2): beyond 18 has a chance of about 1e-7 for an image
    assert max(counts.values()) <= 18
    overlap = np.mean([len(a & b) for a in picks for b in picks if a is not b])
    assert overlap == pytest.approx(16, abs=2)


def test_adding_images_moves_few() -> None:
    digests = digests_of(1100)
    labels = np.arange(1100) % 4

    def held(n: int) -> set[int]:
        found = stratified_holdout(labels[:n], np.arange(n), digests[:n], fraction=0.2, seed=0)
        return set(found[1].tolist())

    before, after = held(1000), {i for i in held(1100) if i < 1000}
    assert len(before ^ after) < 40


def test_a_mixed_group_counts_for_its_majority() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    groups = np.array([0, 0, 1, 2, 3, 4, 0, 5, 6, 7])
    rest, held = stratified_holdout(labels, groups, digests_of(10), fraction=0.5, seed=0)
    assert set(labels[rest].tolist()) == {0, 1}
    assert set(labels[held].tolist()) == {0, 1}


# ------------------------------------------------------------------------- make_split


def catalog_of(labels: list[int], parts: Sequence[Part | None] | None = None) -> Catalog:
    digests = digests_of(len(labels))
    made = tuple(
        ImageRow(Path(f"/x/{i}"), f"{i}.png", label, (parts or [None] * len(labels))[i])
        for i, label in enumerate(labels)
    )
    return Catalog("x", tuple("abc"[: max(labels) + 1]), made, tuple(digests))


def test_a_given_test_part_wins() -> None:
    parts = [*[TRAIN] * 6, *[VAL] * 2, *[TEST] * 4]
    split = make_split(catalog_of([0, 1] * 6, parts), np.arange(12), test_size=0.2, seed=0)
    assert split.method == "given"
    assert split.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert split.validation.tolist() == [6, 7]
    assert split.test.tolist() == [8, 9, 10, 11]


def test_few_images_are_cross_validated() -> None:
    split = make_split(catalog_of([0, 1] * 249), np.arange(498), test_size=0.2, seed=0)
    assert split.method == "cross-validation"
    assert len(split.train) == 498
    assert len(split.test) == len(split.validation) == 0


def test_many_images_are_held_out() -> None:
    split = make_split(catalog_of([0, 1] * 250), np.arange(500), test_size=0.2, seed=0)
    assert split.method == "held-out"
    assert len(split.test) == 100
    assert len(split.train) == 400
    forced = make_split(
        catalog_of([0, 1] * 20), np.arange(40), test_size=0.2, seed=0, cross_validate_below=0
    )
    assert forced.method == "held-out"


@pytest.mark.parametrize(("n", "method"), [(300, "cross-validation"), (700, "held-out")])
def test_a_given_validation_part_stays(n: int, method: str) -> None:
    parts = [*[TRAIN] * n, *[VAL] * 100]
    split = make_split(
        catalog_of([0, 1] * ((n + 100) // 2), parts), np.arange(n + 100), test_size=0.2, seed=0
    )
    assert split.method == method
    assert split.validation.tolist() == list(range(n, n + 100))
    assert sorted([*split.train, *split.test]) == list(range(n))


@pytest.mark.parametrize("n", [100, 600])
def test_groups_as_large_as_classes_are_refused(n: int) -> None:
    labels = [0, 1] * (n // 2)
    with pytest.raises(InputError, match="single group"):
        make_split(catalog_of(labels), labels, test_size=0.2, seed=0)


def test_the_test_part_takes_whole_groups() -> None:
    groups = np.arange(600) // 4 * 3
    split = make_split(catalog_of([0, 1, 1] * 200), groups, test_size=0.2, seed=0)
    assert split.method == "held-out"
    assert len(split.test) == 120
    assert not set(groups[split.test].tolist()) & set(groups[split.train].tolist())


def test_file_names_do_not_matter() -> None:
    catalog = catalog_of([0, 1, 2] * 200)
    renamed = replace(
        catalog, rows=tuple(replace(row, name=f"new/{row.name}") for row in catalog.rows)
    )
    one, two = (make_split(c, np.arange(600), test_size=0.3, seed=7) for c in (catalog, renamed))
    assert one.test.tolist() == two.test.tolist()
