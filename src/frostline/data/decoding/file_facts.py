"""What the header of an image file tells: format, size, camera, how it was compressed."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from frostline.core.errors import UnreadableImageError
from frostline.data.decoding.decode import FORMATS, exif_in, read_header
from frostline.data.decoding.image_refs import ImageRef

_MAKE, _MODEL, _ORIENTATION, _CHANGED = 0x010F, 0x0110, 0x0112, 0x0132
_EXIF, _TAKEN = 0x8769, 0x9003
_TIME = re.compile(r"\d{4}[:-](\d{2})[:-]\d{2}[ T](\d{2}):\d{2}")
#: letters of a camera's name
_LONGEST = 60
#: the sum of the table for brightness that the JPEG standard gives as an example, its quality 50
_STANDARD = 3688
_SAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (1, 2): "4:4:0", (2, 2): "4:2:0", (4, 1): "4:1:1"}
_NOT_KNOWN = -1


@dataclass(frozen=True)
class FileFacts:
    """Facts of one image file.

    Attributes
    ----------
    format : str
        As the file's first bytes say, whatever its name ends in: ``"JPEG"``, ``"PNG"``, ...
    mode : str
        Pillow's word for bands and bit depth.
    bytes : int
    width, height : int
        In pixels, as it is stored.
    camera : str
        Make and model by EXIF; empty where it does not say.
    orientation : int or None
        By EXIF, in [1, 8].
    hour, month : int or None
        In which it was taken by EXIF, in [0, 24) and [1, 12].
    quality : float or None
        Of a JPEG file, about as the program that wrote it was told, in [1, 100].
    tables : int or None
        Stands for the quantisation tables of a JPEG file.
    subsampling : str
        How a JPEG file thins out colour, such as ``"4:2:0"``; empty for others.
    """

    format: str
    mode: str
    bytes: int
    width: int
    height: int
    camera: str = ""
    orientation: int | None = None
    hour: int | None = None
    month: int | None = None
    quality: float | None = None
    tables: int | None = None
    subsampling: str = ""

    def to_row(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """Return all of it as numbers, shape (:data:`N_NUMBERS`,), and text (:data:`N_BYTES`,)."""
        numbers = [
            *(float(self.bytes), float(self.width), float(self.height)),
            *(
                float(_NOT_KNOWN if value is None else value)
                for value in (self.orientation, self.hour, self.month, self.quality, self.tables)
            ),
        ]
        text = "\n".join((self.format, self.mode, self.subsampling, self.camera)).encode()
        kept = np.zeros(N_BYTES, dtype=np.uint8)
        cut = text[:N_BYTES]
        kept[: len(cut)] = np.frombuffer(cut, dtype=np.uint8)
        return np.array(numbers), kept

    @classmethod
    def from_row(
        cls, numbers: npt.NDArray[np.float64], text: npt.NDArray[np.uint8]
    ) -> FileFacts | None:
        """Return what :meth:`to_row` wrote down; None for a row of zeros, which nobody wrote."""
        if not text.any():
            return None
        said = text.tobytes().rstrip(b"\0").decode(errors="ignore").split("\n", 3)
        n_bytes, width, height, *others = numbers.tolist()
        orientation, hour, month, quality, tables = (
            None if value == _NOT_KNOWN else value for value in others
        )
        return cls(
            format=said[0],
            mode=said[1],
            bytes=int(n_bytes),
            width=int(width),
            height=int(height),
            camera=said[3],
            orientation=_whole(orientation),
            hour=_whole(hour),
            month=_whole(month),
            quality=quality,
            tables=_whole(tables),
            subsampling=said[2],
        )


#: how many numbers, and bytes of text, the facts of a file are kept as
N_NUMBERS, N_BYTES = 8, 4 * _LONGEST + 40


def file_facts_of(source: Path | bytes, *, name: str, max_pixels: int) -> FileFacts:
    """Return the facts of an image file from its header; raises what ``decode`` does."""

    def use(image: ImageFile.ImageFile, size: int) -> FileFacts:
        said = exif_in(image)
        taken = said.get_ifd(_EXIF).get(_TAKEN) or said.get(_CHANGED)
        time = _TIME.match(taken.strip()) if isinstance(taken, str) else None
        tables = getattr(image, "quantization", None) if image.format == "JPEG" else None
        return FileFacts(
            format=_format(image),
            mode=image.mode,
            bytes=size,
            width=image.width,
            height=image.height,
            camera=_camera(said.get(_MAKE), said.get(_MODEL)),
            orientation=_between(said.get(_ORIENTATION), 1, 8),
            hour=None if time is None else _between(int(time.group(2)), 0, 23),
            month=None if time is None else _between(int(time.group(1)), 1, 12),
            quality=_quality(tables),
            tables=_checksum(tables),
            subsampling=_sampling(image),
        )

    return read_header(source, use, max_pixels=max_pixels, name=name)


def file_facts_of_origin(
    origin: Path | ImageRef, *, name: str, max_pixels: int
) -> FileFacts | None:
    """Return the facts of the file behind an image; None where there is no file, or none to read.

    What is wrong with a file is said by those who need its pixels.
    """
    try:
        content = origin.read(name) if isinstance(origin, ImageRef) else origin
        if isinstance(content, Image.Image):
            return None
        return file_facts_of(content, name=name, max_pixels=max_pixels)
    except UnreadableImageError:
        return None


def _format(image: ImageFile.ImageFile) -> str:
    # several pictures in one file are the same format to people
    found = "JPEG" if image.format == "MPO" else image.format
    return found if found in FORMATS else ""


def _quality(tables: dict[int, list[int]] | None) -> float | None:
    """Return the quality that scales the standard's table to as large a sum (IJG's rule)."""
    if not tables:
        return None
    scale = 100.0 * sum(next(iter(tables.values()))) / _STANDARD
    found = (200.0 - scale) / 2.0 if scale <= 100.0 else 5000.0 / scale
    return round(min(100.0, max(1.0, found)))


def _checksum(tables: dict[int, list[int]] | None) -> int | None:
    if not tables:
        return None
    return zlib.crc32(repr([(key, list(tables[key])) for key in sorted(tables)]).encode())


def _sampling(image: ImageFile.ImageFile) -> str:
    layers = getattr(image, "layer", None) if image.format == "JPEG" else None
    if not layers:
        return ""
    if len(layers) == 1:
        return "grey"
    factors = [(int(one[1]), int(one[2])) for one in layers]
    return _SAMPLING.get(factors[0], f"{factors[0][0]}x{factors[0][1]}")


def _between(value: object, low: int, high: int) -> int | None:
    return value if isinstance(value, int) and low <= value <= high else None


def _camera(make: object, model: object) -> str:
    """Return make and model; many models begin with their make."""
    words = [_plain(make), _plain(model)]
    if words[1].lower().startswith(words[0].lower()):
        words = words[1:]
    return " ".join(filter(None, words))[:_LONGEST]


def _plain(text: object) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(letter for letter in text if letter.isprintable()).strip()


def _whole(value: float | None) -> int | None:
    return None if value is None or math.isnan(value) else int(value)
