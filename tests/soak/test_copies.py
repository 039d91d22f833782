"""Copies that hide: as many changed copies across parts are found as when it was recorded."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance

from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.audit import audit
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates.copies import find_copies
from frostline.data.sources.open_source import open_source
from tests.soak.pictures import SETS

pytestmark = pytest.mark.soak
#: pictures of each set that get a copy in the test part
_COPIED = 60
#: of the sixty, those found by set and change
_RECORDED = json.loads((Path(__file__).parent / "copies_found.json").read_text())
Dice = np.random.Generator
Change = Callable[[Image.Image, Dice], Image.Image]


def _same(image: Image.Image, dice: Dice) -> Image.Image:
    return image


def _recompressed(image: Image.Image, dice: Dice, *, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def _resized(image: Image.Image, dice: Dice, *, share: float) -> Image.Image:
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _brightened(image: Image.Image, dice: Dice, *, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def _transposed(
    image: Image.Image, dice: Dice, *, how: Image.Transpose, then: Change = _same
) -> Image.Image:
    return then(image.transpose(how), dice)


def _cropped(image: Image.Image, dice: Dice, *, share: float) -> Image.Image:
    width, height = round(image.width * share), round(image.height * share)
    left = int(dice.integers(image.width - width + 1))
    top = int(dice.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _rotated(image: Image.Image, dice: Dice, *, degrees: float) -> Image.Image:
    """Turned either way; corners are filled as augmentations do, with the nearest border."""
    angle = degrees if dice.random() < 0.5 else -degrees
    reach = max(image.size) // 2
    wide = np.pad(np.asarray(image), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    turned = Image.fromarray(wide).rotate(angle, Image.Resampling.BICUBIC)
    return turned.crop((reach, reach, reach + image.width, reach + image.height))


_MIRROR, _FLIP = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
_JPEG, _BRIGHT = partial(_recompressed, quality=75), partial(_brightened, factor=1.25)
_FACTORS = (1.05, 1.1, 1.25, 1.5, 0.75, 0.5)
_CHANGES: dict[str, Change] = {
    "the same file": _same,
    **{f"recompressed, JPEG {q}": partial(_recompressed, quality=q) for q in (90, 75, 50, 30, 10)},
    **{f"resized, to {s:.0%}": partial(_resized, share=s) for s in (0.75, 0.5, 0.25)},
    **{f"brightness, x {f}": partial(_brightened, factor=f) for f in _FACTORS},
    "mirrored, left to right": partial(_transposed, how=_MIRROR),
    "mirrored, and JPEG 75": partial(_transposed, how=_MIRROR, then=_JPEG),
    "mirrored, and x 1.25": partial(_transposed, how=_MIRROR, then=_BRIGHT),
    "mirrored, upside down": partial(_transposed, how=_FLIP),
    "turned, by 90 degrees": partial(_transposed, how=Image.Transpose.ROTATE_90),
    **{f"turned, by {d} degrees": partial(_rotated, degrees=d) for d in (1, 2, 5, 10)},
    **{f"cropped, to {s:.0%}": partial(_cropped, share=s) for s in (0.98, 0.95, 0.9, 0.8)},
}


@cache
def _seen(name: str) -> tuple[Frozen, slice, npt.NDArray[np.uint8], list[str]]:
    """Features, the last tap, thumbnails and digests of a set, in its order."""
    of = SETS[name]()
    runtime = Runtime.of(Settings())
    with TemporaryDirectory() as folder:
        catalog = open_source(of.write(Path(folder) / "images"))
        store = run_frozen(Network.load("efficientnet_lite0"), catalog, runtime)
    assert [int(row.path.stem) for row in store.catalog.rows] == list(range(len(of.images)))
    thumbnails = np.stack([thumbnail(of.colour(i)) for i in range(len(of.images))])
    return (
        store,
        list(store.features.slices.values())[-1],
        thumbnails,
        [_digest(i) for i in of.images],
    )


@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.parametrize("name", SETS)
def test_a_changed_copy_is_recognised(name: str, change: str) -> None:
    of, (store, tap, own, digests) = SETS[name](), _seen(name)
    copied = np.sort(np.random.default_rng(0).permutation(len(own))[:_COPIED])
    dice = np.random.default_rng(1)
    copies = [_CHANGES[change](of.colour(i), dice) for i in copied]
    labels = [*of.labels, *(of.labels[i] for i in copied)]
    classes = tuple(sorted(set(labels)))
    rows = tuple(
        ImageRow(Path(f"/pictures/{i}"), f"{i}.png", classes.index(label),
                 "train" if i < len(own) else "test", None)
        for i, label in enumerate(labels)
    )  # fmt: skip
    catalog = Catalog("planted", classes, rows, (*digests, *map(_digest, copies)))
    prepared = np.stack([store.network.preprocessing.apply(copy) for copy in copies])
    found = find_copies(
        catalog.digests,
        np.concatenate([own, [thumbnail(copy) for copy in copies]]),
        np.concatenate(
            [store.features.taps[:, tap], store.runner.features_of(prepared, Runtime())[:, tap]]
        ),
    )
    groups = audit(catalog, found).groups
    together = int((groups[len(own) :] == groups[copied]).sum())
    # other dice turn and crop otherwise
    assert together >= _RECORDED[name][change] - 6


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes() + str(image.size).encode()).hexdigest()
