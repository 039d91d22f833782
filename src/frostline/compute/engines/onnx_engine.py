"""ONNX Runtime as an engine: usually the fastest way to run a frozen network on a CPU."""

from __future__ import annotations

import numpy as np

from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.onnx_graph.network_graph import IMAGES, RESULT

#: of an exported part
INPUT, OUTPUT = IMAGES, RESULT

# only errors that nothing else reports; ours carry the message anyway
_FATAL = 4


class OnnxEngine:
    """Runs an exported part on the CPU; BatchNorm is folded into the convolutions.

    Raises EngineError if ONNX Runtime is missing or cannot open the model.

    ``batch``: images of a call. ``optimized``: False runs every operator as it is written, slowly.
    ``model``: from :mod:`frostline.compute.engines.onnx_export`. ``threads``: batches that run at
    the same time, each in one thread: convolutions of small networks gain little from a second one.
    """

    def __init__(
        self, model: bytes, *, threads: int, optimized: bool = True, batch: int = 16
    ) -> None:
        self.name = "onnxruntime-fp32"
        self.batch = batch
        self.concurrent_batches = threads
        self._session = open_session(model, threads=1, log_level=_FATAL, optimized=optimized)

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...).

        Raises EngineError if ONNX Runtime stops halfway.
        """
        try:
            result = self._session.run([OUTPUT], {INPUT: batch})[0]
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        return np.ascontiguousarray(result, dtype=np.float32)
