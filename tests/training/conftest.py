"""A small real problem: written digits as 64-pixel images, and a small network for them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_digits

from frostline.backbone.network import Network
from frostline.backbone.sources import Source
from frostline.features.pictures import Pictures
from frostline.images.catalog import Catalog, ImageRow
from frostline.images.views import training_view
from frostline.plan import FullTraining, SuffixTraining, TapsHead
from frostline.preprocessing import Preprocessing
from frostline.progress import NullProgress
from frostline.settings import ResolvedSettings, make_settings
from frostline.training.result import Trained
from frostline.training.train import train

N_CLASSES = 3
PER_CLASS = 20


@dataclass
class StoredViews:
    """Activations in memory."""

    values: npt.NDArray[np.float16]


@dataclass
class SmallStore:
    """The frozen work for the digits, done plainly in PyTorch and kept in memory."""

    network: Network
    catalog: Catalog
    pictures: Pictures
    taps: npt.NDArray[np.float32] = field(init=False)
    slices: dict[str, slice] = field(init=False)

    def __post_init__(self) -> None:
        body = self.network.body(self.network.taps)
        self.slices = body.slices
        with torch.no_grad():
            self.taps = body(self._inputs(range(len(self.catalog)))).numpy()

    def _inputs(self, rows: Sequence[int] | range) -> torch.Tensor:
        pixels = np.stack(list(self.pictures.pixels([self.catalog.digests[r] for r in rows])))
        return torch.from_numpy(self.network.preprocessing.normalise(pixels))

    def tap(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        columns = np.concatenate([np.r_[self.slices[name]] for name in names])
        return self.taps[np.ix_(rows, columns)]

    def materialise(
        self,
        cut: str,
        rows: npt.NDArray[np.int64],
        *,
        views: int,
        level: Literal["none", "light", "standard"],
        flip: bool,
        seed: int,
    ) -> StoredViews:
        prefix = self.network.prefix(cut)
        found = []
        with torch.no_grad():
            for view in range(views):
                pixels = [self._view(int(r), view, level, flip, seed) for r in rows]
                batch = self.network.preprocessing.normalise(np.stack(pixels)) if pixels else None
                if batch is None:
                    found.append(np.zeros((0, *self.network.cut(cut).shape), dtype=np.float16))
                else:
                    found.append(prefix(torch.from_numpy(batch)).half().numpy())
        return StoredViews(np.stack(found, axis=1))

    def _view(
        self,
        row: int,
        view: int,
        level: Literal["none", "light", "standard"],
        flip: bool,
        seed: int,
    ) -> npt.NDArray[np.uint8]:
        digest = self.catalog.digests[row]
        return training_view(
            self.pictures.resized(digest),
            self.network.preprocessing,
            level=level if view else "none",
            flip=flip,
            seed=seed,
            epoch=view,
            key=digest,
        )

    def with_workers(self, workers: int) -> SmallStore:
        pictures = Pictures(
            self.catalog, self.network.preprocessing, max_pixels=10**6, workers=workers
        )
        return SmallStore(self.network, self.catalog, pictures)


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
    source = Source(
        net.eval(),
        Preprocessing(size=64, crop_pct=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        "none",
    )
    return Network("test_efficientnet", source)


@pytest.fixture(scope="session")
def digits_store(small_network: Network, tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
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
    catalog = Catalog("digits", ("2", "3", "8"), tuple(rows), tuple(digests))
    pictures = Pictures(catalog, small_network.preprocessing, max_pixels=10**6, workers=0)
    return SmallStore(small_network, catalog, pictures)


@pytest.fixture
def fit(digits_store: SmallStore) -> Fit:
    """Train on all digits, or with changed arguments."""

    def fit_digits(action: TapsHead | SuffixTraining | FullTraining, **changes: Any) -> Trained:
        store = changes.pop("store", digits_store)
        precision = changes.pop("precision", "fp32")
        arguments: dict[str, Any] = {
            "n_classes": N_CLASSES,
            "groups": None,
            "settings": make_settings(),
            "resolved": ResolvedSettings(
                workers=0,
                threads=1,
                device="cpu",
                precision=precision,
                budget_seconds=60.0,
                reasons={},
            ),
            "seed": 3,
            "checkpoint_dir": None,
            "progress": NullProgress(),
        }
        rows = changes.pop("rows", np.arange(len(store.catalog)))
        labels = changes.pop("labels", store.catalog.labels)
        return train(action, store, rows, labels, **(arguments | changes))

    return fit_digits
