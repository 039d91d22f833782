"""What is familiar to a model, as a file: its numbers for PyTorch and for later exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frostline.errors import RunFolderError
from frostline.files import replacing, system_errors
from frostline.linear.familiar import Familiarity, Region

_TABLES = ("mean", "scale", "axes", "known")
_NUMBERS = {"start": int, "stop": int, "unit": float}


def save_familiarity(path: Path, familiarity: Familiarity) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    values = {
        "neighbours": np.asarray(float(familiarity.neighbours)),
        "reach": np.asarray(familiarity.reach),
        "usual": familiarity.usual,
        "weights": familiarity.weights,
    }
    for number, region in enumerate(familiarity.regions):
        for name in (*_TABLES, *_NUMBERS):
            value = getattr(region, name)
            kind = np.float32 if name in _TABLES else np.float64
            values[f"regions.{number}.{name}"] = np.asarray(value, dtype=kind)
    with replacing(path) as temporary, system_errors():
        save_file({name: np.ascontiguousarray(v) for name, v in values.items()}, temporary)


def read_familiarity(path: Path) -> Familiarity:
    """Read the file again.

    Raises
    ------
    RunFolderError
        If it is none of these files.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        values: dict[str, Any] = dict(load_file(path))
        n_regions = len({name.split(".")[1] for name in values if name.startswith("regions.")})
        regions = []
        for number in range(n_regions):
            own = {name: values[f"regions.{number}.{name}"] for name in (*_TABLES, *_NUMBERS)}
            regions.append(Region(**own | {n: kind(own[n].item()) for n, kind in _NUMBERS.items()}))
        return Familiarity(
            regions=tuple(regions),
            neighbours=int(values["neighbours"].item()),
            usual=values["usual"],
            weights=values["weights"],
            reach=float(values["reach"].item()),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} does not hold what is familiar to a model.") from error
