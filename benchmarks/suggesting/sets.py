"""Six sets of pictures whose labels are known, and what the bundled network says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from benchmarks.decision.glyphs import generator
from benchmarks.head_sets import Pictures, Places, digits, head_sets, opened, some, written

#: pictures of one class of clip art, letters of one kind, at most
_MOST, _LETTERS, _FONTS = 90, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 70
_LARGEST_FILE = 300_000
#: folders of clip art that are no kind of thing
_NO_KIND = {"unsorted", "special"}


@dataclass(frozen=True)
class PooledSet:
    """Features (n, d) of n pictures, the columns of each depth, and labels (n,)."""

    features: npt.NDArray[np.float32]
    blocks: list[slice]
    labels: npt.NDArray[np.int64]


def solar_cells() -> Pictures:
    """Return the cells with their four levels of damage."""
    from elpv_dataset.utils import load_dataset

    images, levels, _ = load_dataset()
    named = [f"{round(3 * level)}" for level in levels]
    return [(Image.fromarray(one).convert("RGB"), n) for one, n in zip(images, named, strict=True)]


def clip_art(root: Path) -> Pictures:
    """Return clip art by the folder that it lies in."""
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and f.name not in _NO_KIND]
    return [
        (opened(file), folder.name)
        for folder in folders
        for file in some(_files(folder.rglob("*.png")), _MOST, "suggest", folder.name)
    ]


def letters(fonts: Path) -> Pictures:
    """Return capital letters, each as many fonts draw it."""
    return [
        (drawn_letter(file, letter), letter)
        for file in some(font_files(fonts), _FONTS, "suggest", "letters")
        for letter in _LETTERS
    ]


def font_files(fonts: Path) -> list[Path]:
    """Return the fonts below a folder."""
    return sorted(p for p in fonts.rglob("*") if p.suffix in {".ttf", ".otf"})


def drawn_letter(font: Path, letter: str) -> Image.Image:
    """Return a letter as a font draws it, in some ink on some paper."""
    random = generator("suggest", font.name, letter)
    ink, paper = random.integers(0, 110, 3), random.integers(145, 256, 3)
    picture = Image.new("RGB", (96, 96), tuple(paper.tolist()))
    drawn = ImageFont.truetype(str(font), int(random.integers(34, 70)))
    place = tuple((48 + random.integers(-10, 11, 2)).tolist())
    ImageDraw.Draw(picture).text(place, letter, font=drawn, anchor="mm", fill=tuple(ink.tolist()))
    return picture


def _files(found: Iterable[Path]) -> list[Path]:
    kept = [f for f in sorted(found) if not f.is_symlink()]
    return [f for f in kept if f.stat().st_size < _LARGEST_FILE]


def study_sets(places: Places, photos: Path, fonts: Path) -> dict[str, Callable[[], Pictures]]:
    """Return what makes every set, by name."""
    return {
        "photos": lambda: [
            (opened(file), file.parent.name)
            for file in sorted(photos.rglob("*"))
            if file.suffix.lower() in {".png", ".jpg", ".jpeg"}
        ],
        "icons": head_sets(places)["oxygen icons"],
        "letters": lambda: letters(fonts),
        "clip art": lambda: clip_art(places.clip_art),
        "digits": digits,
        "solar cells": solar_cells,
    }


def described(make: Callable[[], Pictures], folder: Path, store: Path) -> PooledSet:
    """Return what the bundled network says of pictures, from ``store`` if it was asked before."""
    kept = store.with_suffix(".npz")
    if not kept.exists():
        _describe(written(make(), folder), kept)
    with np.load(kept) as found:
        edges = json.loads(str(found["edges"]))
        blocks = [slice(*edge) for edge in edges]
        return PooledSet(found["features"], blocks, found["labels"])


def _describe(folder: Path, kept: Path) -> None:
    from frostline.backbones.described import described as bundled
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.core.settings import Settings
    from frostline.data.sources.open_source import open_source

    frozen = run_frozen(
        bundled("efficientnet_lite0"), open_source(folder), Runtime.of(Settings(threads=1))
    )
    edges = [[s.start, s.stop] for s in frozen.features.slices.values()]
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        kept,
        features=frozen.features.taps,
        labels=frozen.catalog.labels,
        edges=json.dumps(edges),
    )
