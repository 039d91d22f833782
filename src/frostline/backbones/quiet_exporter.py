"""PyTorch's exporter prints whole graphs on standard output when it fails; results go there."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

_STANDARD_OUTPUT = 1


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Drop what the exporter says about itself: warnings, and what its C++ code prints."""
    with warnings.catch_warnings(), _nothing_printed():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _nothing_printed() -> Iterator[None]:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        kept = os.dup(_STANDARD_OUTPUT)
    except (OSError, ValueError):
        # there is no standard output to keep clean
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            _flush_c()
            os.dup2(nowhere.fileno(), _STANDARD_OUTPUT)
            try:
                yield
            finally:
                _flush_c()
                os.dup2(kept, _STANDARD_OUTPUT)
    finally:
        os.close(kept)


def _flush_c() -> None:
    """Write out what C code has printed but not yet handed to the system."""
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).fflush(None)
