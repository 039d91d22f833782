"""A head on taps without PyTorch is the one with PyTorch: its tensors, its outputs, its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

import frostline
from frostline.backbones.described import DescribedNetwork, described
from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.heads.as_module import as_module
from frostline.backbones.heads.classifiers import TapsClassifier
from frostline.backbones.heads.fitted_classifier import HEAD_BIAS, HEAD_WEIGHT
from frostline.backbones.heads.linear_on_taps import LinearOnTaps, head_on_taps
from frostline.backbones.load.restore import restore_module
from frostline.backbones.trainable import trainable
from frostline.core.actions import TapsHead
from frostline.core.errors import BackboneError, EngineError
from frostline.core.preprocessing import UInt8Array
from frostline.exporting.model_onnx import export_onnx, verify_onnx
from frostline.exporting.save_model import save_model
from frostline.model_format.card import FamiliarImages, ModelCard
from frostline.stats.ood import OODScorer, fit_ood_scorer

CLASSES = ("sky", "petal", "leaf")
N_IMAGES = 24


@pytest.fixture(scope="module")
def network() -> DescribedNetwork:
    return described("efficientnet_lite0")


@pytest.fixture(scope="module")
def images(network: DescribedNetwork) -> UInt8Array:
    """Pieces of two photographs, as the network sees them."""
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    boxes = [(17 * i, 8 * i, 17 * i + 150, 8 * i + 170) for i in range(N_IMAGES)]
    pieces = [whole[i % 2].crop(box) for i, box in enumerate(boxes)]
    return np.stack([network.preprocessing.apply(piece) for piece in pieces])


def head(
    network: DescribedNetwork, taps: list[str], images: UInt8Array
) -> tuple[LinearOnTaps, npt.NDArray[Any]]:
    """Return a classifier that tells some images apart, and what its head reads of them."""
    width = sum(network.cut(tap).pooled_width for tap in taps)
    empty = LinearOnTaps(network, taps, np.zeros((3, width)), np.zeros(3))
    features = empty.head_inputs([images], network.preprocessing)
    centred = (features - features.mean(axis=0))[:3]
    weight = 8 * centred / np.square(centred).sum(axis=1, keepdims=True)
    return LinearOnTaps(network, taps, weight, -weight @ features.mean(axis=0)), features


@pytest.mark.parametrize("last", [False, True])
def test_its_tensors_are_those_of_the_module(network: DescribedNetwork, last: bool) -> None:
    of_torch = trainable(network)
    taps = list(network.taps[-1:] if last else network.taps[1:4:2])
    width = sum(network.cut(tap).pooled_width for tap in taps)
    weight = np.random.default_rng(0).normal(size=(3, width))
    # in whatever order the taps are named
    found = LinearOnTaps(network, taps[::-1], weight, np.arange(3.0))
    module = TapsClassifier(of_torch, taps, n_outputs=3)
    state = module.state_dict()
    assert list(found.tensors()) == list(state)
    assert found.tensor_prefix == module.tensor_prefix
    assert (found.cuts, found.layouts, found.blocks) == (module.cuts, module.layouts, module.blocks)
    assert found.leader.frozen
    for name, value in found.tensors().items():
        assert value.dtype.name == str(state[name].dtype).removeprefix("torch."), name
        if name not in (HEAD_WEIGHT, HEAD_BIAS):
            assert np.array_equal(value, state[name].numpy()), name
    same = as_module(found)
    assert found.fingerprint() == same.fingerprint() == fingerprint(same)
    kept = [name for name in state if name.startswith(found.tensor_prefix)]
    assert found.fingerprint(kept) == fingerprint(module, kept)
    assert head_on_taps(network, taps, weight, np.arange(3.0)).fingerprint() == found.fingerprint()
    with_torch = head_on_taps(of_torch, taps, weight, np.arange(3.0))
    assert isinstance(with_torch, TapsClassifier)
    assert with_torch.fingerprint() == found.fingerprint()


def test_its_outputs_are_those_of_the_module(network: DescribedNetwork, images: UInt8Array) -> None:
    found, features = head(network, list(network.taps[-3:]), images)
    module = as_module(found)
    preprocessing = network.preprocessing
    expected = module.run([images], preprocessing)
    seen = module.leader.head_inputs([images], preprocessing)
    # some channels are the same for all images
    assert (np.abs(features - seen) / np.maximum(features.std(axis=0), 1e-2)).max() < 1e-3
    assert np.ptp(expected, axis=0).min() > 1, "the images must say something"
    np.testing.assert_allclose(
        found.run([images[:5], images[5:]], preprocessing), expected, atol=1e-3
    )
    np.testing.assert_allclose(found.logits(features), expected, atol=1e-3)
    right = found.reference(images, preprocessing, head_input=True)
    np.testing.assert_allclose(right.logits, expected, atol=1e-3)
    assert right.head_input is not None
    np.testing.assert_allclose(right.head_input, features, atol=1e-3)
    assert found.run([], preprocessing).shape == (0, 3)


def test_statistics_of_other_images_are_its_own(
    network: DescribedNetwork, images: UInt8Array
) -> None:
    norm = network.all_norm_layers()[0]
    tensors = network.tensors()
    changed = network.with_tensors({f"{norm}.running_mean": tensors[f"{norm}.running_mean"] + 1})
    found, _ = head(changed, [network.taps[-1]], images)
    module = as_module(found)
    np.testing.assert_allclose(
        found.run([images], network.preprocessing),
        module.run([images], network.preprocessing),
        atol=1e-3,
    )
    assert found.fingerprint() == fingerprint(module)


def test_a_head_of_another_width_is_refused(network: DescribedNetwork) -> None:
    with pytest.raises(BackboneError, match="reads 2560 values"):
        LinearOnTaps(network, [network.taps[-1]], np.zeros((3, 5)), np.zeros(3))


def card_of(classifier: LinearOnTaps, **more: Any) -> ModelCard:
    network = classifier.network
    return ModelCard(
        frostline="0.1.0",
        classes=CLASSES,
        preprocessing=network.preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        taps=classifier.cuts,
        action=TapsHead(taps=list(classifier.cuts)),
        temperature=1.7,
        n_train=8,
        **more,
    )


def scorer(features: npt.NDArray[Any], blocks: list[slice] | None) -> OODScorer:
    found = fit_ood_scorer(features[:16], blocks=blocks)
    distances = found.distances(features[16:])
    found = found.normalised_by(distances)
    return found.with_threshold(float(found.score_of(distances).max()))


def test_its_folder_is_that_of_the_module(
    network: DescribedNetwork, images: UInt8Array, tmp_path: Path
) -> None:
    found, features = head(network, [network.taps[-3], network.taps[-1]], images)
    familiar = FamiliarImages(n_fitted=16, n_threshold=8)
    card, ood = card_of(found, familiar=familiar), scorer(features, found.blocks)
    module = as_module(found)
    written = save_model(tmp_path / "a", found, card, ood_scorer=ood, images=images[:4])
    save_model(tmp_path / "b", module, card, ood_scorer=ood, images=images[:4])
    assert written.onnx_difference == 0
    weights = (tmp_path / "a" / "weights.safetensors").read_bytes()
    assert weights == (tmp_path / "b" / "weights.safetensors").read_bytes()
    # and as the library of PyTorch writes them
    save_file(module.state_dict(), tmp_path / "c.safetensors", metadata={"format": "pt"})
    assert weights == (tmp_path / "c.safetensors").read_bytes()
    one, other = frostline.load(tmp_path / "a"), frostline.load(tmp_path / "b")
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    probabilities = one.predict_proba(whole)
    np.testing.assert_allclose(probabilities, other.predict_proba(whole), atol=1e-4)
    scores = [[r.unfamiliarity for r in m.predict_each(whole)] for m in (one, other)]  # type: ignore[union-attr]
    ours, theirs = np.array(scores, dtype=float)
    np.testing.assert_allclose(ours, theirs, rtol=5e-3)
    # the probabilities are the same bits without the score
    save_model(tmp_path / "d", found, card_of(found), images=images[:4])
    assert np.array_equal(frostline.load(tmp_path / "d").predict_proba(whole), probabilities)
    # what reads the weights gets the module back
    restored = restore_module(tmp_path / "a")
    x = torch.from_numpy(network.preprocessing.normalise(images[:2]))
    with torch.inference_mode():
        assert torch.equal(restored(x), module(x))
    session = ort.InferenceSession(str(tmp_path / "a" / "model.onnx"))
    assert [output.name for output in session.get_outputs()] == ["probabilities", "unfamiliarity"]


def test_a_wrong_file_is_refused(
    network: DescribedNetwork, images: UInt8Array, tmp_path: Path
) -> None:
    found, features = head(network, [network.taps[-1]], images)
    path, ood = tmp_path / "m.onnx", scorer(features, None)
    export_onnx(found, network.preprocessing, 1.0, path, classes=CLASSES, ood_scorer=ood)
    right = (network.preprocessing, 1.0, images[:3])
    assert verify_onnx(path, found, *right, ood_scorer=ood) < 1e-4
    other = LinearOnTaps(network, found.cuts, found.weight[::-1], found.bias)
    with pytest.raises(EngineError, match="differs from the fitted one"):
        verify_onnx(path, other, *right, ood_scorer=ood)
    with pytest.raises(EngineError, match="of an unfamiliarity"):
        verify_onnx(path, found, *right, ood_scorer=ood.with_threshold(1.1))
    narrow = fit_ood_scorer(np.random.default_rng(0).normal(size=(20, 6)))
    with pytest.raises(EngineError, match="does not fit the head"):
        export_onnx(found, network.preprocessing, 1.0, path, ood_scorer=narrow)
    with pytest.raises(EngineError, match="3 outputs for 2 classes"):
        export_onnx(found, network.preprocessing, 1.0, path, classes=("a", "b"))


_SAVE = """
import sys
from pathlib import Path

folder, how = Path(sys.argv[1]), sys.argv[2]
if how == "without":
    sys.modules.update(torch=None, torchvision=None, timm=None)
import numpy as np

import frostline
from frostline.backbones.described import described
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.core.actions import TapsHead
from frostline.exporting.save_model import save_model
from frostline.model_format.card import ModelCard
from frostline.stats.ridge import ridge_loo
from frostline.targets.single_label import SingleLabel

images = np.load(folder.parent / "images.npy")
labels = np.arange(len(images)) % 2
network = described("efficientnet_lite0")
taps = list(network.taps[-2:])
width = sum(network.cut(tap).pooled_width for tap in taps)
empty = LinearOnTaps(network, taps, np.zeros((2, width)), np.zeros(2))
features = empty.head_inputs([images[:9], images[9:]], network.preprocessing)
fit = ridge_loo(features, SingleLabel(2).matrix(labels), blocks=empty.blocks)
classifier = LinearOnTaps(network, taps, fit.weight.T, fit.bias)
card = ModelCard(
    frostline="0.1.0",
    classes=("sky", "petal"),
    preprocessing=network.preprocessing,
    backbone=network.name,
    weights_licence=network.licence,
    taps=classifier.cuts,
    action=TapsHead(taps=taps),
    temperature=0.2,
    n_train=len(images),
)
save_model(folder, classifier, card, images=images[:8], origin="test")
found = frostline.load(folder, threads=1).predict_prepared(list(images))
np.save(folder / "found.npy", found)
expected = SingleLabel(2).link(classifier.logits(features), 0.2)
assert np.abs(found - expected).max() < 1e-4, np.abs(found - expected).max()
assert (found.argmax(axis=1) == labels).all()
if how == "without":
    assert sys.modules["torch"] is None
else:
    # what is installed is not imported for it
    assert "torch" not in sys.modules
"""


def test_a_model_is_fitted_saved_and_loaded_where_pytorch_is_missing(
    images: UInt8Array, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", images)
    for how in ("with", "without"):
        done = subprocess.run(
            [sys.executable, "-c", _SAVE, str(tmp_path / how), how],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "FROSTLINE_CACHE": str(tmp_path / f"cache {how}")},
        )
        assert done.returncode == 0, done.stderr
    for name in ("weights.safetensors", "model.onnx", "model.json"):
        one, other = ((tmp_path / how / name).read_bytes() for how in ("with", "without"))
        assert one == other, name
    found = [np.load(tmp_path / how / "found.npy") for how in ("with", "without")]
    assert np.array_equal(*found)
    # and the module of PyTorch that reads the folder says the same
    module = restore_module(tmp_path / "without")
    card = frostline.load(tmp_path / "without").card
    logits = module.run([images], card.preprocessing) / card.temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found[0], powers / powers.sum(axis=1, keepdims=True), atol=1e-3)


def test_the_network_below_takes_the_threads_that_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = described("efficientnet_lite0")
    tap = network.cut(network.taps[0])
    weight, bias = np.zeros((2, tap.pooled_width)), np.zeros(2)
    asked: list[int] = []

    def opened(model: object, *, threads: int, optimized: bool) -> object:
        asked.append(threads)
        raise EngineError("not here")

    monkeypatch.setattr("frostline.backbones.heads.linear_on_taps.open_session", opened)
    with pytest.raises(EngineError):
        head_on_taps(network, [tap.name], weight, bias, threads=3).run([], network.preprocessing)
    assert asked == [3]
