"""ONNX Runtime as an engine: usually the fastest way to run a frozen network on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from frostline.backbones.to_onnx import to_onnx
from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.compute.engines.base import FrozenPart
from frostline.compute.engines.module import UInt8Input
from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import FloatArray, UInt8Array

_OPSET = 17
_INPUT, _OUTPUT = "images", "result"

ENGINE = Memo(
    name="engine",
    version=1,
    libraries=NETWORKS,
    result=bytes,
    folder="engines",
    max_bytes=2**31,
)

# only errors that nothing else reports; ours carry the message anyway
_FATAL = 4


class OnnxEngine:
    """Runs an exported part on the CPU; BatchNorm is folded into the convolutions.

    Parameters
    ----------
    model : bytes
        From :func:`exported` or :func:`export`.
    threads : int
        Batches that run at the same time, each in one thread: convolutions of small networks gain
        little from a second one.

    Raises
    ------
    EngineError
        If ONNX Runtime is missing or cannot open the model.
    """

    def __init__(self, model: bytes, *, threads: int) -> None:
        self.name = "onnxruntime-fp32"
        self.batch = 16
        self.lanes = threads
        self._session = open_session(model, threads=1, log_level=_FATAL)

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...).

        Raises
        ------
        EngineError
            If ONNX Runtime stops halfway.
        """
        try:
            result = self._session.run([_OUTPUT], {_INPUT: batch})[0]
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        return np.ascontiguousarray(result, dtype=np.float32)


def engine_key(part: FrozenPart) -> str:
    """Return the key of the exported part."""
    return ENGINE.key({"part": part.key, "opset": _OPSET})


def exported(part: FrozenPart, *, fresh: bool = False) -> tuple[bytes, bool]:
    """Return the part as ONNX, from the cache when it is there.

    Parameters
    ----------
    part : FrozenPart
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
    size = part.preprocessing.size
    return to_onnx(
        UInt8Input(part.module, part.preprocessing),
        torch.zeros(2, size, size, 3, dtype=torch.uint8),
        source=_INPUT,
        targets=[_OUTPUT],
        opset=_OPSET,
    )
