"""Reference pictures and their cards: what is told, what is not known, and what it then decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.compute.moments import NormMoments, SourceNorm, pictures_within
from frostline.core.errors import InputError
from frostline.core.preprocessing import Preprocessing
from frostline.evidence.picture_card import make_card, shift_from_card
from frostline.evidence.pictures import N_PICTURES, are_photos, reference_pictures

NORMS = [SourceNorm(f"layer{i}", 30, 1e-5, None, (i + 0.5) / 6) for i in range(6)]


def values(offsets: npt.ArrayLike, *, seed: int, spread: float = 1.0) -> npt.NDArray[np.float32]:
    """Moments of images whose channels have a mean around 0 and, over space, a variance of 1."""
    given = np.asarray(offsets, dtype=np.float64).reshape(-1, 1)
    rng, parts = np.random.default_rng(seed), []
    for norm in NORMS:
        mean = given + spread * 0.4 * rng.normal(size=(len(given), norm.channels))
        parts += [mean, mean**2 + 1.0]
    return np.concatenate(parts, axis=1).astype(np.float32)


def moments(offset: float, *, n: int = 64, seed: int = 1) -> NormMoments:
    return NormMoments(NORMS, values(np.full(n, offset), seed=seed), np.arange(n), "x", 64)


def card(drawn: float = 0.5, *, seed: int = 0) -> Any:
    found = values(np.where(are_photos(64), 0.0, drawn), seed=seed)
    return make_card(NORMS, found[are_photos(64)], found[~are_photos(64)])


def test_pictures_are_diverse_and_always_the_same() -> None:
    preprocessing = Preprocessing(size=48)
    shown = reference_pictures(preprocessing)
    assert shown.shape == (N_PICTURES, 48, 48, 3)
    assert shown.dtype == np.uint8
    assert len({picture.tobytes() for picture in shown}) == N_PICTURES
    reference_pictures.cache_clear()
    np.testing.assert_array_equal(reference_pictures(preprocessing, 16), shown[:16])
    assert are_photos(64).sum() == 40
    for n in range(8, 65, 8):
        assert are_photos(n).mean() == 5 / 8


@pytest.mark.parametrize(
    ("macs", "n"),
    [
        (1, 64),
        (400_000_000, 64),
        (12_000_000_000, 56),
        (17_500_000_000, 40),
        (46_700_000_000, 16),
        (47_000_000_000, 0),
    ],
)
def test_how_many_pictures_follows_from_the_work(macs: int, n: int) -> None:
    assert pictures_within(macs) == n
    # within 10 seconds of one core, whatever the network
    assert n * macs <= 10 * 75e9


def test_a_card_is_centred_on_the_photos_and_knows_its_noise() -> None:
    found = card()
    # 0.25 in units of a variance of 1.16
    assert found.yardstick == pytest.approx(0.25 / 1.16, rel=0.1)
    assert 0.0 < found.noise < 0.1 * found.yardstick
    assert (found.n_photos, found.n_pictures) == (40, 64)
    # the choice of the photos is taken off: the same images again are no nearer than others
    again = [shift_from_card(moments(0.0, seed=s), card(seed=99)).distance for s in range(5)]
    assert abs(np.mean(again)) < 3 * found.noise


@pytest.mark.parametrize(
    ("offset", "label"), [(0.3, "similar"), (0.5, "moderate"), (0.8, "different")]
)
def test_labels_follow_the_yardstick(offset: float, label: str) -> None:
    found = shift_from_card(moments(offset), card())
    assert found.label == label
    assert found.measure == "reference pictures"
    assert (found.n_reference, found.relative) == (40, None)
    assert found.interval[0] < found.distance < found.interval[1]
    assert found.distance == pytest.approx(offset**2 / 1.16, abs=0.02)
    assert found.kind == ("none" if label == "similar" else "global")
    assert "40 photos" in found.warnings[0]


def test_the_place_of_a_shift_goes_by_work() -> None:
    late = values(np.zeros(64), seed=1)
    late[:, -120:-90] += 2.0
    late[:, -90:-60] += 4.0
    found = shift_from_card(NormMoments(NORMS, late, np.arange(64), "x", 64), card())
    assert found.kind == "feature"
    # the same layers, all but the last of them in the first third
    shallow = [replace(norm, depth=0.05 * i) for i, norm in enumerate(NORMS)]
    found = shift_from_card(NormMoments(shallow, late, np.arange(64), "x", 64), card())
    assert found.kind == "unknown", "nothing was measured in the other thirds"


def test_what_the_cards_noise_hides_is_not_known() -> None:
    # images as near as other photos are similar: how near cannot be told, but nearer than far
    assert shift_from_card(moments(0.0), card()).label == "similar"
    # networks to which drawings are as near as photos
    blind = shift_from_card(moments(0.2), card(drawn=0.0))
    assert (blind.label, blind.kind) == ("unknown", "unknown")
    assert "not known" in blind.warnings[-1]
    plain = card()
    noisy = replace(plain, noise=plain.yardstick / 2)
    found = shift_from_card(moments(0.5), noisy)
    assert found.label == "unknown", "the interval reaches from similar to different"
    assert shift_from_card(moments(2.0), noisy).label == "different", "noise hides no such distance"


def test_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="two images"):
        shift_from_card(moments(0.5, n=1), card())
