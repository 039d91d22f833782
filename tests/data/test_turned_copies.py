"""Mirrored and turned copies are found whatever else was done to them; symmetry is no copy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import elpv_dataset
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_digits

from frostline.data.audit import audit
from frostline.data.catalog import Catalog, ImageRow, Part
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates.copies import find_copies
from frostline.data.duplicates.descriptors import describe
from frostline.data.duplicates.near_duplicates import find_near_duplicates
from frostline.data.duplicates.rotated_copies import TURNS, turned_descriptors, turned_pairs

Photo = Callable[..., Image.Image]
Change = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream).convert("RGB")


CHANGES: dict[str, Change] = {
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "three quarters": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "half a turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "transverse": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    "mirrored and re-encoded": lambda image: jpeg(ImageOps.mirror(image)),
    "mirrored and brighter": lambda image: ImageEnhance.Brightness(ImageOps.mirror(image)).enhance(
        1.08
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_turned_copies_of_wide_pictures_are_found(change: str, photo: Photo) -> None:
    pictures = [photo(seed).resize((120, 80)) for seed in range(40)]
    thumbs = [thumbnail(p) for p in (*pictures, *(CHANGES[change](p) for p in pictures[:5]))]
    found = find_near_duplicates(np.stack(thumbs))
    assert found.groups == ()
    assert found.turned == tuple((i, 40 + i) for i in range(5))


def test_turning_a_descriptor_is_turning_the_picture(photo: Photo) -> None:
    pixels = np.stack([thumbnail(photo(seed)) for seed in range(3)])
    own = describe(pixels.reshape(3, -1), np.arange(3)).values
    for turn in TURNS.values():
        turned = np.ascontiguousarray(turn(pixels)).reshape(3, -1)
        expected = describe(turned, np.arange(3)).values
        np.testing.assert_allclose(turned_descriptors(own, turn), expected, atol=1e-5)


def test_distances_are_those_of_single_pairs_where_all_are_alike(photo: Photo) -> None:
    # one picture 600 times over, a little noise apart: nearly every pair is near
    random = np.random.default_rng(0)
    same = thumbnail(photo(0).convert("RGB")).astype(np.float64)
    same = (same + same[:, ::-1]) / 2
    noise = random.normal(0.0, 4.0, (600, *same.shape))
    pixels = np.clip(same + noise, 0, 255).astype(np.uint8)
    flat = pixels.reshape(600, -1)
    everything = np.arange(600)
    left, right, distance = turned_pairs(
        flat, everything, describe(flat, everything), np.full(600, 0.5)
    )
    assert len(left) == 600 * 599 / 2
    vectors = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    vectors /= np.sqrt(np.square(vectors).sum(axis=(1, 2, 3), keepdims=True))
    for row, other, found in list(zip(left, right, distance, strict=True))[::9_973]:
        ways = [
            min(
                float(np.linalg.norm((vectors[[row]] - turn(vectors[[other]])).ravel())),
                float(np.linalg.norm((vectors[[other]] - turn(vectors[[row]])).ravel())),
            )
            for turn in TURNS.values()
        ]
        assert found == pytest.approx(min(ways), abs=1e-6)


def test_a_copy_of_a_mirrored_copy_belongs_to_both(photo: Photo) -> None:
    pictures = [photo(seed) for seed in range(30)]
    pictures += [ImageOps.mirror(pictures[3]), jpeg(ImageOps.mirror(pictures[3]))]
    found = find_near_duplicates(np.stack([thumbnail(p) for p in pictures]))
    assert found.groups == ((30, 31),)
    assert found.turned == ((3, 30, 31),)


def test_pictures_that_are_symmetric_or_alike_are_no_copies(photo: Photo) -> None:
    symmetric = [np.asarray(photo(seed)) for seed in range(30)]
    symmetric = [(x // 2 + x[:, ::-1] // 2).astype(np.uint8) for x in symmetric]
    found = find_near_duplicates(np.stack([thumbnail(Image.fromarray(x)) for x in symmetric]))
    assert found.turned == ()


def test_digits_and_solar_cells_have_none() -> None:
    digits = [Image.fromarray((x * 15.9).astype(np.uint8)) for x in load_digits().images[:600]]
    home = Path(elpv_dataset.__file__).parent / "data"
    cells = [Image.open(path) for path in sorted(home.rglob("*.png"))[:200]]
    assert len(cells) == 200
    for pictures in (digits, cells):
        thumbs = np.stack([thumbnail(p.convert("RGB")) for p in pictures])
        assert find_near_duplicates(thumbs).turned == ()


def test_a_mirrored_copy_in_the_test_part_is_a_leak_but_no_contradiction(photo: Photo) -> None:
    pictures = [photo(seed) for seed in range(30)]
    pictures.append(ImageOps.mirror(pictures[4]))
    train: Part = "train"
    parts: list[Part] = [*[train] * 30, "test"]
    # left and right, for example
    labels = [*[0, 1] * 15, 1]
    rows = tuple(
        ImageRow(Path(f"/x/{i}"), f"{i}.png", label, part, None)
        for i, (label, part) in enumerate(zip(labels, parts, strict=True))
    )
    catalog = Catalog("x", ("a", "b"), rows, tuple(f"{i:064x}" for i in range(31)))
    found = audit(catalog, find_copies(catalog.digests, np.stack([thumbnail(p) for p in pictures])))
    assert found.altered_copies == [["4.png", "30.png"]]
    assert found.near_duplicates == [] and found.label_conflicts == []
    assert found.leaks == [{"paths": ["4.png", "30.png"], "parts": ["train", "test"]}]
    assert np.flatnonzero(found.leaked).tolist() == [30]
    assert found.groups[4] == found.groups[30]
