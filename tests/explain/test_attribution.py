"""Heat lies where the evidence is, and adds up to what was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.classifiers import BlendClassifier, build_classifier
from frostline.backbones.heads.linear import set_linear
from frostline.backbones.network import Network
from frostline.core.actions import FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.errors import InputError
from frostline.explain.attribution import GRID, attribute_maps, draw_heat
from frostline.explain.torch_attribution import attribute, cover
from frostline.training.result import Trained
from tests.stats.on_labels import ridge_loo

pytestmark = pytest.mark.slow

Action = TapsHead | SuffixTraining | FullTraining

SHORT = Recipe.model_validate(
    {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "head_learning_rate": 1e-2,
        "augment": "none",
        "flip": False,
        "validation_fraction": 0.0,
        "norm_mode": "eval",
    }
)
ACTIONS: dict[str, Action] = {
    "head on all taps": TapsHead(
        taps=["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"], alpha=0.1
    ),
    "head on the last tap": TapsHead(taps=["bn2"]),
    "adapted statistics": TapsHead(taps=["blocks.4", "bn2"], statistics="target"),
    "suffix": SuffixTraining(keep_to=None, freeze_to="blocks.4", recipe=SHORT),
    # at the rate of the others all layers forget half of the classes
    "everything": FullTraining(recipe=SHORT.model_copy(update={"learning_rate": 1e-4})),
    "cut with new layers": SuffixTraining(
        keep_to="blocks.4", freeze_to="blocks.4", new_block=True, recipe=SHORT
    ),
}


def batch_of(corners: Any, rows: npt.ArrayLike) -> torch.Tensor:
    store = corners.store
    pixels = store.runner.pixels(np.asarray(rows))
    return torch.from_numpy(store.network.preprocessing.normalise(pixels))


def centred(module: Classifier, images: torch.Tensor, targets: npt.ArrayLike) -> Any:
    """Logits of some classes without the head's bias, less the mean over classes."""
    with torch.no_grad():
        logits = (module(images) - module.leader.head.bias).double().numpy()
    chosen = logits[np.arange(len(logits)), np.asarray(targets)]
    return chosen - logits.mean(axis=1)


def share_in_corner(heat: npt.NDArray[np.float64], corner: int) -> float:
    """How much of what lies above the mean lies in one quarter of the image."""
    above = np.clip(heat - heat.mean(), 0, None)
    bottom, right = divmod(corner, 2)
    half = GRID // 2
    quarter = above[half * bottom : half * (bottom + 1), half * right : half * (right + 1)]
    return float(quarter.sum() / above.sum())


@pytest.fixture(scope="module")
def trained(learn: Callable[[Action], Trained]) -> Callable[[str], Trained]:
    done: dict[str, Trained] = {}

    def carried_out(name: str) -> Trained:
        if name not in done:
            done[name] = learn(ACTIONS[name])
        return done[name]

    return carried_out


@pytest.mark.parametrize("name", ACTIONS)
def test_heat_lies_where_the_class_is_told(
    name: str, trained: Callable[[str], Trained], corners: Any
) -> None:
    rows = np.arange(0, 36, 3)
    images, labels = batch_of(corners, rows), corners.store.catalog.labels[rows]
    module = trained(name).module
    found = attribute(module, images, labels)
    assert found.heat.shape == (len(rows), GRID, GRID)
    assert found.complete
    assert found.note == ""
    # by chance a quarter of it would lie there
    shares = [share_in_corner(h, corners.corner[r]) for h, r in zip(found.heat, rows, strict=True)]
    assert min(shares) > 0.4
    assert np.median(shares) > 0.6


@pytest.mark.parametrize("name", ACTIONS)
def test_heat_adds_up_to_the_logit_and_is_the_same_again(
    name: str, trained: Callable[[str], Trained], corners: Any
) -> None:
    module = trained(name).module
    images = batch_of(corners, [0, 17, 40])
    for targets in ([0, 1, 2], [2, 2, 0]):
        found = attribute(module, images, targets)
        np.testing.assert_allclose(
            found.heat.sum(axis=(1, 2)), centred(module, images, targets), rtol=1e-4, atol=2e-5
        )
        np.testing.assert_array_equal(found.heat, attribute(module, images, targets).heat)
    # an image's heat is its own, whatever else is in the batch
    alone = attribute(module, images[1:2], [1])
    np.testing.assert_allclose(
        alone.heat[0], attribute(module, images, [0, 1, 2]).heat[1], atol=1e-5
    )


def test_classes_speak_against_each_other(trained: Callable[[str], Trained], corners: Any) -> None:
    module = trained("head on the last tap").module
    images = batch_of(corners, [3])
    every = sum(attribute(module, images, [c]).heat for c in range(4))
    np.testing.assert_allclose(every, np.zeros((1, GRID, GRID)), atol=1e-6)


@pytest.mark.parametrize("name", ["head on all taps", "suffix"])
def test_labels_and_numbers_stand_alone(
    name: str, trained: Callable[[str], Trained], corners: Any
) -> None:
    module = trained(name).module
    images = batch_of(corners, [0, 17, 40])
    found = attribute(module, images, [0, 1, 2], alone=True)
    with torch.no_grad():
        outputs = (module(images) - module.leader.head.bias).double().numpy()
    # an output is explained whole, whatever the others are; one by itself would have no map else
    whole = outputs[np.arange(3), [0, 1, 2]]
    np.testing.assert_allclose(found.heat.sum(axis=(1, 2)), whole, rtol=1e-4, atol=2e-5)
    one = attribute_maps(
        [np.arange(8.0).reshape(1, 2, 2, 2)],
        ["NCHW"],
        np.array([[1.0, 2.0, 0.5, 0.0]]),
        [0],
        alone=True,
    )
    assert one.heat.sum() == pytest.approx(1.5 + 2 * 5.5 + 0.5 * np.std([0, 1, 2, 3]))


def test_it_is_the_method_that_captum_has(trained: Callable[[str], Trained], corners: Any) -> None:
    images, targets = batch_of(corners, [2, 21]), torch.tensor([0, 1])
    for name in ("suffix", "cut with new layers"):
        module = trained(name).module

        def said(x: torch.Tensor, module: nn.Module = module) -> torch.Tensor:
            logits: torch.Tensor = module(x)
            return logits - logits.mean(dim=1, keepdim=True)

        method = captum.attr.LayerGradientXActivation(said, module.get_submodule("new"))
        reference = method.attribute(images, target=targets).sum(dim=1).detach().double()
        found = attribute(module, images, targets.numpy())
        side = reference.shape[-1]
        again = (
            torch.nn.functional.interpolate(reference[:, None], size=GRID, mode="bilinear")[:, 0]
            * (side / GRID) ** 2
        )
        again += ((reference.sum((1, 2)) - again.sum((1, 2))) / GRID**2)[:, None, None]
        np.testing.assert_allclose(found.heat, again.numpy(), atol=1e-5)


def test_training_and_modes_are_left_as_they_were(
    trained: Callable[[str], Trained], corners: Any
) -> None:
    module = trained("suffix").module
    before = {n: t.clone() for n, t in module.state_dict().items()}
    modes = {n: m.training for n, m in module.named_modules()}
    module.zero_grad()
    attribute(module, batch_of(corners, [0]), [1])
    assert all(torch.equal(before[n], t) for n, t in module.state_dict().items())
    assert modes == {n: m.training for n, m in module.named_modules()}
    assert all(p.grad is None for p in module.parameters())


@pytest.fixture(scope="module")
def transformer() -> Network:
    torch.manual_seed(5)
    return Network.load("test_vit", pretrained=False)


def test_a_transformer_is_asked_by_covering_parts(
    transformer: Network, draw_corners: Callable[[int], Any]
) -> None:
    images, labels, corner = draw_corners(48)
    pixels = np.stack([np.asarray(one.resize((160, 160))) for one in images])
    x = torch.from_numpy(transformer.preprocessing.normalise(pixels))
    module = build_classifier(transformer, keep_to=None, n_outputs=4, new_block=False).eval()
    with torch.no_grad():
        # what its own head reads: one vector, without places
        features = module.kept(x).numpy()
    fit = ridge_loo(features, labels, n_classes=4)
    assert (fit.fitted.argmax(axis=1) == labels).mean() > 0.9
    set_linear(module.head, fit.weight, fit.bias)
    some = [0, 5, 10, 12]
    found = attribute(module, x[some], [labels[i] for i in some])
    assert not found.complete
    assert "covering" in found.note
    shares = [
        share_in_corner(h, c) for h, c in zip(found.heat, [corner[i] for i in some], strict=True)
    ]
    assert min(shares) > 0.5


def test_covering_agrees_with_captum() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    images = torch.randn(2, 3, 24, 24)
    found = cover(net, images, [2, 0], cells=4)
    for i, target in enumerate((2, 0)):

        def said(x: torch.Tensor, target: int = target) -> torch.Tensor:
            logits = net(x)
            return logits[:, target] - logits.mean(dim=1)  # type: ignore[no-any-return]

        one = images[i : i + 1]
        reference = captum.attr.Occlusion(said).attribute(
            one,
            sliding_window_shapes=(3, 6, 6),
            strides=(3, 6, 6),
            baselines=one.mean(dim=(2, 3), keepdim=True).expand_as(one),
        )
        cells = reference[:, :1, ::6, ::6]
        wide = torch.nn.functional.interpolate(cells, size=GRID, mode="bilinear")[0, 0]
        np.testing.assert_allclose(found.heat[i], wide.detach().numpy(), atol=1e-5)


def test_every_image_needs_a_class(trained: Callable[[str], Trained]) -> None:
    module = trained("head on the last tap").module
    with pytest.raises(InputError, match="There are 2 images"):
        attribute(module, torch.zeros(2, 3, 8, 8), [1])


def test_heat_is_drawn_in_orange_where_it_is() -> None:
    pixels = np.full((64, 64, 3), 120, dtype=np.uint8)
    heat = np.zeros((GRID, GRID))
    heat[: GRID // 4, : GRID // 4] = 1.0
    drawn = np.asarray(draw_heat(pixels, heat, side=64)).astype(int)
    assert drawn.shape == (64, 64, 3)
    warmth = drawn[..., 0] - drawn[..., 2]
    assert warmth[4, 4] > 150
    assert warmth[40:, 40:].max() == 0
    flat = np.asarray(draw_heat(pixels, np.ones((GRID, GRID)), side=64))
    np.testing.assert_array_equal(flat, np.asarray(Image.fromarray(pixels)))


def test_a_blend_with_tokens_is_covered(transformer: Network) -> None:
    member = build_classifier(transformer, keep_to=None, n_outputs=4, new_block=False)
    blend = BlendClassifier([member, member], [1.0, 2.0]).eval()
    images = torch.randn(1, 3, 160, 160)
    found = attribute(blend, images, [1], cells=2)
    assert not found.complete
    np.testing.assert_array_equal(found.heat, cover(blend, images, [1], cells=2).heat)
