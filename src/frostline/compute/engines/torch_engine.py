"""PyTorch as an engine: the reference on the CPU, and the fast one on a GPU."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import Literal

import numpy as np
import torch

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.compute.engines.frozen_part import FrozenPart
from frostline.compute.engines.module import UInt8Input
from frostline.compute.engines.torch_runtime import torch_threads
from frostline.core.batches import images_of_a_call
from frostline.core.errors import EngineError
from frostline.core.preprocessing import FloatArray, UInt8Array

_CPU_BATCH = 16
_GPU_BATCH = 64


class TorchEngine:
    """Runs a part with PyTorch in eval mode, channels-last.

    - ``part``: on the CPU its weights are shared; on a GPU they are copied there once.
    - ``threads``: threads that compute on the CPU.
    - ``device``: as PyTorch names it.
    - ``precision``: ``fp32`` means full float32, also on GPUs that would round to fewer bits by
      default; ``bf16`` computes convolutions and matrix products in bfloat16.
    """

    def __init__(
        self,
        part: FrozenPart,
        *,
        threads: int,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        kind = torch.device(device).type
        self.name = f"torch-{kind}-{precision}"
        most = _CPU_BATCH if kind == "cpu" else _GPU_BATCH
        self.batch = self.fixed_batch = images_of_a_call(most, part.preprocessing.size)
        if part.module is None:
            raise EngineError("A network without PyTorch cannot run in PyTorch.")
        module = part.module if device == "cpu" else copy.deepcopy(part.module)
        self.concurrent_batches = 1
        self._module = UInt8Input(module, part.preprocessing).to(device)
        self._device = torch.device(device)
        self._precision = precision
        self._threads = threads

    def run(self, batch: UInt8Array) -> FloatArray:
        """Turn prepared images (n, size, size, 3), uint8, into float32 results (n, ...)."""
        with ExitStack() as stack:
            stack.enter_context(torch_threads(self._threads))
            stack.enter_context(eval_mode(self._module))
            stack.enter_context(torch.inference_mode())
            if self._precision == "bf16":
                stack.enter_context(torch.autocast(self._device.type, dtype=torch.bfloat16))
            elif self._device.type == "cuda":
                # TF32 keeps 10 of 23 bits; "fp32" promises all of them
                stack.enter_context(
                    torch.backends.cudnn.flags(
                        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                    )
                )
            images = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
            result = self._module(images).float().cpu()
        return np.ascontiguousarray(result.numpy(), dtype=np.float32)
