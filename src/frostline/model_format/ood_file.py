"""The score for out-of-distribution images as a file, for PyTorch and for later exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frostline.core.errors import RunFolderError
from frostline.core.files import replacing, system_errors
from frostline.stats.ood import OODScorer


def save_ood_scorer(path: Path, ood_scorer: OODScorer) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    values = {name: np.ascontiguousarray(v) for name, v in ood_scorer.arrays().items()}
    with replacing(path) as temporary, system_errors():
        save_file(values, temporary)


def read_ood_scorer(path: Path) -> OODScorer:
    """Read the file again.

    Raises RunFolderError if it is none of these files.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return OODScorer.of_arrays(load_file(path))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} does not hold what is familiar to a model.") from error
