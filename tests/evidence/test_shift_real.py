"""The bundled network and its card on real images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from elpv_dataset.utils import load_dataset
from PIL import Image
from sklearn.datasets import load_sample_images

from frostline.backbones.network import Network
from frostline.compute.moments import BatchNormMoments
from frostline.evidence.cards import load_card
from frostline.evidence.shift import measure_shift

pytestmark = pytest.mark.slow

UInt8 = npt.NDArray[np.uint8]
Measure = Callable[[npt.NDArray[np.float32]], BatchNormMoments]


@pytest.fixture(scope="module")
def photos(lite0: Network) -> UInt8:
    """Windows of two photos; other windows than those the card was made from."""
    rng = np.random.default_rng(7)
    found = []
    for i in range(40):
        photo = load_sample_images().images[i % 2]
        side = int(rng.integers(150, 427))
        y, x = rng.integers(photo.shape[0] - side + 1), rng.integers(photo.shape[1] - side + 1)
        found.append(lite0.preprocessing.apply(Image.fromarray(photo[y : y + side, x : x + side])))
    return np.stack(found)


def test_photos_are_similar_and_solar_cells_different(
    lite0: Network, photos: UInt8, real_moments: Measure
) -> None:
    card = load_card("efficientnet_lite0", weights_id=lite0.weights_id)
    assert card is not None
    cells = [
        lite0.preprocessing.apply(Image.fromarray(cell).convert("RGB"))
        for cell in load_dataset()[0][::66]
    ]
    normalise = lite0.preprocessing.normalise
    near = measure_shift(real_moments(normalise(photos)), card=card)
    far = measure_shift(real_moments(normalise(np.stack(cells))), card=card)
    assert len(near.layers) == 49
    assert near.layers[0].layer == "bn1"
    assert (near.label, near.kind) == ("similar", "none")
    assert far.label == "different"
    assert far.interval[0] > near.interval[1]
    assert near.warnings == far.warnings == []


@pytest.mark.parametrize("mistake", ["range 0-255", "range 0-1", "other constants", "no mean"])
def test_wrong_normalisation_of_photos_is_noticed(
    mistake: str, lite0: Network, photos: UInt8, real_moments: Measure
) -> None:
    some = photos[::2]
    raw = some.transpose(0, 3, 1, 2).astype(np.float32)
    wrong = {
        "range 0-255": raw,
        "range 0-1": raw / 255.0,
        "other constants": (raw / 255.0 - 0.45) / 0.225,
        "no mean": raw / 127.5,
    }[mistake]
    card = load_card("efficientnet_lite0")
    found = measure_shift(real_moments(wrong.astype(np.float32)), card=card)
    assert len(found.warnings) == 1
    assert "check the preprocessing" in found.warnings[0]


def test_cards_know_their_weights(lite0: Network) -> None:
    card = load_card("efficientnet_lite0")
    assert card is not None
    assert card.weights_id == lite0.weights_id
    assert load_card("efficientnet_lite0", weights_id="other") is None
    assert load_card("resnet18") is None
    assert load_card("../cards/efficientnet_lite0") is None


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_every_card_labels_its_own_sets_as_they_are_known(name: str) -> None:
    card = load_card(name)
    assert card is not None
    labels = {row.name: row.label for row in card.sets}
    assert {row.label for row in card.sets if row.ordinary} == {"similar"}
    assert labels["solar cells"] == "different"
    assert labels["clip art"] in ("moderate", "different")
