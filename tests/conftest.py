"""Small real image folders, and a cache that no test shares with the user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import frostline

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from frostline.fitting.run_result import RunResult


def _take_one_core() -> None:
    """Give every process of a parallel run a core of its own: threads that share cores crawl."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker) % len(cores)]})


_take_one_core()
# processes of a parallel run are given a width that nobody asked for, and lines would be broken at
os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with whole runs: the longest files, which would otherwise keep one process waiting."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep everything that is computed in one cache for the whole session."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits 0, 1 and 4: 16 images each, 64 x 64, one folder per class."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder, per_class=16)
    return folder


@pytest.fixture(scope="session")
def digit_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same digits with a test part, so that a training runs once and not for every fold."""
    folder = tmp_path_factory.mktemp("digit parts")
    write_digits(folder / "train", per_class=12)
    write_digits(folder / "test", per_class=4, skip=12)
    return folder


@pytest.fixture(scope="session")
def digits_into() -> Callable[..., None]:
    """Return a function that writes some digits below a folder."""
    return write_digits


def write_digits(
    folder: Path, *, per_class: int, classes: tuple[int, ...] = (0, 1, 4), skip: int = 0
) -> None:
    """Write some digits as PNG files below ``folder``."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for digit in classes:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(data.target == digit)[skip : skip + per_class]:
            grey = Image.fromarray((data.images[number] * 15.9).astype(np.uint8))
            grey.resize((64, 64), Image.Resampling.BICUBIC).save(target / f"{number}.png")


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a tiny random network, for runs in which it matters little what it sees.

    Its layers are called as those of the bundled one. Its norm layers know the statistics of random
    images, as those of a trained network know theirs.
    """
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", pretrained=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(64, 3, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return {"backbone": "test_efficientnet", "weights": str(path), "input_size": "64"}


@pytest.fixture(scope="session")
def fast_run(digit_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run on the digits, shared by all tests: copy its folder before changing it."""
    folder = tmp_path_factory.mktemp("fast") / "run"
    return frostline.fit(digit_folder, folder, effort="fast", input_size="96")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skipped with a hint where there is none, unless one is required."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("FROSTLINE_REQUIRE_BROWSER"):
            pytest.fail("Tests of the pages need Chromium; install it.")
        pytest.skip("Tests of the pages need Chromium: apt-get install chromium.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()
