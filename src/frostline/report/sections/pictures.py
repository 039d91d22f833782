"""The pictures: mistakes, doubtful labels, findings of the audit, what depths respond to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.explain.gallery import Gallery, Tile, sides
from frostline.report.depth import Depths
from frostline.report.pictures import address

#: tiles that are open at once; the others wait behind a line
FIRST = 12


@dataclass(frozen=True)
class Picture:
    """One picture with its size in pixels."""

    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Shown:
    """One tile; ``heat`` is None where there is no heat map."""

    tile: Tile
    thumbnail: Picture
    heat: Picture | None


@dataclass(frozen=True)
class DepthShown:
    """What one depth responds to, with what its place in the network means."""

    layer: str
    picture: Picture
    frozen: bool
    fate: str
    meaning: str


@dataclass(frozen=True)
class PicturesView:
    """Everything that has pictures; lists may be empty."""

    mistakes: list[Shown]
    doubtful: list[Shown]
    findings: list[Shown]
    filters: Picture | None
    depths: list[DepthShown]
    first: int = FIRST


_EARLY = (
    "Edges, colours and plain textures. Nearly every image has them, so what the network learned "
    "from other photos serves yours as well."
)
_MIDDLE = (
    "Corners, curves and grains: made of the edges above, and still found in many kinds of images."
)
_LATER = (
    "Patterns that repeat, and first parts of things. How useful they are depends on how much your "
    "images have in common with the old ones."
)
_LATE = (
    "Parts and whole shapes. These belong to what the network was made to tell apart; the less "
    "your images have in common with that, the less they are worth here."
)
_MEANINGS = (_EARLY, _MIDDLE, _LATER, _LATE)


def pictures(gallery: Gallery | None, depths: Depths) -> PicturesView | None:
    """Arrange the gallery; None without one."""
    if gallery is None:
        return None
    count = len(gallery.depths)
    return PicturesView(
        mistakes=_tiles(gallery.mistakes),
        doubtful=_tiles(gallery.doubtful),
        findings=_tiles(gallery.findings),
        filters=_picture(gallery.filters) if gallery.filters else None,
        depths=[
            DepthShown(
                layer=depth.layer,
                picture=_picture(depth.picture),
                frozen=depth.frozen,
                fate="frozen" if depth.frozen else depths.fate(depth.layer) or "trained",
                meaning=_MEANINGS[_quarter(i, count)],
            )
            for i, depth in enumerate(gallery.depths)
        ],
    )


def _quarter(place: int, count: int) -> int:
    """Return how far down a depth lies, from 0 for the first to 3 for the last."""
    return 0 if count < 2 else round(3 * place / (count - 1))


def _tiles(found: Sequence[Tile]) -> list[Shown]:
    return [
        Shown(tile, _picture(tile.thumbnail), _picture(tile.heat) if tile.heat else None)
        for tile in found
    ]


def _picture(picture: bytes) -> Picture:
    return Picture(address(picture), *sides(picture))
