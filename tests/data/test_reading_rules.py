"""What values, a fourth band and a colour profile mean: one rule for a set, kept with the model."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.compute.set_values import measure_set
from frostline.core.errors import UnreadableImageError
from frostline.core.reading_rules import DEFAULT_RULES, FIRST_RULES, ReadingRules, ValueRange
from frostline.core.runtime import Runtime
from frostline.data.decoding.decode import decode
from frostline.data.decoding.value_ranges import SetValues, may_be_special
from frostline.data.sources.open_source import open_source
from frostline.wording.values import values_sentences
from tests.data.bombs import png_by_hand

Pixels = npt.NDArray[Any]
Y, X = np.mgrid[0:24, 0:36]
GREY = ((X * 7 + Y * 5) % 256).astype(np.uint8)
RGB = np.stack([GREY, GREY.astype(int) * 3 % 256, X * 3], axis=2).astype(np.uint8)
BAND = ((X * 11 + Y * 3) % 256).astype(np.uint8)
#: a wheel of colours, which a profile moves
WHEEL = np.asarray(Image.merge("HSV", [Image.fromarray(GREY)] * 3).convert("RGB"))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(content: bytes, rules: ReadingRules = DEFAULT_RULES) -> npt.NDArray[np.int64]:
    return np.asarray(decode(content, max_pixels=10**6, rules=rules)).astype(np.int64)


# ------------------------------------------------------------- models of formats 1 to 3

#: the first hex digits of what the Frostline that wrote format 3 made of each
THEN = {
    "c7f17ca6ecb26c73": encoded(Image.fromarray(GREY.astype(np.uint16) * 16)),
    "9cec0ea28093aacb": encoded(Image.fromarray(GREY.astype(np.int32) * 20 - 1024), "TIFF"),
    "6b92842b89f70357": encoded(Image.fromarray((GREY / 200).astype(np.float32)), "TIFF"),
    "c43d4db0de796962": encoded(Image.fromarray(np.dstack([RGB, BAND]))),
    "fe5a947be476aa50": encoded(Image.merge("LA", list(map(Image.fromarray, (GREY, BAND))))),
    "42bbaa3bfb11b671": encoded(Image.fromarray(GREY & 15).convert("P"), transparency=3),
}


@pytest.mark.parametrize("digest", THEN)
def test_the_first_rules_give_the_same_bits_as_then(digest: str) -> None:
    image = decode(THEN[digest], max_pixels=10**6, rules=FIRST_RULES)
    assert hashlib.sha256(np.asarray(image).tobytes()).hexdigest().startswith(digest)


def test_the_first_rules_know_no_profile() -> None:
    content = encoded(Image.fromarray(WHEEL), icc_profile=swapped_profile())
    assert np.array_equal(read(content, FIRST_RULES), WHEEL)


# ------------------------------------------------------------------ values of a set


def grey_set(folder: Path, make: Callable[[int], Image.Image], ending: str, n: int = 6) -> Path:
    for i in range(n):
        target = folder / "ab"[i % 2] / f"{i}.{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        make(i).save(target)
    return folder


def measured(folder: Path) -> SetValues:
    catalog = open_source(folder)
    return measure_set(catalog, Runtime(max_pixels=10**6, workers=2))


def sixteen(factor: int) -> Callable[[int], Image.Image]:
    return lambda i: Image.fromarray(np.roll(GREY, i, 1).astype(np.uint16) * factor)


def floats(scale: float, shift: float = 0.0) -> Callable[[int], Image.Image]:
    return lambda i: Image.fromarray((np.roll(GREY, i, 1) / 255 * scale + shift).astype(np.float32))


def whole(factor: int, shift: int) -> Callable[[int], Image.Image]:
    return lambda i: Image.fromarray(np.roll(GREY, i, 1).astype(np.int32) * factor + shift)


@pytest.mark.parametrize(
    ("make", "ending", "low", "high"),
    [
        (sixteen(1), "png", 0, 255),
        (sixteen(4), "png", 0, 1023),
        (sixteen(16), "tif", 0, 4095),
        (sixteen(257), "png", 0, 65535),
        (whole(13, 0), "tif", 0, 4095),
        (floats(1.0), "tif", 0, 1),
        (floats(1.001), "tif", 0, 1),
        (floats(255.0), "tif", 0, 255),
        (floats(254.0, 0.7), "tif", 0, 255),
        (floats(2.0, -1.0), "tif", -1, 1),
        (floats(0.2), "tif", 0, 0.2),
        (floats(9000.0, 1000.0), "tif", 1000, 10000),
        (whole(16, -1024), "tif", -1024, 3056),
        (whole(20, -3000), "tif", -1024, 2100),
        (whole(4000, 0), "tif", 0, 1_020_000),
    ],
)
def test_a_set_has_one_range(
    make: Callable[[int], Image.Image], ending: str, low: float, high: float, tmp_path: Path
) -> None:
    found = measured(grey_set(tmp_path, make, ending))
    span = found.rules.integers or found.rules.floats
    assert span is not None
    assert span.low == pytest.approx(low, abs=0.02 * (high - low))
    assert span.high == pytest.approx(high, rel=0.02)
    (sentence,) = values_sentences(found)
    assert sentence.startswith("6 files hold")
    content = next(tmp_path.rglob(f"*.{ending}")).read_bytes()
    assert np.ptp(read(content, found.rules)) > 180, "the pictures use the whole range"


def test_pictures_that_are_nearly_equal_stay_so(tmp_path: Path) -> None:
    def make(i: int) -> Image.Image:
        values = (GREY / 255).astype(np.float32)
        values[0, 0] = 1.0 + 0.001 * (i % 2)
        return Image.fromarray(values)

    rules = measured(grey_set(tmp_path, make, "tif")).rules
    one, other = (read((tmp_path / name).read_bytes(), rules) for name in ("a/0.tif", "b/1.tif"))
    assert np.abs(one - other).max() <= 1


def test_files_that_count_from_white_are_turned(tmp_path: Path) -> None:
    white = grey_set(tmp_path / "white", sixteen(16), "tif")
    for path in white.rglob("*.tif"):
        with Image.open(path) as image:
            values = np.asarray(image)
        Image.fromarray(values).save(path, tiffinfo={262: 0})
    found = measured(white)
    assert found.white_is_zero == 6
    assert "6 files count from white" in values_sentences(found)[-1]
    # as Pillow turns those of 8 bits
    eight = encoded(Image.fromarray(255 - GREY))
    sixteen_bits = (white / "a" / "0.tif").read_bytes()
    assert np.abs(read(sixteen_bits, found.rules) - read(eight)).max() <= 1


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "webp", "ppm", "gif"])
def test_plain_files_are_not_measured(kind: str, tmp_path: Path) -> None:
    folder = grey_set(tmp_path, lambda i: Image.fromarray(np.roll(RGB, i, 1)), kind)
    catalog = open_source(folder)
    assert not catalog.special
    assert measured(folder) == SetValues()


def test_a_given_test_part_is_not_measured(tmp_path: Path) -> None:
    grey_set(tmp_path / "train", sixteen(4), "png")
    grey_set(tmp_path / "test", sixteen(200), "png")
    found = measured(tmp_path)
    assert found.rules.integers == ValueRange(low=0, high=1023)
    assert found.measured == 6


@pytest.mark.parametrize("mode", ["F", "I"])
def test_values_that_no_training_had_are_refused(mode: str) -> None:
    content = encoded(Image.fromarray(GREY).convert(mode), "TIFF")
    with pytest.raises(UnreadableImageError, match="no image of training had such"):
        read(content)


def test_sixteen_bits_mean_their_whole_range_where_nothing_was_measured() -> None:
    content = encoded(Image.fromarray(GREY.astype(np.uint16) * 257))
    assert np.array_equal(read(content)[..., 0], GREY)


def test_dark_colour_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for i in range(3):
            deep = (np.roll(RGB, i + 3 * (name == "b"), 1).astype(int) * 16).astype(">u2")
            (folder / name / f"{i}.png").write_bytes(png_of_16_bits(deep))
    found = measured(folder)
    assert found.dark_colour == 6
    assert "8 bits a channel" in values_sentences(found)[0]


def png_of_16_bits(pixels: Pixels) -> bytes:
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png_by_hand(width, height, zlib.compress(rows), depth=16, colour=2)


# ------------------------------------------------------------------ the fourth band


def test_a_measured_band_is_left_out_for_the_whole_set(tmp_path: Path) -> None:
    def make(i: int) -> Image.Image:
        noise = np.random.default_rng(i).integers(1, 250, GREY.shape).astype(np.uint8)
        return Image.fromarray(np.dstack([np.roll(RGB, i, 1), noise]))

    found = measured(grey_set(tmp_path, make, "png"))
    assert found.rules.fourth_band == "ignored"
    assert "left out" in values_sentences(found)[0]
    content = (tmp_path / "a" / "0.png").read_bytes()
    assert np.array_equal(read(content, found.rules), RGB)
    # a palette has no band of its own: what it calls transparent is
    clear = THEN["42bbaa3bfb11b671"]
    assert np.array_equal(read(clear, found.rules), read(clear))


@pytest.mark.parametrize("solid", ["half", "soft edge", "watermark"])
def test_transparency_stays_transparency(solid: str, tmp_path: Path) -> None:
    alpha = np.where(X < 18, 255, 0)
    if solid == "soft edge":
        alpha = np.clip((X - 10) * 40, 0, 255)
    if solid == "watermark":
        alpha = np.full_like(X, 128)
    image = np.dstack([RGB, alpha.astype(np.uint8)])
    found = measured(grey_set(tmp_path, lambda i: Image.fromarray(np.roll(image, i, 1)), "png"))
    assert found.transparent
    assert found == SetValues(
        transparent=found.transparent, measured=found.measured, candidates=found.candidates
    )


@pytest.mark.parametrize("extra", [None, 0])
def test_a_fourth_band_of_a_tiff_is_no_transparency_unless_a_tag_says_so(extra: int | None) -> None:
    content = tiff_of_four_bands(np.dstack([RGB, BAND]), extra)
    assert np.array_equal(read(content), RGB)


def test_a_band_that_nothing_explains_is_said(tmp_path: Path) -> None:
    for i in range(6):
        target = tmp_path / "ab"[i % 2] / f"{i}.tif"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(tiff_of_four_bands(np.roll(np.dstack([RGB, BAND]), i, 1), None))
    found = measured(tmp_path)
    assert found.unexplained_bands == 6
    assert values_sentences(found) == [
        "6 files have a fourth band of which nothing says what it is: it is left out."
    ]


def test_a_tag_makes_a_fourth_band_transparency() -> None:
    content = tiff_of_four_bands(np.dstack([RGB, np.zeros_like(BAND)]), 2)
    assert (read(content) == 255).all()


def tiff_of_four_bands(pixels: Pixels, extra: int | None) -> bytes:
    """Write an uncompressed TIFF file; Pillow itself always writes the tag."""
    height, width = pixels.shape[:2]
    body = pixels.astype(np.uint8).tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 4, 8), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 4), (278, 3, 1, height)]
    tags += [(279, 4, 1, len(body))]
    if extra is not None:
        tags.append((338, 3, 1, extra))
    bits = 8 + len(body)
    directory = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        directory += struct.pack("<HHI", tag, kind, count)
        directory += struct.pack("<I", bits if tag == 258 else value)
    start = bits + 8
    head = struct.pack("<2sHI", b"II", 42, start)
    return head + body + struct.pack("<4H", 8, 8, 8, 8) + directory + struct.pack("<I", 0)


@pytest.mark.parametrize(("alpha", "shown"), [(0, "colours"), (128, "lighter")])
def test_an_unused_band_of_a_bmp_is_none(alpha: int, shown: str) -> None:
    header = struct.pack("<IiiHHIIiiII", 108, 36, -24, 1, 32, 3, 24 * 36 * 4, 0, 0, 0, 0)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    body = np.dstack([RGB[..., ::-1], np.full_like(GREY, alpha)]).tobytes()
    info = (header + masks).ljust(108, b"\0")
    content = struct.pack("<2sIHHI", b"BM", 14 + 108 + len(body), 0, 0, 14 + 108) + info + body
    found = read(content)
    if shown == "colours":
        assert np.array_equal(found, RGB)
    else:
        assert found.mean() > RGB.mean() + 30


# ------------------------------------------------------------------------ profiles


def swapped_profile() -> bytes:
    """Return sRGB's profile with red and blue changed about."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(struct.unpack_from(">I", content, 128)[0]):
        entry = 132 + 12 * i
        kind = bytes(content[entry : entry + 4])
        if kind in (b"rXYZ", b"bXYZ"):
            content[entry : entry + 4] = b"bXYZ" if kind == b"rXYZ" else b"rXYZ"
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_is_converted(kind: str) -> None:
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    flat = Image.new("RGB", (16, 16), (200, 40, 40))
    found = read(encoded(flat, kind, icc_profile=swapped_profile(), **options))
    assert np.abs(found[8, 8] - [40, 40, 200]).max() <= 6
    plain = read(encoded(flat, kind, **options))
    assert np.abs(plain[8, 8] - [200, 40, 40]).max() <= 6


@pytest.mark.parametrize("profile", ["sRGB", "broken", "of another space"])
def test_other_profiles_change_nothing(profile: str) -> None:
    made = {
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "broken": b"\0" * 200,
        "of another space": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    }
    content = encoded(Image.fromarray(WHEEL), icc_profile=made[profile])
    assert np.array_equal(read(content), WHEEL)


def test_a_profile_stays_with_transparency_and_greys() -> None:
    rgba = Image.new("RGBA", (4, 4), (200, 40, 40, 128))
    found = read(encoded(rgba, icc_profile=swapped_profile()))
    # half of the converted colour, half white
    assert np.abs(found[0, 0] - [147, 147, 227]).max() <= 3
    grey = encoded(Image.fromarray(GREY), icc_profile=swapped_profile())
    assert np.abs(read(grey)[..., 0] - GREY).max() <= 3


def test_many_threads_share_a_profile() -> None:
    content = encoded(Image.fromarray(WHEEL), icc_profile=swapped_profile())
    once = read(content)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: read(content), range(64)):
            assert np.array_equal(found, once)


def test_a_picture_in_memory_is_what_its_file_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(WHEEL).save(path, icc_profile=swapped_profile())
    model = frostline.load(Path(__file__).parents[1] / "model" / "released" / "format-4")
    with Image.open(path) as image:
        assert np.array_equal(model.predict_proba([path]), model.predict_proba([image]))
        older = frostline.load(Path(__file__).parents[1] / "model" / "released" / "format-3")
        assert np.array_equal(older.predict_proba([path]), older.predict_proba([image]))


# --------------------------------------------------------------------- a whole run


@pytest.mark.parametrize("kind", ["png", "tif", "pgm", "jp2"])
def test_files_tell_by_their_beginning(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(GREY.astype(np.uint16) * 16).save(path)
    assert may_be_special(path.read_bytes()[:64])


def test_a_model_reads_as_it_was_taught(digit_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "deep"
    for path in digit_folder.rglob("*.png"):
        target = source / path.relative_to(digit_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        Image.fromarray(np.rint(grey / 255 * 4095).astype(np.uint16)).save(target)
    run = tmp_path / "run"
    options = ["--effort", "fast", "--input-size", "32"]
    said = CliRunner().invoke(app, ["fit", str(source), "-o", str(run), *options])
    assert said.exit_code == 0, said.output
    assert "4095 is white" in " ".join((said.stdout + said.stderr).split())
    audit = json.loads((run / "audit.json").read_text())
    assert audit["values"]["integers"] == 48
    card = json.loads((run / "model" / "model.json").read_text())
    assert card["preprocessing"]["reading"]["integers"] == {"low": 0.0, "high": 4095.0}
    # a file of 12 bits is the same picture as one of 8
    deep = sorted(source.rglob("*.png"))[:3]
    plain = [digit_folder / path.relative_to(source) for path in deep]
    model = frostline.load(run)
    # the digits are grey, and 12 bits round to the same 8
    eight_bits = [Image.open(path).convert("L") for path in plain]
    assert np.array_equal(model.predict_proba(deep), model.predict_proba(eight_bits))
    onnx = tmp_path / "model.onnx"
    assert CliRunner().invoke(app, ["export", str(run), "-o", str(onnx)]).exit_code == 0
    assert frostline.load(onnx).card.preprocessing.reading.integers == ValueRange(low=0, high=4095)
    assert np.allclose(frostline.load(onnx).predict_proba(deep), model.predict_proba(deep))
