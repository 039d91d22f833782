"""OpenVINO as an engine: often a tenth faster than ONNX Runtime; an optional extra."""

from __future__ import annotations

import importlib.util
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np

from frostline.core.errors import EngineError, last_line
from frostline.core.preprocessing import FloatArray, UInt8Array

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
#: Images of a call: a model is compiled for one number. Between 1 and 4 hardly anything changes on
#: any processor that was measured; larger batches leave its cache.
FIXED_BATCH = 2


def installed() -> bool:
    """Whether OpenVINO can be imported; does not import it."""
    return importlib.util.find_spec("openvino") is not None


class OpenVinoEngine:
    """Runs an exported part on the CPU.

    Raises EngineError if OpenVINO is missing, cannot open the model, or the processor lacks the
    precision.

    ``model``: the same ONNX file that ONNX Runtime reads. ``precision``: said explicitly: left
    alone, OpenVINO computes in bfloat16 where the processor can. ``threads``: batches that run at
    the same time, each in one thread, which takes a third less of the processor than one batch in
    several. ``batch``: images of a call. ``within``: threads of a call.
    """

    def __init__(
        self,
        model: bytes,
        *,
        threads: int,
        precision: Literal["fp32", "bf16"] = "fp32",
        batch: int = FIXED_BATCH,
        within: int = 1,
    ) -> None:
        self.name = f"openvino-{precision}"
        self.batch = self.fixed_batch = batch
        self.concurrent_batches = threads
        try:
            import openvino
        except ImportError as error:
            raise EngineError(f"OpenVINO cannot be imported: {error}.") from error
        try:
            core = openvino.Core()
            capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            # OpenVINO would compute in float32 without a word
            if precision == "bf16" and "BF16" not in capabilities:
                raise EngineError("OpenVINO cannot compute in bfloat16 on this processor.")
            network = core.read_model(model, b"")
            # one size of batch: kernels are chosen once, and an image's bits stay the same
            shape = network.input(0).get_partial_shape()
            shape[0] = batch
            network.reshape(shape)
            compiled = core.compile_model(
                network,
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads * within,
                    "NUM_STREAMS": threads,
                    "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
                },
            )
            # a request holds the memory of one batch, and is for one caller at a time
            self._requests: SimpleQueue[Any] = SimpleQueue()
            for _ in range(threads):
                self._requests.put(compiled.create_infer_request())
            shape = [int(side) for side in compiled.input(0).shape]
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot open it: {last_line(error)}.") from error
        # its bindings look NumPy up in their first call, and two first calls wait for each other
        self.run(np.zeros(shape, np.uint8))

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...).

        Raises EngineError if OpenVINO stops halfway.
        """
        n, size = len(batch), self.batch
        short = -n % size
        if short:
            batch = np.concatenate([batch, np.zeros((short, *batch.shape[1:]), np.uint8)])
        request = self._requests.get()
        try:
            found = [
                # a copy: the next call writes into the same memory
                np.array(request.infer([batch[start : start + size]])[0], dtype=np.float32)
                for start in range(0, len(batch), size)
            ]
        except RuntimeError as error:
            raise EngineError(f"OpenVINO stopped: {last_line(error)}.") from error
        finally:
            self._requests.put(request)
        return np.concatenate(found)[:n]
