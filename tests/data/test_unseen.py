"""Ends that are cropped, blanks and further pages are counted, named and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.compute.image_loader import ImageLoader, LoadedImage
from frostline.core.preprocessing import Preprocessing
from frostline.data.sources.open_source import open_source
from frostline.data.unseen import Blank, PictureFacts, Unseen, find_unseen, shares_seen
from frostline.wording.unseen import crop_sentence, unseen_sentences, unseen_warnings

UInt8Array = npt.NDArray[np.uint8]
PREPROCESSING = Preprocessing(size=32, crop_pct=1.0)
CROPPED = Preprocessing(size=56, crop_pct=0.875)


def digit(number: int, side: int = 64) -> UInt8Array:
    grey = (load_digits().images[number] * 15.9).astype(np.uint8)
    return np.kron(grey, np.ones((side // 8, side // 8), dtype=np.uint8))


def wide(number: int, *, at: int, width: int = 320) -> UInt8Array:
    """A digit on a long black ground."""
    canvas = np.zeros((64, width), dtype=np.uint8)
    canvas[:, at : at + 64] = digit(number)
    return canvas


def measured(
    folder: Path, preprocessing: Preprocessing = PREPROCESSING
) -> tuple[list[LoadedImage], Unseen]:
    catalog = open_source(folder)
    pictures = ImageLoader(catalog, preprocessing, max_pixels=10**8, workers=0)
    found = []
    for one in pictures.load(catalog.digests):
        assert isinstance(one, LoadedImage)
        found.append(one)
    facts = PictureFacts(
        np.array([(one.width, one.height) for one in found]),
        np.array([one.pages for one in found]),
        np.array([one.blank for one in found]),
    )
    return found, find_unseen(catalog, facts, preprocessing)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with two ordinary pictures each."""
    for i, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k in range(2):
            Image.fromarray(digit(20 + i + 2 * k)).save(tmp_path / "set" / name / f"plain {k}.png")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("width", "height", "shares"),
    [(64, 64, (1.0, 1.0)), (320, 64, (0.2, 1.0)), (64, 256, (1.0, 0.25)), (64, 6400, (1.0, 0.01))],
)
def test_the_shares_that_are_seen_are_those_of_the_crop(
    width: int, height: int, shares: tuple[float, float]
) -> None:
    sizes = np.array([(width, height)])
    np.testing.assert_allclose(shares_seen(sizes, PREPROCESSING), [shares])
    np.testing.assert_allclose(shares_seen(sizes, CROPPED), [np.array(shares) * 0.875], rtol=0.01)
    # a picture that is white only there is white to the model, and a pixel further out is not
    white = np.zeros((height, width), dtype=np.uint8)
    across, down = (
        round(share * side) for share, side in zip(shares, (width, height), strict=True)
    )
    top, left = (height - down) // 2, (width - across) // 2
    white[top : top + down, left : left + across] = 255
    # resampling mixes in what lies just beside
    seen = PREPROCESSING.apply(Image.fromarray(white).convert("RGB"))
    assert seen[2:-2, 2:-2].min() > 245


def test_square_pictures_need_no_word(folder: Path) -> None:
    _, unseen = measured(folder)
    assert unseen_sentences(unseen) == unseen_warnings(unseen) == []
    assert unseen.crop.mean == unseen.crop.square == 0
    _, unseen = measured(folder, CROPPED)
    assert unseen_sentences(unseen) == []
    assert unseen.crop.mean == pytest.approx(1 - 0.875**2, abs=0.01)


def test_ordinary_photographs_are_mentioned_and_no_warning(folder: Path) -> None:
    for i in range(6):
        image = np.pad(digit(i), ((0, 0), (0, 22)), mode="edge")
        Image.fromarray(image).save(folder / "a" / f"{i}.png")
    _, unseen = measured(folder)
    assert 0.15 < unseen.crop.mean < 0.25
    assert unseen.crop.much == 0
    assert len(unseen_sentences(unseen)) == 1
    assert unseen_warnings(unseen) == []


@pytest.mark.parametrize("turn", ["wide", "tall", "by EXIF", "as a JPEG that is scaled"])
def test_long_pictures_are_counted_and_the_longest_is_named(folder: Path, turn: str) -> None:
    for i in range(8):
        image = Image.fromarray(wide(i, at=128, width=320 + (64 if i == 3 else 0)))
        exif = Image.Exif()
        if turn == "tall":
            image = image.transpose(Image.Transpose.ROTATE_90)
        if turn == "by EXIF":
            exif[0x0112] = 6
        if turn.startswith("as"):
            image = image.resize((8 * image.width, 8 * image.height))
        ending = ".jpg" if turn.startswith("as") else ".png"
        image.save(folder / "a" / f"{i}{ending}", exif=exif)
    found, unseen = measured(folder)
    crop = unseen.crop
    assert (crop.images, crop.much, crop.half) == (12, 8, 8)
    assert Path(crop.longest).stem == "3"
    sides = sorted((crop.width, crop.height))
    factor = 8 if turn.startswith("as") else 1
    assert sides == [64 * factor, 384 * factor]
    assert (crop.width < crop.height) == (turn in ("tall", "by EXIF"))
    assert crop.most == pytest.approx(1 - 1 / 6)
    assert crop.mean == pytest.approx((7 * 0.8 + 1 - 1 / 6) / 12)
    assert crop.grave and unseen_warnings(unseen) == [crop_sentence(crop)]
    assert "8 of 12 lose over a third more" in crop_sentence(crop)
    assert len({(one.width, one.height) for one in found}) == 3


def test_a_single_panorama_is_mentioned(folder: Path) -> None:
    for i in range(20):
        Image.fromarray(digit(i)).save(folder / "a" / f"{i}.png")
    Image.fromarray(wide(5, at=128)).save(folder / "b" / "panorama.png")
    _, unseen = measured(folder)
    assert "panorama.png (320 x 64), loses 80%" in unseen_sentences(unseen)[0]
    assert unseen_warnings(unseen) == []


def white_on_nothing(path: Path) -> None:
    opaque = np.full((64, 64, 3), 255, dtype=np.uint8)
    Image.fromarray(np.dstack([opaque, digit(3)])).save(path)


def clear_palette(path: Path) -> None:
    image = Image.fromarray(digit(3) // 128).convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(path, transparency=0)


@pytest.mark.parametrize(
    ("name", "write", "blank"),
    [
        ("ink.png", white_on_nothing, Blank.WHITE),
        ("palette.png", clear_palette, Blank.WHITE),
        ("paper.jpg", lambda path: Image.new("RGB", (640, 480), "white").save(path), Blank.WHITE),
        ("black.png", lambda path: Image.new("L", (64, 64)).save(path), Blank.WHOLE),
        ("grey.jpg", lambda path: Image.new("L", (64, 64), 90).save(path), Blank.WHOLE),
        ("end.png", lambda path: Image.fromarray(wide(0, at=0)).save(path), Blank.MIDDLE),
        ("middle.png", lambda path: Image.fromarray(wide(0, at=128)).save(path), Blank.NO),
        ("digit.png", lambda path: Image.fromarray(digit(0)).save(path), Blank.NO),
    ],
)
def test_what_is_blank(folder: Path, name: str, write: Callable[[Path], Any], blank: Blank) -> None:
    write(folder / "a" / name)
    found, unseen = measured(folder)
    assert sorted(one.blank for one in found) == [*[Blank.NO] * 4, blank]
    if blank == Blank.NO:
        assert unseen.blank is None
        return
    assert unseen.blank is not None
    assert (unseen.blank.count, unseen.blank.examples) == (1, (f"a/{name}",))
    said = unseen_sentences(unseen)[0]
    assert unseen_warnings(unseen)[0] == said
    assert "1 of 5 pictures shows one colour" in said and name in said
    assert ("laid on white" in said) == (blank == Blank.WHITE)
    assert ("something at the ends" in said) == (blank == Blank.MIDDLE)


def pages(*numbers: int, side: int = 64) -> list[Image.Image]:
    return [Image.fromarray(digit(number, side)) for number in numbers]


@pytest.mark.parametrize(
    ("kept", "options", "expected"),
    [
        (pages(0), {}, 1),
        (pages(0, 1, 2), {}, 3),
        (pages(0, 1, 2), {"compression": "tiff_lzw"}, 3),
        (pages(0, 1), {"big_tiff": True}, 2),
        # a pyramid, and a page with its preview
        ([*pages(0), *pages(0, side=32), *pages(0, side=16)], {}, 1),
        ([*pages(0), *pages(0, side=8), *pages(1)], {}, 2),
    ],
)
def test_pages_of_one_size_are_counted(
    folder: Path, kept: list[Image.Image], options: dict[str, Any], expected: int
) -> None:
    path = folder / "b" / "stack.tif"
    kept[0].save(path, save_all=True, append_images=kept[1:], **options)
    _, unseen = measured(folder)
    if expected == 1:
        assert unseen.pages is None
        return
    assert unseen.pages is not None
    assert (unseen.pages.files, unseen.pages.pages) == (1, expected)
    assert "only the first page of each is read" in unseen_sentences(unseen)[0]
    assert "stack.tif" in unseen_sentences(unseen)[0]


def test_it_is_said_in_the_terminal_in_the_audit_and_on_the_first_screen(tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        numbers = np.flatnonzero(load_digits().target == k)[:8]
        for i in range(8):
            stack = [Image.fromarray(wide(n, at=0)) for n in numbers[[i, (i + 1) % 8]]]
            stack[0].save(
                tmp_path / "set" / name / f"{i}.tif", save_all=True, append_images=stack[1:]
            )
    run = tmp_path / "run"
    done = CliRunner().invoke(
        app,
        [
            "fit",
            str(tmp_path / "set"),
            "-o",
            str(run),
            "--effort",
            "fast",
            "--input-size",
            "32",
            "--strategy",
            "head",
            "--resize",
            "crop",
        ],
        env={"COLUMNS": "4000"},
    )
    assert done.exit_code == 0, done.output
    audit = json.loads((run / "audit.json").read_text())
    caveats = json.loads((run / "metrics.json").read_text())["caveats"]
    unseen = audit["unseen"]
    assert unseen["crop"]["mean"] > 0.8 and unseen["crop"]["much"] == 16
    assert (unseen["blank"]["count"], unseen["blank"]["middle"]) == (16, 16)
    assert (unseen["pages"]["files"], unseen["pages"]["pages"]) == (16, 32)
    assert len(unseen["blank"]["examples"]) == 5
    said = "\n".join(caveats)
    assert "16 of 16 pictures show one colour" in said and "middle square" in said
    assert "labels may be wrong" not in said
    report = (run / "report.html").read_text()
    for word in ("several pages", "middle square", "16 of 16 pictures show one colour"):
        assert word in done.output
        assert word in report
        assert any(word in note for note in audit["notes"])
