"""At which size of images a network runs where nobody asked for one."""

from __future__ import annotations

from pathlib import Path

from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.zoo import measured
from frostline.core.errors import BackboneError
from frostline.core.extras import has_extra
from frostline.model_format.model_folder import model_home

#: On a processor larger images, in pixels of their side, are not taken unless they are asked for:
#: a vision transformer at 518 does ten times the work that it does at 224.
LARGEST = 256
FEW_PIXELS = 224


def pretraining_size(name: str) -> int | None:
    """Return the side of the images that a network was trained on, without opening it.

    None where that is not known: for folders, and names that only a hub knows.
    """
    if name.startswith("torchvision:") and not has_extra("train"):
        return None
    try:
        return measured(name.rpartition("/")[2]).size
    except BackboneError:
        return None


def runs_smaller(name: str, own: int) -> bool:
    """Whether a network of a size of its own runs at a smaller one on a processor.

    Bundled networks were measured at theirs, and what was trained here belongs to its size.
    """
    return own > LARGEST and name not in BUNDLED and model_home(Path(name)) is None


def smaller_size(name: str) -> int | None:
    """Return the size at which a network runs on a processor in place of its own, if any."""
    own = pretraining_size(name)
    return FEW_PIXELS if own is not None and runs_smaller(name, own) else None
