"""PyTorch's side of a run, for rooms that do without PyTorch as long as nothing trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from frostline.core.extras import has_extra
from frostline.core.machine import may_have_accelerator
from frostline.core.runtime import Runtime


def accelerators(asked: str = "auto") -> tuple[str, ...]:
    """Return the devices besides the CPU that PyTorch can use here.

    PyTorch is loaded for the question only where a driver is installed, or where somebody asks for
    such a device.
    """
    if asked == "cpu" or not has_extra("train"):
        return ()
    if asked == "auto" and not may_have_accelerator():
        return ()
    from frostline.compute.engines.torch_runtime import accelerators as found

    return found()


@contextmanager
def torch_context(runtime: Runtime, *, load: bool = False) -> Iterator[None]:
    """Let PyTorch compute as ``runtime`` says inside, where it is loaded already.

    ``load``: something inside needs PyTorch, so it is loaded.
    """
    if not load and sys.modules.get("torch") is None:
        yield
        return
    from frostline.compute.engines.torch_runtime import torch_runtime

    with torch_runtime(runtime):
        yield
