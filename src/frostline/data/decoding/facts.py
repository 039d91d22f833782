"""What can be told of an image apart from what it shows: camera, hour, size, colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.arrays import FloatArray
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.decode import decode
from frostline.data.decoding.file_facts import FileFacts, file_facts_of
from frostline.data.decoding.thumbnails import thumbnail

#: pixels of the shorter side that tell colours
_ENOUGH = 64
#: how much red, green and blue count for brightness (luma of ITU-R BT.601)
_LUMA = np.array([0.299, 0.587, 0.114])

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one image.

    Attributes
    ----------
    width, height : int
        In pixels, as it is stored.
    brightness : float
        Mean luma, in [0, 1].
    camera : str
        Make and model by EXIF; empty where it does not say.
    hour : int or None
        In which it was taken, in [0, 24), by EXIF.
    file : FileFacts or None
        What its file tells; None where there is none.
    colour, border : (float, float, float) or None
        Mean red, green and blue of the picture and of its border, in [0, 1].
    """

    width: int
    height: int
    brightness: float
    camera: str = ""
    hour: int | None = None
    file: FileFacts | None = None
    colour: Colour | None = None
    border: Colour | None = None


def facts_of(
    content: bytes, *, name: str, max_pixels: int, rules: ReadingRules = DEFAULT_RULES
) -> ImageFacts:
    """Return the facts of an image file; takes and raises what ``decode`` does."""
    file = file_facts_of(content, name=name, max_pixels=max_pixels)
    image = decode(content, max_pixels=max_pixels, name=name, at_least=_ENOUGH, rules=rules)
    return facts_of_picture(image, file)


def facts_of_picture(image: Image.Image, file: FileFacts | None = None) -> ImageFacts:
    """Return the facts of a picture of mode RGB; size, camera and hour as its file says."""
    small = thumbnail(image)[None]
    colour, border = mean_colours(small)[0], border_colours(small)[0]
    width, height = image.size if file is None else (file.width, file.height)
    return ImageFacts(
        width,
        height,
        float(_LUMA @ colour),
        "" if file is None else file.camera,
        None if file is None else file.hour,
        file,
        _plain(colour),
        _plain(border),
    )


def mean_colours(thumbnails: npt.NDArray[np.uint8]) -> FloatArray:
    """Return mean red, green and blue of thumbnails (n, h, w, 3), shape (n, 3), in [0, 1]."""
    found: FloatArray = thumbnails.mean(axis=(1, 2), dtype=np.float64) / 255.0
    return found


def border_colours(thumbnails: npt.NDArray[np.uint8]) -> FloatArray:
    """Return the same of their outermost pixels: a frame of a thirty-second of each side."""
    frame = np.ones(thumbnails.shape[1:3], dtype=bool)
    frame[1:-1, 1:-1] = False
    found: FloatArray = thumbnails[:, frame].mean(axis=1, dtype=np.float64) / 255.0
    return found


def _plain(colour: FloatArray) -> Colour:
    red, green, blue = colour.tolist()
    return red, green, blue
