"""The 64 reference pictures: what a network is shown that stores no statistics of pretraining.

They lie in ``pictures/``, with their licences. Of every eight, five are crops of photos and three
are drawn: shapes, textures, letters, lines. No more than 16 photographs were cropped, so they stand
for photos in general, and for no pretraining set.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from PIL import Image

from frostline.core.arrays import BoolArray
from frostline.core.preprocessing import Preprocessing, UInt8Array

#: pictures that there are
N_PICTURES = 64
_OF_EIGHT = 5


@cache
def reference_pictures(preprocessing: Preprocessing, n: int = N_PICTURES) -> UInt8Array:
    """Return the first ``n`` pictures as a network takes them, (n, size, size, 3)."""
    folder = resources.files("frostline.evidence") / "pictures"
    found = []
    for number in range(n):
        with (folder / f"{number:02d}.webp").open("rb") as stream, Image.open(stream) as image:
            found.append(np.asarray(preprocessing.apply(image.convert("RGB"))))
    return np.stack(found)


def are_photos(n: int) -> BoolArray:
    """Return which of the first ``n`` pictures are photos, shape (n,)."""
    return np.arange(n) % 8 < _OF_EIGHT
