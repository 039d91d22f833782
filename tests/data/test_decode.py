"""The decoder: exact pixels for every mode, a short reason for everything else."""

from __future__ import annotations

import io
import os
import random
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, features
from sklearn.datasets import load_sample_images

from frostline.core.errors import UnreadableImageError
from frostline.core.preprocessing import Preprocessing
from frostline.core.reading_rules import DEFAULT_RULES, FIRST_RULES, ReadingRules
from frostline.data.decoding.decode import FORMATS, N_PIXELS, decode
from tests.data.bombs import png_by_hand

Photo = Callable[..., Image.Image]
LIMIT = 1_000_000


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content: bytes | Path, rules: ReadingRules = DEFAULT_RULES) -> npt.NDArray[np.int64]:
    image = decode(content, max_pixels=LIMIT, rules=rules)
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


def reason(content: bytes | Path, limit: int = LIMIT) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(content, max_pixels=limit, name="here.png")
    assert caught.value.path == "here.png"
    assert str(caught.value) == f"here.png: {caught.value.reason}."
    return caught.value.reason


def png(width: int, height: int, raw: bytes, *, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG written by hand, so that its header may claim anything."""
    return png_by_hand(width, height, zlib.compress(raw), depth=depth, colour=colour)


# ------------------------------------------------------------------------- colour modes


def test_rgb_is_untouched(photo: Photo) -> None:
    image = photo(1)
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        assert np.array_equal(pixels(encoded(image, kind)), np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_grey_becomes_equal_channels(kind: str) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(
        pixels(encoded(Image.fromarray(grey), kind)), np.repeat(grey[..., None], 3, 2)
    )


def test_bilevel() -> None:
    bits = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    found = pixels(encoded(Image.fromarray(bits).convert("1")))
    assert np.array_equal(found, np.repeat(bits[..., None], 3, 2))


def test_sixteen_bit_png_uses_the_full_range() -> None:
    values = np.array([[0, 128, 257, 1000], [32768, 65278, 65535, 300]], dtype=np.uint16)
    expected = np.round(values / 257)[..., None].repeat(3, 2)
    assert np.array_equal(pixels(encoded(Image.fromarray(values))), expected)
    assert np.array_equal(pixels(encoded(Image.fromarray(values), "TIFF")), expected)


def test_dark_sixteen_bit_pgm_stays_dark() -> None:
    values = np.array([[10, 200], [250, 255]], dtype=">u2")
    content = b"P5 2 2 65535\n" + values.tobytes()
    assert np.array_equal(pixels(content), np.round(values / 257)[..., None].repeat(3, 2))


def test_integer_tiff_by_its_range_under_the_first_rules() -> None:
    def of(values: list[int]) -> list[int]:
        image = Image.fromarray(np.array([values], dtype=np.int32))
        return [int(v) for v in pixels(encoded(image, "TIFF"), FIRST_RULES)[0, :, 0]]

    assert of([0, 128, 255]) == [0, 128, 255]
    assert of([0, 25700, 65535]) == [0, 100, 255]
    assert of([-100, 0, 100]) == [0, 128, 255]
    assert of([0, 500_000, 1_000_000]) == [0, 128, 255]


def test_float_tiff_by_its_range_under_the_first_rules() -> None:
    def of(values: list[float]) -> list[int]:
        image = Image.fromarray(np.array([values], dtype=np.float32))
        return [int(v) for v in pixels(encoded(image, "TIFF"), FIRST_RULES)[0, :, 0]]

    assert of([0.0, 0.2, 1.0]) == [0, 51, 255]
    assert of([0.0, 60.0, 200.0]) == [0, 60, 200]
    assert of([-1.0, 0.0, 1.0]) == [0, 128, 255]
    assert of([0.0, 1000.0, float("nan")]) == [0, 255, 0]
    assert of([7000.0, 7000.0]) == [0, 0]
    nothing = Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32))
    with pytest.raises(UnreadableImageError, match="no finite pixel values"):
        pixels(encoded(nothing, "TIFF"), FIRST_RULES)


def test_alpha_is_laid_over_white() -> None:
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 200, 128]]], dtype=np.uint8)
    alpha = rgba[..., 3:].astype(float) / 255
    expected = np.round(rgba[..., :3] * alpha + 255 * (1 - alpha))
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(pixels(encoded(Image.fromarray(rgba), kind)), expected)


def test_grey_with_alpha_is_laid_over_white() -> None:
    image = Image.new("LA", (2, 1))
    image.putpixel((0, 0), (50, 0))
    image.putpixel((1, 0), (50, 128))
    blended = round(50 * 128 / 255 + 255 * 127 / 255)
    assert pixels(encoded(image))[0].tolist() == [[255] * 3, [blended] * 3]


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


def test_palette_with_and_without_transparency() -> None:
    image = palette_image()
    assert pixels(encoded(image))[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keyed = pixels(encoded(image, transparency=1))
        graded = pixels(encoded(image, transparency=bytes([255, 0, 51])))
    assert keyed[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]
    assert graded[0].tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 255]]


def test_colour_key_transparency() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    found = pixels(encoded(image, transparency=(1, 2, 3)))
    assert found[0].tolist() == [[255, 255, 255], [9, 9, 9]]


def test_cmyk() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert np.abs(pixels(encoded(image, "TIFF")) - [0, 255, 255]).max() == 0
    assert np.abs(pixels(encoded(image, "JPEG", quality=100)) - [0, 255, 255]).max() <= 3


def test_lab_is_refused_by_name() -> None:
    image = Image.new("LAB", (4, 4), (50, 10, 10))
    assert reason(encoded(image, "TIFF")) == "colour mode LAB is not supported"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(pixels(content), np.asarray(frames[0]))


@pytest.mark.parametrize("kind", sorted({"JPEG", "WEBP", "JPEG2000", "AVIF"} & set(FORMATS)))
def test_lossy_formats_come_out_close(kind: str, photo: Photo) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    image = Image.fromarray(np.asarray(photo(3, 64).resize((8, 8)))).resize((64, 64))
    found = pixels(encoded(image, kind, quality=95) if kind != "JPEG2000" else encoded(image, kind))
    assert np.abs(found - np.asarray(image)).mean() < 4


# ------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), dtype=np.uint8)
    upright[:8, :16] = 255  # white quarter, top left
    upright[:8, 16:] = 128
    # how a camera would have stored it, written independently with numpy
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    every: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}
    options = every.get(kind, {})
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    assert np.abs(pixels(content) - upright).max() <= 3


def test_impossible_orientation_counts_as_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    image = Image.new("RGB", (4, 2), "red")
    assert pixels(encoded(image, exif=exif)).shape == (2, 4, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_does_not_cost_the_image() -> None:
    image = Image.new("RGB", (4, 2), "red")
    assert pixels(encoded(image, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")).shape == (2, 4, 3)


# ------------------------------------------------------------------------- limits


def test_size_is_checked_before_decoding() -> None:
    bomb = png(40_000, 40_000, b"")
    assert reason(bomb) == "1,600 megapixels, the limit is 1"
    assert reason(bomb, 100_000_000) == "1,600 megapixels, the limit is 100"
    assert reason(png(1001, 1000, b""), 1_000_999) == "1,001,000 pixels, the limit is 1,000,999"


def test_the_limit_itself_is_allowed() -> None:
    content = encoded(Image.new("RGB", (50, 20)))
    assert decode(content, max_pixels=1000).size == (50, 20)
    assert reason(content, 999) == "0.001 megapixels, the limit is 0.000999"


def test_pillows_own_limit_neither_warns_nor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    content = encoded(Image.new("RGB", (50, 20), "red"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(content, max_pixels=1000).size == (50, 20)
        assert reason(content, 999).startswith("0.001 megapixels")
    assert Image.MAX_IMAGE_PIXELS == 10


# ------------------------------------------------------------------------- damage


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_files_are_never_filled_in(kind: str, photo: Photo) -> None:
    content = encoded(photo(2), kind)
    assert reason(content[: len(content) * 2 // 3]) in {"truncated", "damaged", "damaged header"}


def test_truncated_png_and_jpeg_say_so(photo: Photo) -> None:
    for kind in ("PNG", "JPEG"):
        content = encoded(photo(2), kind)
        assert reason(content[: len(content) // 2]) == "truncated"


def test_not_images(tmp_path: Path) -> None:
    assert reason(b"") == "empty file"
    assert reason(b"hello, this is text") == "text, not an image"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    assert reason(svg) == "SVG, which is not read: save it as PNG or JPEG"
    assert reason(b"\x89PNG\r\n\x1a\n" + bytes(40)) == "damaged header"
    assert reason(tmp_path) == "a folder, not a file"
    assert reason(tmp_path / "absent.png") == "file not found"
    assert reason(Path("nul\0byte.png")) == "cannot be opened"


def test_formats_that_run_programs_are_not_opened() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert reason(eps).startswith("PostScript, which is not read")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "pipe.png") == "not a regular file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(Image.new("RGB", (2, 2))))
    path.chmod(0)
    assert reason(path) == "permission denied"


def test_the_path_names_the_image_by_default(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"text")
    with pytest.raises(UnreadableImageError, match=r"x\.png: .*not an image\."):
        decode(path, max_pixels=LIMIT)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_other_exception_escapes(photo: Photo, capfd: pytest.CaptureFixture[str]) -> None:
    """Cut, flip, delete and repeat bytes of every format; only one error may come out."""
    base = photo(5, 40)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {}),
        ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {}), ("PPM", {}),
        ("JPEG2000", {}), ("MPO", {"save_all": True, "append_images": [base]}),
    ]  # fmt: skip
    seeds = [encoded(base, kind, **options) for kind, options in kinds]
    seeds += [encoded(base.quantize(8), "PNG", transparency=1), encoded(base.convert("RGBA"))]
    rng = random.Random(0)
    outcomes = {"fine": 0, "refused": 0}
    for _ in range(4000):
        content = bytearray(rng.choice(seeds))
        kind = rng.random()
        if kind < 0.3:
            del content[rng.randrange(len(content)) :]
        elif kind < 0.8:
            for _ in range(rng.choice([1, 2, 8])):
                reach = 150 if rng.random() < 0.6 else len(content)
                content[rng.randrange(min(reach, len(content)))] = rng.randrange(256)
        else:
            start = rng.randrange(len(content))
            piece = content[start : start + 50]
            content[start : start + 50] = piece + piece if rng.random() < 0.5 else b""
        try:
            assert decode(bytes(content), max_pixels=LIMIT).mode == "RGB"
            outcomes["fine"] += 1
        except UnreadableImageError as error:
            assert 0 < len(error.reason) < 60
            outcomes["refused"] += 1
    capfd.readouterr()  # libtiff writes to the error stream by itself
    assert min(outcomes.values()) > 400


def test_threads_agree_with_one(photo: Photo) -> None:
    contents = [encoded(photo(seed), "JPEG") for seed in range(24)]
    one = [pixels(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(pixels, contents))
    assert all(np.array_equal(a, b) for a, b in zip(one, many, strict=True))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("photo", [0, 1])
def test_large_jpegs_are_decoded_smaller_and_prepared_nearly_alike(
    tmp_path: Path, photo: int, orientation: int
) -> None:
    array = load_sample_images().images[photo]
    large = Image.fromarray(array).resize((4000, 3000), Image.Resampling.LANCZOS)
    path = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    large.save(path, quality=90, exif=exif)
    preprocessing = Preprocessing()
    whole = decode(path, max_pixels=10**8)
    small = decode(path, max_pixels=10**8, at_least=preprocessing.decode_at_least)
    assert min(small.size) == 750, "a quarter of 3000; an eighth is below 512"
    assert (small.width > small.height) == (whole.width > whole.height)
    assert small.info[N_PIXELS] == whole.info[N_PIXELS] == 4000 * 3000
    difference = np.abs(
        preprocessing.apply(small).astype(int) - preprocessing.apply(whole).astype(int)
    )
    assert difference.mean() < 0.5
    assert difference.max() <= 4


@pytest.mark.parametrize(
    ("name", "size"), [("a.jpg", (900, 1000)), ("b.jpg", (3001, 3002)), ("a.png", (3000, 3000))]
)
def test_small_jpegs_and_other_formats_are_decoded_whole(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    Image.new("RGB", size, "teal").save(tmp_path / name)
    assert decode(tmp_path / name, max_pixels=10**8, at_least=512).size == size
