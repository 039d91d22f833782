"""The side of a runtime that is PyTorch's: device, precision, threads, kernels, generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from frostline.core.runtime import Runtime


@dataclass(frozen=True)
class Compute:
    """Where and how precisely PyTorch computes.

    Accelerate's ``Accelerator`` keeps one device and precision for a whole process and refuses
    a second one, which a library inside somebody's notebook cannot afford.
    """

    device: torch.device
    half: bool

    @classmethod
    def of(cls, runtime: Runtime) -> Compute:
        """Read device and precision from a runtime."""
        return cls(torch.device(runtime.device), half=runtime.precision == "bf16")

    def autocast(self) -> torch.autocast:
        """Return a context in which matrix products run in bfloat16, if that was asked for."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half)


def accelerators() -> tuple[str, ...]:
    """Return the devices besides the CPU that PyTorch can use here."""
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    apple = ("mps",) if torch.backends.mps.is_available() else ()
    return (*(f"cuda:{number}" for number in range(cuda)), *apple)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads inside, and with as many as before afterwards."""
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def torch_runtime(runtime: Runtime) -> Iterator[None]:
    """Compute as ``runtime`` says inside, and leave the process as it was found.

    Inside, PyTorch has the runtime's threads and repeatable kernels. Afterwards both, and all
    random generators, are what they were.
    """
    cuda = {torch.cuda.current_device()} if torch.cuda.is_available() else set()
    # somebody may compute on another one than the process does by default
    cuda |= {index} if (index := torch.device(runtime.device).index) is not None else set()
    deterministic = torch.backends.cudnn.deterministic
    benchmark = torch.backends.cudnn.benchmark
    with torch_threads(runtime.threads), torch.random.fork_rng(devices=sorted(cuda)):
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic
            torch.backends.cudnn.benchmark = benchmark
