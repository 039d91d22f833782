"""Write a frozen part as ONNX, once."""

from __future__ import annotations

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.compute.engines.frozen_part import FrozenPart
from frostline.compute.engines.onnx_engine import INPUT, OUTPUT
from frostline.core.errors import EngineError

_OPSET = 17

ENGINE = Memo(
    name="engine", version=2, libraries=NETWORKS, result=bytes, folder="engines", max_bytes=2**31
)


def engine_key(part: FrozenPart) -> str:
    """Return the key of the exported part."""
    return ENGINE.key({"part": part.key, "opset": _OPSET})


def exported(part: FrozenPart, *, fresh: bool = False) -> tuple[bytes, bool]:
    """Return the part as ONNX, from the cache when it is there.

    Parameters
    ----------
    fresh : bool, default=False
        Export again whatever the cache holds.

    Returns
    -------
    model : bytes
    cached : bool
        Whether it came from the cache.

    Raises
    ------
    EngineError
        If the part cannot be exported. A cache that cannot be written is no error.
    """
    if part.graph is not None:
        # putting weights into a graph takes no longer than reading a file
        return part.graph.model(), False
    if part.passing:
        return export(part), False
    key = engine_key(part)
    found = None if fresh else recall(ENGINE, key)
    if found is not None:
        return found, True
    model = export(part)
    # without the file every run spends a second on the export, nothing else
    remember(ENGINE, key, model)
    return model, False


def export(part: FrozenPart) -> bytes:
    """Write the part as ONNX: uint8 images (n, size, size, 3), any n, to its float result.

    Raises
    ------
    EngineError
        If the part has an operation that ONNX lacks, or is too large for one file.
    """
    import onnx
    import torch

    from frostline.backbones.to_onnx import to_onnx
    from frostline.compute.engines.module import UInt8Input
    from frostline.onnx_graph.branches import with_merged_branches

    size = part.preprocessing.size
    if part.module is None:
        raise EngineError("There is neither a module nor a graph to export.")
    content = to_onnx(
        UInt8Input(part.module, part.preprocessing),
        torch.zeros(2, size, size, 3, dtype=torch.uint8),
        source=INPUT,
        targets=[OUTPUT],
        opset=_OPSET,
    )
    model = onnx.load_model_from_string(content)
    merged = with_merged_branches(model)
    written: bytes = content if merged is model else merged.SerializeToString()
    return written
