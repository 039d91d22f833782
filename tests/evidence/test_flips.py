"""Digits do not survive mirroring; what is the same from both sides does."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from frostline.evidence.flips import check_flips, rows_to_mirror
from frostline.targets.labelled import Labelled
from frostline.targets.single_label import SingleLabel


def test_mirrored_digits_are_found_out() -> None:
    data = load_digits()
    images, labels = data.images[:600], data.target[:600].astype(np.int64)
    groups = np.arange(600)
    positions = rows_to_mirror(labels, groups, seed=0)
    assert len(positions) == len(np.unique(positions)) == 128
    assert (np.bincount(labels[positions], minlength=10) >= 6).all()
    found = check_flips(
        images.reshape(600, 64),
        Labelled(SingleLabel(10), labels, groups),
        images[positions][:, :, ::-1].reshape(-1, 64),
        positions,
    )
    assert not found.safe
    assert found.plain > 0.85
    assert found.mirrored < 0.7
    assert found.n_images == 128


def test_features_that_do_not_see_the_side_are_safe() -> None:
    data = load_digits()
    images, labels = data.images[:300], data.target[:300].astype(np.int64)
    both = np.concatenate([images.mean(axis=2), images.max(axis=2)], axis=1)
    groups = np.arange(300)
    positions = rows_to_mirror(labels, groups, seed=0)
    found = check_flips(both, Labelled(SingleLabel(10), labels, groups), both[positions], positions)
    assert found.safe
    assert (found.fall, found.standard_error) == (0.0, 0.0)


def test_an_image_never_vouches_for_its_own_mirror_image() -> None:
    """Labels without a pattern: a fit that knew the rows would get the plain ones right."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 400))
    labels = rng.integers(0, 2, size=200)
    positions = rows_to_mirror(labels, np.arange(200), seed=0)
    found = check_flips(
        features,
        Labelled(SingleLabel(2), labels, np.arange(200)),
        rng.normal(size=(len(positions), 400)),
        positions,
    )
    assert found.plain < 0.7
    assert found.safe


def test_too_few_images_say_nothing_against_flips() -> None:
    labels, groups = np.array([0, 1]), np.array([0, 0])
    features = np.eye(2)
    labelled = Labelled(SingleLabel(2), labels, groups)
    found = check_flips(features, labelled, features, np.array([0, 1]))
    assert found.safe
    assert found.n_images == 0
