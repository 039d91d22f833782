"""The shift of networks whose norm layers remember nothing: against two ordinary photos."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from frostline.core.errors import InputError
from frostline.core.preprocessing import Preprocessing
from frostline.evidence.reference import (
    _PHOTOS,
    MOST_IMAGES,
    N_CROPS,
    _read,
    reference_crops,
    shift_from_reference,
)

SLICES = {"early": slice(0, 30), "late": slice(30, 64)}
PIXELS = load_digits().images.reshape(-1, 64)


def test_crops_are_ordinary_and_always_the_same() -> None:
    preprocessing = Preprocessing(size=48)
    crops = reference_crops(preprocessing)
    assert crops.shape == (N_CROPS, 48, 48, 3)
    assert crops.dtype == np.uint8
    reference_crops.cache_clear()
    np.testing.assert_array_equal(crops, reference_crops(preprocessing))
    whole = np.concatenate([photo.reshape(-1, 3) for photo in load_sample_images().images])
    assert np.abs(crops.reshape(-1, 3).mean(0) - whole.mean(0)).max() < 40
    assert len({crop.tobytes() for crop in crops}) == N_CROPS


def test_the_photos_are_those_that_the_thresholds_were_measured_with() -> None:
    """Whoever sees scikit-learn's photos sees ours: figures that were published stay true."""
    for name, theirs in zip(_PHOTOS, load_sample_images().images, strict=True):
        np.testing.assert_array_equal(_read(name), theirs)


def test_images_of_the_same_kind_have_no_shift_however_few() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        rows = rng.permutation(len(PIXELS))
        few, many = PIXELS[rows[:12]], PIXELS[rows[12:400]]
        found.append(shift_from_reference(few, many, SLICES).distance)
    # sampling adds about 1/12 / 2 to every squared difference: taken off again
    assert abs(np.mean(found)) < 0.01


def test_a_known_offset_comes_out_exactly() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(20_000, 64))
    target = rng.normal(size=(20_000, 64))
    target[:, 30:] += 2.0
    shift = shift_from_reference(target, reference, SLICES, seed=1)
    early, late = shift.layers
    assert (early.layer, late.layer) == ("early", "late")
    assert early.shift == pytest.approx(0.0, abs=1e-3)
    assert late.shift == pytest.approx(4.0 / 2.0, rel=0.03)
    assert late.kl == pytest.approx(2.0, rel=0.05)
    assert shift.distance == pytest.approx(1.0, rel=0.03)
    assert shift.interval[0] < shift.distance < shift.interval[1]
    assert shift.measure == "reference photos"
    assert shift.kind == "unknown"
    assert "two ordinary photos" in shift.warnings[0]


@pytest.mark.parametrize(
    ("offset", "label"), [(0.0, "similar"), (1.2, "moderate"), (4.0, "different")]
)
def test_labels_follow_the_distance(offset: float, label: str) -> None:
    rng = np.random.default_rng(2)
    target = rng.normal(size=(500, 64)) + offset
    assert shift_from_reference(target, rng.normal(size=(500, 64)), SLICES).label == label


def test_dead_channels_do_not_count() -> None:
    rng = np.random.default_rng(3)
    reference, target = rng.normal(size=(300, 64)), rng.normal(size=(300, 64))
    reference[:, 5] = 0.0
    target[:, 5] = 100.0
    assert shift_from_reference(target, reference, SLICES).distance < 0.05


def test_a_sample_of_many_images_is_compared() -> None:
    rng = np.random.default_rng(4)
    target, reference = rng.normal(size=(30_000, 64)) + 1.0, rng.normal(size=(2_000, 64))
    # the order of a catalog is that of its classes: a sample must not be its beginning
    target[:5000] += 3.0
    found = shift_from_reference(target, reference, SLICES)
    assert found.n_images == MOST_IMAGES
    everything = target.mean(axis=0) - reference.mean(axis=0)
    expected = (everything**2 / (target.var(axis=0) + reference.var(axis=0))).mean()
    assert found.distance == pytest.approx(expected, rel=0.05)
    assert shift_from_reference(target[:MOST_IMAGES], reference, SLICES).n_images == MOST_IMAGES


def test_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="two images"):
        shift_from_reference(PIXELS[:1], PIXELS, SLICES)
