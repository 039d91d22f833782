"""The names that an architecture's authors gave their weights, read as timm reads them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from timm.models import is_model, model_entrypoint
from torch import nn

#: what timm's modules call the function that translates official weights
_FILTERS = (
    "checkpoint_filter_fn",
    "checkpoint_filter_fn_classifier",
    "_filter_fn",
    "_filter_torchvision_pretrained",
)
# what such a function raises on weights that it was not made for
_NOT_FOR_IT = (
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)


def as_timm_reads(
    net: nn.Module, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor] | None:
    """Return the weights as timm's own function for this architecture translates them.

    It also brings embeddings of positions to the size of the network. None where timm has no such
    function, or it cannot read these names.
    """
    translate = _filter_of(net)
    if translate is None:
        return None
    try:
        parameters = inspect.signature(translate).parameters
        options: dict[str, Any] = {}
        if "adapt_layer_scale" in parameters and any(".ls1." in n for n in net.state_dict()):
            options["adapt_layer_scale"] = True
        # some of them take entries out of what they are given
        given = dict(state)
        found = translate(given, net, **options) if len(parameters) > 1 else translate(given)
    except _NOT_FOR_IT:
        return None
    return {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}


def _filter_of(net: nn.Module) -> Callable[..., Any] | None:
    config = getattr(net, "pretrained_cfg", None) or {}
    architecture = str(config.get("architecture") or "")
    if not architecture or not is_model(architecture):
        return None
    home = sys.modules[model_entrypoint(architecture).__module__]
    return next((getattr(home, name) for name in _FILTERS if hasattr(home, name)), None)
