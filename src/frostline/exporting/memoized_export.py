"""An ONNX file that was written and checked before, for the same tensors, is used again."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from frostline.backbones.fingerprints import fingerprint
from frostline.compute.cache.fact import ENGINES, IMAGES, NETWORKS, NUMBERS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.preprocessing import UInt8Array
from frostline.exporting import model_onnx
from frostline.model_format.card import ModelCard
from frostline.stats.ood import Familiarity

EXPORT = Memo(
    name="export",
    version=1,
    libraries=(*NUMBERS, *IMAGES, *NETWORKS, *ENGINES),
    result=bytes,
)


def export_checked(
    path: Path,
    module: nn.Module,
    card: ModelCard,
    *,
    familiarity: Familiarity | None,
    images: UInt8Array,
    threads: int,
    origin: str,
) -> None:
    """Write a classifier as ONNX and check that it gives PyTorch's probabilities.

    What passed the check before, for the same tensors, card and images, is put there again, if it
    is so small that reading it back is quicker than making it.

    Parameters
    ----------
    path : Path
    module : nn.Module
    card : ModelCard
        Its classes, preprocessing and temperature count.
    familiarity : Familiarity or None
    images : ndarray of shape (n, size, size, 3), uint8
        That the export is checked on.
    threads : int
        For the check.
    origin : str
        Stands for how the module was made: what its tensors do not tell. Nothing is kept, and
        nothing read back, for an empty one.

    Raises
    ------
    EngineError
        If the module cannot be exported or the file gives other probabilities.
    """
    preprocessing, temperature = card.preprocessing, card.temperature

    def write() -> bytes:
        model_onnx.export_onnx(
            module, preprocessing, temperature, path, classes=card.classes, familiarity=familiarity
        )
        model_onnx.verify_onnx(
            path,
            module,
            preprocessing,
            temperature,
            images,
            familiarity=familiarity,
            threads=threads,
        )
        return path.read_bytes()

    held = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if not origin or held >= EXPORT.max_bytes:
        write()
        return
    inputs = {
        "module": [origin, fingerprint(module)],
        "preprocessing": preprocessing,
        "temperature": temperature,
        "classes": card.classes,
        "familiarity": familiarity,
        "images": images,
    }
    content = memoize(EXPORT, inputs, write)
    if not path.exists():
        path.write_bytes(content)
