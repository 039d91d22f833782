"""An ONNX file that was written and checked before, for the same tensors, is used again."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.core.preprocessing import UInt8Array
from frostline.model_format.card import ModelCard
from frostline.stats.ood import Familiarity

if TYPE_CHECKING:
    from torch import nn

_CONTENT = "onnx"
_LIBRARIES = ("torch", "timm", "onnx", "onnxruntime")


def export_key(
    origin: str,
    module: nn.Module,
    card: ModelCard,
    familiarity: Familiarity | None,
    images: UInt8Array,
) -> str:
    """Return the key of an export; equal keys mean equal files that pass the same check.

    Parameters
    ----------
    origin : str
        Stands for how the module was made: what its tensors do not tell.
    card : ModelCard
        Its classes, preprocessing and temperature count.
    images : ndarray of shape (n, size, size, 3), uint8
        That the export is checked on.
    """
    import frostline.backbones
    import frostline.model
    from frostline.backbones.fingerprints import fingerprint
    from frostline.compute.cache.fits import code_of, content_of
    from frostline.compute.cache.locations import key_of

    known = {} if familiarity is None else familiarity.arrays()
    return key_of(
        "export",
        origin,
        fingerprint(module),
        card.preprocessing.model_dump_json(),
        repr(card.temperature),
        content_of(images, *known.values()),
        *known,
        *card.classes,
        *(version(library) for library in _LIBRARIES),
        code_of(frostline.model, frostline.backbones),
    )


def written_once(key: str, path: Path, write: Callable[[], None]) -> None:
    """Let ``write`` make the file at ``path``, or put there what it made before under ``key``."""
    from frostline.compute.cache.fits import kept
    from frostline.compute.cache.store import Arrays

    def made() -> bytes:
        write()
        return path.read_bytes()

    def packed(content: bytes) -> Arrays:
        return {_CONTENT: np.frombuffer(content, dtype=np.uint8)}

    content = kept(key, made, pack=packed, unpack=lambda arrays: arrays[_CONTENT].tobytes())
    if not path.exists():
        path.write_bytes(content)


def worth_keeping(module: nn.Module) -> bool:
    """Whether an export is so small that reading it back is quicker than making it."""
    from frostline.compute.cache.fits import MOST_BYTES

    held = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    return bool(held < MOST_BYTES)
