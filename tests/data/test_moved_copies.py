"""Copies that were cropped, shifted or turned a little are found; what only looks alike is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from frostline.data.audit import audit
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates.copies import find_copies
from frostline.data.duplicates.registration import registered_distances
from frostline.data.duplicates.shifted_copies import moved_pairs

Photo = Callable[..., Image.Image]
Change = Callable[[Image.Image], Image.Image]
UInt8Array = npt.NDArray[np.uint8]


def cropped(left: float, top: float, right: float, bottom: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        w, h = image.size
        return image.crop((round(left * w), round(top * h), round(right * w), round(bottom * h)))

    return change


def turned(degrees: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        big = ImageOps.expand(image, 0).resize((300, 300), Image.Resampling.BICUBIC)
        found = big.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
        return found.resize(image.size, Image.Resampling.LANCZOS)

    return change


CHANGES: dict[str, Change] = {
    "the middle": cropped(0.05, 0.05, 0.95, 0.95),
    "a corner": cropped(0.0, 0.1, 0.9, 1.0),
    "a small corner": cropped(0.2, 0.0, 1.0, 0.8),
    "turned": turned(6),
    "turned the other way": turned(-8),
    "mirrored and cropped": lambda image: cropped(0.1, 0.0, 1.0, 0.9)(ImageOps.mirror(image)),
}


def thumbs(pictures: list[Image.Image]) -> UInt8Array:
    return np.stack([thumbnail(picture) for picture in pictures])


def features(pictures: list[Image.Image]) -> npt.NDArray[np.float64]:
    """Colours and how they vary, in a few broad regions, whichever side is left."""
    found = []
    for picture in pictures:
        pixels = np.asarray(picture.resize((3, 3), Image.Resampling.BOX), dtype=np.float64)
        found.append(np.concatenate([(pixels + pixels[:, ::-1]).ravel() / 2, pixels.std((0, 1))]))
    return np.array(found)


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "a small corner"])
def test_moved_copies_are_found(change: str, photo: Photo) -> None:
    pictures = [photo(seed, 128) for seed in range(80)]
    pictures += [CHANGES[change](picture) for picture in pictures[:10]]
    left, right, distance = moved_pairs(thumbs(pictures), features(pictures))
    found = set(zip(left.tolist(), right.tolist(), strict=True))
    planted = {(i, 80 + i) for i in range(10)}
    assert found <= planted
    # the features of this test are no network's: some candidates they do not name
    assert len(found) >= 5
    assert (distance <= 0.2).all()


def test_registration_finds_the_place_and_nothing_else(photo: Photo) -> None:
    pictures = [photo(seed, 128) for seed in range(20)]
    own = thumbs(pictures)
    for change in list(CHANGES.values())[:5]:
        moved = thumbs([change(picture) for picture in pictures])
        assert np.quantile(registered_distances(moved, own), 0.9) < 0.2
    others = registered_distances(np.roll(own, 1, axis=0), own)
    assert others.min() > 0.4
    blank = np.full((2, 32, 32, 3), 200, dtype=np.uint8)
    assert registered_distances(blank, own[:2]).min() > 0.4


def test_what_looks_alike_to_the_network_alone_is_no_copy(photo: Photo) -> None:
    pictures = [photo(seed) for seed in range(60)]
    known = features(pictures)
    # the network cannot tell these two apart
    known[7] = known[3] + 1e-3
    left, _, _ = moved_pairs(thumbs(pictures), known)
    assert len(left) == 0


def test_a_film_does_not_chain_everything_together() -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 60, 3), dtype=np.uint8))
    wide = coarse.resize((1600, 128), Image.Resampling.BICUBIC)
    frames = [wide.crop((x, 0, x + 128, 128)) for x in range(0, 1440, 12)]
    n = len(frames)
    rows = tuple(ImageRow(Path(f"/x/{i}"), f"{i}.png", i % 2, None, None) for i in range(n))
    catalog = Catalog("x", ("a", "b"), rows, tuple(f"{i:064x}" for i in range(n)))
    found = audit(catalog, find_copies(catalog.digests, thumbs(frames), features(frames)))
    sizes = np.bincount(found.groups)
    assert sizes.max() <= 16


def test_few_and_constant_pictures_are_no_trouble(photo: Photo) -> None:
    for n in range(1, 6):
        pictures = [photo(seed) for seed in range(n)]
        assert len(moved_pairs(thumbs(pictures), features(pictures))[0]) == 0
    same = np.full((30, 32, 32, 3), 90, dtype=np.uint8)
    assert len(moved_pairs(same, np.zeros((30, 4)))[0]) == 0
