"""ONNX Runtime as an engine: usually the fastest way to run a frozen network on a CPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from frostline.compute.engines.processor import ProcessorKind, processor_kind
from frostline.core.batches import images_of_a_call
from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.onnx_graph.network_graph import IMAGES, RESULT

#: of an exported part
INPUT, OUTPUT = IMAGES, RESULT

#: Images of a call where no other number was measured: networks of several kinds were within a few
#: percent of their best. What larger batches need is more than the processor's cache holds.
FIXED_BATCH: Mapping[ProcessorKind, int] = {
    "x86-64": 4,
    "x86-64 with AVX-512": 2,
    "Arm": 4,
    "other": 4,
}


def usual_batch(side: int) -> int:
    """Return how many images of ``side`` pixels a call has where no other number was measured."""
    return images_of_a_call(FIXED_BATCH[processor_kind()], side)


# only errors that nothing else reports; ours carry the message anyway
_FATAL = 4


class OnnxEngine:
    """Runs an exported part on the CPU; BatchNorm is folded into the convolutions.

    Raises EngineError if ONNX Runtime is missing or cannot open the model.

    ``batch``: images of a call; that of the processor by default. It may be changed: a call takes
    any number. ``optimized``: False runs every operator as it is written, slowly. ``model``: from
    :mod:`frostline.compute.engines.onnx_export`. ``threads``: batches that run at the same time,
    each in one thread: convolutions of small networks gain little from a second one. ``within``:
    threads of a call.
    """

    def __init__(
        self,
        model: bytes,
        *,
        threads: int,
        optimized: bool = True,
        batch: int | None = None,
        within: int = 1,
    ) -> None:
        self.name = "onnxruntime-fp32"
        self.batch = self.fixed_batch = batch or FIXED_BATCH[processor_kind()]
        self.concurrent_batches = threads
        self._session = open_session(model, threads=within, log_level=_FATAL, optimized=optimized)

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...).

        Raises EngineError if ONNX Runtime stops halfway.
        """
        try:
            result = self._session.run([OUTPUT], {INPUT: batch})[0]
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        return np.ascontiguousarray(result, dtype=np.float32)
