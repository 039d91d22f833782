"""What new classes look like to the old classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.backbones.network import Network
from frostline.evidence.source_classes import nearest_source_classes
from frostline.stats.inputs import CHUNK_ROWS
from frostline.stats.selection import Selection

pytestmark = pytest.mark.slow


def test_it_is_the_networks_own_classifier() -> None:
    network = Network.load("efficientnet_lite0")
    source = network.source_classifier()
    assert source is not None
    photos = [Image.fromarray(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]
    pixels = np.stack([network.preprocessing.apply(photo) for photo in photos])
    x = torch.from_numpy(network.preprocessing.normalise(pixels))
    with torch.no_grad():
        expected = torch.softmax(network.module(x).double(), dim=1).numpy()
        means = network.feature_module(x).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(source.probabilities(means), expected, atol=1e-5)
    found = nearest_source_classes(means, [0, 1], ["a flower", "a building"], source)
    assert [one.label for one in found] == ["a flower", "a building"]
    assert found[1].source in ("palace", "monastery", "bell cote", "stupa", "castle")
    assert found[0].probability == pytest.approx(expected[0].max(), abs=1e-5)


def test_the_mean_over_a_class_decides_and_a_low_one_is_not_close() -> None:
    source = SourceClassifier(np.eye(3) * 4, np.zeros(3), ("cat", "dog", "pan"))
    means = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.0, 0, 0]])
    found = nearest_source_classes(means, [0, 0, 0, 2], ["x", "none", "y"], source)
    assert [(one.label, one.source) for one in found] == [("x", "cat"), ("y", "cat")]
    assert found[0].close
    assert found[1].probability == pytest.approx(1 / 3)


def test_images_are_asked_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    source = SourceClassifier(rng.normal(size=(4, 7)), rng.normal(size=7), tuple("abcdefg"))
    means = rng.normal(size=(CHUNK_ROWS + 700, 4)).astype(np.float32)
    labels = rng.integers(0, 3, len(means))
    everything = source.probabilities(means)
    expected = [everything[labels == number].mean(axis=0) for number in range(3)]
    asked: list[int] = []
    plain = SourceClassifier.probabilities

    def counting(self: SourceClassifier, some: npt.ArrayLike) -> npt.NDArray[np.float64]:
        asked.append(len(np.asarray(some)))
        return plain(self, some)

    monkeypatch.setattr(SourceClassifier, "probabilities", counting)
    selection = Selection(means, np.arange(len(means)), [slice(0, 4)])
    found = nearest_source_classes(selection, labels, ["x", "y", "z"], source)
    assert [one.source for one in found] == ["abcdefg"[average.argmax()] for average in expected]
    np.testing.assert_allclose([f.probability for f in found], [a.max() for a in expected])
    assert sum(asked) == len(means)
    assert max(asked) <= CHUNK_ROWS


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_unknown_or_other_classifiers_say_nothing(name: str, tmp_path: Path) -> None:
    assert Network.load(name, pretrained=False).source_classifier() is None
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), tmp_path / "w.safetensors")
    own = Network.load(name, weights=tmp_path / "w.safetensors")
    assert own.source_classifier() is None
