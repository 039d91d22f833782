"""ONNX Runtime as an engine: usually the fastest way to run a frozen network on a CPU."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch

from frostline.compute.cache.fact import ENGINES, IMAGES, NETWORKS
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.compute.engines.base import FrozenPart
from frostline.compute.engines.module import UInt8Input, evaluating
from frostline.compute.engines.quiet import quiet_exporter
from frostline.core.errors import EngineError
from frostline.core.onnx_runtime import failures, onnxruntime
from frostline.core.preprocessing import FloatArray, UInt8Array

_OPSET = 17
_INPUT, _OUTPUT = "images", "result"

# protocol buffers end at 2 GiB; the graph itself needs a little of it
_MAX_BYTES = 2**31 - 2**24

ENGINE = Memo(
    name="engine",
    version=1,
    libraries=(*IMAGES, *NETWORKS, *ENGINES),
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
        try:
            ort = onnxruntime()
        except ImportError as error:
            raise EngineError(f"ONNX Runtime cannot be imported: {error}.") from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _FATAL
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except failures() as error:
            raise EngineError(f"ONNX Runtime cannot open it: {_first_line(error)}.") from error

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
            raise EngineError(f"ONNX Runtime stopped: {_first_line(error)}.") from error
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
    held = sum(t.numel() * t.element_size() for t in part.module.state_dict().values())
    if held > _MAX_BYTES:
        raise EngineError(f"{held / 2**30:.1f} GiB of weights are too many for one ONNX file.")
    module = UInt8Input(part.module, part.preprocessing)
    size = part.preprocessing.size
    # two images: with a single one, operations that squeeze would fix the batch
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    try:
        # the exporter talks about itself and about constants of the trace, not about the part
        with quiet_exporter(), evaluating(module), torch.no_grad():
            # in memory: a full disk for temporary files must not decide which engine runs
            written: Any = io.BytesIO()
            torch.onnx.export(
                module,
                (example,),
                written,
                input_names=[_INPUT],
                output_names=[_OUTPUT],
                dynamic_axes={_INPUT: {0: "n"}, _OUTPUT: {0: "n"}},
                opset_version=_OPSET,
                verbose=False,
                # several times faster than the newer exporter, and needs nothing else installed
                dynamo=False,
            )
            content: bytes = written.getvalue()
            return content
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise EngineError(f"it cannot be written as ONNX: {_first_line(error)}.") from error


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
