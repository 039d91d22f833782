"""Score a fitted model on labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frostline.artifact.model import Model
from frostline.errors import InputError, UnreadableImageError
from frostline.evaluation.scores import Scores, score
from frostline.images.catalog import Unreadable
from frostline.images.sources import Source, open_for_evaluation, source_name
from frostline.progress import NullProgress, Progress


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a source, and the images of it that could not be read."""

    scores: Scores
    classes: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]


def evaluate(run: str | Path, source: Source, *, progress: Progress | None = None) -> Evaluation:
    """Score the model of a finished run on labelled images.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run.
    source : path, DataFrame, dataset, (images, labels) or dict
        As for a fit; its classes must be the model's.
    progress : Progress or None, default=None

    Raises
    ------
    RunFolderError
        If there is no finished model.
    InputError
        If a class is unknown to the model, or no image can be read.
    """
    model = Model.load(run)
    catalog = open_for_evaluation(source, model.classes, progress=progress)
    probabilities, truth = [], []
    unreadable = list(catalog.unreadable)
    with (progress or NullProgress()).task("classifying", len(catalog)) as bar:
        images = [row.origin for row in catalog.rows]
        for row, result in zip(catalog.rows, model.predict_each(images), strict=True):
            if isinstance(result, UnreadableImageError):
                unreadable.append(Unreadable(row.name, result.reason))
            else:
                probabilities.append(result.probabilities)
                truth.append(row.label)
            bar.advance()
    if not truth:
        raise InputError(f"No image of {source_name(source)} could be read.")
    scores = score(np.stack(probabilities), np.array(truth))
    return Evaluation(scores, model.classes, tuple(unreadable))
