"""How a file stores its values: in planes, in few bits, with sign; Pillow loads some otherwise."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.core.errors import UnreadableImageError
from frostline.core.reading_rules import DEFAULT_RULES, FIRST_RULES, ReadingRules
from frostline.data.decoding.decode import decode
from tests.data.bombs import chunk, png_by_hand

Pixels = npt.NDArray[np.generic]
MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"
Y, X = np.mgrid[0:24, 0:40]
COLOURS = np.stack([X * 6, Y * 10, (X * 6 + Y * 5) % 256], axis=2).astype(np.uint8)


def read(content: bytes, rules: ReadingRules = DEFAULT_RULES) -> npt.NDArray[np.int64]:
    return np.asarray(decode(content, max_pixels=10**6, rules=rules)).astype(np.int64)


# ------------------------------------------------------------------------ planes of TIFF


def planar_tiff(
    pixels: Pixels,
    *,
    order: str = "<",
    photometric: int = 2,
    deflate: bool = False,
    rows: int = 24,
    tile: int = 0,
    extra: int | None = None,
    planes: int = 2,
    sample_format: int = 1,
) -> bytes:
    """Write a TIFF file with one plane after the other."""
    height, width, bands = pixels.shape
    kind = pixels.dtype.newbyteorder("<" if order == "<" else ">")
    pieces = []
    for band in range(bands):
        plane = pixels[..., band].astype(kind)
        if tile:
            padded = np.pad(plane, ((0, -height % tile), (0, -width % tile)))
            pieces += [
                padded[y : y + tile, x : x + tile].tobytes()
                for y in range(0, height, tile)
                for x in range(0, width, tile)
            ]
        else:
            pieces += [plane[y : y + rows].tobytes() for y in range(0, height, rows)]
    pieces = [zlib.compress(piece) for piece in pieces] if deflate else pieces
    sizes = [len(piece) for piece in pieces]
    starts = [8 + sum(sizes[:i]) for i in range(len(sizes))]
    tags: dict[int, list[int]] = {
        256: [width],
        257: [height],
        258: [pixels.dtype.itemsize * 8] * bands,
        259: [8 if deflate else 1],
        262: [photometric],
        277: [bands],
        284: [planes],
        339: [sample_format],
        **({} if extra is None else {338: [extra]}),
        **({322: [tile], 323: [tile], 324: starts, 325: sizes} if tile else {}),
        **({} if tile else {273: starts, 278: [rows], 279: sizes}),
    }
    body = b"".join(pieces)
    place = 8 + len(body) + 2 + 12 * len(tags) + 4
    entries, beyond = b"", b""
    for tag, values in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(values)}I", *values)
        entries += struct.pack(f"{order}HHI", tag, 4, len(values))
        entries += raw if len(raw) == 4 else struct.pack(f"{order}I", place + len(beyond))
        beyond += raw if len(raw) > 4 else b""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return start + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + beyond


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "layout", [{}, {"rows": 5}, {"tile": 16}, {"deflate": True}, {"deflate": True, "tile": 16}]
)
@pytest.mark.parametrize("extra", [None, 2, "untold"])
def test_planes_are_read_right(
    order: str, bits: int, layout: dict[str, int], extra: int | str | None
) -> None:
    pixels = COLOURS.astype(f"uint{bits}") * (257 if bits == 16 else 1)
    if extra is not None:
        pixels = np.dstack([pixels, np.full_like(pixels[..., :1], 2**bits - 1)])
    told = {"extra": extra} if isinstance(extra, int) else {}
    found = read(planar_tiff(pixels, order=order, **layout, **told))  # type: ignore[arg-type]
    assert np.abs(found - COLOURS).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_single_deep_plane_is_read_right(order: str) -> None:
    grey = (COLOURS[..., :1].astype(np.uint16)) * 257
    assert np.array_equal(read(planar_tiff(grey, order=order, photometric=1))[..., 0], X * 6)


def test_a_fourth_plane_that_means_nothing_is_left_out() -> None:
    pixels = np.dstack([COLOURS, COLOURS[..., :1]]).astype(np.uint16) * 257
    assert np.abs(read(planar_tiff(pixels, extra=0)) - COLOURS).max() <= 1


@pytest.mark.parametrize(
    ("photometric", "extra", "words"),
    [(5, None, "16-bit CMYK in separate planes"), (2, 1, "multiplied by alpha in separate planes")],
)
def test_planes_without_a_reader_are_refused_by_name(
    photometric: int, extra: int | None, words: str
) -> None:
    pixels = np.dstack([COLOURS, COLOURS[..., :1]]).astype(np.uint16) * 257
    with pytest.raises(UnreadableImageError, match=words):
        read(planar_tiff(pixels, photometric=photometric, extra=extra))


# ----------------------------------------------------------------- a transparent level of PNG


def png(bits: int, colour: int, rows: list[bytes], width: int, level: bytes) -> bytes:
    """Write a PNG file that calls one level transparent."""
    data, more = zlib.compress(b"".join(b"\0" + row for row in rows)), chunk(b"tRNS", level)
    return png_by_hand(width, len(rows), data, depth=bits, colour=colour, more=more)


def grey_png(bits: int, values: list[int], level: int) -> bytes:
    text = "".join(f"{value:0{bits}b}" for value in values)
    row = int(text, 2).to_bytes(len(text) // 8, "big")
    return png(bits, 0, [row] * 2, len(values), struct.pack(">H", level))


@pytest.mark.parametrize(
    ("bits", "values", "level", "expected"),
    [
        (1, [0, 1, 0, 1, 0, 1, 0, 1], 0, [255, 255] * 4),
        (2, [0, 1, 2, 3], 1, [0, 255, 170, 255]),
        (2, [0, 1, 2, 3], 2, [0, 85, 255, 255]),
        (4, [0, 7], 7, [0, 255]),
        (4, [0, 7], 0, [255, 119]),
        (4, [0, 7], 15, [0, 119]),
        (8, [0, 7], 7, [0, 255]),
        (16, [257 * 9, 257 * 9 + 1], 257 * 9, [255, 9]),
        (16, [0, 257], 0, [255, 1]),
    ],
)
def test_a_transparent_grey_becomes_white(
    bits: int, values: list[int], level: int, expected: list[int]
) -> None:
    found = read(grey_png(bits, values, level))
    assert found[0].tolist() == [[value] * 3 for value in expected]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_becomes_white(bits: int) -> None:
    kind, factor = ("B", 1) if bits == 8 else ("H", 257)
    row = struct.pack(f">6{kind}", *(value * factor for value in (9, 20, 30, 9, 20, 31)))
    level = struct.pack(">3H", *(value * factor for value in (9, 20, 30)))
    assert read(png(bits, 2, [row], 2, level))[0].tolist() == [[255] * 3, [9, 20, 31]]


def test_palettes_keep_an_alpha_for_each_colour() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    image.putpalette([100, 0, 0] * 3)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=b"\x00\x80\xff")
    reds = read(stream.getvalue())[0, :, 0]
    assert (reds[0], reds[2]) == (255, 100)
    assert 175 <= reds[1] <= 180


def test_the_first_rules_read_planes_as_they_did() -> None:
    content = planar_tiff(np.dstack([COLOURS[..., i] for i in range(3)]).astype(np.uint16) * 257)
    found = read(content, FIRST_RULES).astype(np.uint8)
    # what the Frostline that wrote format 3 made of it
    assert hashlib.sha256(found.tobytes()).hexdigest().startswith("f3644eac3a877564")
    assert not np.array_equal(found, read(content))


def test_the_first_rules_compare_as_they_did() -> None:
    found = read(grey_png(4, [0, 7], 7), FIRST_RULES)
    assert found[0, :, 0].tolist() == [0, 119]


# ------------------------------------------------------------------------ orientation


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(("exif", "turned"), [(None, True), (6, True), (1, False)])
def test_xmp_turns_where_exif_says_nothing(kind: str, exif: int | None, turned: bool) -> None:
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
    xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""
    tags = Image.Exif()
    if exif is not None:
        tags[0x0112] = exif
    stream = io.BytesIO()
    Image.fromarray(COLOURS).save(stream, kind, xmp=xmp, exif=tags)
    assert read(stream.getvalue()).shape[:2] == ((40, 24) if turned else (24, 40))


# ------------------------------------------------------------------------ integers


@pytest.mark.parametrize(
    ("kind", "words"),
    [("<i2", "signed 16-bit values"), ("<i4", "signed 32-bit values"), ("<u4", "32-bit values")],
)
def test_integers_that_mean_nothing_are_named_by_their_kind(kind: str, words: str) -> None:
    pixels = np.full((24, 8, 1), 5, kind)
    sign = 1 if kind[1] == "u" else 2
    content = planar_tiff(pixels, photometric=1, planes=1, sample_format=sign)
    with pytest.raises(UnreadableImageError, match="and no image of training") as caught:
        read(content)
    assert caught.value.reason.startswith(words)


# ------------------------------------------------------------------------ too many pixels


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_too_large_names_the_option_that_reads_it(beside: bool, tmp_path: Path) -> None:
    Image.new("1", (300, 200)).save(tmp_path / "large.png")
    if beside:
        Image.new("1", (9, 9)).save(tmp_path / "small.png")
    words = ["predict", str(MODEL), str(tmp_path), "--csv", "--max-pixels"]
    said = CliRunner().invoke(app, [*words, "50000"])
    assert said.exit_code == (0 if beside else 2)
    assert "0.06 megapixels, the limit is 0.05" in " ".join(said.stderr.split())
    assert said.stderr.count("--max-pixels") == 1
    said = CliRunner().invoke(app, [*words, "60000"])
    assert said.exit_code == 0
    assert "--max-pixels" not in said.stderr
