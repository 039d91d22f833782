"""Pictures keep to their bytes, and are what they say."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from frostline.core.errors import InputError
from frostline.explain.gallery import Depth, Gallery, Tile, sides
from frostline.report.depth import Depths, Layer
from frostline.report.pictures import MOST_BYTES, address, kind_of, shrunk, weight
from frostline.report.sections.pictures import pictures
from tests.report.conftest import evidence


def noise(side: int, seed: int = 0, kind: str = "JPEG") -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return stream.getvalue()


def heavy(side: int, count: int) -> Gallery:
    tiles = tuple(
        Tile(path=str(i), label="a", thumbnail=noise(side, i), heat=noise(side, 99 - i))
        for i in range(count)
    )
    return Gallery(
        mistakes=tiles,
        findings=tiles[: count // 2],
        filters=noise(side, kind="PNG"),
        depths=(Depth(layer="x", picture=noise(2 * side), frozen=True),),
    )


def test_a_gallery_within_bounds_stays_as_it_is(gallery: Gallery) -> None:
    assert shrunk(gallery) is gallery


def test_a_heavy_gallery_shrinks_and_keeps_every_picture() -> None:
    found = heavy(600, 6)
    assert weight(found) > MOST_BYTES
    small = shrunk(found)
    assert weight(small) <= MOST_BYTES
    assert len(small.mistakes) == 6
    assert sides(small.mistakes[0].thumbnail)[0] >= 160
    assert shrunk(small) is small


def test_what_cannot_shrink_is_dropped_from_the_end() -> None:
    found = heavy(96, 8)
    small = shrunk(found, most=40_000)
    assert weight(small) <= 40_000
    assert small.mistakes[0].path == "0"
    assert 0 < len(small.mistakes) < 8
    assert shrunk(found, most=10) == Gallery()


def test_addresses_hold_the_picture_itself() -> None:
    for kind in ("jpeg", "png"):
        picture = noise(9, kind=kind.upper())
        said = address(picture)
        assert said.startswith(f"data:image/{kind};base64,")
        assert base64.b64decode(said.partition(",")[2]) == picture
    for other in (b"", b"<svg onload=alert(1)>", b"GIF89a"):
        with pytest.raises(InputError, match="neither JPEG nor PNG"):
            kind_of(other)


def test_of_a_depth_only_what_was_measured_is_said(gallery: Gallery) -> None:
    found = Depths(
        old=tuple(Layer(f"blocks.{i}", "frozen" if i < 3 else "trained") for i in range(6)),
        new=(),
        scattered=False,
    )
    measured = evidence(4)
    view = pictures(gallery, found, measured)
    assert view is not None
    probes = {probe.tap: probe for probe in measured.probes}
    said = [depth for depth in view.depths if depth.layer in probes]
    assert said
    for depth in said:
        assert f"{100 * probes[depth.layer].accuracy:.1f}%" in depth.worth
    assert all(not depth.worth for depth in view.depths if depth.layer not in probes)
    assert [depth.fate for depth in view.depths] == ["frozen", "frozen", "trained", "trained"]
    assert view.mistakes[0].heat is not None
    assert view.doubtful[0].heat is None
    given = pictures(replace(gallery, depths=gallery.depths[:1]), found, None)
    assert given is not None and not given.depths[0].worth
    assert pictures(None, found, measured) is None
