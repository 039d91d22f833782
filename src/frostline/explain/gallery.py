"""The pictures that a report shows: plain data, made once, kept with the run."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass, field
from typing import Annotated

from PIL import Image
from pydantic import BeforeValidator, Field, PlainSerializer


def sides(picture: bytes) -> tuple[int, int]:
    """Return width and height in pixels, so that a page keeps its place free."""
    with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as image:
        return image.size


def _read(value: object) -> bytes:
    """Read base64, and make sure that it is a picture."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("a picture must be base64 text")
    try:
        found = base64.b64decode(value, validate=True)
        if found:
            sides(found)
    except (binascii.Error, OSError) as error:
        raise ValueError("this is no picture") from error
    return found


#: a JPEG or PNG; in JSON as base64 text
Picture = Annotated[
    bytes,
    BeforeValidator(_read),
    PlainSerializer(lambda value: base64.b64encode(value).decode("ascii"), when_used="json"),
]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image with what is to be said about it.

    - ``path``: the image's name in the catalog.
    - ``label``: its class as given.
    - ``prediction``: the likeliest class; empty where nothing was predicted.
    - ``confidence``: probability of the prediction, in [0, 1].
    - ``thumbnail``: a small JPEG.
    - ``heat``: the same image with what spoke for the prediction, or raised the number, drawn over
      it, as JPEG; empty without one.
    - ``note``: a short sentence, for instance why it is shown.

    Pictures have the shape of the image that they show, as far as a network sees it.
    """

    path: str
    label: str
    prediction: str = ""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    thumbnail: Picture
    heat: Picture = b""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What one depth of the network responds to in the user's own images.

    ``layer``: name of the cut. ``picture``: a JPEG: the images' patches that a few channels respond
    to most, a row a channel. ``frozen``: whether the layer was left as pretrained.
    """

    layer: str
    picture: Picture
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class FilterFacts:
    """What is known of the filters of a first layer.

    - ``count``: of filters. ``height`` and ``width``: of each, in pixels.
    - ``shown``: how many are drawn: filters, or principal components of them.
    - ``held``: share of what the filters differ by that the components hold, in [0, 1]; None where
      filters are drawn themselves.
    - ``related``: correlation of weights that lie side by side, which is 0 by chance; None where
      nothing lies side by side.
    - ``learned``: whether that is beyond chance; None where it is not known.
    """

    count: int
    height: int
    width: int
    shown: int
    held: Annotated[float, Field(ge=0, le=1)] | None = None
    related: Annotated[float, Field(ge=-1, le=1)] | None = None
    learned: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """All pictures of a report.

    - ``mistakes``: the most confident wrong predictions, the worst first.
    - ``doubtful``: likely label errors, the likeliest first.
    - ``findings``: what the audit found: copies, near-duplicates, leaks.
    - ``filters``: a PNG of the first convolution's filters; empty where there are none to draw.
    - ``filter_facts``: what is known of them; None in a gallery that was made before this was kept.
    - ``depths``: by depth, the first layer first.
    - ``heat_note``: how heat maps were found, where the usual way was closed; empty otherwise.
    """

    mistakes: tuple[Tile, ...] = ()
    doubtful: tuple[Tile, ...] = ()
    findings: tuple[Tile, ...] = ()
    filters: Picture = b""
    filter_facts: FilterFacts | None = None
    depths: tuple[Depth, ...] = field(default=())
    heat_note: str = ""
