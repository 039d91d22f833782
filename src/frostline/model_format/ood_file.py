"""What is familiar to a model, as a file: its numbers for PyTorch and for later exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frostline.core.errors import RunFolderError
from frostline.core.files import replacing, system_errors
from frostline.stats.ood import Familiarity


def save_familiarity(path: Path, familiarity: Familiarity) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    values = {name: np.ascontiguousarray(v) for name, v in familiarity.arrays().items()}
    with replacing(path) as temporary, system_errors():
        save_file(values, temporary)


def read_familiarity(path: Path) -> Familiarity:
    """Read the file again.

    Raises RunFolderError if it is none of these files.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return Familiarity.of_arrays(load_file(path))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} does not hold what is familiar to a model.") from error
