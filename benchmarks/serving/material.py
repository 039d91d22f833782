"""What is sent: good images with the answers they must get, large ones and broken ones."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from frostline.model.model import Model

File = tuple[str, bytes]
Row = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """Files and what the service must say about them.

    Attributes
    ----------
    good : list of (name, content)
    rows : dict of str to ndarray of shape (C,)
        Probabilities by name, from :class:`~frostline.model.model.Model` alone.
    large : list of (name, content)
        Photographs of 12 megapixels.
    broken : list of (name, content) and the kind of error that each must get
    classes : tuple of str
    """

    good: list[File]
    rows: dict[str, Row]
    large: list[File]
    broken: list[tuple[File, str]]
    classes: tuple[str, ...]


def write_digits(folder: Path, per_class: int = 20) -> Path:
    """Write some of scikit-learn's digits, one folder per class."""
    data = load_digits()
    for digit in range(10):
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        for number in np.flatnonzero(data.target == digit)[:per_class]:
            _digit(data.images[number], 64).save(target / f"{number}.png")
    return folder


def gather(model: Model) -> Material:
    """Make everything, and ask the model itself for the answers."""
    data = load_digits()
    good = []
    for number in range(400, 520):
        side = (40, 64, 150, 300)[number % 4]
        kind = ("png", "jpeg")[number % 3 == 0]
        good.append((f"{number}.{kind}", _packed(_digit(data.images[number], side), kind)))
    large = []
    for number in range(600, 604):
        photo = _digit(data.images[number], 3000).resize((4000, 3000))
        large.append((f"{number}.jpeg", _packed(photo, "jpeg")))
    found = model.predict_proba([content for _, content in (*good, *large)])
    rows = {name: row for (name, _), row in zip((*good, *large), found, strict=True)}
    half = large[0][1]
    broken: list[tuple[File, str]] = [
        (("words.jpg", b"these are words"), "not_an_image"),
        (("nothing.png", b""), "empty"),
        (("half.jpg", half[: len(half) // 2]), "truncated"),
        (("bomb.png", _bomb(30_000, 20_000)), "too_many_pixels"),
        (("noise.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "damaged"),
    ]
    return Material(good, rows, large, broken, model.classes)


def _digit(values: npt.NDArray[np.float64], side: int) -> Image.Image:
    grey = Image.fromarray((values * 15.9).astype(np.uint8))
    return grey.resize((side, side), Image.Resampling.BICUBIC)


def _packed(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.convert("RGB").save(content, kind)
    return content.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """A whole PNG of black pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    body = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
