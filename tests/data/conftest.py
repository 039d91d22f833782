"""Generated pictures for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Photo = Callable[..., Image.Image]
Tree = Callable[[dict[str, int]], Path]


def make_photo(seed: int, side: int = 96) -> Image.Image:
    """A smooth colourful picture with edges, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).copy()
    for _ in range(4):
        top, left = rng.integers(0, side * 3 // 4, 2)
        height, width = rng.integers(side // 8, side // 3, 2)
        picture[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return Image.fromarray(picture)


@pytest.fixture
def photo() -> Photo:
    return make_photo


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write small distinct PNG files: ``{"cat/a.png": seed}``; seed -1 writes plain text."""

    def write(files: dict[str, int]) -> Path:
        for name, seed in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if seed < 0:
                path.write_text("text")
            else:
                make_photo(seed, 16).save(path)
        return tmp_path

    return write
