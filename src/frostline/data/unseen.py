"""What of the pictures never reaches the model: ends that are cropped, further pages, blanks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from PIL import Image

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.data.catalog import Catalog

#: paths that a finding names
_EXAMPLES = 5
#: mean share lost beyond what a square picture loses, from which it matters
MATTERS = 0.1
#: an image that loses more of itself is said by itself
_HALF = 0.5
#: share lost beyond a square's, from which an image loses much; so for a whole set, on average
_MUCH = 1 / 3
_WHITE = (255, 255, 255)


class Blank(IntEnum):
    """Where a picture has one colour throughout."""

    NO = 0
    #: in the middle, where the model looks, but not everywhere
    MIDDLE = 1
    WHOLE = 2
    WHITE = 3


@dataclass(frozen=True)
class PictureFacts:
    """What was measured of every image of a catalog, in its order.

    ``sizes``, shape (n, 2): width and height, upright. ``pages``: shape (n,). ``blank``, shape
    (n,): values of :class:`Blank`.
    """

    sizes: IntArray
    pages: IntArray
    blank: IntArray


@dataclass(frozen=True, slots=True)
class CropLoss:
    """What the centre crop cuts off.

    - ``mean``: share of a picture's area that is cut off, on average.
    - ``square``: the same for a square picture.
    - ``much``: images that lose over a third of their area more than a square one.
    - ``half``: images that lose more than half of their area to their shape.
    - ``longest``: the image that loses most.
    - ``width`` and ``height``: its size.
    - ``most``: its share that is cut off.
    """

    images: int
    mean: float
    square: float
    much: int
    half: int
    longest: str
    width: int
    height: int
    most: float

    @property
    def matters(self) -> bool:
        """Whether a reader should know."""
        return self.mean - self.square > MATTERS or self.half > 0

    @property
    def grave(self) -> bool:
        """Whether it should worry: ordinary photographs lose less."""
        return self.mean - self.square > _MUCH


@dataclass(frozen=True, slots=True)
class BlankPictures:
    """Pictures of one colour.

    - ``count``: those that are blank where the model looks.
    - ``middle``: those of them that are not blank elsewhere.
    - ``white``: those of them that are white throughout.
    - ``pages``: those of them whose files have several pages.
    - ``images``: of the catalog.
    """

    count: int
    middle: int
    white: int
    pages: int
    images: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeveralPages:
    """Files with several pages of one size, of which the first alone is read."""

    files: int
    pages: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """All of it; None where there is nothing of a kind."""

    crop: CropLoss
    blank: BlankPictures | None = None
    pages: SeveralPages | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return asdict(self, dict_factory=_with_lists)


def _with_lists(values: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values}


def blankness(image: Image.Image, pixels: UInt8Array) -> Blank:
    """Return whether a whole RGB image, or what a model sees of it, is of one colour.

    ``pixels``, shape (size, size, 3): what the model sees.
    """
    colour = pixels[0, 0]
    # the first row tells for nearly all pictures
    if (pixels[0] != colour).any() or (pixels != colour).any():
        return Blank.NO
    if any(low != high for low, high in image.getextrema()):  # type: ignore[misc]
        return Blank.MIDDLE
    return Blank.WHITE if tuple(colour.tolist()) == _WHITE else Blank.WHOLE


def shares_seen(sizes: IntArray, preprocessing: Preprocessing) -> FloatArray:
    """Return which share of its width and of its height a model sees of each image, (n, 2).

    What it sees lies around the middle.
    """
    found: FloatArray = preprocessing.seen(sizes)
    return found


def mean_unseen(sizes: IntArray, preprocessing: Preprocessing) -> float:
    """Return which share of their area a model never sees of images of some sizes, on average."""
    return float((1.0 - shares_seen(sizes, preprocessing).prod(axis=1)).mean())


def lost_to_shape(sizes: IntArray, preprocessing: Preprocessing) -> float:
    """Return how much more of their area is never seen, on average, than of square pictures."""
    square = np.array([[1, 1]])
    return mean_unseen(sizes, preprocessing) - mean_unseen(square, preprocessing)


def find_unseen(catalog: Catalog, facts: PictureFacts, preprocessing: Preprocessing) -> Unseen:
    """Find what of the pictures of a catalog never reaches the model.

    ``catalog``: readable rows only. ``facts``: of its rows.
    """
    blank = np.flatnonzero(facts.blank != Blank.NO)
    several = np.flatnonzero(facts.pages > 1)
    return Unseen(
        _crop(catalog, facts.sizes, preprocessing),
        BlankPictures(
            count=len(blank),
            middle=int((facts.blank == Blank.MIDDLE).sum()),
            white=int((facts.blank == Blank.WHITE).sum()),
            pages=int((facts.pages[blank] > 1).sum()),
            images=len(catalog),
            examples=_examples(catalog, blank),
        )
        if len(blank)
        else None,
        SeveralPages(len(several), int(facts.pages[several].sum()), _examples(catalog, several))
        if len(several)
        else None,
    )


def _crop(catalog: Catalog, sizes: IntArray, preprocessing: Preprocessing) -> CropLoss:
    lost = 1.0 - shares_seen(sizes, preprocessing).prod(axis=1)
    square = 1.0 - (preprocessing.size / preprocessing.resize_to) ** 2
    longest = int(lost.argmax())
    width, height = sizes[longest].tolist()
    return CropLoss(
        images=len(lost),
        mean=float(lost.mean()),
        square=square,
        much=int((lost - square > _MUCH).sum()),
        # a model that looks at less than half of a square picture is not for the shape to answer
        half=int(((lost > _HALF) & (lost - square > MATTERS)).sum()),
        longest=catalog.rows[longest].name,
        width=width,
        height=height,
        most=float(lost[longest]),
    )


def _examples(catalog: Catalog, rows: IntArray) -> tuple[str, ...]:
    return tuple(catalog.rows[row].name for row in rows[:_EXAMPLES])
