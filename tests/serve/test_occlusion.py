"""The heat map's maths, against scores whose truth is known."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from frostline.core.preprocessing import UInt8Array
from frostline.serve.heat_picture import overlay
from frostline.serve.occlusion import Occlusion, log_odds

pytestmark = pytest.mark.slow

SIZE = 96


def noise(seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def heat_of(occlusion: Occlusion, score: Callable[[UInt8Array], float]) -> np.ndarray:
    return occlusion.heat(score(occlusion.image), [score(v) for v in occlusion.variants()])


def test_the_heat_lies_where_the_score_looks() -> None:
    image = noise()
    image[:] = 20
    image[60:72, 24:36] = 255

    def score(seen: UInt8Array) -> float:
        return 0.01 + 0.9 * float(seen[60:72, 24:36].mean()) / 255

    heat = heat_of(Occlusion(image), score)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 56 <= row <= 76 and 20 <= column <= 40
    far = np.abs(heat[:32]).max()
    assert far < 0.02 * heat.max()


def test_what_hides_the_class_is_below_zero() -> None:
    image = noise()
    image[:] = 20
    image[10:22, 10:22] = 255

    def score(seen: UInt8Array) -> float:
        return 0.99 - 0.9 * float(seen[10:22, 10:22].mean()) / 255

    heat = heat_of(Occlusion(image), score)
    assert heat.min() < -0.1
    assert heat.max() < 0.02 * -heat.min()


def test_heat_is_the_average_over_the_windows_that_cover_a_pixel() -> None:
    occlusion = Occlusion(noise(), cells=5)
    losses = np.random.default_rng(1).normal(size=25)
    whole = 0.7
    covered = 1 / (1 + np.exp(-(log_odds(whole) - losses)))
    found = occlusion.heat(whole, covered)
    # each mask, measured on a white image over a black ground: its blur is known to be black
    half, rim = 0.11 * SIZE, 0.06 * SIZE
    total, weight = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    for k, loss in enumerate(losses):
        row, column = divmod(k, 5)
        for y in range(SIZE):
            for x in range(SIZE):
                v = min(1, max(0, (half - abs(y + 0.5 - (row + 0.5) * SIZE / 5)) / rim + 0.5))
                h = min(1, max(0, (half - abs(x + 0.5 - (column + 0.5) * SIZE / 5)) / rim + 0.5))
                total[y, x] += v * h * loss
                weight[y, x] += v * h
    np.testing.assert_allclose(found, total / weight, atol=1e-9)


def test_variants_blur_one_place_and_nothing_else() -> None:
    image = noise()
    occlusion = Occlusion(image)
    variants = list(occlusion.variants())
    assert len(variants) == 144
    for k in (0, 5, 77, 143):
        changed = (variants[k] != image).any(axis=2)
        row, column = divmod(k, 12)
        y, x = int((row + 0.5) * SIZE / 12), int((column + 0.5) * SIZE / 12)
        assert changed[y - 2 : y + 3, x - 2 : x + 3].mean() > 0.9
        ys, xs = np.nonzero(changed)
        assert abs(ys - y).max() <= 16 and abs(xs - x).max() <= 16
        inside = variants[k][max(0, y - 4) : y + 4, max(0, x - 4) : x + 4]
        assert inside.std() < 0.3 * image.std()
    # every pixel is covered by some window
    assert np.any([v != image for v in variants], axis=(0, 3)).mean() > 0.99


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_score_that_never_changes_gives_no_heat(probability: float) -> None:
    heat = heat_of(Occlusion(noise()), lambda _: probability)
    np.testing.assert_array_equal(heat, 0)


def test_the_overlay_is_clear_at_zero_orange_above_and_blue_below() -> None:
    heat = np.zeros((30, 30))
    heat[:10], heat[20:] = 2.0, -1.0
    content = base64.b64decode(overlay(heat).removeprefix("data:image/png;base64,"))
    drawn = np.asarray(Image.open(io.BytesIO(content)))
    assert drawn.shape == (30, 30, 4)
    red, _, blue, opaque = (drawn[..., i].astype(int) for i in range(4))
    assert (red > blue)[:10].all() and (red < blue)[20:].all()
    assert (opaque[10:20] == 0).all()
    assert (opaque[:10] > opaque[20:]).all()
    flat = base64.b64decode(overlay(np.zeros((4, 4))).partition(",")[2])
    assert np.asarray(Image.open(io.BytesIO(flat)))[..., 3].max() == 0
