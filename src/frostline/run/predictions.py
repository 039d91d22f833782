"""The table of predictions: one line for every evaluated image."""

from __future__ import annotations

import csv
from pathlib import Path

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.files import replacing
from frostline.data.problem import Problem

#: lines that are made at a time
_AT_ONCE = 1000

COLUMNS = ("path", "label", "prediction", "confidence")


def write_predictions(
    path: Path,
    problem: Problem,
    rows: IntArray,
    probabilities: FloatArray,
    answers: Truth | None = None,
) -> None:
    """Write ``predictions.csv`` line by line, whole or not at all.

    Raises RunFolderError if the file cannot be written.

    ``rows``, shape (n,): rows of the catalog. ``probabilities``: shape (n, n_outputs). ``answers``:
    what was answered, as the target encodes it; the likeliest for None.
    """
    catalog, target = problem.catalog, problem.target
    decided = target.decide(probabilities) if answers is None else answers
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            labels = target.said(problem.labels[rows[part]], catalog.classes)
            predictions = target.said(decided[part], catalog.classes)
            sure = target.sureness(probabilities[part], decided[part])
            confidences = [""] * len(labels) if sure is None else [f"{one:.6f}" for one in sure]
            names = (catalog.rows[row].name for row in rows[part])
            writer.writerows(zip(names, labels, predictions, confidences, strict=True))
