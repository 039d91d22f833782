"""What is found of one network before anything is fitted, as JSON on standard output.

    python -m benchmarks.networks.facts NAME WEIGHTS

A process of its own, so that a network that fails takes nothing with it.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from benchmarks.networks.choice import LARGE, NETWORKS, SIZES
from frostline.backbones.conformance import random_images
from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.freeze.freezing import freeze
from frostline.backbones.freeze.param_groups import param_groups
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network
from frostline.core.errors import FrostlineError
from frostline.fitting.usual_size import smaller_size

# what networks raise where a size does not suit them
_UNSUITED = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, IndexError)
_CLOSE = 1e-5


def facts(name: str, weights: Path | None) -> dict[str, Any]:
    """Return what is known of a network at its own size and at others."""
    own = Network.load(name, weights=weights)
    size = own.preprocessing.size
    usual = smaller_size(name) or size
    network = own if usual == size else Network.load(name, weights=weights, size=usual)
    widths = {tap: network.body([tap]).width for tap in network.taps}
    return {
        "own_size": size,
        "size": usual,
        "millions_of_parameters": _parameters(network.module),
        "macs": network.macs,
        "macs_at_own_size": own.macs,
        "family": _family(network),
        "cuts": len(network.cuts),
        "taps": [
            {"name": tap, "parts": list(network.cut(tap).parts), "columns": widths[tap]}
            for tap in network.taps
        ],
        "columns": sum(widths.values()),
        "last": network.last.name,
        "last_map": network.last_map.name,
        "notes": list(network.notes),
        "head_reads_last_tap": _head_reads(network),
        "split_exact": _splits(network),
        "freeze_exact": _freezes(network),
        "sizes": _sizes(name, weights, own),
    }


def _parameters(module: nn.Module) -> float:
    return round(sum(p.numel() for p in module.parameters()) / 1e6, 1)


def _family(network: Network) -> dict[str, Any]:
    family = network.family
    return {**asdict(family), "registers": family.registers, "work": family.work}


def _head_reads(network: Network) -> float | None:
    """Largest difference between what the network's head reads and the closest part of the tap."""
    module, x = network.module.eval(), random_images(1, network.example_shape[1:])
    if not hasattr(module, "forward_head"):
        return None
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(x), pre_logits=True)  # type: ignore[operator]
        read = network.body([network.last.name])(x)
    blocks = read.chunk(max(1, read.shape[1] // expected.shape[1]), dim=1)
    return min(
        (float((b - expected).abs().max()) for b in blocks if b.shape == expected.shape),
        default=None,
    )


def _splits(network: Network) -> dict[str, int]:
    """At how many cuts both parts one after the other give the network's own bits."""
    module, x = network.module.eval(), random_images(1, network.example_shape[1:])
    same = 0
    with torch.no_grad():
        expected = module(x.clone())
        for cut in network.cuts:
            prefix, suffix = (part.eval() for part in network.split(cut.name))
            same += bool(torch.equal(suffix(prefix(x.clone())), expected))
    return {"same_bits": same, "cuts": len(network.cuts)}


def _freezes(network: Network) -> dict[str, Any]:
    """Train above the middle cut for a step, with weight decay: what moved, and what did not."""
    middle = network.cuts[(len(network.cuts) - 1) // 2].name
    module = network.plain()
    x = random_images(2, network.example_shape[1:])
    freeze(module, upto=middle, example=x)
    below = Network.load(module, example=x).prefix(middle)
    before = fingerprint(below)
    own = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}
    module.train()
    if own:
        optimizer = torch.optim.AdamW(param_groups(module, lr=1e-2), weight_decay=0.1)
        torch.autograd.backward(module(x).square().sum())
        optimizer.step()
    trained = {name: p for name, p in module.named_parameters() if name in own}
    moved = sum(not torch.equal(p, own[name]) for name, p in trained.items())
    return {
        "upto": middle,
        "frozen_bits_equal": fingerprint(below) == before,
        "tensors_trained": len(own),
        "tensors_moved": moved,
    }


def _sizes(name: str, weights: Path | None, own: Network) -> dict[str, Any]:
    """What happens at other sizes, here and in timm."""
    size, found = own.preprocessing.size, {}
    off = next((one.off for one in NETWORKS if one.name == name), size)
    # networks for large images need not run at their own once more
    sizes = {*SIZES, off, size} if size < LARGE else {*SIZES, off}
    for other in sorted(sizes):
        found[str(other)] = {
            "timm": _timm_takes(name, other),
            **(_frostline_takes(name, weights, other, own)),
        }
    return found


def _timm_takes(name: str, size: int) -> bool:
    """Whether timm's network runs at a size, in any of the ways in which one asks for it."""
    architecture = BUNDLED[name].architecture if name in BUNDLED else name
    for options in ({}, {"img_size": size}, None):
        try:
            net: Any = timm.create_model(architecture, pretrained=False, **(options or {})).eval()
            if options is None:
                net.set_input_size(img_size=(size, size))
            with torch.no_grad():
                net(torch.zeros(1, 3, size, size))
        except _UNSUITED:
            continue
        return True
    return False


def _frostline_takes(name: str, weights: Path | None, size: int, own: Network) -> dict[str, Any]:
    try:
        network = Network.load(name, weights=weights, size=size)
    except FrostlineError as error:
        return {"taken": False, "said": str(error)}
    with torch.no_grad():
        read = network.body(network.taps)(random_images(1, (3, size, size)))
    same = [cut.name for cut in network.cuts] == [cut.name for cut in own.cuts]
    finite = bool(torch.isfinite(read).all())
    return {"taken": finite and network.preprocessing.size == size, "same_cuts": same}


def main() -> None:
    """Print what is found of the network that is named."""
    warnings.filterwarnings("ignore")
    name, weights = sys.argv[1], Path(sys.argv[2])
    found = facts(name, None if name in BUNDLED else weights)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
