"""Small sets of pictures for the study of heads: icons, clip art, digits and photos.

Packages of Debian carry them: oxygen-icon-theme, faenza-icon-theme, mate-icon-theme and
gnome-icon-theme (icons by what they are for, and by who drew them), openclipart-png (clip art by
folder) and tuxpaint-stamps-default (photos by folder); digits are scikit-learn's. Some are noisy,
blurred, inverted, grey or heavily compressed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.accuracy_and_time import photo_files
from benchmarks.decision.glyphs import generator

Pictures = list[tuple[Image.Image, str]]
Change = Callable[[Image.Image, np.random.Generator], Image.Image]

_MOST_BYTES, _SIDE = 300_000, 160
_USES = ("actions", "apps", "devices", "mimetypes", "places", "status", "categories", "emblems")
_FOOD = ("beverages", "breads_and_carbs", "desserts", "fruit", "meats_and_eggs", "vegetables")
_TRANSPORT = ("aiga-symbols", "boating", "roadsigns", "vehicles")
_FLATS = ("decorations", "logos", "containers", "tools", "science", "education", "electronics")
#: where a theme keeps its icons of one use, 48 pixels large, and all of them
_THEMES = {
    "oxygen": ("oxygen/base/48x48/{}", "oxygen/base/48x48"),
    "Faenza": ("Faenza/{}/48", "Faenza"),
    "mate": ("mate/48x48/{}", "mate/48x48"),
    "gnome": ("gnome/48x48/{}", "gnome/48x48"),
}


@dataclass(frozen=True)
class Places:
    """Where packages were unpacked: folders of ``icons``, ``clip_art`` and ``stamps``."""

    icons: Path
    clip_art: Path
    stamps: Path


def head_sets(places: Places) -> dict[str, Callable[[], Pictures]]:
    """Return what makes every set, by name."""

    def icons(theme: str, uses: tuple[str, ...] = _USES) -> Pictures:
        folders = {use: places.icons / _THEMES[theme][0].format(use) for use in uses}
        return [
            (opened(file), use)
            for use, folder in folders.items()
            for file in some(_files(folder.glob("*.png")), 120, "icons", use)
        ]

    def clip_art(names: tuple[str, ...], most: int = 100) -> Pictures:
        return [
            (opened(file), Path(name).name)
            for name in names
            for file in some(
                _small((places.clip_art / name).rglob("*.png")), most, "clip art", Path(name).name
            )
        ]

    def themes() -> Pictures:
        found = []
        for theme, (_, folder) in _THEMES.items():
            files = _files((places.icons / folder).rglob("*.png"))
            files = [f for f in files if theme != "Faenza" or f.parent.name == "48"]
            key = folder if theme != "Faenza" else theme
            found += [(opened(file), theme) for file in some(files, 150, "themes", key)]
        return found

    def photos() -> Pictures:
        return [(opened(file), name) for file, name in photo_files(places.stamps)]

    return {
        "oxygen icons": lambda: icons("oxygen"),
        "faenza icons": lambda: icons("Faenza"),
        "mate icons": lambda: icons("mate"),
        "themes": themes,
        "fillings": lambda: clip_art(
            ("special/gradients", "special/patterns", "buildings/homes"), most=97
        ),
        "flat folders": lambda: clip_art(_FLATS, most=80),
        "digits, noisy": lambda: changed("digitsnoise", digits()[:900], noisy),
        "digits, compressed": lambda: changed("digitsjpeg", digits()[900:], larger_compressed),
        "photos, grey": lambda: changed("photosgrey", photos(), grey),
        "photos, compressed": lambda: changed("photosjpeg", photos(), compressed),
        "transport, inverted": lambda: changed(
            "transinv", clip_art(tuple(f"transportation/{n}" for n in _TRANSPORT)), inverted
        ),
        "food, blurred": lambda: changed(
            "foodblur", clip_art(tuple(f"food/{n}" for n in _FOOD)), blurred
        ),
        "faenza icons, noisy": lambda: changed(
            "faenzanoise", icons("Faenza", ("actions", "apps", "mimetypes", "status")), noisy
        ),
    }


def written(pictures: Pictures, folder: Path) -> Path:
    """Write pictures into a folder for each class, losslessly; return the folder."""
    for place, (picture, label) in enumerate(pictures):
        file = folder / label / f"{place:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file)
    return folder


def some(files: list[Path], most: int, *key: str) -> list[Path]:
    """Return some files, always the same for a key."""
    order = generator(*key).permutation(len(files))[:most]
    return [files[i] for i in order.tolist()]


def opened(file: Path) -> Image.Image:
    """Open a picture on white, small."""
    picture = Image.open(file).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    found = white.convert("RGB")
    found.thumbnail((_SIDE, _SIDE))
    return found


def digits() -> Pictures:
    """Return the digits of scikit-learn."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return [
        (Image.fromarray(np.clip(16 * picture, 0, 255).astype(np.uint8)).convert("RGB"), f"{label}")
        for picture, label in zip(found.images, found.target, strict=True)
    ]


def changed(name: str, pictures: Pictures, how: Change) -> Pictures:
    """Return the pictures after a change, each with random numbers of its own."""
    return [(how(one, generator(name, i)), label) for i, (one, label) in enumerate(pictures)]


def noisy(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    values = np.asarray(picture, dtype=np.float64)
    values = np.clip(values + random.normal(0, 50, values.shape), 0, 255)
    return Image.fromarray(values.astype(np.uint8))


def compressed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=6)
    return Image.open(file).convert("RGB")


def larger_compressed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return compressed(picture.resize((64, 64)), random)


def blurred(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 32))


def inverted(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    return ImageOps.invert(picture)


def grey(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    return picture.convert("L").convert("RGB")


def _files(found: Iterable[Path]) -> list[Path]:
    return [file for file in sorted(found) if not file.is_symlink()]


def _small(found: Iterable[Path]) -> list[Path]:
    return [f for f in sorted(found) if f.stat().st_size < _MOST_BYTES]
