"""What holds for the taps of any network, whatever family it is of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import timm
import torch
from torch import nn

from frostline.backbones.families import family_of
from frostline.backbones.graph.choosing_taps import MAX_COLUMNS, MAX_TAPS
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.load.torchvision_source import from_torchvision
from frostline.backbones.network import Network
from frostline.core.cuts import Cut, TokenReading
from tests.backbones.shaken import shake

_TOLERANCE = 1e-5
_REGISTERS = 4
_OUTLIER = 50.0


@dataclass(frozen=True)
class Tried:
    """A network with random weights at one size, and some images for it."""

    network: Network
    images: torch.Tensor


def tried(name: str, size: int | None = None) -> Tried:
    """Build a network of timm, or of torchvision (``torchvision:NAME``)."""
    torch.manual_seed(0)
    if name.startswith("torchvision:"):
        found = from_torchvision(name, weights=None, pretrained=False, size=size)
        shake(found.net, 0)
        network = Network(name, found)
    else:
        options = {} if size is None else {"img_size": size}
        try:
            module = timm.create_model(name, pretrained=False, **options)
        except TypeError:
            module = timm.create_model(name, pretrained=False)
        shake(module, 0)
        network = Network.load(module.eval(), size=size)
    side = network.preprocessing.size
    return Tried(network, torch.randn(2, 3, side, side))


def check_last_tap(found: Tried) -> None:
    """The last tap has what the network's own head reads, as timm or its classifier says."""
    network, x = found.network, found.images
    expected = _head_input(network.module.eval(), x)
    with torch.no_grad():
        body = network.body(network.taps)
        last = body(x)[:, body.slices[network.last.name]]
    blocks = last.chunk(max(1, len(network.last.parts)), dim=1)
    assert any(
        block.shape == expected.shape
        and torch.allclose(block, expected, atol=_TOLERANCE, rtol=1e-5)
        for block in blocks
    ), f"{network.name}: no block of {network.last.name} is what the head reads"


def check_width(found: Tried) -> None:
    """There are few taps; those without BatchNorm are narrow together; none is an identity."""
    network = found.network
    body = network.body(network.taps)
    assert len(network.taps) <= MAX_TAPS
    if family_of(network.module).norm_kind != "batch":
        assert body.width <= MAX_COLUMNS
    modules = dict(network.module.named_modules())
    for name in {*(cut.name for cut in network.cuts), *network.layers()}:
        idle = (nn.Identity, nn.Dropout)
        assert not isinstance(modules.get(name), idle), f"{name} passes on what it gets"


def check_tokens(found: Tried) -> None:
    """Registers change nothing; a patch of fifty times the size changes nothing below the norm."""
    network, x = found.network, found.images
    cuts = [network.cut(name) for name in network.taps]
    with torch.no_grad():
        for cut, map_ in zip(cuts, network.ends(network.taps)(x), strict=True):
            if cut.tokens is None:
                continue
            assert map_.shape[1] - cut.tokens.prefix_tokens == _patches(map_, cut)
            read = pooled(map_, cut.layout, cut.tokens)
            prefix = cut.tokens.prefix_tokens
            noise = 100 * torch.randn_like(map_)
            spoilt = map_.clone()
            spoilt[:, cut.tokens.class_tokens : prefix] = noise[:, cut.tokens.class_tokens : prefix]
            assert torch.equal(pooled(spoilt, cut.layout, cut.tokens), read), cut.name
            if cut.tokens.norm is not None:
                outlier = map_.clone()
                outlier[:, prefix + 1] *= _OUTLIER
                again = pooled(outlier, cut.layout, cut.tokens)
                assert torch.allclose(again, read, atol=1e-3), cut.name


def check_names(found: Tried, other: Tried) -> None:
    """Another size changes no name, and no reading but for the number of patches."""
    one, two = found.network, other.network
    assert one.preprocessing.size != two.preprocessing.size
    assert [cut.name for cut in one.cuts] == [cut.name for cut in two.cuts]
    assert one.taps == two.taps
    assert (one.last.name, one.last_map.name) == (two.last.name, two.last_map.name)
    assert _readings(one) == _readings(two)


def _readings(network: Network) -> list[TokenReading | None]:
    found = [network.cut(name).tokens for name in network.taps]
    return [None if one is None else replace(one, grid=None) for one in found]


def _patches(map_: torch.Tensor, cut: Cut) -> int:
    """Tokens that can lie on a square grid, or all where nobody knows."""
    tokens = map_.shape[1]
    for prefix in range(tokens):
        if round((tokens - prefix) ** 0.5) ** 2 == tokens - prefix:
            return tokens - prefix
    return tokens


def _head_input(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        if hasattr(module, "forward_head"):
            found: torch.Tensor = module.forward_head(module.forward_features(x), pre_logits=True)  # type: ignore[operator]
            return found
        # torchvision: whatever the last linear layer is given
        *_, head = (layer for layer in module.modules() if isinstance(layer, nn.Linear))
        handle = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        module(x)
        handle.remove()
    return seen[0]
