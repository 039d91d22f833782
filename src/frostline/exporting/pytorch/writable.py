"""Whether a network can be written as ONNX at all: asked before anything is computed with it."""

from __future__ import annotations

import torch

from frostline.backbones.network import Network
from frostline.backbones.to_onnx import MAX_BYTES, NotExportableError, to_onnx
from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.errors import BackboneError
from frostline.onnx_graph.preprocessing_graph import OPSET

WRITABLE = Memo(name="writable as ONNX", version=2, libraries=NETWORKS, result=str)


def check_writable(network: Network, *, cut: str | None = None) -> None:
    """Refuse a network that no model file could hold.

    The layers are traced without their weights, in a few tenths of a second, and only once for
    a network and size: what was found is kept.

    Parameters
    ----------
    cut : str or None, default=None
        Where it will end; None is the deepest feature map.

    Raises
    ------
    BackboneError
        Names the operation that ONNX lacks, or the size that it cannot hold.
    """
    part = network.feature_module if cut is None else network.prefix(cut)
    held = sum(t.numel() * t.element_size() for t in part.state_dict().values())
    if held > MAX_BYTES:
        raise BackboneError(
            f"{network.name} has {held / 2**30:.1f} GiB of weights; a model is written as ONNX, "
            "which holds at most 2.",
            hint="Use a smaller network.",
        )
    inputs = {
        "graph": str(network.graph),
        "shape": network.example_shape,
        "part": str(part),
        "opset": OPSET,
    }
    reason = memoize(WRITABLE, inputs, lambda: _obstacle(part, network.example_shape))
    if reason:
        raise BackboneError(
            f"{network.name} for images of {network.example_shape[-1]} pixels cannot be written "
            f"as ONNX, as every model is: {reason}.",
            hint="Use another network, or the size that it was made for (leave --input-size out).",
        )


def _obstacle(part: torch.nn.Module, shape: tuple[int, ...]) -> str:
    """Return why the exporter refuses a part; empty if it does not."""
    # two images: a single one is its own kind of batch
    example = torch.zeros(2, *shape[1:])
    try:
        to_onnx(part, example, source="images", targets=["result"], opset=OPSET, weights=False)
    except NotExportableError as error:
        return error.reason
    return ""
