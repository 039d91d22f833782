"""Images whose class is told by a patch in one corner, and classifiers that have learned it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import FullTraining, SuffixTraining, TapsHead
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.training.result import Trained
from frostline.training.train import train

#: the last class has no patch: it is what is left when nothing speaks for the others
COLOURS = {"blue": (30, 60, 220), "green": (40, 180, 50), "red": (220, 40, 30), "without": None}
SIDE = 128
_PER_CLASS = 12

Train = Callable[[TapsHead | SuffixTraining | FullTraining], Trained]


@dataclass(frozen=True)
class Corners:
    """A store of such images; ``corner`` says where each has its patch: 2 * bottom + right."""

    store: Frozen
    corner: npt.NDArray[np.int64]


def cornered(colour: tuple[int, int, int] | None, corner: int, seed: int) -> Image.Image:
    """Grey noise, perhaps with one coloured patch well inside a corner."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 166, (SIDE, SIDE, 1)).repeat(3, axis=2).astype(np.uint8)
    bottom, right = divmod(corner, 2)
    top, left = 16 + 64 * bottom, 16 + 64 * right
    if colour is not None:
        pixels[top : top + 32, left : left + 32] = colour
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def draw_corners() -> Callable[[int], tuple[list[Image.Image], list[int], list[int]]]:
    """Return a function that draws some images; also their labels and corners."""

    def draw(n: int) -> tuple[list[Image.Image], list[int], list[int]]:
        labels = [i % len(COLOURS) for i in range(n)]
        corners = [i // len(COLOURS) % 4 for i in range(n)]
        colours = list(COLOURS.values())
        pairs = enumerate(zip(labels, corners, strict=True))
        return [cornered(colours[y], c, seed=i) for i, (y, c) in pairs], labels, corners

    return draw


@pytest.fixture(scope="session")
def lite0() -> Network:
    return Network.load("efficientnet_lite0")


@pytest.fixture(scope="session")
def corner_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("corners")
    rows, digests = [], []
    for label, (name, colour) in enumerate(COLOURS.items()):
        for i in range(_PER_CLASS):
            path = Path(folder) / f"{name}-{i}.png"
            cornered(colour, i % 4, seed=100 * label + i).save(path)
            rows.append(ImageRow(path, path.name, label))
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return Catalog("corners", tuple(COLOURS), tuple(rows), tuple(digests))


@pytest.fixture(scope="session")
def corners(lite0: Network, corner_catalog: Catalog) -> Corners:
    """The frozen work on them, by the real network at a small size that shows whole images."""
    torch.set_num_threads(1)
    network = lite0.at_size(SIDE)
    network.preprocessing = network.preprocessing.model_copy(update={"crop_pct": 1.0})
    store = run_frozen(network, corner_catalog, Runtime())
    return Corners(store, np.arange(len(corner_catalog)) % _PER_CLASS % 4)


@pytest.fixture(scope="session")
def learn(corners: Corners) -> Train:
    """Train an action on all of them."""

    def carry_out(action: TapsHead | SuffixTraining | FullTraining) -> Trained:
        store = corners.store
        problem = Problem.of(store.catalog)
        return train(problem, store, action, np.arange(len(store.catalog)), Runtime())

    return carry_out
