"""Run prepared images through a module of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frostline.core.preprocessing import Preprocessing, UInt8Array


def to_input(
    pixels: UInt8Array,
    preprocessing: Preprocessing,
    *,
    device: torch.device | str | None = None,
    channels_last: bool = True,
) -> torch.Tensor:
    """Return what a network takes, (n, 3, size, size), for prepared images.

    ``pixels``: shape (n, size, size, 3). ``device``: None is the CPU. ``channels_last``:
    convolutions run faster so, and give other last digits.
    """
    batch = torch.from_numpy(preprocessing.normalise(pixels)).to(device)
    return batch.contiguous(memory_format=torch.channels_last) if channels_last else batch


def run_module(
    module: nn.Module,
    batches: Iterable[UInt8Array],
    preprocessing: Preprocessing,
    *,
    function: Callable[[torch.Tensor], torch.Tensor] | None = None,
    channels_last: bool = True,
) -> npt.NDArray[np.float32]:
    """Run batches of prepared images through a module, in the mode and on the device that it is on.

    - ``batches``, shape (n, size, size, 3): the size of a batch may change the last digits of the
      result.
    - ``function``: what to call with each batch, such as a method of the module; None calls the
      module.
    - ``channels_last``: see :func:`to_input`.
    - The result, shape (n, ...): of all batches; (0, 0) if there is none.
    """
    device = next((tensor.device for tensor in module.parameters()), None)
    found = []
    with torch.inference_mode():
        for pixels in batches:
            batch = to_input(pixels, preprocessing, device=device, channels_last=channels_last)
            found.append((function or module)(batch).float().cpu().numpy())
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)
