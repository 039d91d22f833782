"""Wide depthwise kernels train faster by the same gradients, and leave no trace."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from frostline.backbones.freeze.freezing import lock_norms_in_eval
from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.compute.frozen import run_frozen
from frostline.core.actions import FullTraining, Recipe
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.training.accelerate import accelerated as room
from frostline.training.accelerate import depthwise
from frostline.training.accelerate.depthwise import fast_depthwise_backward
from frostline.training.accelerate.norm_folding import folded_norms
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere nothing changes"
)

LAYERS: dict[str, Callable[[], nn.Conv2d]] = {
    "5 wide": lambda: nn.Conv2d(24, 24, 5, padding=2, groups=24),
    "no bias, stride 2": lambda: nn.Conv2d(24, 24, 5, 2, 2, groups=24, bias=False),
    "7 wide, no padding": lambda: nn.Conv2d(24, 24, 7, groups=24),
    "oblong": lambda: nn.Conv2d(24, 24, (3, 5), (1, 3), (2, 1), groups=24),
    "padded as TensorFlow does": lambda: Conv2dSame(24, 24, 5, 2, groups=24),
}
QUICK = "_DepthwiseBackward"


def gradients(
    layer: nn.Conv2d, x: torch.Tensor, *, of_x: bool = True
) -> tuple[str, list[torch.Tensor]]:
    """Which way was taken, and the output with all gradients."""
    layer.zero_grad(set_to_none=True)
    x = x.detach().requires_grad_(of_x)
    out = layer(x)
    weights = torch.linspace(-1, 2, out.numel()).view(out.shape)
    torch.autograd.backward((out * weights).sum())
    way = out.grad_fn
    assert way is not None
    found = [out.detach(), x.grad, *(p.grad for p in layer.parameters())]
    return way.name(), [one for one in found if one is not None]


@x86
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("of_x", [True, False], ids=["all", "weights alone"])
@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_those_of_pytorch(kind: str, of_x: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(LAYERS[kind]())
    layer = net[0]
    assert isinstance(layer, nn.Conv2d)
    x = torch.randn(3, 24, 13, 16).to(memory_format=layout)
    way, expected = gradients(layer, x, of_x=of_x)
    assert way != QUICK
    with fast_depthwise_backward(net) as count:
        way, found = gradients(layer, x, of_x=of_x)
    assert (count, way) == (1, QUICK)
    assert len(found) == len(expected) == 2 + of_x + (layer.bias is not None)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
    assert gradients(layer, x)[0] != QUICK, "afterwards all is as before"


@x86
def test_a_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(LAYERS["5 wide"]())
    x, weight = torch.randn(2, 24, 6, 6), net[0].get_parameter("weight")
    with fast_depthwise_backward(net):
        torch.autograd.backward(net(x).square().sum())
        moved = []
        for step in (1e-2, -1e-2):
            with torch.no_grad():
                weight[3, 0, 1, 4] += step
                moved.append(float(net(x).double().square().sum()))
                weight[3, 0, 1, 4] -= step
    assert weight.grad is not None
    assert float(weight.grad[3, 0, 1, 4]) == pytest.approx((moved[0] - moved[1]) / 2e-2, rel=1e-2)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(24, 24, 3, padding=1, groups=24),
        nn.Conv2d(24, 48, 5, groups=24),
        nn.Conv2d(24, 24, 5, groups=12),
        nn.Conv2d(24, 24, 5, dilation=2, groups=24),
        nn.Conv2d(24, 24, 5, padding=2, padding_mode="reflect", groups=24),
        nn.Conv2d(24, 24, 5, padding="same", groups=24),
        nn.Conv2d(24, 24, 5, groups=24).bfloat16(),
    ],
    ids=["narrow", "more outputs", "groups", "dilated", "reflecting", "named", "bfloat16"],
)
def test_other_layers_go_their_own_way(layer: nn.Conv2d) -> None:
    x = torch.randn(2, 24, 16, 16, dtype=layer.weight.dtype)
    with fast_depthwise_backward(nn.Sequential(layer)):
        assert gradients(layer, x)[0] != QUICK


@x86
def test_other_machines_and_autocast_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(LAYERS["5 wide"]())
    layer = net[0]
    assert isinstance(layer, nn.Conv2d)
    x = torch.randn(2, 24, 16, 16)
    with fast_depthwise_backward(net):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert gradients(layer, x)[0] != QUICK
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        assert gradients(layer, x)[0] != QUICK


@x86
def test_folded_layers_go_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.load("efficientnet_lite0").at_size(64).copy()
    net = network.feature_module
    net.requires_grad_(True)
    lock_norms_in_eval(net)
    widths = []
    of = depthwise._Depthwise.of

    def counted(x: torch.Tensor, weight: torch.Tensor, *more: Any) -> torch.Tensor:
        widths.append(weight.shape[3])
        return of(x, weight, *more)

    monkeypatch.setattr(depthwise._Depthwise, "of", counted)
    with folded_norms(network):
        net(torch.randn(2, 3, 64, 64))
    assert widths == [5] * 9


def test_training_goes_the_quick_way(
    fit: Callable[..., Trained],
    digits_catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    network = Network.load("efficientnet_lite0").at_size(64)
    store = run_frozen(network, digits_catalog, Runtime(workers=2))
    counts = []

    @contextmanager
    def counted(net: nn.Module) -> Iterator[None]:
        with fast_depthwise_backward(net) as count:
            counts.append(count)
            yield

    monkeypatch.setattr(room, "fast_depthwise_backward", counted)
    # norm layers that learn are not folded, so their convolutions are reached here
    recipe = Recipe(
        epochs=1, batch_size=16, learning_rate=1e-3, head_learning_rate=1e-3, norm_mode="train"
    )
    fit(FullTraining(recipe=recipe), store=store)
    wide = sum(
        isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.kernel_size[1] > 3
        for layer in trainable(store.network).module.modules()
    )
    assert counts == [wide]
    assert wide > 5
