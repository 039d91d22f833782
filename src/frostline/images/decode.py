"""The one place where files become pixels: every format, mode and orientation to plain RGB."""

from __future__ import annotations

import importlib
import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from frostline.errors import UnreadableImageError
from frostline.files import UnfitFileError, open_regular, os_reason
from frostline.images.excess import FILE_BYTES, excess_in_chunks, excess_in_file

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


def _import_plugins() -> tuple[str, ...]:
    """Register the plugins with Pillow; AVIF is missing from older releases."""
    found = []
    for name, module in _PLUGINS.items():
        try:
            importlib.import_module(f"PIL.{module}")
        except ImportError:
            continue
        if name in Image.OPEN:
            found.append(name)
    return tuple(found)


FORMATS: tuple[str, ...] = _import_plugins()

#: file name endings (lower case) of the formats above
EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "bmp", "tif", "tiff"),
        *("webp", "avif", "ppm", "pgm", "pbm", "pnm", "pfm", "jp2", "j2k", "jpx", "jpf"),
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
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_FROM_16_BITS = np.rint(np.arange(65536) / 257.0).astype(np.uint8)
_PIXELS_AT_A_TIME = 2**20


#: where a decoded image says how many pixels its file has
N_PIXELS = "frostline_pixels"


class _DamageError(Exception):
    """A short human reason, before it is known which path it belongs to."""


def decode(
    source: Path | bytes,
    *,
    max_pixels: int,
    name: str | None = None,
    at_least: int | None = None,
) -> Image.Image:
    """Decode one image file to RGB, or say in a few words why that is impossible.

    EXIF orientation is applied, transparency is laid over white, 16-bit greys are scaled by
    1/257, animations give their first frame, and nothing is ever filled in for missing data.
    Safe to call from many threads; no global state of Pillow is touched.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    max_pixels : int
        Images with more pixels than this are refused from their header, before any decoding.
    name : str or None, default=None
        What to call the image in the error; the path itself when None.
    at_least : int or None, default=None
        A shorter side of this many pixels is enough: JPEG files are then decoded at 1/2, 1/4 or
        1/8 of their size, several times faster. With twice the size that the image is resized
        to, pixels move by under one grey level on average. None decodes every pixel.

    Returns
    -------
    PIL.Image.Image
        Mode ``"RGB"``, detached from the file; ``info[N_PIXELS]`` is the number of
        pixels in the file.

    Raises
    ------
    UnreadableImageError
        With a short ``reason`` such as ``"truncated"``, ``"not an image"`` or
        ``"623 megapixels, the limit is 100"``.
    """
    label = name if name is not None else ("image" if isinstance(source, bytes) else str(source))
    try:
        if isinstance(source, bytes):
            return _decode_stream(io.BytesIO(source), max_pixels, at_least)
        with open_regular(source, at_most=FILE_BYTES) as stream:
            return _decode_stream(stream, max_pixels, at_least)
    except (_DamageError, UnfitFileError) as damage:
        raise UnreadableImageError(label, str(damage)) from None


def _decode_stream(stream: IO[bytes], max_pixels: int, at_least: int | None) -> Image.Image:
    try:
        with _open_header(stream) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise _DamageError(_too_many(pixels, max_pixels))
            _refuse(excess_in_file(image, stream, max_pixels))
            if at_least is not None and image.format == "JPEG":
                _decode_smaller(image, at_least)
            image.load()
            orientation = _orientation(image)
            rgb = _to_rgb(image)
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
        rgb.info = {N_PIXELS: pixels}
        return rgb
    except _DAMAGE as error:
        raise _DamageError(_damage_reason(error, max_pixels)) from None


def _decode_smaller(image: ImageFile.ImageFile, at_least: int) -> None:
    """Let the JPEG decoder leave out what resizing would throw away.

    Only by a factor that divides both sides, as those of cameras are: a last row that stands for
    less than a whole pixel would move all others.
    """
    width, height = image.size
    for factor in (8, 4, 2):
        fits = width % factor == 0 and height % factor == 0
        if fits and min(width, height) // factor >= at_least:
            image.draft(None, (width // factor, height // factor))
            return


def _open_header(stream: IO[bytes]) -> ImageFile.ImageFile:
    """Identify the format and read the header only.

    ``Image.open`` would compare the size with a process-wide limit and warn or raise before the
    caller's own limit is looked at, so the registered plugins are asked directly.
    """
    prefix = stream.read(16)
    if not prefix:
        raise _DamageError("empty file")
    signature_seen = False
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        # a plugin answers with a text when it knows the format but was built without its codec
        if accept is None or accept(prefix) is not True:
            continue
        signature_seen = True
        if name == "PNG":
            _refuse(excess_in_chunks(stream))
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, LookupError, TypeError, struct.error) as error:
            # SyntaxError is how a plugin says that the file is not its format after all
            if "truncat" in str(error).lower():
                raise _DamageError("truncated") from None
    raise _DamageError("damaged header" if signature_seen else "not an image")


def _refuse(reason: str) -> None:
    if reason:
        raise _DamageError(reason)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (1-8); damaged EXIF counts as upright."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to RGB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey_to_rgb(image)
    if image.mode == "LAB":
        raise _DamageError("colour mode LAB is not supported")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
        return ground
    if image.mode == "RGB":
        return image.copy()
    return image.convert("RGB")


def _grey_to_rgb(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point greys to 8 bits."""
    values = np.asarray(image)
    if image.mode == "F":
        grey = _float_grey(values)
    elif image.mode.startswith("I;16") or image.format in {"PNG", "PPM"}:
        # integers of these have 16 bits by definition, however dark the picture is
        grey = _by_rows(values, lambda rows: _FROM_16_BITS[np.clip(rows, 0, 65535)])
    else:
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 65535:
            low, high = 0.0, 255.0 if high <= 255 else 65535.0
        grey = _by_rows(values, lambda rows: _scaled(rows, low, high))
    return Image.fromarray(grey).convert("RGB")


def _float_grey(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Values in [0, 1] or [0, 255] keep their meaning; any other range is stretched."""
    finite = np.isfinite(values)
    if not finite.any():
        raise _DamageError("no finite pixel values")
    low = float(values.min(where=finite, initial=np.inf))
    high = float(values.max(where=finite, initial=-np.inf))
    lowest, highest = low, high
    if low >= 0 and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0

    def scaled(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        rows = np.nan_to_num(rows, nan=lowest, posinf=highest, neginf=lowest)
        return _scaled(rows, low, high)

    return _by_rows(values, scaled)


def _by_rows(
    values: npt.NDArray[Any], scale: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """Scale a few rows at a time: what lies between takes eight bytes a pixel, several times."""
    grey = np.empty(values.shape, dtype=np.uint8)
    step = max(1, _PIXELS_AT_A_TIME // max(1, values.shape[1]))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        grey[rows] = scale(values[rows])
    return grey


def _scaled(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    span = max(high - low, 1e-30)
    scaled = (values.astype(np.float64) - low) / span * 255.0
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _damage_reason(error: BaseException, max_pixels: int) -> str:
    """Map what Pillow raised to a few words."""
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        size = _BOMB_SIZE.search(text)
        pixels = int(size.group(1)) if size else 0
        return _too_many(pixels, max_pixels) if pixels > max_pixels else "too large for Pillow"
    if isinstance(error, EOFError) or "truncat" in text or "unexpected end" in text:
        return "truncated"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if "max_text" in text:
        return "text or a colour profile of over a megabyte"
    if isinstance(error, OSError) and error.errno is not None:
        return os_reason(error)
    return "damaged"


def _too_many(pixels: int, limit: int) -> str:
    found, allowed = _mega(pixels), _mega(limit)
    if found == allowed:
        return f"{pixels:,} pixels, the limit is {limit:,}"
    return f"{found} megapixels, the limit is {allowed}"


def _mega(pixels: int) -> str:
    millions = pixels / 1e6
    return f"{millions:,.0f}" if millions >= 10 else f"{millions:.3g}"
