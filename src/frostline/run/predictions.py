"""The table of predictions: one line for every evaluated image."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.files import replacing
from frostline.data.problem import Problem

COLUMNS = ("path", "label", "prediction", "confidence")


def write_predictions(
    path: Path,
    problem: Problem,
    rows: IntArray,
    probabilities: FloatArray,
    answers: IntArray | None = None,
) -> None:
    """Write ``predictions.csv`` line by line, whole or not at all.

    Raises RunFolderError if the file cannot be written.

    ``rows``, shape (n,): rows of the catalog. ``probabilities``: shape (n, n_outputs). ``answers``,
    shape (n,): classes that were answered; the
    likeliest ones for None.
    """
    catalog = problem.catalog
    winners = problem.target.decide(probabilities) if answers is None else answers
    confidences = probabilities[np.arange(len(rows)), winners]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, winner, confidence in zip(rows, winners, confidences, strict=True):
            image = catalog.rows[row]
            label, prediction = catalog.classes[image.label], catalog.classes[winner]
            writer.writerow([image.name, label, prediction, f"{confidence:.6f}"])
