"""Training views: keyed randomness, bounded crops, no change where none is asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from frostline.core.preprocessing import Preprocessing
from frostline.data.decoding.views import Level, _light_box, _standard_box, training_view

Photo = Callable[..., Image.Image]
PREPROCESSING = Preprocessing(size=32)
LEVELS: list[Level] = ["light", "standard"]


def view(image: Image.Image, level: Level, *, flip: bool = True, epoch: int = 0, key: str = "k",
         seed: int = 0) -> np.ndarray:  # fmt: skip
    return training_view(
        image, PREPROCESSING, level=level, flip=flip, seed=seed, epoch=epoch, key=key
    )


def test_none_is_the_plain_preprocessing(photo: Photo) -> None:
    image = photo(1, 80)
    assert np.array_equal(view(image, "none"), PREPROCESSING.apply(image))
    assert np.array_equal(view(image, "none", epoch=9), PREPROCESSING.apply(image))


@pytest.mark.parametrize("level", LEVELS)
def test_equal_keys_give_equal_views_in_any_thread(level: Level, photo: Photo) -> None:
    image = photo(2, 80)
    alone = [view(image, level, epoch=epoch) for epoch in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda epoch: view(image, level, epoch=epoch), range(16)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("level", LEVELS)
def test_seed_epoch_and_key_all_matter(level: Level, photo: Photo) -> None:
    image = photo(3, 80)
    first = view(image, level)
    assert not np.array_equal(first, view(image, level, epoch=1))
    assert not np.array_equal(first, view(image, level, key="other"))
    assert not np.array_equal(first, view(image, level, seed=1))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20, 31), (200, 90), (33, 32)])
def test_any_image_size_works(level: Level, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (90, 120, 150))
    for epoch in range(40):
        found = view(image, level, epoch=epoch)
        assert found.shape == (32, 32, 3)
        assert found.dtype == np.uint8


def test_flip_mirrors_half_of_the_views(photo: Photo) -> None:
    image = photo(4, 80)
    mirrored = 0
    for epoch in range(200):
        plain, flipped = (view(image, "light", flip=f, epoch=epoch) for f in (False, True))
        if not np.array_equal(plain, flipped):
            assert np.array_equal(plain[:, ::-1], flipped)
            mirrored += 1
    assert 70 < mirrored < 130


@pytest.mark.parametrize("size", [(100, 100), (160, 90), (90, 160)])
def test_crops_keep_their_promises(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    width, height = size
    short = min(size)
    for _ in range(500):
        draws = rng.random(32)
        left, top, right, bottom = _light_box(size, draws)
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        assert right - left == pytest.approx(bottom - top)
        assert 0.8 - 1e-9 <= (right - left) * (bottom - top) / short**2 <= 1 + 1e-9
        assert abs((left + right - width) / 2) <= 0.1 * short + 1e-9
        left, top, right, bottom = _standard_box(size, draws)
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9
        assert (right - left) * (bottom - top) / (width * height) >= 0.5 - 1e-9


def test_light_changes_no_colour_and_standard_little() -> None:
    image = Image.new("RGB", (60, 60), (90, 120, 150))
    for epoch in range(50):
        assert (view(image, "light", epoch=epoch) == [90, 120, 150]).all()
    means = np.array([view(image, "standard", epoch=e).mean((0, 1)) for e in range(200)])
    brightness = means @ [0.299, 0.587, 0.114] / (np.array([90, 120, 150]) @ [0.299, 0.587, 0.114])
    assert 0.79 < brightness.min() < 0.85
    assert 1.15 < brightness.max() < 1.21


def test_unknown_level_is_refused(photo: Photo) -> None:
    with pytest.raises(ValueError, match="level must be"):
        view(photo(1), "strong")  # type: ignore[arg-type]
