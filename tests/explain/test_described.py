"""Pictures of a described network are those of PyTorch, and PyTorch draws none of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork, described
from frostline.backbones.heads.classifier import SingleClassifier
from frostline.backbones.heads.classifiers import (
    CutClassifier,
    TapsClassifier,
    build_classifier,
)
from frostline.backbones.heads.linear import set_linear
from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.core.cancel import Cancelled, CancelToken
from frostline.core.runtime import Runtime
from frostline.explain import looking
from frostline.explain.attribution import GRID, attribute_maps
from frostline.explain.depths import DepthPlan
from frostline.explain.filters import draw_filters
from frostline.explain.looking import HeatRules, Seen, look
from frostline.explain.responses import depths, distinct_channels, draw_responses, responses
from frostline.explain.torch_attribution import attribute
from frostline.onnx_graph.pullback_rules import Step
from tests.backbones.graph_checks import crops
from tests.stats.on_labels import ridge_loo

pytestmark = pytest.mark.slow

N = 18
#: photos of a temple and of a flower take turns
LABELS = np.arange(N) % 2
WANTED = [(i, int(LABELS[i])) for i in range(N)] + [(0, 1)]


@pytest.fixture(scope="module")
def network() -> DescribedNetwork:
    return described("efficientnet_lite0")


@pytest.fixture(scope="module")
def photos(network: DescribedNetwork) -> Any:
    return crops(N, network.preprocessing.size)


@pytest.fixture(scope="module")
def images(network: DescribedNetwork, photos: Any) -> torch.Tensor:
    return torch.from_numpy(network.preprocessing.normalise(photos))


@pytest.fixture(scope="module")
def head(network: DescribedNetwork, images: torch.Tensor) -> TapsClassifier:
    """A ridge head on three depths."""
    module = TapsClassifier(trainable(network), ["bn1", "blocks.4", "bn2"], n_outputs=2).eval()
    with torch.no_grad():
        fit = ridge_loo(module.body(images).numpy(), LABELS, n_classes=2)
    set_linear(module.head, fit.weight, fit.bias)
    return module


def by_gradient(module: SingleClassifier, images: torch.Tensor, classes: Any) -> Any:
    """Activation times gradient (n, 28, 28), the gradient found by PyTorch."""
    with torch.no_grad():
        maps = [one.double().requires_grad_() for one in module.feature_maps(images)]
    with torch.enable_grad():
        logits = torch.nn.functional.linear(
            module.pool(maps), module.head.weight.double(), module.head.bias.double()
        )
        chosen = logits[torch.arange(len(images)), torch.as_tensor(classes)]
        gradients = torch.autograd.grad((chosen - logits.mean(dim=1)).sum(), maps)
    heat = np.zeros((len(images), GRID, GRID))
    for one, gradient in zip(maps, gradients, strict=True):
        product = (one * gradient).detach().sum(dim=1, keepdim=True)
        side = product.shape[-1]
        small = (
            torch.nn.functional.adaptive_avg_pool2d(product, GRID)
            if side >= GRID
            else torch.nn.functional.interpolate(product, size=GRID, mode="bilinear")
        )
        small *= (side / GRID) ** 2
        small += (product.sum((2, 3)) - small.sum((2, 3)))[..., None, None] / GRID**2
        heat += small[:, 0].numpy()
    return heat


def seen_by(
    network: Any, module: Any, photos: Any, channels: Mapping[str, list[int] | None]
) -> Seen:
    plans = [
        DepthPlan(network.cut(name), True, found, np.zeros((0, 0), dtype=np.int64))
        for name, found in channels.items()
    ]
    return look(
        network,
        module,
        dict(enumerate(photos)),
        WANTED,
        plans,
        labels=LABELS,
        heats=HeatRules(1e12),
        runtime=Runtime(),
    )


def close(found: Any, expected: Any, *, share: float = 1e-3) -> None:
    """Assert that maps differ by less than a share of the range of each."""
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < share * np.ptp(other)


def test_the_closed_form_is_activation_times_gradient(
    head: TapsClassifier, images: torch.Tensor
) -> None:
    with torch.no_grad():
        maps = [one.numpy() for one in head.feature_maps(images)]
    weight, _ = head.head_weights()
    expected = by_gradient(head, images, LABELS)
    found = attribute_maps(maps, head.layouts, weight, LABELS).heat
    close(found, expected, share=1e-5)
    last = [np.moveaxis(one, 1, -1) for one in maps]
    np.testing.assert_allclose(
        attribute_maps(last, ["NHWC"] * 3, weight, LABELS).heat, found, atol=1e-12
    )


def test_a_look_by_onnx_shows_what_pytorch_shows(
    network: DescribedNetwork, head: TapsClassifier, photos: Any, images: torch.Tensor
) -> None:
    channels: dict[str, list[int] | None] = {
        "bn1": [3, 8, 20],
        "blocks.2": None,
        "blocks.4": [7, 30],
        "bn2": None,
    }
    found = seen_by(network, head, photos, channels)
    expected = seen_by(trainable(network), head, photos, channels)
    assert list(found.heats) == list(expected.heats)
    close(found.heats.values(), expected.heats.values())
    close([found.heats[pair] for pair in WANTED[:N]], by_gradient(head, images, LABELS))
    assert len(found.depths) == 4
    for one, other in zip(found.depths, expected.depths, strict=True):
        # a place where two values are equal but for rounding may move by one
        difference = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
        assert one.size == other.size
        assert difference.mean() < 2


def test_trained_weights_are_looked_at_and_the_network_keeps_its_own(
    network: DescribedNetwork, photos: Any, images: torch.Tensor
) -> None:
    own = trainable(network).copy()
    module = build_classifier(own, keep_to="blocks.4", n_outputs=2, new_block=True).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        module.kept.get_parameter("blocks.1.0.conv_pw.weight").mul_(1.3)
    before = network.weights_id
    found = seen_by(network, module, photos, {})
    close(
        [found.heats[pair] for pair in WANTED[:N]],
        attribute(module, images, LABELS).heat,
    )
    assert network.weights_id == before
    foreign = CutClassifier(torch.nn.Identity(), network.cut("bn2"), n_outputs=2)
    assert looking._sight(network, foreign, [], Runtime()) is None


def test_filters_and_responses_are_those_of_pytorch(network: DescribedNetwork, photos: Any) -> None:
    drawn, expected = draw_filters(network), draw_filters(trainable(network))
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected))
    cuts = depths(network)
    assert [cut.name for cut in cuts] == [cut.name for cut in depths(trainable(network))]
    ours = responses(network, photos[1], cuts)
    theirs = responses(trainable(network), photos[1], cuts)
    for our, their in zip(ours, theirs, strict=True):
        close([our], [their])
        assert distinct_channels(our, 8) == distinct_channels(their, 8)
    photo = Image.fromarray(photos[1])
    one, other = draw_responses(network, photo), draw_responses(trainable(network), photo)
    difference = np.asarray(one).astype(int) - np.asarray(other).astype(int)
    assert np.abs(difference).max() <= 2


def test_what_cannot_be_followed_back_is_covered_without_pytorch(
    photos: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Step, "has_rule", False)
    torch.manual_seed(5)
    own = Network.load("test_vit", pretrained=False)
    state = {name: value.numpy() for name, value in own.module.state_dict().items()}
    network = DescribedNetwork(describe(own), graph_of(own), state)
    module = TapsClassifier(own, [own.last.name], n_outputs=2).eval()
    pixels = [own.preprocessing.apply(Image.fromarray(photo)) for photo in photos[:2]]
    asked = {"pixels": dict(enumerate(pixels)), "wanted": WANTED[:2], "plans": []}
    with_onnx, with_torch = (
        look(one, module, **asked, labels=LABELS, heats=HeatRules(1e12), runtime=Runtime())  # type: ignore[arg-type]
        for one in (network, own)
    )
    assert "covering" in with_onnx.note
    close(with_onnx.heats.values(), with_torch.heats.values())


def test_a_look_can_be_cancelled(
    network: DescribedNetwork, head: TapsClassifier, photos: Any
) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        look(
            network,
            head,
            dict(enumerate(photos)),
            WANTED,
            [],
            labels=LABELS,
            heats=HeatRules(0.0),
            runtime=Runtime(cancel=cancel),
        )


def test_pictures_of_a_described_network_need_no_pytorch(
    network: DescribedNetwork, photos: Any, head: TapsClassifier, tmp_path: Path
) -> None:
    """The same heat maps and depths come out of a process in which it cannot be imported."""
    weight, bias = head.head_weights()
    np.savez(tmp_path / "given.npz", photos=photos, weight=weight, bias=bias, labels=LABELS)
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from PIL import Image
from frostline.backbones.described import described
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.core.runtime import Runtime
from frostline.explain.depths import DepthPlan
from frostline.explain.filters import draw_filters
from frostline.explain.looking import HeatRules, look
from frostline.explain.make import draw_first_filters
from frostline.explain.memoized_gallery import memoized_gallery
from frostline.explain.responses import draw_responses
network, given = described("efficientnet_lite0"), np.load("given.npz")
head = LinearOnTaps(network, {list(head.cuts)!r}, given["weight"], given["bias"])
plans = [DepthPlan(network.cut("blocks.4"), True, [7, 30], np.zeros((0, 0), dtype=np.int64))]
seen = look(
    network, head, dict(enumerate(given["photos"])), {WANTED!r}, plans,
    labels=given["labels"], heats=HeatRules(0.0), runtime=Runtime(),
)
np.save("heats.npy", list(seen.heats.values()))
seen.depths[0].save("depth.png")
draw_filters(network).save("filters.png")
draw_responses(network, Image.fromarray(given["photos"][1])).save("responses.png")
assert draw_first_filters(network, head)[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = seen_by(network, head, photos, {"blocks.4": [7, 30]})
    close(np.load(tmp_path / "heats.npy"), expected.heats.values(), share=1e-6)
    with Image.open(tmp_path / "depth.png") as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected.depths[0]))
    for name in ("filters.png", "responses.png"):
        with Image.open(tmp_path / name) as drawn:
            assert drawn.width > 900
