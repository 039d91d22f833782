"""Real images of three kinds in a folder, the bundled network, and a cache of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import elpv_dataset
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from frostline.backbones.network import Network
from frostline.compute.engines.frozen_part import prefix_part, taps_part
from frostline.compute.engines.onnx_export import exported
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.preprocessing import Preprocessing
from frostline.core.progress import Task
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import open_source

PER_CLASS = 7
CUT = "blocks.3"


@dataclass
class Heard:
    """A listener that remembers."""

    notes: list[str] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        self.totals[label] = total
        return _silent()

    def note(self, fact: object, /) -> None:
        self.notes.append(str(fact))


class _Silent:
    def advance(self, n: int = 1) -> None:
        del n


@contextmanager
def _silent() -> Iterator[Task]:
    yield _Silent()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="session")
def lite0() -> Network:
    torch.set_num_threads(1)
    return Network.load("efficientnet_lite0")


@pytest.fixture(scope="session")
def small() -> Network:
    """A tiny network with random weights, where only the bookkeeping counts."""
    torch.manual_seed(3)
    net = timm.create_model("test_efficientnet", pretrained=False).eval()
    return Network.load(net, preprocessing=Preprocessing(size=64))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that everything in the test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FROSTLINE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def pictures_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written digits, pieces of photos and solar cells: 21 files in 3 classes. Do not change."""
    root = tmp_path_factory.mktemp("pictures")
    for name, images in (
        ("cells", _cells()),
        ("digits", _digits()),
        ("photos", _photos()),
    ):
        (root / name).mkdir()
        for number, image in enumerate(images):
            ending = "jpg" if name == "photos" else "png"
            image.save(root / name / f"{number}.{ending}")
    return root


def _digits() -> Iterator[Image.Image]:
    for values in load_digits().images[:PER_CLASS]:
        grey = Image.fromarray((values * 15.9).astype(np.uint8))
        yield grey.resize((96, 128), Image.Resampling.BICUBIC).convert("RGB")


def _photos() -> Iterator[Image.Image]:
    photos = [Image.fromarray(values) for values in load_sample_images().images]
    for number in range(PER_CLASS):
        left = 60 * (number // 2)
        yield photos[number % 2].crop((left, 20, left + 260, 320))


def _cells() -> Iterator[Image.Image]:
    folder = Path(str(elpv_dataset.__file__)).parent
    for path in sorted(folder.rglob("*.png"))[:PER_CLASS]:
        yield Image.open(path).convert("RGB")


@pytest.fixture(scope="session")
def pictures(pictures_folder: Path) -> Catalog:
    return open_source(pictures_folder)


@pytest.fixture(scope="session")
def exports(lite0: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engines of the bundled network, exported once for all tests."""
    root = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(root))
        exported(taps_part(lite0, lite0.taps))
        exported(prefix_part(lite0, CUT))
    return root / "engines"


@pytest.fixture
def runtime(heard: Heard) -> Runtime:
    """One thread, no workers, and a listener."""
    return Runtime(progress=heard)


@pytest.fixture
def run(small: Network, exports: Path, cache: Path, runtime: Runtime) -> Callable[..., Frozen]:
    """Run the passes over a catalog, with the tiny network unless another one is given."""
    shutil.copytree(exports, cache / "engines")

    def passes(
        catalog: Catalog, *, network: Network = small, workers: int = 0, **changes: Any
    ) -> Frozen:
        return run_frozen(network, catalog, replace(runtime, workers=workers, **changes))

    return passes
