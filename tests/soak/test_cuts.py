"""The smallest member of every architecture family: cut, frozen and trained, and all is checked.

Random weights (constant ones moved off their start), with dropout and stochastic depth where the
network offers them. ``pytest -m soak tests/soak/test_cuts.py -k resnet`` tries some families.
"""

from __future__ import annotations

import re

import pytest
import timm
import torch
from timm.models._registry import _model_to_module

from frostline.backbones.conformance import check
from frostline.backbones.graph.tracer import FORWARD_ERRORS
from frostline.backbones.load import torchvision_names, torchvision_source, zoo
from tests.backbones.shaken import shake

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore")]
_USUAL_SIZE = 224
#: the smallest member needs more than two gigabytes
_TOO_LARGE = {"deepseek_vit"}
#: no place where a single tensor passes
_WITHOUT_CUT = {"crossvit"}


def _families() -> dict[str, str]:
    """Name of the smallest member, by family: modules of timm, first words of torchvision."""
    found: dict[str, tuple[tuple[bool, int], str]] = {}
    for name in [*timm.list_models(), *(f"torchvision:{n}" for n in torchvision_names.names())]:
        entry = zoo.measured(name)
        family = _model_to_module.get(name)
        if family is None:
            word = re.match(r"[a-z]+(?:_v2|_v3|_x|_y)?", name.partition(":")[2])
            family = f"torchvision {word[0] if word else name}"
        # members for large images only come last: the family should run at 224 pixels
        rank = (entry.size > 256, entry.parameters)
        if family not in found or rank < found[family][0]:
            found[family] = (rank, name)
    return {family: name for family, (_, name) in sorted(found.items())}


def _built(name: str) -> torch.nn.Module:
    """Make a network with random, not degenerate weights and with dropout."""
    torch.manual_seed(0)
    if name.startswith("torchvision:"):
        module = torchvision_source.from_torchvision(name, weights=None, pretrained=False).net
    else:
        for extra in ({"drop_rate": 0.2, "drop_path_rate": 0.2}, {"drop_rate": 0.2}, {}):
            try:
                module = timm.create_model(name, pretrained=False, **extra)
                break
            except TypeError:
                continue
    shake(module, 0)
    return module.eval()


def _example(module: torch.nn.Module, own: int) -> torch.Tensor:
    """Two images of 224 pixels, or of the network's own size if it wants that."""
    generator = torch.Generator().manual_seed(0)
    for size in dict.fromkeys((_USUAL_SIZE, own)):
        images = torch.randn(2, 3, size, size, generator=generator)
        try:
            with torch.no_grad():
                module(images.clone())
        except FORWARD_ERRORS:
            continue
        return images
    raise AssertionError("runs neither at 224 pixels nor at its own size")


@pytest.mark.parametrize(("family", "name"), _families().items())
def test_every_promise_is_kept(family: str, name: str) -> None:
    if family in _TOO_LARGE:
        pytest.skip("needs more than two gigabytes")
    module = _built(name)
    result = check(module, _example(module, zoo.measured(name).size))
    assert result.passed != (family in _WITHOUT_CUT), result.failures or result.error
