"""The one door to ONNX Runtime: it opens without telemetry, which the library has on by default.

Releases from 1.32 ask their maker's host for a connection at every session, and write a number
for the machine into the home. Frostline works offline and tells nobody anything.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

#: read by libraries when they are imported, here and in child processes; who set one keeps it
_SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def be_silent() -> None:
    """Ask the libraries that would report their use not to, before any of them is imported."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime with telemetry off.

    Raises
    ------
    ImportError
        If it is not installed, or does not run on this machine.
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
