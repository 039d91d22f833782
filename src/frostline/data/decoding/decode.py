"""The one place where files become pixels: every format, mode and orientation to plain RGB."""

from __future__ import annotations

import importlib
import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from PIL import Image, ImageFile, UnidentifiedImageError

from frostline.core.errors import ImageFault, TooLargeImageError, UnreadableImageError
from frostline.core.files import UnfitFileError, open_regular, os_reason
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.damage import DamageError, TooManyPixelsError
from frostline.data.decoding.extra_plugins import EXTRA_ENDINGS, Plugin, extra_plugins, jxl_sides
from frostline.data.decoding.file_kinds import HEAD_BYTES as KIND_BYTES
from frostline.data.decoding.file_kinds import RAW, kind_of
from frostline.data.decoding.pages import is_raw, pages_of_one_size
from frostline.data.decoding.planes import describe_planes
from frostline.data.decoding.resource_limits import FILE_BYTES, check_chunks, check_file
from frostline.data.decoding.rgb import to_rgb
from frostline.data.decoding.transparent_level import note_level
from frostline.data.decoding.value_ranges import Values, values_of
from frostline.data.decoding.whole import load_whole

T = TypeVar("T")

# Only self-contained raster formats with a clear signature. Left out on purpose: EPS and WMF (run
# other programs), ICO and ICNS (hide a second, unchecked size), TGA (no signature at all).
_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
    "PPM": "PpmImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "AVIF": "AvifImagePlugin",
}


def _import_plugins() -> dict[str, Plugin]:
    """Import the plugins; AVIF is missing from older releases of Pillow.

    They are remembered here: Pillow's own table belongs to everybody, who may change it.
    """
    found: dict[str, Plugin] = {}
    for name, module in _PLUGINS.items():
        try:
            importlib.import_module(f"PIL.{module}")
        except ImportError:
            continue
        if name in Image.OPEN:
            factory, accept = Image.OPEN[name]
            if accept is not None:
                found[name] = (factory, accept)
    return found | extra_plugins()


_OPEN = _import_plugins()
#: formats that are read here
FORMATS: tuple[str, ...] = tuple(_OPEN)

#: file name endings (lower case) of the formats above
EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "bmp", "tif", "tiff"),
        *("webp", "avif", "ppm", "pgm", "pbm", "pnm", "pfm", "jp2", "j2k", "jpx", "jpf"),
        *(ending for name in FORMATS for ending in EXTRA_ENDINGS.get(name, ())),
    )
)

# What Pillow and its codecs raise on damaged files; Exception itself would hide our own faults.
# ``Warning`` is here because somebody may have turned warnings into errors.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)

_BOMB_SIZE = re.compile(r"\((\d+) pixels\)")
_ORIENTATION_TAG = 0x0112
_EXIF_TAG = 0x8769
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


#: where a decoded image says how many pixels its file has
N_PIXELS = "frostline_pixels"
#: and how many pages of one size, the first of which it is
N_PAGES = "frostline_pages"


def decode(
    source: Path | bytes,
    *,
    max_pixels: int,
    name: str | None = None,
    at_least: int | None = None,
    rules: ReadingRules = DEFAULT_RULES,
) -> Image.Image:
    """Decode one image file to RGB, or say in a few words why that is impossible.

    Orientation is applied, by EXIF or, where that says nothing, by XMP. Transparency is laid over
    white, colour profiles become sRGB, animations give their first frame, and nothing is ever
    filled in for missing data. Safe to call from many threads; no global state of Pillow is
    touched. Raises UnreadableImageError with a short ``reason`` such as ``"truncated"``, ``"not an
    image"`` or ``"623 megapixels, the limit is 100"``.

    - ``source``: a file, or its content.
    - ``max_pixels``: images with more pixels than this are refused from their header, before any
      decoding.
    - ``name``: what to call the image in the error; the path itself when None.
    - ``at_least``: a shorter side of this many pixels is enough: JPEG files are then decoded at
      1/2, 1/4 or 1/8 of their size, several times faster. With twice the size that the image is
      resized to, pixels move by under one grey level on average. None decodes every pixel.
    - ``rules``: what values of more than 8 bits and a fourth band mean.
    - The result: mode ``"RGB"``, detached from the file; ``info[N_PIXELS]`` is the number of pixels
      in the file, ``info[N_PAGES]`` that of pages as large as the one that is shown.
    """

    def rgb(image: ImageFile.ImageFile, deep_colour: bool) -> Image.Image:
        del deep_colour
        counts: dict[str | tuple[int, int], int] = {
            name: image.info.pop(name) for name in (N_PIXELS, N_PAGES)
        }
        orientation = _orientation(image)
        found = to_rgb(image, rules)
        if orientation in _TRANSPOSE:
            found = found.transpose(_TRANSPOSE[orientation])
        found.info = counts
        return found

    return _opened(source, name, lambda stream: _loaded(stream, max_pixels, at_least, rules, rgb))


def measure(source: Path | bytes, *, max_pixels: int, name: str | None = None) -> Values:
    """Return what is special about the values of one file; takes and raises what `decode` does."""

    def values(image: ImageFile.ImageFile, deep_colour: bool) -> Values:
        return values_of(image, deep_colour=deep_colour)

    return _opened(
        source, name, lambda stream: _loaded(stream, max_pixels, None, DEFAULT_RULES, values)
    )


def size_of(source: Path | bytes, *, max_pixels: int, name: str | None = None) -> tuple[int, int]:
    """Return width and height from the header alone, not upright; raises what `decode` does."""
    return read_header(source, lambda image, _: image.size, max_pixels=max_pixels, name=name)


def read_header(
    source: Path | bytes,
    use: Callable[[ImageFile.ImageFile, int], T],
    *,
    max_pixels: int,
    name: str | None = None,
) -> T:
    """Return what ``use`` makes of an image's header and its file's size in bytes.

    No pixel is decoded, and no more of a file is read than that takes. Raises what `decode` does.
    """

    def used(stream: IO[bytes]) -> T:
        try:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            with _open_header(stream, max_pixels, DEFAULT_RULES) as image:
                return use(image, size)
        except _DAMAGE as error:
            raise _damage(error, max_pixels) from None

    return _opened(source, name, used)


def exif_in(image: ImageFile.ImageFile) -> Image.Exif:
    """Return what EXIF says in the header of an image; nothing where it is missing or damaged."""
    # Pillow would decode all pixels of a PNG file to look behind them
    if image.format == "PNG" and "exif" not in image.info:
        return Image.Exif()
    try:
        found = image.getexif()
        # a damaged directory shows only when it is read
        dict(found), found.get_ifd(_EXIF_TAG)
        return found
    except _DAMAGE:
        return Image.Exif()


def _opened(source: Path | bytes, name: str | None, use: Callable[[IO[bytes]], T]) -> T:
    label = name if name is not None else ("image" if isinstance(source, bytes) else str(source))
    try:
        if isinstance(source, bytes):
            return use(io.BytesIO(source))
        with open_regular(source, at_most=FILE_BYTES) as stream:
            return use(stream)
    except TooManyPixelsError as damage:
        raise TooLargeImageError(label, str(damage), damage.fault) from None
    except DamageError as damage:
        raise UnreadableImageError(label, str(damage), damage.fault) from None
    except UnfitFileError as damage:
        raise UnreadableImageError(label, str(damage)) from None


def _loaded(
    stream: IO[bytes],
    max_pixels: int,
    at_least: int | None,
    rules: ReadingRules,
    use: Callable[[ImageFile.ImageFile, bool], T],
) -> T:
    """Load an image within its limits, and hand it on with whether it has deep colours."""
    try:
        with _open_header(stream, max_pixels, rules) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise TooManyPixelsError(_too_many(pixels, max_pixels))
            check_file(image, stream, max_pixels)
            if at_least is not None and image.format == "JPEG":
                _decode_smaller(image, at_least)
            if rules.version > 1:
                describe_planes(image)
            # how the file stores its pixels is forgotten once they are loaded
            note_level(image)
            deep_colour = ";16" in str(image.tile) and image.mode in ("RGB", "RGBA")
            pages = pages_of_one_size(stream) if image.format == "TIFF" else 1
            load_whole(image)
            image.info |= {N_PIXELS: pixels, N_PAGES: pages}
            return use(image, deep_colour)
    except _DAMAGE as error:
        raise _damage(error, max_pixels) from None


def _decode_smaller(image: ImageFile.ImageFile, at_least: int) -> None:
    """Let the JPEG decoder leave out what resizing would throw away.

    Only by a factor that divides both sides, as those of cameras are: a last row that stands for
    less than a whole pixel would move all others.
    """
    width, height = image.size
    factor = smaller_by(width, height, at_least)
    if factor > 1:
        image.draft(None, (width // factor, height // factor))


def smaller_by(width: int, height: int, at_least: int) -> int:
    """Return the factor by which a JPEG file of some size is decoded smaller; 1 for not at all."""
    for factor in (8, 4, 2):
        fits = width % factor == 0 and height % factor == 0
        if fits and min(width, height) // factor >= at_least:
            return factor
    return 1


def _open_header(stream: IO[bytes], max_pixels: int, rules: ReadingRules) -> ImageFile.ImageFile:
    """Identify the format and read the header only.

    ``Image.open`` would compare the size with a process-wide limit and warn or raise before the
    caller's own limit is looked at, so the registered plugins are asked directly.
    """
    prefix = stream.read(16)
    if not prefix:
        raise DamageError("empty file", ImageFault.EMPTY)
    signature_seen = False
    for name, (factory, accept) in _OPEN.items():
        # a plugin answers with a text when it knows the format but was built without its codec
        if accept(prefix) is not True:
            continue
        signature_seen = True
        if name == "PNG":
            check_chunks(stream)
        if name == "JXL":
            sides = jxl_sides(stream)
            if sides is not None and sides[0] * sides[1] > max_pixels:
                raise TooManyPixelsError(_too_many(sides[0] * sides[1], max_pixels))
        if name == "TIFF" and rules.version > 1 and is_raw(stream):
            raise DamageError(RAW.reason, ImageFault.NOT_AN_IMAGE)
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, LookupError, TypeError, struct.error) as error:
            # SyntaxError is how a plugin says that the file is not its format after all
            if "truncat" in str(error).lower():
                raise DamageError("truncated", ImageFault.TRUNCATED) from None
    stream.seek(0)
    kind = kind_of(stream.read(KIND_BYTES))
    if kind is not None and not signature_seen:
        raise DamageError(kind.reason, ImageFault.NOT_AN_IMAGE)
    if signature_seen:
        raise DamageError("damaged header")
    raise DamageError("not an image", ImageFault.NOT_AN_IMAGE)


def _orientation(image: Image.Image) -> int:
    """Return the orientation (1-8) by EXIF, else XMP; damaged EXIF counts as upright."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) else 1


def _damage(error: BaseException, max_pixels: int) -> DamageError:
    """Map what Pillow raised to a few words."""
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return DamageError("not enough memory to decode it", ImageFault.TOO_LARGE)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        size = _BOMB_SIZE.search(text)
        pixels = int(size.group(1)) if size else 0
        if pixels > max_pixels:
            return DamageError(_too_many(pixels, max_pixels), ImageFault.TOO_MANY_PIXELS)
        return DamageError("too large for Pillow", ImageFault.TOO_LARGE)
    if isinstance(error, EOFError) or "truncat" in text or "unexpected end" in text:
        return DamageError("truncated", ImageFault.TRUNCATED)
    if isinstance(error, UnidentifiedImageError):
        return DamageError("not an image", ImageFault.NOT_AN_IMAGE)
    if "max_text" in text:
        return DamageError("text or a colour profile of over a megabyte")
    if isinstance(error, OSError) and error.errno is not None:
        return DamageError(os_reason(error))
    return DamageError("damaged")


def _too_many(pixels: int, limit: int) -> str:
    found, allowed = _mega(pixels), _mega(limit)
    if found == allowed:
        return f"{pixels:,} pixels, the limit is {limit:,}"
    return f"{found} megapixels, the limit is {allowed}"


def _mega(pixels: int) -> str:
    millions = pixels / 1e6
    return f"{millions:,.0f}" if millions >= 10 else f"{millions:.3g}"
