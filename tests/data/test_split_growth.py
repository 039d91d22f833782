"""Splits of many classes and groups: the same as by counting everything anew, in even time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.data.splitting import stratified
from frostline.data.splitting.stratified import separable, stratified_folds, stratified_holdout

IntArray = npt.NDArray[np.int64]
Group = tuple[int, ...]


def digests_of(n: int) -> list[str]:
    return [hashlib.sha256(f"{i}".encode()).hexdigest() for i in range(n)]


@st.composite
def mixed(draw: st.DrawFn) -> tuple[IntArray, IntArray]:
    n = draw(st.integers(4, 60))
    most = draw(st.integers(1, 11))
    labels = draw(st.lists(st.integers(0, most), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(0, draw(st.integers(1, n))), min_size=n, max_size=n))
    return np.array(labels, dtype=np.int64), np.array(groups, dtype=np.int64)


def key(group: Group, purpose: str, seed: int, digests: Sequence[str]) -> tuple[int, bytes]:
    text = f"{purpose}:{seed}:{min(digests[i] for i in group)}"
    return len(group), hashlib.blake2b(text.encode(), digest_size=16).digest()


def spread_by_hand(
    labels: IntArray, folds: list[list[Group]], seed: int, digests: Sequence[str]
) -> list[list[Group]]:
    """Count every class in every fold again after every step."""

    def homes(name: int) -> list[int]:
        has = [any(labels[i] == name for group in fold for i in group) for fold in folds]
        return [fold for fold, found in enumerate(has) if found]

    names = sorted(set(labels.tolist()))
    for name in names:
        at = homes(name)
        own = [g for f in at[:1] for g in folds[f] if any(labels[i] == name for i in g)]
        if len(at) != 1 or len(own) < 2:
            continue
        before = sum(len(homes(other)) == 1 for other in names)
        for group in sorted(own, key=lambda g: key(g, "folds", seed, digests)):
            sizes = [sum(map(len, fold)) for fold in folds]
            target = min((f for f in range(len(folds)) if f != at[0]), key=lambda f: (sizes[f], f))
            folds[at[0]].remove(group)
            folds[target].append(group)
            if sum(len(homes(other)) == 1 for other in names) < before:
                break
            folds[target].remove(group)
            folds[at[0]].append(group)
    return folds


@settings(deadline=None, max_examples=200)
@given(mixed(), st.integers(2, 5), st.integers(0, 3))
def test_classes_are_spread_as_by_hand(
    data: tuple[IntArray, IntArray], n_folds: int, seed: int
) -> None:
    labels, groups = data
    digests = digests_of(len(labels))
    if len(set(groups.tolist())) < 2:
        return
    dealt: list[list[Group]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stratified, "_spread_classes", lambda _, folds: folds)
        for _, test in stratified_folds(labels, groups, digests, n_folds=n_folds, seed=seed):
            inside = groups[test]
            dealt.append([tuple(test[inside == g].tolist()) for g in np.unique(inside)])
    expected = spread_by_hand(labels, dealt, seed, digests)
    found = stratified_folds(labels, groups, digests, n_folds=n_folds, seed=seed)
    assert [test.tolist() for _, test in found] == [
        sorted(i for group in fold for i in group) for fold in expected if fold
    ]


@settings(deadline=None, max_examples=200)
@given(mixed(), st.floats(0.1, 0.5))
def test_only_what_is_needed_is_given_back(
    data: tuple[IntArray, IntArray], fraction: float
) -> None:
    labels, groups = data
    digests = digests_of(len(labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stratified, "_return_what_is_needed", lambda _, held: held)
        _, drawn = stratified_holdout(labels, groups, digests, fraction=fraction, seed=0)
    held = [tuple(drawn[groups[drawn] == g].tolist()) for g in np.unique(groups[drawn])]
    for name in sorted(set(labels.tolist())):
        inside = [g for g in held if any(labels[i] == name for i in g)]
        if sum(labels[i] == name for g in inside for i in g) == (labels == name).sum():
            held.remove(min(inside, key=lambda g: key(g, "held-out", 0, digests)))
    _, found = stratified_holdout(labels, groups, digests, fraction=fraction, seed=0)
    assert found.tolist() == sorted(i for group in held for i in group)


@settings(deadline=None, max_examples=100)
@given(mixed())
def test_separable_means_two_groups_of_one_class(data: tuple[IntArray, IntArray]) -> None:
    labels, groups = data
    majorities = []
    for group in np.unique(groups):
        counts = np.bincount(labels[groups == group])
        majorities.append(int(counts.argmax()))
    assert separable(labels, groups) == (len(set(majorities)) < len(majorities))


def test_many_mixed_classes_take_few_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every class may make each of its groups move and come back, but no others."""
    moves = 0
    plain = stratified._Places.move

    def counting(self: stratified._Places, number: int, target: int) -> None:
        nonlocal moves
        moves += 1
        plain(self, number, target)

    monkeypatch.setattr(stratified._Places, "move", counting)
    for n in (1200, 4800):
        moves = 0
        labels = np.random.default_rng(n).integers(0, n // 4, n)
        stratified_folds(labels, np.arange(n) // 3, digests_of(n), n_folds=5, seed=0)
        assert 0 < moves <= 2 * n
