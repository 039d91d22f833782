"""Heat maps of heads on tokens: followed back exactly, and to the object that a class rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.backbones.network import Network
from frostline.core.runtime import Runtime
from frostline.explain.attribution import occlude
from frostline.explain.looking import HeatRules, look
from frostline.explain.sight import onnx_logits
from frostline.onnx_graph.network_graph import IMAGES
from frostline.onnx_graph.pullback import Pullback
from tests.stats.on_labels import ridge_loo

pytestmark = pytest.mark.slow

COLOURS = ((220, 40, 40), (40, 200, 60), (50, 70, 230))
N = 60


class Held(TorchFunctionMode):
    """Lets gradients pass gates as if they were constants: an implementation apart from ours."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            query, key, value = args
            weights = (query @ key.mT * query.shape[-1] ** -0.5).softmax(dim=-1)
            return weights.detach() @ value
        found = func(*args, **given)
        if func is functional.gelu:
            return args[0] * (found / args[0]).detach()
        if func is functional.layer_norm:
            centred = args[0] - args[0].mean(dim=-1, keepdim=True)
            size = (centred.square().mean(dim=-1, keepdim=True) + given["eps"]).sqrt()
            return centred / size.detach() * given["weight"] + given["bias"]
        return found


@pytest.fixture(scope="module")
def own() -> Network:
    torch.manual_seed(5)
    return Network.load("test_vit", pretrained=False)


@pytest.fixture(scope="module")
def network(own: Network) -> DescribedNetwork:
    state = {name: value.numpy() for name, value in own.module.state_dict().items()}
    return DescribedNetwork(describe(own), graph_of(own), state)


def discs(side: int) -> tuple[Any, Any, Any]:
    """Two discs of different colours on noise: images, their classes, and their centres."""
    random = np.random.default_rng(1)
    images, classes, centres = [], [], []
    for i in range(N):
        ground = random.integers(90, 166, (side, side, 1)).repeat(3, axis=2).astype(np.uint8)
        image = Image.fromarray(ground)
        draw = ImageDraw.Draw(image)
        radius = side // 8
        # one in the left half and one in the right
        x = random.integers(radius, side // 2 - radius, 2) + np.array([0, side // 2])
        y = random.integers(radius, side - radius, 2)
        kinds = [i % 3, (i + 1 + i // 3 % 2) % 3]
        for kind, across, down in zip(kinds, x.tolist(), y.tolist(), strict=True):
            box = (across - radius, down - radius, across + radius, down + radius)
            draw.ellipse(box, fill=COLOURS[kind])
        images.append(np.asarray(image))
        classes.append(kinds)
        centres.append(np.stack([y, x], axis=1))
    return np.stack(images), np.array(classes), np.array(centres)


def test_a_gradient_passes_gates_as_they_were(own: Network, network: DescribedNetwork) -> None:
    pixels, _, _ = discs(network.preprocessing.size)
    graph = network.graph_without_weights()
    assert graph is not None
    ends = ["blocks.2", own.last.name]
    model = onnx.load_model_from_string(graph.maps(ends, network.preprocessing))
    start = next(node.output[0] for node in model.graph.node if node.op_type == "Conv")
    held = Pullback(model, start, ends, threads=1).run({IMAGES: pixels[:1]})
    random = np.random.default_rng(0)
    seeds = {end: random.normal(size=held.values[end].shape).astype(np.float32) for end in ends}
    found = held.gradient(seeds)
    patches: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        patches.append(output.detach().requires_grad_())
        return patches[0]

    hook = own.module.patch_embed.proj.register_forward_hook(keep)  # type: ignore[union-attr]
    images = torch.from_numpy(network.preprocessing.normalise(pixels[:1]))
    with torch.enable_grad(), Held():
        maps = own.ends(ends)(images)
        total = sum(
            (one * torch.from_numpy(seeds[end])).sum() for end, one in zip(ends, maps, strict=True)
        )
        (expected,) = torch.autograd.grad(total, patches[0])
    hook.remove()
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4 * float(expected.abs().max()))


def test_each_class_is_seen_where_its_object_is(network: DescribedNetwork) -> None:
    side = network.preprocessing.size
    pixels, classes, centres = discs(side)
    head = head_for(network, pixels, classes)
    wanted = [(i, int(said)) for i in range(12) for said in classes[i]]
    seen = look(
        network,
        head,
        dict(enumerate(pixels)),
        wanted,
        [],
        labels=classes[:, 0],
        heats=HeatRules(3 * len(wanted) * network.macs),
        runtime=Runtime(),
    )
    assert "attention held" in seen.note
    assert seen.heats.keys() == set(wanted)
    logits = onnx_logits(network, head, threads=1)
    right, alike = [], []
    for i, said in wanted:
        heat = seen.heats[i, said]
        place = np.array(np.unravel_index(heat.argmax(), heat.shape)) * side / heat.shape[0]
        own = classes[i].tolist().index(said)
        far = np.abs(centres[i] - place).max(axis=1)
        right.append(far[own] < far[1 - own])
        images = network.preprocessing.normalise(pixels[i : i + 1])
        covered = occlude(logits, images, [said]).heat[0]
        alike.append(np.corrcoef(heat.ravel(), covered.ravel())[0, 1])
    # attention rollout, which knows no classes, is right on half of them
    assert np.mean(right) > 0.9
    assert np.median(alike) > 0.6


def head_for(
    network: DescribedNetwork, pixels: npt.NDArray[np.uint8], classes: Any
) -> LinearOnTaps:
    """A ridge head that names the disc on the left or the one on the right."""
    cut = network.last
    empty = np.zeros((3, cut.pooled_width))
    features = LinearOnTaps(network, [cut.name], empty, np.zeros(3)).head_inputs(
        [pixels], network.preprocessing
    )
    twice, labels = np.concatenate([features, features]), classes.T.ravel()
    fit = ridge_loo(twice, labels, n_classes=3)
    return LinearOnTaps(network, [cut.name], fit.weight.T, fit.bias)
