"""The four sets of real images, divided so that nothing alike is torn apart."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from benchmarks.decision.cells import runtime
from benchmarks.decision.sets import SETS, Places, clip_art, table_of
from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.preprocessing import UInt8Array
from frostline.core.settings import Settings
from frostline.data.audit import audit
from frostline.data.duplicates.copies import find_copies
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.fitting.inputs import FitInputs

IntArray = npt.NDArray[np.int64]

#: by the names of the page
NAMES = ("photos", "solar-cells", "digits", "clip-art")
FOLDS = 5
#: more drawings than in the study of decisions: few images cannot show a small calibration error
_SETS = {name: SETS[name] for name in NAMES}
_SETS["clip-art"] = replace(
    SETS["clip-art"], name="clip-art-large", make=partial(clip_art, most=400)
)


@dataclass(frozen=True)
class Prepared:
    """One set: everything that is computed once, and five folds of its images."""

    name: str
    task: FitInputs
    folds: list[tuple[IntArray, IntArray]]

    @property
    def store(self) -> Frozen:
        return self.task.frozen

    def paths(self, rows: IntArray) -> list[Path]:
        """Files of some rows."""
        return [self.store.catalog.rows[int(row)].path for row in rows]

    def table(self, folder: Path, fold: int) -> Path:
        """Write a table whose test part is one of the folds."""
        learn, judge = self.folds[fold]
        catalog = self.store.catalog
        path = folder / f"{self.name}.csv"
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for part, rows in (("train", learn), ("test", judge)):
                for row in rows:
                    image = catalog.rows[int(row)]
                    writer.writerow([image.path, catalog.classes[image.label], part])
        return path


@cache
def network() -> Network:
    """The bundled network at its own input size."""
    return Network.load("efficientnet_lite0")


def prepare(name: str, places: Places) -> Prepared:
    """Compute the features of a set, find what is alike, and divide the rest."""
    catalog = open_source(table_of(_SETS[name], places), group_by=None)
    store = run_frozen(network(), catalog, runtime())
    groups = audit(
        store.catalog, find_copies(store.catalog.digests, store.features.thumbnails)
    ).groups
    problem = Problem.of(store.catalog, groups=groups)
    folds = problem.folds(np.arange(len(store.catalog)), FOLDS)
    return Prepared(name, FitInputs(problem, store, Settings(effort="fast")), folds)


def corrupted(images: UInt8Array) -> dict[str, UInt8Array]:
    """Spoil prepared images (n, S, S, 3) in three ways."""
    rng = np.random.default_rng(0)
    noisy = images + rng.normal(0.0, 60.0, images.shape)
    blurred = [
        np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(8))) for image in images
    ]
    return {
        "noise": np.clip(noisy, 0, 255).astype(np.uint8),
        "blur": np.stack(blurred),
        "inverted": (255 - images).astype(np.uint8),
    }


def empty(n: int, side: int) -> dict[str, UInt8Array]:
    """Images of one colour, and of nothing but noise."""
    rng = np.random.default_rng(1)
    colours = np.concatenate(
        [np.repeat([[0], [128], [255]], 3, axis=1), rng.integers(0, 256, (n - 3, 3))]
    )
    plain = np.broadcast_to(colours[:, None, None, :], (n, side, side, 3))
    return {
        "one colour": plain.astype(np.uint8),
        "static": rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8),
    }
