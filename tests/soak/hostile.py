"""Hostile files from a fixed seed: every mode, damage, lies, bombs and metadata; odd names."""

from __future__ import annotations

import io
import os
import random
import socket
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageCms, features

from tests.cli.test_odd_names import NAMES as ODD_NAMES
from tests.data.bombs import BOMBS, chunk

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
_REFUSALS = (OSError, ValueError, KeyError, TypeError, SystemError, struct.error)
_SIDE = 48


class Hostile(NamedTuple):
    """One file: what is wrong with it, its name's ending, its bytes."""

    kind: str
    ending: str
    content: bytes


def corpus() -> Iterator[Hostile]:
    """Yield all images, each time the same."""
    rng = random.Random(14)
    warnings.simplefilter("ignore")
    whole = list(every_mode())
    yield from whole
    endings = sorted(set(FORMATS.values()))
    for one in rng.sample(whole, 60):
        other = rng.choice([ending for ending in endings if ending != one.ending])
        yield Hostile("wrong ending", other, one.content)
    yield from _orientations()
    yield from _metadata()
    yield from _animations()
    yield from _beginnings(rng)
    for make in BOMBS.values():
        yield Hostile("bomb", "png", make())


def picture(mode: str = "RGB", *, number: int = 0) -> Image.Image:
    """A picture with edges, ramps and noise, in any mode."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE]
    noise = np.random.default_rng(number).integers(0, 60, (_SIDE, _SIDE))
    grey = ((x * 4 + y) % 180 + noise).astype(np.uint8)
    base = Image.fromarray(np.stack([grey, np.roll(grey, 9, 0), np.roll(grey, 17, 1)], axis=2))
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode.startswith("I"):
        wide = grey.astype(np.int32) * 257
        kinds = {"I": "<i4", "I;16B": ">u2"}
        packed = wide.astype(kinds.get(mode, "<u2")).tobytes()
        return Image.frombytes(mode, base.size, packed)
    if mode == "LAB":
        spaces = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        lab = ImageCms.applyTransform(base, ImageCms.buildTransform(*spaces, "RGB", "LAB"))
        return base if lab is None else lab
    if mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        base = base.convert("RGBA")
        base.putalpha(Image.linear_gradient("L").resize(base.size))
        return (base.convert("LA") if mode == "La" else base).convert(mode)
    return base.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes | None:
    """The image as a file; None where the format cannot hold it."""
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except _REFUSALS:
        return None
    return stream.getvalue()


def every_mode() -> Iterator[Hostile]:
    """Every mode in every format that can hold it."""
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
            if content := encoded(image, kind, **options):
                yield Hostile(f"mode {mode}", FORMATS[kind], content)


def _orientations() -> Iterator[Hostile]:
    values: list[Any] = [*range(10), 99, 65535, "upright", 1.5, b"\xff\xff", (1, 2)]
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", *(["AVIF"] if features.check("avif") else [])):
        for value in values:
            exif = Image.Exif()
            exif[0x0112] = value
            if content := encoded(picture(), kind, exif=exif):
                yield Hostile("orientation", FORMATS[kind], content)


def _metadata() -> Iterator[Hostile]:
    """Millions of bytes around a small picture, and metadata that lies about itself."""
    small, jpeg = encoded(picture(), "PNG") or b"", encoded(picture(), "JPEG") or b""
    pieces = [chunk(b"tEXt", b"Comment\0" + b"x" * 5_000_000), chunk(b"eXIf", bytes(10**6))]
    pieces += [chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"y" * 5_000_000)]
    pieces += [chunk(b"tEXt", b"k\0v") * 50_000, chunk(b"iCCP", b"p\0\0" + b"junk" * 99)]
    pieces += [chunk(b"gAMA", b""), chunk(b"tRNS", bytes(300)), chunk(b"PLTE", b"abcd")]
    pieces += [chunk(b"pHYs", b"\xff" * 9), chunk(b"acTL", b"\xff" * 8)]
    for piece in pieces:
        yield Hostile("metadata", "png", small[:33] + piece + small[33:])
    segment = b"\xff\xfe\xff\xff" + b"c" * 65533
    exif = b"\xff\xe1\xff\xff" + b"Exif\0\0" + b"II*\0" + b"\xff" * 65523
    multi = b"\xff\xe2\0\x64MPF\0II*\0\x08\0\0\0" + b"\xff" * 86
    profile = b"\xff\xe2\0\x4cICC_PROFILE\0\xff\x01" + bytes(60)
    for piece in (segment * 80, exif * 40, multi, profile, b"\xff\xe0\0\x02" * 9):
        yield Hostile("metadata", "jpg", jpeg[:2] + piece + jpeg[2:])


def _animations() -> Iterator[Hostile]:
    frames = [picture(number=number) for number in range(12)]
    for kind, ending in {**FORMATS, "MPO": "mpo"}.items():
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        if content and kind in ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"):
            yield Hostile("animated", ending, content)


def _beginnings(rng: random.Random) -> Iterator[Hostile]:
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
    starts += [b"RIFF\xff\xff\xff\x7fWEBP", b"P6\n", b"P2\n9 9\n", b"\0\0\0\x0cjP  \r\n\x87\n"]
    starts += [b"\0\0\0\x20ftypavif", b"II+\0\x08\0\0\0", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg>"]
    for start in starts:
        for length in (0, 4, 64, 5_000):
            yield Hostile("only a beginning", "png", start + rng.randbytes(length))
            yield Hostile("only a beginning", "jpg", start + bytes(length))


# ------------------------------------------------------------------------- tables

#: images that the good rows name, below the folder of the table
GOOD = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")
_PATHS = {
    "climb": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "device": "/dev/zero",
    "memory": "/proc/kcore",
    "nul": "a/\0.png",
    "long": "a/" + "x" * 5_000,
    "empty": " ",
    "deep": "a/" + "b/" * 3_000 + "c.png",
    "home": "~/.ssh/id_rsa",
    "dot": ".",
    "folder": "a",
    "address": "http://127.0.0.1/x.png",
    "escape": "\x1b]0;title\x07.png",
    "half": "\\ud8.png",
}


def tables(large: int) -> Iterator[tuple[str, bytes]]:
    """Yield file name and content; ``large`` is the number of rows of the long ones."""
    rows = "".join(f"{path},{path[0]}\n" for path in GOOD)
    head = "path,label\n"
    good = head + rows
    texts = {
        "good": good,
        "open-quote": good + '"a/1.png,a\n',
        "late-quote": good + 'a/1.png,"a"b',
        "quotes": head + '"a/1.png","a ""quoted"" label"\n' + rows[10:],
        **{f"path-{name}": good + f"{path},a\n" for name, path in _PATHS.items()},
        "label-controls": head + rows.replace(",a", ",\x1b[2Ja"),
        "label-long": head + rows.replace(",a", "," + "a" * 100_000),
        "label-too-long": head + rows.replace(",a", "," + "a" * 200_000),
        "label-markup": head + rows.replace(",a", ",[/][red]<b>"),
        "twice": "path,label,label\n" + rows.replace("\n", ",x\n"),
        "many": "path,label," + ",".join(f"c{i}" for i in range(100_000)) + "\n",
        "ragged": good + "a/1.png\n",
        "no-head": rows,
        "repeated": good + rows,
        "empty": "",
        "absent": head + "".join(f"x/{i}.png,a\n" for i in range(large)),
        "blank-lines": good + "\n" * large,
        "lines": head + "\n" * (40 * large),
        "commas": "," * large,
    }
    for name, text in texts.items():
        yield f"{name}.csv", text.encode()
    for kind in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-7"):
        yield f"{kind}.csv", (good + "a/1.png,größe\n").encode(kind, "replace")
    noise = np.random.default_rng(0)
    for name in ("noise.csv", "noise.parquet", "noise.tsv"):
        yield name, noise.bytes(100_001)
    yield "nul.csv", bytes(1_000)
    whole = _parquet({"path": list(GOOD), "label": [path[0] for path in GOOD]})
    yield "good.parquet", whole
    for i in range(60):
        spoilt = bytearray(whole)
        for place in noise.integers(0, len(spoilt), 4):
            spoilt[int(place)] = int(noise.integers(256))
        yield f"damaged-{i}.parquet", bytes(spoilt)
    yield "footer.parquet", whole[:-8] + struct.pack("<I", 2**31) + b"PAR1"
    yield "numbers.parquet", _parquet({"path": [1, 2], "label": [1, 2]})
    yield "nested.parquet", _parquet({"path": [["a"], ["b"]], "label": [{"x": 1}, {"x": 2}]})
    yield "bytes.parquet", _parquet({"path": [b"\xff", b"\0"], "label": ["a", "b"]})
    index = pa.array(np.zeros(40 * large, dtype=np.int32))
    repeated = pa.DictionaryArray.from_arrays(index, pa.array(["a/1.png"]))
    yield "repeated.parquet", _parquet({"path": repeated, "label": repeated})


def _parquet(columns: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


# ------------------------------------------------------------------------- names and things

_NAMES = (
    *(b"with space.png", "ünïcode é.png".encode(), "🦋🔥.png".encode(), b"--help.png"),
    *(b"tab\t.png", b'quote".png', b"semi;colon,comma.png", b"=1+1.png"),
    *(b"<img src=x>.png", b"latin-\xe9.png", b"$(id).png", b"%s%n.png", b"CON.png", b"a\\b.png"),
    *(b"x" * 251 + b".png", "\u202egnp.gpj".encode() + b".png", b"..png.png", b".hidden.png"),
)


def plant_names(folder: Path, content: bytes) -> None:
    """Write one picture under every name that some system has produced."""
    for name in (*ODD_NAMES, *map(os.fsdecode, _NAMES)):
        (folder / name).write_bytes(content)


def plant_things(folder: Path, outside: Path) -> list[str]:
    """Put links, pipes, sockets and devices into ``folder``; returns the names of those made.

    ``outside`` is an image beyond the folder that one of the links leads to.
    """
    links = {"broken.png": "nowhere.png", "itself.png": "itself.png", "to-zero.png": "/dev/zero"}
    links |= {"to-memory.png": "/proc/self/mem", "to-all-memory.png": "/proc/kcore"}
    links |= {"to-log.png": "/proc/kmsg", "to-passwords.png": "/etc/passwd"}
    links |= {"outside.png": str(outside), "up": "..", "root": str(folder)}
    makers: dict[str, Callable[[Path], object]] = {
        "pipe.png": os.mkfifo,
        "socket.png": _socket,
        "zero.png": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
        "folder.png": Path.mkdir,
        "huge.png": _hollow,
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    made = list(links)
    for name, make in makers.items():
        try:
            make(folder / name)
        except OSError:
            continue
        made.append(name)
    return made


def _socket(path: Path) -> None:
    # an address is at most 108 bytes long
    short = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{short}/{path.name}")
    finally:
        os.close(short)


def _hollow(path: Path) -> None:
    """A file of eight terabytes that takes no room."""
    with path.open("wb") as stream:
        stream.truncate(8 * 2**40)
