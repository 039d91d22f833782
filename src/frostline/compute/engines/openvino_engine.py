"""OpenVINO as an engine: often the fastest on Intel processors; an optional extra."""

from __future__ import annotations

import importlib.util
from typing import Literal

import numpy as np

from frostline.core.errors import EngineError, last_line
from frostline.core.preprocessing import FloatArray, UInt8Array

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
_BATCH = 16


def installed() -> bool:
    """Whether OpenVINO can be imported; does not import it."""
    return importlib.util.find_spec("openvino") is not None


class OpenVinoEngine:
    """Runs an exported part on the CPU.

    Raises EngineError if OpenVINO is missing, cannot open the model, or the processor lacks the
    precision.

    ``model``: the same ONNX file that ONNX Runtime reads. ``precision``: said explicitly: left
    alone, OpenVINO computes in bfloat16 where the processor can.
    """

    def __init__(
        self, model: bytes, *, threads: int, precision: Literal["fp32", "bf16"] = "fp32"
    ) -> None:
        self.name = f"openvino-{precision}"
        self.batch = _BATCH
        self.concurrent_batches = 1
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
            shape[0] = _BATCH
            network.reshape(shape)
            self._compiled = core.compile_model(
                network,
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads,
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
                },
            )
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot open it: {last_line(error)}.") from error

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...).

        Raises EngineError if OpenVINO stops halfway.
        """
        n = len(batch)
        if n < _BATCH:
            batch = np.concatenate([batch, np.zeros((_BATCH - n, *batch.shape[1:]), np.uint8)])
        found = []
        try:
            for start in range(0, len(batch), _BATCH):
                part = batch[start : start + _BATCH]
                if len(part) < _BATCH:
                    found.append(self.run(part))
                    continue
                # a copy: the next call writes into the same memory
                found.append(np.array(self._compiled(part)[0], dtype=np.float32))
        except RuntimeError as error:
            raise EngineError(f"OpenVINO stopped: {last_line(error)}.") from error
        return np.concatenate(found)[:n]
