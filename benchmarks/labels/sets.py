"""Images with several labels, and what the default network says of them, computed once."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.decision.glyphs import (
    LATIN,
    SIZE,
    covering,
    draw,
    find_fonts,
    generator,
)
from frostline.backbones.network import Network
from frostline.compute.frozen import run_frozen
from frostline.core.runtime import Runtime
from frostline.data.sources.open_source import Source, open_source

#: glyph pages: how many, the symbols, and the most of them on one page
PAGES, SYMBOLS, MOST = 1500, "ABEFGHJKMQRSWXabdegs", 4
#: places for symbols along an edge
_EDGE = 3
#: letters as one class each, and of how many fonts
_LETTERS = LATIN[:16]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Taps:
    """A set: taps of every image side by side, and what is known of it.

    ``features``, shape (n, d), with the columns of each tap. ``truth``, shape (n, C) of 0 and 1, or
    (n,) with one class an image. ``groups``, shape (n,): the font, or the image itself.
    """

    features: Array
    blocks: list[slice]
    truth: Array
    groups: Array
    digests: list[str]
    classes: list[str]


def label_sets(fonts: Path, work: Path) -> dict[str, Callable[[], Taps]]:
    """Return what makes every set of several labels, by name."""
    return {
        "glyph pages": lambda: _taps("pages", work, partial(_pages, fonts)),
        "glyph pages, other fonts": lambda: _by_font(
            _taps("pages", work, partial(_pages, fonts)), fonts
        ),
        "solar cells": lambda: _taps("cells", work, _cells),
    }


def class_sets(fonts: Path, solar_cells: Path, work: Path) -> dict[str, Callable[[], Taps]]:
    """Return what makes every set of one class an image, by name."""
    return {
        "solar cells, 4 levels": lambda: _taps("levels", work, lambda: solar_cells),
        "digits": lambda: _taps("digits", work, _digits),
        "glyph letters": lambda: _taps("letters", work, partial(_letters, fonts)),
    }


def page(number: int, fonts: list[Path]) -> tuple[Array, list[str]]:
    """Return a page as pixels (96, 96, 3), and the symbols on it, from 0 to 4 of them."""
    rng = generator("labels", number)
    font = fonts[_font_of(number, len(fonts))]
    chosen = rng.choice(len(SYMBOLS), size=int(rng.integers(0, MOST + 1)), replace=False)
    places = rng.permutation(_EDGE**2)
    found = (
        np.full((_EDGE * SIZE, _EDGE * SIZE, 3), 24.0)
        + rng.normal(0, 8, 3 * [_EDGE * SIZE])[..., :3]
    )
    for symbol, place in zip(chosen.tolist(), places.tolist(), strict=False):
        top, left = (SIZE * int(at) for at in divmod(place, _EDGE))
        here = found[top : top + SIZE, left : left + SIZE]
        np.maximum(here, draw(SYMBOLS[symbol], font, rng), out=here)
    return np.clip(found, 0, 255).astype(np.uint8), [SYMBOLS[symbol] for symbol in chosen]


def page_files(folder: Path, fonts: Path) -> list[tuple[Path, list[str]]]:
    """Write all pages into a folder; return their files and symbols."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen, found = covering(find_fonts(fonts)), []
    for number in range(PAGES):
        pixels, labels = page(number, chosen)
        file = folder / f"{number:04d}.png"
        Image.fromarray(pixels).save(file)
        found.append((file, labels))
    return found


def _font_of(number: int, n_fonts: int) -> int:
    return int(generator("font of a page", number).integers(n_fonts))


def _by_font(taps: Taps, fonts: Path) -> Taps:
    n_fonts = len(covering(find_fonts(fonts)))
    groups = np.array([_font_of(number, n_fonts) for number in range(PAGES)])
    return Taps(taps.features, taps.blocks, taps.truth, groups, taps.digests, taps.classes)


def _pages(fonts: Path) -> Source:
    chosen = covering(find_fonts(fonts))
    made = [page(number, chosen) for number in range(PAGES)]
    return [pixels for pixels, _ in made], [labels for _, labels in made]


def _cells() -> Source:
    import elpv_dataset

    folder = Path(str(elpv_dataset.__file__)).parent / "data"
    files, labels = [], []
    for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, kind = line.split()
        files.append(folder / name)
        labels.append(
            [
                label
                for label, there in (("defect", float(probability) > 0), ("mono", kind == "mono"))
                if there
            ]
        )
    return files, labels


def _digits() -> Source:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = [
        np.repeat(np.clip(16 * image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for image in data.images
    ]
    return images, [str(label) for label in data.target]


def _letters(fonts: Path) -> Source:
    images, labels = [], []
    for number, font in enumerate(covering(find_fonts(fonts))):
        for letter in _LETTERS:
            images.append(draw(letter, font, generator("sets", number, letter)))
            labels.append(letter)
    return images, labels


def _taps(name: str, work: Path, make: Callable[[], Source]) -> Taps:
    """Pass the images of a set through the default network, unless that was done before."""
    file = work / f"{name}.npz"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        frozen = run_frozen(
            Network.load("efficientnet_lite0"), open_source(make()), Runtime(threads=1)
        )
        slices = frozen.features.slices
        np.savez(
            file,
            features=frozen.features.taps.astype(np.float32),
            edges=np.array([(s.start, s.stop) for s in slices.values()]),
            truth=frozen.catalog.truth,
            digests=np.array(frozen.catalog.digests),
            classes=np.array(frozen.catalog.classes),
        )
    with np.load(file) as data:
        return Taps(
            data["features"],
            [slice(int(a), int(b)) for a, b in data["edges"]],
            data["truth"],
            np.arange(len(data["truth"])),
            data["digests"].tolist(),
            data["classes"].tolist(),
        )


def write_table(files: list[tuple[Path, list[str]]], judged: set[int], table: Path) -> Path:
    """Write a table of images, labels and split, as a fit and a peer read it."""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "labels", "split"])
        for place, (path, labels) in enumerate(files):
            part = "test" if place in judged else "train"
            writer.writerow([path.resolve(), ";".join(labels), part])
    return table
