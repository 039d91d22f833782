"""What judged images are like apart from what they show, read from their files where those are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from frostline.comparing.judged import Judged
from frostline.core.errors import UnreadableImageError
from frostline.core.files import UnfitFileError, read_regular
from frostline.core.machine import available_cores
from frostline.core.runtime import Runtime
from frostline.data.decoding.decode import decode
from frostline.data.decoding.facts import ImageFacts, facts_of, facts_of_picture
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.resource_limits import FILE_BYTES

_Item = tuple[str, Path | ImageRef | None]


def facts_of_images(judged: Judged, runtime: Runtime) -> list[ImageFacts | None]:
    """Return the facts of every image; None for one that is not there, or cannot be read."""
    items: list[_Item] = list(zip(judged.names, judged.origins, strict=True))
    if not any(origin is not None for _, origin in items):
        return [None] * len(items)
    found: list[ImageFacts | None] = []
    load = partial(_facts, max_pixels=runtime.max_pixels)
    with runtime.progress.task("Looking at images", len(items)) as bar:
        for one in read_in_order(items, load, workers=min(8, available_cores())):
            found.append(None if isinstance(one, UnreadableImageError) else one)
            bar.advance()
            runtime.cancel.check()
    return found


def pictures_of(
    judged: Judged, rows: Sequence[int], *, side: int, max_pixels: int
) -> dict[int, Image.Image]:
    """Return some of the images, by row; those that can be read."""
    items = [(row, judged.names[row], judged.origins[row]) for row in rows]

    def load(item: tuple[int, str, Path | ImageRef | None]) -> Image.Image | None:
        _, name, origin = item
        content = _content(name, origin)
        if content is None or isinstance(content, Image.Image):
            return content
        return decode(content, max_pixels=max_pixels, name=name, at_least=side)

    loaded = read_in_order(items, load, workers=min(8, available_cores()))
    return {
        row: found
        for (row, _, _), found in zip(items, loaded, strict=True)
        if isinstance(found, Image.Image)
    }


def _facts(item: _Item, *, max_pixels: int) -> ImageFacts | None:
    name, origin = item
    content = _content(name, origin)
    if content is None:
        return None
    if isinstance(content, Image.Image):
        return facts_of_picture(content.convert("RGB"))
    return facts_of(content, name=name, max_pixels=max_pixels)


def _content(name: str, origin: Path | ImageRef | None) -> bytes | Image.Image | None:
    """Return the bytes of an image file, or the picture that has none.

    Raises UnreadableImageError if it cannot be read.
    """
    if origin is None:
        return None
    if isinstance(origin, ImageRef):
        return origin.read(name)
    try:
        return read_regular(origin, at_most=FILE_BYTES)
    except UnfitFileError as error:
        raise UnreadableImageError(name, str(error)) from None
