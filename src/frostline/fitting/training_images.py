"""A run's training images as its model sees them, to name those that others are most like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.compute.frozen import Before
from frostline.core.errors import InputError, RunFolderError
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.naming import counted
from frostline.fitting.earlier_run import EarlierRun, read_run
from frostline.fitting.run_pool import frozen_of
from frostline.model.model import Model
from frostline.model.onnx_file import is_onnx_file
from frostline.model.prediction import Neighbour, Prediction
from frostline.run.manifest import ManifestRow, read_rows
from frostline.run.run_folder import FEATURES
from frostline.stats.nearest import NearestRows
from frostline.stats.selection import Features


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Training images of a run, each content once, in the features that its head reads.

    ``missing``: how many are neither stored nor where they were.
    """

    images: tuple[ManifestRow, ...]
    table: NearestRows
    missing: int

    def nearest(self, embeddings: npt.NDArray[np.float32], k: int) -> list[tuple[Neighbour, ...]]:
        """Return the ``k`` training images that each of some images is most like, nearest first.

        Raises InputError if ``k`` is below 1 or above the number of training images.

        ``embeddings``, shape (n, d): of :meth:`Model.transform`.
        """
        self.check(k)
        places, cosines = self.table.find(embeddings, k)
        return [
            tuple(
                Neighbour(self.images[at].name, self.images[at].label, round(float(cosine), 6))
                for at, cosine in zip(row, close, strict=True)
            )
            for row, close in zip(places.tolist(), cosines, strict=True)
        ]

    def check(self, k: int) -> None:
        """Refuse a number of neighbours that there cannot be; raises InputError."""
        n = len(self.images)
        if not 1 <= k <= n:
            raise InputError(
                f"{k:,} neighbours were asked for; the model learned from {counted(n, 'image')} "
                "that can be compared.",
                hint=f"Ask for 1 to {n:,}.",
            )


def open_training_images(run: Path, model: Model, runtime: Runtime) -> TrainingImages:
    """Return the training images of a run in the features of its head.

    For a head on frozen features they come from the store, or the run folder if it keeps them; what
    neither has is computed from the images. Trained layers have to see the images again. Nothing
    is written into the run.

    Raises RunFolderError for a model without its run, which does not say what it learned from, or
    a run without the list of its images; InputError if none of them can be compared, or the model
    has no embedding.

    ``run``: its folder. ``model``: of it, as loaded.
    """
    if is_onnx_file(run) or read_rows(run) is None:
        raise RunFolderError(
            f"{run} does not say which images the model learned from: that stays in its run "
            "folder, as catalog.csv.",
            hint="Give the folder that 'frostline fit -o' wrote, of this version.",
        )
    earlier = read_run(run)
    trained_on: dict[str, ManifestRow] = {}
    for row in sorted(read_rows(run) or (), key=lambda row: row.name):
        if row.part == "train":
            trained_on.setdefault(row.digest, row)
    taps = _stored_taps(earlier)
    found = (
        _stored(earlier, trained_on, taps, runtime)
        if taps
        else _computed(earlier, trained_on, model)
    )
    images, rows = found
    if not images:
        raise InputError(
            f"None of the {counted(len(trained_on), 'training image')} of {run} is stored, or "
            "where it was.",
            hint="Put the images back to where they were when the run was fitted.",
        )
    return TrainingImages(images, NearestRows(rows), len(trained_on) - len(images))


def with_nearest(
    results: Sequence[tuple[Path, Prediction | object]], known: TrainingImages, k: int
) -> dict[int, tuple[Neighbour, ...]]:
    """Return the neighbours of every prediction with an embedding, by its place."""
    places = [
        (i, one.embedding)
        for i, (_, one) in enumerate(results)
        if isinstance(one, Prediction) and one.embedding is not None
    ]
    if not places:
        return {}
    named = known.nearest(np.stack([embedding for _, embedding in places]), k)
    return {place: found for (place, _), found in zip(places, named, strict=True)}


def _stored_taps(earlier: EarlierRun) -> tuple[str, ...]:
    """Return the depths whose stored features the embedding is; none where layers were trained."""
    action = earlier.card.action
    if action is None:
        return earlier.card.taps
    members = [one for one in (action.members or (action,)) if one.closed_form]
    if not members or members[0].adapts_statistics:
        return ()
    return tuple(members[0].taps)


def _stored(
    earlier: EarlierRun, trained_on: dict[str, ManifestRow], taps: Sequence[str], runtime: Runtime
) -> tuple[tuple[ManifestRow, ...], Features]:
    place = {one.name: one.origin for one in earlier.images.found}
    rows = []
    for row in trained_on.values():
        origin = place[row.name]
        rows.append(ImageRow(origin if isinstance(origin, Path) else Path(row.name), row.name, -1))
    catalog = Catalog(
        source=str(earlier.path),
        classes=earlier.card.classes,
        rows=tuple(rows),
        digests=tuple(trained_on),
        special=frozenset(row.digest for row in trained_on.values() if row.special),
    )
    kept = earlier.path / FEATURES
    before = Before(set(), kept if kept.is_dir() else None)
    frozen = frozen_of(earlier, catalog, runtime, before=before)
    features = frozen.features
    table = features.table(
        [name for name in features.slices if name in taps], np.arange(len(frozen.catalog))
    )
    return tuple(trained_on[digest] for digest in frozen.catalog.digests), table


def _computed(
    earlier: EarlierRun, trained_on: dict[str, ManifestRow], model: Model
) -> tuple[tuple[ManifestRow, ...], Features]:
    place = {one.name: one.origin for one in earlier.images.found}
    there = [
        (row, origin)
        for row in trained_on.values()
        if isinstance(origin := place[row.name], Path) and origin.is_file()
    ]
    found = model.predict_each([origin for _, origin in there], embeddings=True)
    read = [
        (row, one.embedding)
        for (row, _), one in zip(there, found, strict=True)
        if isinstance(one, Prediction) and one.embedding is not None
    ]
    vectors = [embedding for _, embedding in read]
    table = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
    return tuple(row for row, _ in read), table
