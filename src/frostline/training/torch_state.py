"""Borrow torch's process-wide settings for a training, and give them back unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from frostline.core.settings import ResolvedSettings


@dataclass(frozen=True)
class Compute:
    """Where and how precisely to compute.

    Accelerate's ``Accelerator`` keeps one device and precision for a whole process and refuses
    a second one, which a library inside somebody's notebook cannot afford.
    """

    device: torch.device
    half: bool

    @classmethod
    def of(cls, resolved: ResolvedSettings) -> Compute:
        """Read device and precision from resolved settings."""
        return cls(torch.device(resolved.device), half=resolved.precision == "bf16")

    def autocast(self) -> torch.autocast:
        """Return a context in which matrix products run in bfloat16, if that was asked for."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half)


@contextmanager
def borrowed_torch(*, threads: int) -> Iterator[None]:
    """Use ``threads`` threads and repeatable kernels; restore them and all generators after."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    threads_before = torch.get_num_threads()
    deterministic = torch.backends.cudnn.deterministic
    benchmark = torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=cuda):
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.backends.cudnn.deterministic = deterministic
            torch.backends.cudnn.benchmark = benchmark
