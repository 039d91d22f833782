"""Images that lie in memory or in a dataset instead of a file of their own; read on demand."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from frostline.core.errors import ImageFault, InputError, UnreadableImageError
from frostline.core.files import HEAD_BYTES, UnfitFileError, digest_regular, os_reason
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.conversion import (
    counted,
    rgb_from_array,
    rgb_from_pillow,
    upright_or_file,
)
from frostline.data.decoding.decode import decode, measure, size_of
from frostline.data.decoding.resource_limits import FILE_BYTES
from frostline.data.decoding.value_ranges import Values, values_of


class ImageRef(ABC):
    """One image without a file. Safe to read from many threads."""

    @abstractmethod
    def read(self, name: str) -> bytes | Image.Image:
        """Return the content of an image file, or the picture itself, upright and loaded.

        Raises
        ------
        UnreadableImageError
            Under ``name``, if there is no picture to be had.
        """


class EncodedImage(ImageRef):
    """The content of an image file.

    ``fetch``: returns the bytes, each time the same.
    """

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        self._fetch = fetch

    def read(self, name: str) -> bytes:
        """Return the bytes of the file."""
        try:
            content = self._fetch()
        except OSError as error:
            raise UnreadableImageError(name, os_reason(error)) from None
        except UnfitFileError as error:
            raise UnreadableImageError(name, str(error)) from None
        if not content:
            raise UnreadableImageError(name, "empty file", ImageFault.EMPTY)
        return content


class PixelImage(ImageRef):
    """A Pillow image, or an array as :func:`rgb_from_array` takes it.

    ``fetch``: returns the image, each time the same. ``lock``: held while the image is fetched and
    converted, if that must not happen twice at a time.
    """

    def __init__(
        self, fetch: Callable[[], Any], lock: AbstractContextManager[Any] | None = None
    ) -> None:
        self._fetch = fetch
        self._lock: AbstractContextManager[Any] = nullcontext() if lock is None else lock

    def read(self, name: str) -> bytes | Image.Image:
        """Return the picture, or the file that holds what only the rules of a set make plain."""
        with self._lock:
            try:
                image = self._fetch()
            except OSError as error:
                raise UnreadableImageError(name, os_reason(error)) from None
            if isinstance(image, Image.Image):
                return upright_or_file(image, name=name)
            if isinstance(image, np.ndarray):
                return rgb_from_array(image, name=name)
        raise InputError(f"{name} is a {type(image).__name__}, not an image.")


class Content(NamedTuple):
    """What an image is: the SHA-256 of its content, in hexadecimal, and its file's first bytes.

    There are no first bytes where there is no file.
    """

    digest: str
    head: bytes


def content_of(origin: Path | ImageRef, *, name: str) -> Content:
    """Read an image once, for what its content is.

    Of a file, or of the bytes of one, the digest is that of the bytes; of pictures that of their
    RGB values and shape. So equal contents share what is stored for them, wherever they come from.

    Raises
    ------
    UnreadableImageError
        Under ``name``, if there is nothing to read.
    """
    if isinstance(origin, ImageRef):
        found = origin.read(name)
        head = found[:HEAD_BYTES] if isinstance(found, bytes) else b""
        return Content(_digest(found), head)
    try:
        digest, size, head = digest_regular(origin, at_most=FILE_BYTES)
    except UnfitFileError as error:
        raise UnreadableImageError(name, str(error)) from None
    if size == 0:
        raise UnreadableImageError(name, "empty file", ImageFault.EMPTY)
    return Content(digest, head)


def digest_of(origin: Path | ImageRef, *, name: str) -> str:
    """Return the digest alone of what :func:`content_of` finds."""
    return content_of(origin, name=name).digest


def decode_unchanged(
    origin: Path | ImageRef,
    digest: str,
    *,
    name: str,
    max_pixels: int,
    at_least: int | None,
    rules: ReadingRules = DEFAULT_RULES,
) -> Image.Image:
    """Decode an image and make sure that it still is what ``digest`` stands for.

    Takes and raises what :func:`~frostline.data.decoding.decode.decode` does.
    """
    if isinstance(origin, ImageRef):
        content = origin.read(name)
        image = _decoded(content, name, max_pixels, at_least, rules)
        found = _digest(content)
    else:
        image = decode(origin, max_pixels=max_pixels, name=name, at_least=at_least, rules=rules)
        found = digest_of(origin, name=name)
    # what is stored under a digest must belong to it, for this run and for all later ones
    if found != digest:
        raise UnreadableImageError(name, "changed while it was being read")
    return image


def measure_origin(origin: Path | ImageRef, *, name: str, max_pixels: int) -> Values:
    """Return what is special about an image's values; takes and raises what ``decode`` does."""
    content = origin.read(name) if isinstance(origin, ImageRef) else origin
    if isinstance(content, Image.Image):
        return values_of(content)
    return measure(content, max_pixels=max_pixels, name=name)


def size_of_origin(origin: Path | ImageRef, *, name: str, max_pixels: int) -> tuple[int, int]:
    """Return width and height of an image, not upright; raises what ``decode`` does."""
    content = origin.read(name) if isinstance(origin, ImageRef) else origin
    if isinstance(content, Image.Image):
        return content.size
    return size_of(content, max_pixels=max_pixels, name=name)


def decode_ref(
    origin: ImageRef,
    *,
    name: str,
    max_pixels: int,
    at_least: int | None = None,
    rules: ReadingRules = DEFAULT_RULES,
) -> Image.Image:
    """Return a held image in mode RGB; takes and raises what ``decode`` does."""
    return _decoded(origin.read(name), name, max_pixels, at_least, rules)


def _decoded(
    content: bytes | Image.Image,
    name: str,
    max_pixels: int,
    at_least: int | None,
    rules: ReadingRules,
) -> Image.Image:
    if isinstance(content, bytes):
        return decode(content, max_pixels=max_pixels, name=name, at_least=at_least, rules=rules)
    return counted(rgb_from_pillow(content, name=name, max_pixels=max_pixels, rules=rules))


def _digest(content: bytes | Image.Image) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    pixels = np.asarray(content.convert("RGB"), dtype=np.uint8)
    found = hashlib.sha256(f"frostline pixels {pixels.shape}:".encode())
    found.update(pixels.tobytes())
    profile = content.info.get("icc_profile")
    if isinstance(profile, bytes):
        # equal numbers under another profile are other colours
        found.update(b"profile:" + profile)
    return found.hexdigest()
