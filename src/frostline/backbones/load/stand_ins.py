"""Settings and numbers that training scripts keep beside weights: passed over, never called."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

#: what scripts save beside the weights; all of it is data, and none of it is needed
_PASSED_OVER = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
)


class PassedOver:
    """Stands where a file has an object that is not needed; keeps nothing, does nothing."""

    def __init__(self, *values: object, **named: object) -> None:
        del values, named

    def __setstate__(self, state: object) -> None:
        del state


def _stand_in(path: str) -> type[PassedOver]:
    module, _, name = path.rpartition(".")
    # torch knows what a file may name by these two
    return type(name, (PassedOver,), {"__module__": module, "__qualname__": name})


#: classes of ours under the names of theirs: what a file names is never what runs
_STAND_INS = [_stand_in(path) for path in _PASSED_OVER]


def passing_over() -> AbstractContextManager[object]:
    """Let ``torch.load(weights_only=True)`` read on where a file has such objects.

    PyTorch before 2.5 lacks this; there such files are refused.
    """
    allow = getattr(torch.serialization, "safe_globals", None)
    return nullcontext() if allow is None else allow(_STAND_INS)
