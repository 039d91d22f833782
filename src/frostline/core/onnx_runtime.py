"""The one door to ONNX Runtime: it opens without telemetry, which the library has on by default.

Releases from 1.32 ask their maker's host for a connection at every session, and write a number
for the machine into the home. Frostline works offline and tells nobody anything.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from frostline.core.errors import EngineError, first_line

#: read by libraries when they are imported, here and in child processes; who set one keeps it
_SILENT = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def be_silent() -> None:
    """Ask the libraries that would report their use not to, before any of them is imported."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime with telemetry off.

    Raises ImportError if it is not installed, or does not run on this machine.
    """
    be_silent()
    runtime = importlib.import_module("onnxruntime")
    # somebody may have imported it before the variable was set
    turn_off = getattr(runtime, "disable_telemetry_events", None)
    if turn_off is not None and os.environ["ORT_DISABLE_TELEMETRY"] == "1":
        turn_off()
    return runtime


def quantization() -> ModuleType:
    """Import the part of ONNX Runtime that makes models of 8 bits; raises what it does."""
    onnxruntime()
    return importlib.import_module("onnxruntime.quantization")


def failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its exceptions have no common base of their own."""
    onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "EPFail Fail InvalidArgument InvalidGraph InvalidProtobuf ModelLoaded NoModel NoSuchFile "
        "NotImplemented RuntimeException"
    )
    known: list[type[Exception]] = [getattr(state, n) for n in names.split() if hasattr(state, n)]
    # the binding itself adds those of Python: sizes and texts that cannot be
    return (*known, RuntimeError, ValueError, MemoryError)


def open_session(
    model: Path | bytes,
    *,
    threads: int,
    log_level: int = 3,
    optimized: bool = True,
) -> Any:
    """Open a model for the CPU.

    Raises EngineError if ONNX Runtime is missing, or cannot run the file.

    ``model``: an ONNX file, or its content. ``threads``: threads within one operator; operators run
    one after the other. ``log_level``: what is told on standard error: from 3 errors, from 4
    nothing but the end of the process. ``optimized``: False runs every operator as it is written.
    """
    try:
        ort = onnxruntime()
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
    options.log_severity_level = log_level
    # as the nodes stand in the file: what frees memory early is placed early
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise EngineError(
            f"ONNX Runtime {ort.__version__} cannot open the model: {first_line(error)}.",
            hint="Update onnxruntime, or export the model again.",
        ) from error
