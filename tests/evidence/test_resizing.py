"""Another way to make pictures square is taken only where a paired comparison is clear."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.settings import ResizeMode
from frostline.data.splitting.sampling import stratified_rows
from frostline.evidence.resizing import ResizeSample, best_resize, compare_resizes
from frostline.targets.labelled import Labelled
from frostline.targets.single_label import SingleLabel

N = 120


def features(labels: IntArray, *, share: float, seed: int) -> FloatArray:
    """Features that tell the class of a share of the images, and nothing of the others."""
    random = np.random.default_rng(seed)
    told = random.random(len(labels)) < share
    columns = np.eye(3)[labels] * told[:, None]
    return (columns + 0.1 * random.standard_normal((len(labels), 3))).astype(np.float32)


def sample(*, pad: float, groups: IntArray | None = None) -> ResizeSample:
    labels = np.arange(N) % 3
    own = np.arange(N) if groups is None else groups
    return ResizeSample(
        tuple(f"{i:03}" for i in range(N)),
        Labelled(SingleLabel(3), labels, own),
        {
            "crop": features(labels, share=0.5, seed=0),
            "squash": features(labels, share=0.5, seed=1),
            "pad": features(labels, share=pad, seed=2),
        },
        [slice(0, 3)],
    )


def test_a_clear_gain_is_taken() -> None:
    scores = compare_resizes(sample(pad=0.95))
    assert best_resize(scores, "crop") == "pad"
    assert scores["pad"].accuracy > scores["crop"].accuracy + 0.2
    assert scores["crop"].gain == 0.0 and not scores["crop"].clearly_better


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_chance_and_a_loss_are_not(share: float) -> None:
    assert best_resize(compare_resizes(sample(pad=share)), "crop") == "crop"


def test_two_tries_of_nothing_are_rarely_a_gain() -> None:
    labels = np.arange(60) % 2
    taken = 0
    for seed in range(40):
        drawn = {
            mode: features(labels, share=0.5, seed=3 * seed + i)
            for i, mode in enumerate(("crop", "squash", "pad"))
        }
        one = ResizeSample(
            tuple(f"{i:03}" for i in range(60)),
            Labelled(SingleLabel(2), labels, np.arange(60)),
            {"crop": drawn["crop"], "squash": drawn["squash"], "pad": drawn["pad"]},
            [slice(0, 3)],
        )
        taken += best_resize(compare_resizes(one), "crop") != "crop"
    # one side of an interval of 95 %, shared by two tries
    assert taken <= 4


def test_groups_count_and_not_images() -> None:
    # pad tells the images of half the groups, crop those of the other half: by chance, as six
    # groups have it, two thirds against one
    groups = np.arange(N) % 6
    labels = np.arange(N) % 2
    told = {"crop": groups < 2, "squash": groups < 2, "pad": groups >= 2}
    noise = np.random.default_rng(0).standard_normal((N, 2))
    tables: dict[ResizeMode, FloatArray] = {
        "crop": np.eye(2)[labels] * told["crop"][:, None] + 0.1 * noise,
        "squash": np.eye(2)[labels] * told["squash"][:, None] + 0.1 * noise,
        "pad": np.eye(2)[labels] * told["pad"][:, None] + 0.1 * noise,
    }
    digests = tuple(f"{i:03}" for i in range(N))
    alone = Labelled(SingleLabel(2), labels, np.arange(N))
    found = ResizeSample(digests, alone, tables, [slice(0, 2)])
    assert compare_resizes(found)["pad"].clearly_better
    together = found.grouped({digest: int(groups[i]) for i, digest in enumerate(digests)})
    assert compare_resizes(together)["pad"].gain > 0.05
    assert not compare_resizes(together)["pad"].clearly_better


def test_a_sample_is_regrouped_and_loses_what_is_tested() -> None:
    found = sample(pad=0.8).grouped({f"{i:03}": i // 2 for i in range(0, N, 3)})
    assert len(found) == 40 and set(found.labelled.truth) == {0}
    assert found.n_groups == len({i // 2 for i in range(0, N, 3)})
    np.testing.assert_array_equal(found.tables["pad"], sample(pad=0.8).tables["pad"][::3])
    # one class is left: nothing to compare
    assert compare_resizes(found) == {}


def test_the_sample_is_stratified_and_turns_on_content_alone() -> None:
    random = np.random.default_rng(0)
    digests = [f"{n:08x}" for n in random.permutation(2**20)[:1000]]
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    rows = stratified_rows(digests, np.arange(1000), labels, 200)
    assert np.bincount(labels[rows]).tolist() == [140, 50, 10]
    order = random.permutation(1000)
    again = stratified_rows([digests[i] for i in order], np.arange(1000), labels[order], 200)
    assert {digests[i] for i in rows} == {digests[order[i]] for i in again}
    # of very many classes the largest stand for all, with several images each
    many = np.arange(1000) % 300
    assert len(set(many[stratified_rows(digests, np.arange(1000), many, 200)])) == 50
