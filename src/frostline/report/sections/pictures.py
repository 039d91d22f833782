"""The pictures: mistakes, doubtful labels, findings of the audit, what depths respond to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary
from frostline.explain.filters import filter_sentences
from frostline.explain.gallery import Gallery, Tile, sides
from frostline.report.depth import Depths
from frostline.report.pictures import address
from frostline.wording.numbers import percent
from frostline.wording.tasks import TASKS

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
    """What one depth responds to, and what it is worth alone."""

    layer: str
    picture: Picture
    frozen: bool
    fate: str
    worth: str


@dataclass(frozen=True)
class PicturesView:
    """Everything that has pictures; lists may be empty.

    ``sure``: whether mistakes are by how sure the model was; else by how far off it was.
    """

    mistakes: list[Shown]
    doubtful: list[Shown]
    findings: list[Shown]
    filters: Picture | None
    filters_said: list[str]
    depths: list[DepthShown]
    heat_note: str = ""
    first: int = FIRST


def pictures(
    gallery: Gallery | None, depths: Depths, evidence: EvidenceSummary | None
) -> PicturesView | None:
    """Arrange the gallery; None without one."""
    if gallery is None:
        return None
    facts = gallery.filter_facts
    return PicturesView(
        mistakes=_tiles(gallery.mistakes),
        doubtful=_tiles(gallery.doubtful),
        findings=_tiles(gallery.findings),
        filters=_picture(gallery.filters) if gallery.filters else None,
        filters_said=[] if facts is None else filter_sentences(facts),
        depths=[
            DepthShown(
                layer=depth.layer,
                picture=_picture(depth.picture),
                frozen=depth.frozen,
                fate="frozen" if depth.frozen else depths.fate(depth.layer) or "trained",
                worth=_worth(depth.layer, evidence),
            )
            for depth in gallery.depths
        ],
        heat_note=gallery.heat_note,
    )


def _worth(layer: str, evidence: EvidenceSummary | None) -> str:
    """Say what a depth is worth alone, where that was measured."""
    probe = next((p for p in evidence.probes if p.tap == layer), None) if evidence else None
    if evidence is None or probe is None:
        return ""
    return TASKS[evidence.task].alone(percent(probe.accuracy))


def _tiles(found: Sequence[Tile]) -> list[Shown]:
    return [
        Shown(tile, _picture(tile.thumbnail), _picture(tile.heat) if tile.heat else None)
        for tile in found
    ]


def _picture(picture: bytes) -> Picture:
    return Picture(address(picture), *sides(picture))
