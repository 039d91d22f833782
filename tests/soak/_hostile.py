"""A seeded corpus of hostile image files: every mode, damage, lies, bombs and metadata."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

from tests.soak._bombs import BOMBS, png_chunk

SEED = 14

#: every mode that Pillow knows
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"),
    *("HSV", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"),
)
#: formats by name, with the ending of their files
FORMATS = {
    "PNG": "png",
    "JPEG": "jpg",
    "TIFF": "tif",
    "BMP": "bmp",
    "GIF": "gif",
    "WEBP": "webp",
    "PPM": "ppm",
    "TGA": "tga",
    "ICO": "ico",
    "JPEG2000": "jp2",
    "AVIF": "avif",
}
_REFUSALS = (OSError, ValueError, KeyError, TypeError, SystemError)
_SIDE = 48


@dataclass(frozen=True)
class Hostile:
    """One file of the corpus: what is wrong with it, its name's ending, its bytes."""

    kind: str
    ending: str
    content: bytes


def corpus(seed: int = SEED) -> Iterator[Hostile]:
    """Yield the corpus, each time the same."""
    rng = random.Random(seed)
    warnings.simplefilter("ignore")
    whole = list(_every_mode())
    yield from whole
    seeds = [one for one in whole if one.ending in ("png", "jpg", "tif", "gif", "webp", "bmp")]
    seeds += [one for one in whole if one.ending in ("ppm", "jp2", "avif")]
    yield from _cut_off(seeds, rng, 300)
    yield from _flipped(seeds, rng, 400)
    yield from _spliced(seeds, rng, 150)
    yield from _wrongly_called(whole, rng, 60)
    yield from _orientations()
    yield from _metadata()
    yield from _animations()
    yield from _no_images(rng)
    for content in BOMBS.values():
        yield Hostile("bomb", "png", content())


def picture(mode: str = "RGB", *, number: int = 0) -> Image.Image:
    """A picture with edges, ramps and noise, in any mode."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE]
    noise = np.random.default_rng(number).integers(0, 60, (_SIDE, _SIDE))
    grey = ((x * 4 + y) % 180 + noise).astype(np.uint8)
    colour = np.stack([grey, np.roll(grey, 9, 0), np.roll(grey, 17, 1)], axis=2)
    base = Image.fromarray(colour)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 257)
    if mode.startswith("I;16"):
        wide = grey.astype(np.uint16) * 257
        kind = ">u2" if mode == "I;16B" else "<u2"
        return Image.frombytes(mode, base.size, wide.astype(kind).tobytes())
    if mode in ("LA", "PA", "RGBA"):
        return _with_alpha(base).convert(mode)
    if mode == "La":
        return _with_alpha(base).convert("LA").convert("La")
    if mode == "RGBa":
        return _with_alpha(base).convert("RGBa")
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        lab = ImageCms.applyTransform(base, to_lab)
        return base if lab is None else lab
    return base.convert(mode)


def _with_alpha(base: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(base.size)
    whole = base.convert("RGBA")
    whole.putalpha(alpha)
    return whole


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes | None:
    """The image as a file; None where the format cannot hold it."""
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except _REFUSALS:
        return None
    return stream.getvalue()


def _every_mode() -> Iterator[Hostile]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ways: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in FORMATS]
    ways += [("TIFF", {"compression": c}) for c in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    ways += [("TIFF", {"big_tiff": True}), ("JPEG", {"progressive": True})]
    ways += [(kind, {"icc_profile": profile}) for kind in ("PNG", "JPEG", "TIFF", "WEBP")]
    ways += [("PNG", {"bits": bits}) for bits in (1, 2, 4)]
    for mode in MODES:
        try:
            image = picture(mode)
        except _REFUSALS:
            continue
        for kind, options in ways:
            content = encoded(image, kind, **options)
            if content:
                yield Hostile(f"mode {mode}", FORMATS[kind], content)


def _cut_off(seeds: list[Hostile], rng: random.Random, count: int) -> Iterator[Hostile]:
    for _ in range(count):
        one = rng.choice(seeds)
        yield Hostile("cut off", one.ending, one.content[: rng.randrange(1, len(one.content))])


def _flipped(seeds: list[Hostile], rng: random.Random, count: int) -> Iterator[Hostile]:
    for _ in range(count):
        one = rng.choice(seeds)
        content = bytearray(one.content)
        for _ in range(rng.choice([1, 3, 20])):
            # headers decide most
            reach = min(len(content), 200 if rng.random() < 0.6 else len(content))
            content[rng.randrange(reach)] ^= 1 << rng.randrange(8)
        yield Hostile("bits flipped", one.ending, bytes(content))


def _spliced(seeds: list[Hostile], rng: random.Random, count: int) -> Iterator[Hostile]:
    for _ in range(count):
        first, second = rng.choice(seeds), rng.choice(seeds)
        at = rng.randrange(1, len(first.content))
        content = first.content[:at] + second.content[rng.randrange(len(second.content)) :]
        yield Hostile("two files in one", first.ending, content)


def _wrongly_called(whole: list[Hostile], rng: random.Random, count: int) -> Iterator[Hostile]:
    endings = sorted(set(FORMATS.values()))
    for one in rng.sample(whole, count):
        other = rng.choice([ending for ending in endings if ending != one.ending])
        yield Hostile("wrong ending", other, one.content)


def _orientations() -> Iterator[Hostile]:
    values: list[Any] = [*range(1, 9), 0, 9, 99, 65535, "upright", 1.5, b"\xff\xff", (1, 2)]
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF"):
        if kind == "AVIF" and not features.check("avif"):
            continue
        for value in values:
            exif = Image.Exif()
            exif[0x0112] = value
            try:
                content = encoded(picture(), kind, exif=exif)
            except struct.error:
                continue
            if content:
                valid = isinstance(value, int) and 1 <= value <= 8
                yield Hostile(f"orientation {'' if valid else 'in'}valid", FORMATS[kind], content)


def _metadata() -> Iterator[Hostile]:
    """Millions of bytes around a small picture, and metadata that lies about itself."""
    small = encoded(picture(), "PNG") or b""
    jpeg = encoded(picture(), "JPEG") or b""
    text = b"Comment\0" + b"x" * 5_000_000
    long = b"Comment\0\0\0\0\0" + b"y" * 5_000_000
    pieces = [png_chunk(b"tEXt", text), png_chunk(b"iTXt", long), png_chunk(b"eXIf", bytes(10**6))]
    pieces += [png_chunk(b"tEXt", b"k\0v") * 50_000, png_chunk(b"iCCP", b"p\0\0" + b"junk" * 99)]
    pieces += [png_chunk(b"gAMA", b""), png_chunk(b"tRNS", bytes(300)), png_chunk(b"PLTE", b"abcd")]
    pieces += [png_chunk(b"pHYs", b"\xff" * 9), png_chunk(b"acTL", b"\xff" * 8)]
    for piece in pieces:
        yield Hostile("metadata", "png", small[:33] + piece + small[33:])
    segment = b"\xff\xfe" + struct.pack(">H", 65535) + b"c" * 65533
    exif = b"\xff\xe1" + struct.pack(">H", 65535) + b"Exif\0\0" + b"II*\0" + b"\xff" * 65523
    multi = b"\xff\xe2" + struct.pack(">H", 2 + 4 + 94) + b"MPF\0II*\0\x08\0\0\0" + b"\xff" * 86
    profile = b"\xff\xe2" + struct.pack(">H", 2 + 14 + 60) + b"ICC_PROFILE\0\xff\x01" + bytes(60)
    for piece in (segment * 80, exif * 40, multi, profile, b"\xff\xe0\0\x02" * 9):
        yield Hostile("metadata", "jpg", jpeg[:2] + piece + jpeg[2:])


def _animations() -> Iterator[Hostile]:
    frames = [picture(number=number) for number in range(12)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        if content:
            yield Hostile("animated", FORMATS[kind], content)
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    if content:
        yield Hostile("animated", "mpo", content)


def _no_images(rng: random.Random) -> Iterator[Hostile]:
    yield Hostile("empty", "png", b"")
    yield Hostile("empty", "jpg", b"")
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
    starts += [b"RIFF\xff\xff\xff\x7fWEBP", b"P6\n", b"P2\n9 9\n", b"\0\0\0\x0cjP  \r\n\x87\n"]
    starts += [b"\0\0\0\x20ftypavif", b"II+\0\x08\0\0\0", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg>"]
    for start in starts:
        for length in (4, 64, 5_000):
            yield Hostile("only a beginning", "png", start + rng.randbytes(length))
            yield Hostile("only a beginning", "jpg", start + bytes(length))
