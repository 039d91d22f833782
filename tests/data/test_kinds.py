"""What a file really is, pages, half files and the kinds that extras read."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.core.errors import UnreadableImageError
from frostline.data.decoding.decode import EXTENSIONS, N_PAGES, decode
from frostline.data.decoding.extra_plugins import jxl_sides
from frostline.data.sources.open_source import open_source

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-4"
LIMIT = 10**6


def boxed(*brands: bytes) -> bytes:
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(64)


BYTES: dict[str, tuple[bytes, str]] = {
    "DICOM": (bytes(128) + b"DICM" + bytes(50), "DICOM"),
    "a film in its container": (boxed(b"isom", b"avc1"), "a film"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(60), "a film"),
    "CR3": (boxed(b"crx ", b"isom"), "a camera's raw file"),
    "CR2": (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(60), "a camera's raw file"),
    "RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(60), "a camera's raw file"),
    "LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a Git LFS pointer, not an image: run 'git lfs pull'",
    ),
    "HTML": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page, not an image"),
    "HTML after a comment": (b"<!-- 502 -->\n<HTML lang='en'>", "an HTML page"),
    "XML": (b"<?xml version='1.0'?><Error/>", "XML, not an image"),
    "SVG": (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "PDF": (b"%PDF-1.7\n" + bytes(60), "a PDF, not an image"),
    "JSON": (b'{"error": "not found"}', "JSON, not an image"),
    "zeros": (bytes(4096), "nothing but zeros, not an image"),
    "NumPy": (b"\x93NUMPY\x01\x00v\x00{'descr'" + bytes(30), "a NumPy array"),
    "ZIP": (b"PK\x03\x04" + bytes(60), "a ZIP archive, not an image: unpack it"),
    "resource fork": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(60), "a resource fork"),
    "NIfTI": (bytes(344).replace(b"\0\0\0\0", b"\\\1\0\0", 1) + b"n+1\0" + bytes(4), "NIfTI"),
    "Photoshop": (b"8BPS\x00\x01" + bytes(60), "a Photoshop file"),
    "OpenEXR": (b"v/1\x01\x02" + bytes(60), "OpenEXR"),
    "HEIC in a box of 256 bytes": (
        struct.pack(">I4s4sI", 256, b"ftyp", b"isom", 0) + b"avc1" * 60 + bytes(64),
        "a film",
    ),
    "words": (b"MZ is no program, and BZh no archive", "text, not an image"),
    "noise": (bytes(np.random.default_rng(3).integers(128, 255, 200, np.uint8)), "not an image"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_the_real_kind_is_named(kind: str, tmp_path: Path) -> None:
    content, words = BYTES[kind]
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        decode(path, max_pixels=LIMIT)
    assert caught.value.reason.startswith(words)
    assert str(tmp_path) not in caught.value.reason


def test_every_command_names_it(digit_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "set"
    for path in digit_folder.rglob("*.png"):
        target = source / path.relative_to(digit_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    one = sorted(folder for folder in source.iterdir())[0]
    (one / "page.jpg").write_bytes(BYTES["HTML"][0])
    (one / "scan.dcm").write_bytes(BYTES["DICOM"][0])
    said = CliRunner().invoke(
        app,
        ["fit", str(source), "-o", str(tmp_path / "run"), "--effort", "fast", "--input-size", "32"],
    )
    assert said.exit_code == 0, said.output
    assert "an HTML page, not an image" in " ".join(said.stderr.split())
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert [row["reason"] for row in audit["unreadable"]] == [
        "an HTML page, not an image: the download failed or needs a login"
    ]
    (left_out,) = audit["understood"]["left_out"]
    assert left_out["really"].startswith("DICOM, which is not read")
    assert "DICOM" in said.stdout + said.stderr
    # every file has its row
    for form in ("--csv", "--json"):
        told = CliRunner().invoke(app, ["predict", str(MODEL), str(one), form])
        assert told.exit_code == 0
        rows: list[dict[str, Any]] = (
            json.loads(told.stdout)
            if form == "--json"
            else list(csv.DictReader(io.StringIO(told.stdout)))
        )
        errors = {Path(row["path"]).name: row["error"] for row in rows if row.get("error")}
        assert errors["scan.dcm"].startswith("DICOM")
        assert errors["page.jpg"].startswith("an HTML page")
        assert len(rows) == 18


# ------------------------------------------------------------------------------- pages


def pages(*sizes: tuple[int, int], **options: Any) -> bytes:
    images = [Image.new("L", size, 9 * i) for i, size in enumerate(sizes)]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", save_all=True, append_images=images[1:], **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (pages((8, 6)), 1),
        (pages((8, 6), (8, 6), (8, 6)), 3),
        (pages((8, 6), (4, 3), (8, 6)), 2),
        (pages((8, 6), (8, 6), big_tiff=True), 2),
        (pages((8, 6), (8, 6), compression="tiff_lzw"), 2),
    ],
)
def test_pages_of_one_size_are_counted(content: bytes, expected: int) -> None:
    assert decode(content, max_pixels=LIMIT).info[N_PAGES] == expected


@pytest.mark.parametrize(
    "tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}, {254: 1, 330: 8, 271: "NIKON"}]
)
def test_a_preview_is_not_taken_for_the_raw_picture(tags: dict[int, Any]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (16, 12)).save(stream, "TIFF", tiffinfo=tags)
    with pytest.raises(UnreadableImageError, match="a camera's raw file"):
        decode(stream.getvalue(), max_pixels=LIMIT)


@pytest.mark.parametrize("tags", [{}, {254: 1}, {271: "NIKON"}])
def test_other_files_of_a_camera_are_read(tags: dict[int, Any]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (16, 12)).save(stream, "TIFF", tiffinfo=tags)
    assert decode(stream.getvalue(), max_pixels=LIMIT).size == (16, 12)


def test_a_loop_of_pages_ends() -> None:
    content = bytearray(pages((8, 6), (8, 6)))
    first = struct.unpack_from("<I", content, 4)[0]
    n = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * n, first)
    assert decode(bytes(content), max_pixels=LIMIT).info[N_PAGES] == 1


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_an_animation_is_one_picture(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (40 * i, 0, 0)) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    assert decode(stream.getvalue(), max_pixels=LIMIT).info[N_PAGES] == 1


# ------------------------------------------------------------------------- half a file


def photo() -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((160, 120))


HALVES: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "PNG": {},
    "WEBP": {"quality": 90},
    "TIFF": {},
    "BMP": {},
    "GIF": {},
    "PPM": {},
    "JPEG2000": {},
    "AVIF": {},
}


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("flag", [False, True])
def test_half_a_file_is_refused_whatever_others_want(
    kind: str, flag: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", flag)
    stream = io.BytesIO()
    photo().save(stream, kind, **HALVES[kind])
    content = stream.getvalue()
    whole = decode(content, max_pixels=LIMIT)
    assert whole.size == (160, 120)
    for share in (0.4, 0.7, 0.9):
        with pytest.raises(UnreadableImageError) as caught:
            decode(content[: int(share * len(content))], max_pixels=LIMIT)
        # it is a kind that is read, and no other remedy helps
        assert "not read" not in caught.value.reason
    assert flag == ImageFile.LOAD_TRUNCATED_IMAGES


def test_broken_data_are_refused_whatever_others_want(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    photo().save(stream, "PNG")
    content = bytearray(stream.getvalue())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    for flag in (False, True):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", flag)
        with pytest.raises(UnreadableImageError):
            decode(bytes(content), max_pixels=LIMIT)


@pytest.mark.parametrize("limit", [None, 1])
def test_limits_of_others_change_nothing(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    stream = io.BytesIO()
    photo().save(stream, "JPEG")
    assert decode(stream.getvalue(), max_pixels=LIMIT).size == (160, 120)
    with pytest.raises(UnreadableImageError, match="the limit is"):
        decode(stream.getvalue(), max_pixels=100)


def test_a_plugin_of_others_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("somebody else's plugin was asked")

    stream = io.BytesIO()
    photo().save(stream, "JPEG")
    for name in ("JPEG", "PNG"):
        monkeypatch.setitem(Image.OPEN, name, (never, lambda _: True))
    assert decode(stream.getvalue(), max_pixels=LIMIT).size == (160, 120)


# ------------------------------------------------------------------- HEIC and JPEG XL


def heic(image: Image.Image, **options: Any) -> bytes:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    return encoded_by(lambda stream: image.save(stream, "HEIF", **options))


def jxl(image: Image.Image, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl")
    return encoded_by(lambda stream: image.save(stream, "JXL", **options))


def encoded_by(save: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["heic", "jxl"])
def test_an_extra_reads_its_kind(kind: str, tmp_path: Path) -> None:
    image = photo()
    content = heic(image, quality=95) if kind == "heic" else jxl(image, lossless=True)
    found = decode(content, max_pixels=LIMIT)
    assert found.size == image.size
    assert np.abs(np.asarray(found).astype(int) - np.asarray(image)).mean() < 6
    with pytest.raises(UnreadableImageError, match="the limit is"):
        decode(content, max_pixels=100)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UnreadableImageError):
            decode(content[: int(share * len(content))], max_pixels=LIMIT)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: decode(content, max_pixels=LIMIT), range(8)):
            assert again.tobytes() == found.tobytes()
    # and its ending is one of an image
    assert f".{kind}" in EXTENSIONS
    for name in "abcd":
        target = tmp_path / "ab"[name > "b"] / f"{name}.{kind}"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content + name.encode() * (kind == "jxl"))
    assert len(open_source(tmp_path)) == 4


@pytest.mark.parametrize("kind", ["heic", "jxl"])
def test_an_extra_keeps_transparency_and_turns_once(kind: str) -> None:
    clear = Image.new("RGBA", (32, 32), (200, 0, 0, 0))
    content = heic(clear, quality=95) if kind == "heic" else jxl(clear, lossless=True)
    assert np.asarray(decode(content, max_pixels=LIMIT)).min() > 245
    if kind == "heic":
        image = Image.new("RGB", (64, 32), (250, 250, 250))
        exif = Image.Exif()
        exif[0x0112] = 6
        assert decode(heic(image, exif=exif.tobytes()), max_pixels=LIMIT).size == (32, 64)


@pytest.mark.parametrize("size", [(160, 120), (64, 64), (256, 8), (13, 700), (1920, 1080), (5, 4)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(
    size: tuple[int, int], container: bool
) -> None:
    content = jxl(Image.new("L", size), use_container=container)
    assert jxl_sides(io.BytesIO(content)) == size


def test_without_an_extra_its_name_is_said() -> None:
    from frostline.data.decoding.file_kinds import kind_of

    for head, extra in ((boxed(b"heic", b"mif1"), "heif"), (b"\xff\x0a" + bytes(20), "jxl")):
        kind = kind_of(head)
        assert kind is not None
        assert f"frostline[{extra}]" in kind.reason
