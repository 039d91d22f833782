"""A small real problem: written digits as 64-pixel images, and a small network for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_digits

from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import FullTraining, SuffixTraining, TapsHead
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.training.result import Trained
from frostline.training.train import Given, train

N_CLASSES = 3
PER_CLASS = 20
#: what a test may change of how to compute
_TOLD = ("precision", "progress", "activation_dtype")
#: what a test may change of what is learned
_ASKED = ("labels", "groups", "seed")


class Fit(Protocol):
    """Trains an action on the digits."""

    def __call__(
        self, action: TapsHead | SuffixTraining | FullTraining, **changes: Any
    ) -> Trained: ...


@pytest.fixture(scope="session")
def small_network() -> Network:
    """A tiny EfficientNet with random weights and running statistics of real images."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    net = timm.create_model("test_efficientnet", pretrained=False, drop_path_rate=0.1)
    digits = torch.from_numpy(load_digits().images[:64].astype(np.float32)) / 8 - 1
    images = torch.nn.functional.interpolate(digits[:, None].repeat(1, 3, 1, 1), size=64)
    net.train()
    with torch.no_grad():
        for _ in range(30):
            net(images)
    preprocessing = Preprocessing(
        size=64, crop_pct=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    return Network.load(net.eval(), preprocessing=preprocessing)


@pytest.fixture(scope="session")
def digits_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Twenty images each of 2, 3 and 8, in files."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    rows: list[ImageRow] = []
    digests: list[str] = []
    for label, digit in enumerate((2, 3, 8)):
        for i in np.flatnonzero(digits.target == digit)[:PER_CLASS]:
            grey = (digits.images[i] * 15.9).astype(np.uint8)
            image = Image.fromarray(grey).resize((72, 72), Image.Resampling.BICUBIC)
            path = Path(folder) / f"{digit}-{i}.png"
            image.convert("RGB").save(path)
            rows.append(ImageRow(path, path.name, label))
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return Catalog("digits", ("2", "3", "8"), tuple(rows), tuple(digests))


@pytest.fixture(scope="session")
def make_store(
    small_network: Network, digits_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Frozen]]:
    """Build a feature store of the digits that uses so many workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(tmp_path_factory.mktemp("cache")))

        def make(workers: int) -> Frozen:
            return run_frozen(small_network, digits_catalog, Runtime(workers=workers))

        yield make


@pytest.fixture(scope="session")
def digits_store(make_store: Callable[[int], Frozen]) -> Frozen:
    """The frozen work on the digits, without workers."""
    return make_store(0)


@pytest.fixture
def fit(digits_store: Frozen) -> Fit:
    """Train on all digits, or with changed arguments."""

    def fit_digits(action: TapsHead | SuffixTraining | FullTraining, **changes: Any) -> Trained:
        store = changes.pop("store", digits_store)
        told = {name: changes.pop(name) for name in _TOLD if name in changes}
        rows = changes.pop("rows", np.arange(len(store.catalog)))
        changes.setdefault("seed", 3)
        asked = {name: changes.pop(name) for name in _ASKED if name in changes}
        problem = Problem.of(store.catalog, **asked)
        return train(problem, store, action, rows, Runtime(**told), Given(**changes))

    return fit_digits
