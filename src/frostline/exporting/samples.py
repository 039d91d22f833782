"""Images that an export is calibrated and checked on: those that the run was judged on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostline.core.arrays import BoolArray, Truth
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.files import JSON_BYTES, UnfitFileError, is_file, open_regular, read_regular
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.data.decoding.image_refs import digest_of
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.sources.open_source import open_for_evaluation
from frostline.data.sources.scanning import files_below
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.run.manifest import manifest_of
from frostline.run.run_folder import PREDICTIONS, SETTINGS

#: enough to see a loss of half a point, few enough for a minute
LIMIT = 512
_UNKNOWN = -1
#: a line for each of ten million images
_TABLE_BYTES = 2**30
_SIDES = ((48, 48), (300, 200), (90, 700), (1, 40), (513, 512), (1024, 768))


@dataclass(frozen=True)
class Samples:
    """Images as they enter the network.

    ``prepared``: shape (n, size, size, 3). ``truth``, shape (n,) or (n, k): as the model's target
    encodes it; -1 for a class that is not known, NaN for a label or number. ``paths``: the files;
    none for made-up images. ``learned``, shape (n,): whether the model was trained on an image, or
    chosen by it, so that being right there proves nothing; None where that cannot be told.
    """

    prepared: UInt8Array
    truth: Truth
    paths: tuple[Path, ...]
    learned: BoolArray | None = None

    @property
    def real(self) -> bool:
        """Whether they are images of the user's, not made up."""
        return bool(self.paths)

    def __len__(self) -> int:
        return len(self.prepared)


def labelled(truth: Truth) -> BoolArray:
    """Return of which images something is known, shape (n,)."""
    if truth.ndim == 1:
        return np.asarray(truth >= 0)
    known: BoolArray = ~np.isnan(truth)
    return np.asarray(known.any(axis=1))


def find_samples(
    model: Model, source: Path, *, images: Path | None, limit: int = LIMIT
) -> Samples | None:
    """Prepare images of the run, or of a folder or table that the user names.

    Raises InputError if ``images`` has no image that can be read.

    - ``source``: the run folder, or the exported file.
    - ``images``: labelled as for a fit, or a folder of images without labels.
    - ``limit``: at most so many, drawn by their names.
    - The result: None if the run's images cannot be found any more.
    """
    card = model.card
    found = _evaluated(source, card) if images is None else _given(images, card)
    chosen = sorted(found, key=lambda item: hashlib.sha256(item[0].name.encode()).digest())[:limit]
    samples = _prepared(model, chosen)
    if samples is None:
        if images is not None:
            raise InputError(f"No image of {images} could be read.")
        return None
    return replace(samples, learned=_learned(model, samples.paths, judged=images is None))


def made_up_samples(model: Model) -> Samples:
    """Return a few images of noise, coarse to fine, in several shapes."""
    random = np.random.default_rng(0)
    prepared = []
    for i, (height, width) in enumerate(_SIDES):
        cells = 2 + 9 * i
        coarse = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        prepared.append(model.prepare(coarse[rows][:, columns], name=f"made-up image {i}"))
    return Samples(np.stack(prepared), _nothing(model.card, len(prepared)), ())


def _learned(model: Model, paths: Sequence[Path], *, judged: bool) -> BoolArray | None:
    """Tell which files the model learned from, by what its run says; None where nothing does.

    ``judged``: whether the files are those that the run was judged on.
    """
    manifest = manifest_of(model.folder, n_train=model.card.n_train)
    if manifest is not None:
        parts = [manifest.parts.get(digest_of(path, name=str(path))) for path in paths]
        return np.array([part in ("train", "validation") for part in parts])
    method = model.card.test.method
    if not judged or method is None:
        return None
    # of a run by cross-validation the final model was fitted on all that its folds were judged on
    return np.full(len(paths), method == "cross-validation")


def _given(images: Path, card: ModelCard) -> list[tuple[Path, Truth]]:
    """Images with labels where the folder or table has those of the model."""
    try:
        catalog = open_for_evaluation(images, card.classes, task=card.task)
    except (InputError, SettingsError):
        if not images.is_dir():
            raise
        files, _ = files_below(images)
        found = [Path(file.path) for file in files if not file.broken]
        return list(zip(found, _nothing(card, len(found)), strict=True))
    return list(zip((row.path for row in catalog.rows), catalog.truth, strict=True))


def _evaluated(run: Path, card: ModelCard) -> list[tuple[Path, Truth]]:
    """Images that ``predictions.csv`` names and that are still where they were."""
    try:
        settings = json.loads(read_regular(run / SETTINGS, at_most=JSON_BYTES))
        source = Path(settings["source"])
        base = source if source.is_dir() else source.parent
        with open_regular(run / PREDICTIONS, at_most=_TABLE_BYTES) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            rows = [(base / row["path"], row["label"]) for row in csv.DictReader(text)]
    except (OSError, UnfitFileError, ValueError, KeyError, TypeError, RecursionError, csv.Error):
        return []
    found = [(path, said) for path, said in rows if is_file(path)]
    truth = card.target.read([said for _, said in found], card.classes)
    return [(path, own) for (path, _), own in zip(found, truth, strict=True)]


def _nothing(card: ModelCard, n: int) -> Truth:
    """Return the truth about ``n`` images of which nothing is known."""
    if card.target.exclusive:
        return np.full(n, _UNKNOWN)
    return np.full((n, len(card.classes)), np.nan)


def _prepared(model: Model, found: list[tuple[Path, Truth]]) -> Samples | None:
    results = read_in_order(
        found,
        lambda item: model.prepare(item[0], name=str(item[0])),
        workers=min(8, available_cores()),
    )
    kept = [
        (array, path, truth)
        for (path, truth), array in zip(found, results, strict=True)
        if not isinstance(array, UnreadableImageError)
    ]
    if not kept:
        return None
    return Samples(
        np.stack([array for array, _, _ in kept]),
        np.stack([truth for _, _, truth in kept]),
        tuple(path for _, path, _ in kept),
    )
