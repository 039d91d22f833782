"""A head with a kernel is the same in NumPy, in PyTorch, in ONNX and once it was saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import frostline
from frostline.backbones.described import DescribedNetwork, described
from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.heads.as_module import as_module
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.backbones.load.restore import restore_module
from frostline.core.actions import TapsHead
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import UInt8Array
from frostline.explain.attribution import attribute_maps
from frostline.exporting.int8 import RECIPES, is_quantised, quantise
from frostline.exporting.save_model import save_model
from frostline.model_format.card import ModelCard
from frostline.onnx_graph.kernel_graph import KERNEL
from frostline.stats.kernel_part import KernelPart
from frostline.stats.kernel_ridge import kernel_ridge
from frostline.stats.target_matrix import OneHot

N = 24


@pytest.fixture(scope="module")
def network() -> DescribedNetwork:
    return described("efficientnet_lite0")


@pytest.fixture(scope="module")
def images(network: DescribedNetwork) -> UInt8Array:
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    boxes = [(17 * i, 8 * i, 17 * i + 150, 8 * i + 170) for i in range(N)]
    return np.stack(
        [network.preprocessing.apply(whole[i % 2].crop(box)) for i, box in enumerate(boxes)]
    )


@pytest.fixture(scope="module")
def card(network: DescribedNetwork, head: LinearOnTaps) -> ModelCard:
    return ModelCard(
        frostline="0.1.0",
        classes=("a", "b", "c"),
        preprocessing=network.preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        taps=head.cuts,
        action=TapsHead(taps=list(head.cuts), head="stacked", kernel=True),
        temperature=1.3,
        n_train=N,
    )


@pytest.fixture(scope="module")
def head(network: DescribedNetwork, images: UInt8Array) -> LinearOnTaps:
    taps = list(network.taps[-3:])
    width = sum(network.cut(tap).pooled_width for tap in taps)
    empty = LinearOnTaps(network, taps, np.zeros((3, width)), np.zeros(3))
    features = empty.head_inputs([images], network.preprocessing)
    # one photograph, and the left and the right of the other
    labels = np.where(np.arange(N) % 2, 2, np.arange(N) // 12)
    assert empty.blocks is not None
    fit = kernel_ridge(features, OneHot(labels, 3), blocks=empty.blocks, seed=0)
    weight = np.random.default_rng(0).normal(size=(3, width)) / 100
    return LinearOnTaps(network, taps, weight, fit.bias, kernel=fit.part.times(10 * np.eye(3)))


def test_its_outputs_are_those_of_the_module(
    network: DescribedNetwork, head: LinearOnTaps, images: UInt8Array
) -> None:
    module = as_module(head)
    assert list(head.tensors()) == list(module.state_dict())
    assert head.fingerprint() == fingerprint(module)
    expected = module.run([images], network.preprocessing)
    linear = LinearOnTaps(network, head.cuts, head.weight, head.bias)
    found = head.run([images], network.preprocessing)
    assert np.abs(found - linear.run([images], network.preprocessing)).max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-3)
    part = module.leader.head_kernel()
    assert part is not None
    for name, one in part.tensors().items():
        np.testing.assert_array_equal(one, head.kernel[name])  # type: ignore[index]


def test_its_folder_computes_the_same(
    network: DescribedNetwork,
    head: LinearOnTaps,
    card: ModelCard,
    images: UInt8Array,
    tmp_path: Path,
) -> None:
    written = save_model(tmp_path / "a", head, card, images=images[:4])
    assert written.onnx_difference < 1e-5
    # 0.1 would not know what to do with it
    assert written.format_version == 5
    x = network.preprocessing.normalise(images[:5])
    logits = head.logits(head.head_inputs([images[:5]], network.preprocessing))
    restored = restore_module(tmp_path / "a")
    with torch.inference_mode():
        again = restored(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(again, logits, atol=1e-3)
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    pixels = np.stack([network.preprocessing.apply(one) for one in whole])
    said = head.run([pixels], network.preprocessing) / 1.3
    expected = np.exp(said - said.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = frostline.load(tmp_path / "a").predict_proba(whole)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_its_distances_stay_exact_in_8_bits(
    network: DescribedNetwork,
    head: LinearOnTaps,
    card: ModelCard,
    images: UInt8Array,
    tmp_path: Path,
) -> None:
    save_model(tmp_path / "a", head, card, images=images[:4])
    whole = onnx.load(tmp_path / "a" / "model.onnx")
    small = quantise(whole, images, network.preprocessing, RECIPES[1])
    assert is_quantised(small)
    before, after = (open_session(m.SerializeToString(), threads=1) for m in (whole, small))
    expected, found = (
        np.concatenate([s.run(None, {s.get_inputs()[0].name: one})[0] for one in images])
        for s in (before, after)
    )
    assert np.abs(found - expected).max() < 0.1
    of_kernel = [n for n in small.graph.node if n.name.startswith(KERNEL)]
    wide = {name for node in of_kernel for name in (*node.input, *node.output)}
    assert not [n for n in small.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in wide]


def test_nothing_of_an_image_far_away_is_lost_or_infinite(
    network: DescribedNetwork, head: LinearOnTaps
) -> None:
    """Far from every landmark the kernel is next to 0, and rounding must not make it large."""
    part = head.head_kernel()
    assert part is not None
    far = 1e6 * np.ones((2, len(part.project)))
    np.testing.assert_allclose(part.outputs(far), 0.0, atol=1e-9)
    module = as_module(head).leader
    with torch.inference_mode():
        found = module.head.kernel(torch.from_numpy(far).float())  # type: ignore[operator]
    assert torch.isfinite(found).all()


def test_a_heat_map_follows_the_kernel() -> None:
    """By its slope at the image: what brightens a place adds to the logit what the map says."""
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(1, 4, 28, 28)) + 2.0
    part = KernelPart(
        0.3 * rng.normal(size=(8, 2)), np.zeros(2), rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    )

    def said(values: npt.NDArray[np.float64]) -> float:
        pooled = np.concatenate([values.mean(axis=(2, 3)), values.std(axis=(2, 3))], axis=1)
        outputs = part.outputs(pooled)[0]
        return float(outputs[1] - outputs.mean())

    found = attribute_maps([maps], ["NCHW"], np.zeros((3, 8)), [1], part)
    assert not found.complete
    for row, column in ((3, 4), (20, 11)):
        up, down = maps.copy(), maps.copy()
        up[:, :, row, column] *= 1 + 1e-3
        down[:, :, row, column] *= 1 - 1e-3
        slope = (said(up) - said(down)) / 2e-3
        assert found.heat[0, row, column] == pytest.approx(slope, rel=1e-3, abs=1e-8)
