"""What the header of an image file tells, without decoding a pixel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from frostline.core.errors import UnreadableImageError
from frostline.data.decoding.file_facts import FileFacts, file_facts_of, file_facts_of_origin
from frostline.data.decoding.image_refs import PixelImage


def content(kind: str, *, size: tuple[int, int] = (96, 64), **options: Any) -> bytes:
    picture = Image.fromarray(load_sample_image("china.jpg")).resize(size)
    found = io.BytesIO()
    picture.save(found, kind, **options)
    return found.getvalue()


def facts(source: bytes) -> FileFacts:
    return file_facts_of(source, name="x", max_pixels=10**8)


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010F], found[0x0110], found[0x0112] = "Canon", "Canon EOS 5D", 6
    found.get_ifd(0x8769)[0x9003] = "2021:07:04 15:30:00"
    return found


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    found = facts(content("JPEG", quality=quality))
    assert found.quality == pytest.approx(quality, abs=1)
    assert found.tables is not None
    assert (found.format, found.mode, found.width, found.height) == ("JPEG", "RGB", 96, 64)


def test_colour_that_is_thinned_out_is_named() -> None:
    assert facts(content("JPEG", subsampling=0)).subsampling == "4:4:4"
    assert facts(content("JPEG", subsampling=2)).subsampling == "4:2:0"
    assert facts(content("PNG")).subsampling == ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_camera_and_time_are_read(kind: str) -> None:
    found = facts(content(kind, exif=exif()))
    assert found.camera == "Canon EOS 5D"
    assert (found.orientation, found.hour, found.month) == (6, 15, 7)


def test_no_pixel_of_a_png_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", refuse)
    assert facts(content("PNG")).format == "PNG"


def test_what_is_kept_is_read_back() -> None:
    for source in (content("JPEG", quality=80, exif=exif()), content("PNG")):
        found = facts(source)
        assert FileFacts.from_row(*found.to_row()) == found
    assert FileFacts.from_row(np.zeros(8), np.zeros(280, dtype=np.uint8)) is None


def test_a_damaged_file_is_refused_and_none_is_no_facts(tmp_path: Path) -> None:
    broken = content("JPEG")[:40]
    with pytest.raises(UnreadableImageError):
        facts(broken)
    path = tmp_path / "broken.jpg"
    path.write_bytes(broken)
    assert file_facts_of_origin(path, name="x", max_pixels=10**8) is None
    held = PixelImage(lambda: np.zeros((4, 4, 3), dtype=np.uint8))
    assert file_facts_of_origin(held, name="x", max_pixels=10**8) is None
