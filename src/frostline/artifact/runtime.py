"""ONNX Runtime sessions, opened late and with settings that keep machines usable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.errors import EngineError
from frostline.preprocessing import UInt8Array

#: names of the input and the output of every exported file
INPUT, OUTPUT = "image", "probabilities"


def open_session(model: Path | bytes, *, threads: int) -> Any:
    """Open a model for the CPU.

    Parameters
    ----------
    model : Path or bytes
        An ONNX file, or its content.
    threads : int
        Threads within one operator; operators run one after the other.

    Raises
    ------
    EngineError
        If ONNX Runtime is missing, or cannot run the file.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise EngineError(
            f"ONNX Runtime cannot be imported: {error}.", hint="Run: pip install onnxruntime"
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # waiting threads that spin take the cores from whoever decodes the images
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise EngineError(
            f"ONNX Runtime {ort.__version__} cannot open the model: {str(error).splitlines()[0]}.",
            hint="Update onnxruntime, or export the model again.",
        ) from error


def probabilities(session: Any, batch: UInt8Array) -> npt.NDArray[np.float64]:
    """Run uint8 images (n, H, W, 3) through an open session: probabilities (n, C).

    Raises
    ------
    EngineError
        If ONNX Runtime stops halfway.
    """
    try:
        return np.asarray(session.run([OUTPUT], {INPUT: batch})[0], dtype=np.float64)
    except _failures() as error:
        raise EngineError(f"ONNX Runtime stopped: {str(error).splitlines()[0]}.") from error


def _failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its exceptions have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
