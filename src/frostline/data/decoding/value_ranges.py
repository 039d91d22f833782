"""What the pixel values of a whole set mean: measured on its deep and its transparent files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.arrays import FloatArray
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules, ValueRange
from frostline.data.decoding.greys import has_16_bits, is_deep, is_white_is_zero
from frostline.data.decoding.rgb import has_alpha

#: pixels of an image that its quantiles rest on
_PIXELS = 2**16
#: shares of an image's pixels beyond which values are outliers: hot pixels, marks of a scanner
_TAILS = (0.001, 0.999)
#: share of the images that may lie beyond a measured range
_ODD_IMAGES = 0.01
_BITS = (8, 10, 12, 14, 16)
#: Hounsfield units: air is at -1000, what lies outside the field of view often far below
_AIR, _LOWEST_HOUNSFIELD, _BONE = -1024.0, -8192.0, 3071.0
#: floats that reach this high and hardly beyond 1 or 255 count from 0 to 1, or to 255
_UNIT, _EIGHT_BITS = (0.5, 1.05), (64.0, 260.0)
#: a transparent file is mostly clear or solid; a band that a sensor measured is neither, anywhere
_BETWEEN, _LEVELS = 0.5, 32
#: 16-bit colour of which the decoder leaves so few levels is nearly black
_DARK = 63


class Kind(IntEnum):
    """What is special about the values of a file."""

    PLAIN = 0
    INTEGERS = 1
    FLOATS = 2
    TRANSPARENT = 3
    DEEP_COLOUR = 4
    UNEXPLAINED_BAND = 5


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one file.

    - ``lowest`` and ``highest``: of finite pixels; of an alpha channel where the file is
      transparent.
    - ``low`` and ``high``: values that one pixel in a thousand lies below, and above.
    - ``sixteen``: whether integers have 16 bits without sign by definition.
    - ``between``: share of an alpha channel that is neither clear nor solid.
    - ``levels``: different values of an alpha channel.
    """

    kind: Kind
    lowest: float = 0.0
    highest: float = 0.0
    low: float = 0.0
    high: float = 0.0
    sixteen: bool = False
    white_is_zero: bool = False
    between: float = 0.0
    levels: int = 0

    def to_row(self) -> FloatArray:
        """Return all of it as numbers, shape (:data:`N_NUMBERS`,)."""
        return np.array([float(value) for value in astuple(self)])

    @classmethod
    def from_row(cls, row: FloatArray) -> Values:
        """Return what :meth:`to_row` wrote down."""
        kind, lowest, highest, low, high, sixteen, white_is_zero, between, levels = row.tolist()
        return cls(
            Kind(int(kind)),
            *(lowest, highest, low, high),
            sixteen=bool(sixteen),
            white_is_zero=bool(white_is_zero),
            between=between,
            levels=int(levels),
        )


#: how many numbers a file's values are kept as
N_NUMBERS = len(fields(Values))


@dataclass(frozen=True, slots=True)
class SetValues:
    """What was found among the values of a set, and the rules that follow.

    - ``integers``, ``floats`` and ``transparent``: files of each kind that were measured.
    - ``white_is_zero``: deep files that count from white to black.
    - ``hounsfield``: whether integers were taken for Hounsfield units.
    - ``dark_colour``: files of 16-bit colour that use so few of their bits that they are read
      nearly black.
    - ``unexplained_bands``: files with a fourth band of which no tag says what it is.
    - ``measured`` and ``candidates``: files that were looked at, and that might be special.
    """

    rules: ReadingRules = DEFAULT_RULES
    integers: int = 0
    floats: int = 0
    transparent: int = 0
    white_is_zero: int = 0
    hounsfield: bool = False
    dark_colour: int = 0
    unexplained_bands: int = 0
    measured: int = 0
    candidates: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        counts = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {"rules": self.rules.model_dump(mode="json"), **counts}


def may_be_special(head: bytes) -> bool:
    """Whether a file may hold deep values or transparency, by its first 64 bytes.

    Plain PNG and JPEG files never do; TIFF, PPM and JPEG 2000 files tell only further on.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return head[24:25] == b"\x10" or head[25:26] in (b"\x04", b"\x06")
    if head[:2] in (b"II", b"MM"):
        return True
    if head[:2] in (b"P2", b"P3", b"P5", b"P6", b"Pf", b"PF"):
        return head[:2] in (b"Pf", b"PF") or head.split()[3:4] != [b"255"]
    return head[4:8] == b"jP  " or head.startswith(b"\xff\x4f\xff\x51")


def values_of(image: Image.Image, *, deep_colour: bool = False) -> Values:
    """Measure a loaded image; ``deep_colour`` says that its file has colours of 16 bits."""
    if is_deep(image):
        return _deep(image)
    if image.mode in ("RGBA", "LA") and has_alpha(image):
        alpha = _some(np.asarray(image.getchannel("A")))
        between = float(np.mean((alpha > 0) & (alpha < 255)))
        lowest, highest = float(alpha.min()), float(alpha.max())
        levels = len(np.unique(alpha))
        return Values(Kind.TRANSPARENT, lowest, highest, between=between, levels=levels)
    if image.format == "TIFF" and image.mode == "RGBA":
        return Values(Kind.UNEXPLAINED_BAND)
    if deep_colour:
        return Values(Kind.DEEP_COLOUR, highest=float(np.asarray(image.convert("RGB")).max()))
    return Values(Kind.PLAIN)


def rules_for(found: Sequence[Values], *, candidates: int | None = None) -> SetValues:
    """Say how a set is read whose special files have these values."""
    integers = [v for v in found if v.kind == Kind.INTEGERS]
    floats = [v for v in found if v.kind == Kind.FLOATS]
    alphas = [v for v in found if v.kind == Kind.TRANSPARENT]
    colour = [v for v in found if v.kind == Kind.DEEP_COLOUR]
    dark = bool(colour) and max(v.highest for v in colour) <= _DARK
    counts, hounsfield = _integers(integers)
    return SetValues(
        rules=ReadingRules(
            integers=counts,
            floats=_floats(floats),
            fourth_band="ignored" if _is_measured_band(alphas) else "transparency",
        ),
        integers=len(integers),
        floats=len(floats),
        transparent=len(alphas),
        white_is_zero=sum(v.white_is_zero for v in found),
        hounsfield=hounsfield,
        dark_colour=len(colour) if dark else 0,
        unexplained_bands=sum(v.kind == Kind.UNEXPLAINED_BAND for v in found),
        measured=len(found),
        candidates=len(found) if candidates is None else candidates,
    )


def _deep(image: Image.Image) -> Values:
    pixels = np.asarray(image)
    kind = Kind.FLOATS if image.mode == "F" else Kind.INTEGERS
    finite = pixels[np.isfinite(pixels)] if kind == Kind.FLOATS else pixels
    if not finite.size:
        return Values(Kind.PLAIN)
    low, high = np.quantile(_some(finite), _TAILS)
    return Values(
        kind,
        float(finite.min()),
        float(finite.max()),
        float(low),
        float(high),
        sixteen=kind == Kind.INTEGERS and has_16_bits(image),
        white_is_zero=is_white_is_zero(image),
    )


def _some(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pixels spread over the image, enough to know their shares by."""
    flat = pixels.reshape(-1)
    return flat[:: max(1, flat.size // _PIXELS)]


def _integers(found: Sequence[Values]) -> tuple[ValueRange | None, bool]:
    if not found:
        return None, False
    lowest, highest = min(v.lowest for v in found), max(v.highest for v in found)
    if lowest >= 0 and highest < 2 ** _BITS[-1]:
        bits = next(bits for bits in _BITS if highest < 2**bits)
        return ValueRange(low=0, high=2**bits - 1), False
    low, high = _span(found)
    if _LOWEST_HOUNSFIELD <= lowest <= -500 and high <= _BONE + 1024:
        return ValueRange(low=_AIR, high=max(min(high, _BONE), 0.0)), True
    return _range(min(low, 0.0) if lowest >= 0 else low, high), False


def _floats(found: Sequence[Values]) -> ValueRange | None:
    if not found:
        return None
    low, high = _span(found)
    for (least, most), white in ((_UNIT, 1.0), (_EIGHT_BITS, 255.0)):
        if low >= -0.05 * white and least <= high <= most:
            return ValueRange(low=0, high=white)
    return _range(low, high)


def _span(found: Sequence[Values]) -> tuple[float, float]:
    """Between which values nearly all pixels of nearly all images lie."""
    low = np.quantile([v.low for v in found], _ODD_IMAGES)
    high = np.quantile([v.high for v in found], 1 - _ODD_IMAGES)
    return float(low), float(high)


def _range(low: float, high: float) -> ValueRange:
    # a set of one value has no range, and is said to be blank
    return ValueRange(low=low, high=high if high > low else low + 1.0)


def _is_measured_band(found: Sequence[Values]) -> bool:
    if not found:
        return False
    between = np.median([v.between for v in found])
    levels = np.median([v.levels for v in found])
    return bool(between > _BETWEEN and levels > _LEVELS)
