"""The table of predictions: one line for every evaluated image."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import RunFolderError
from frostline.core.files import (
    UnfitFileError,
    digest_regular,
    open_regular,
    replacing,
)
from frostline.data.problem import Problem

#: lines that are made at a time
_AT_ONCE = 1000

COLUMNS = ("path", "label", "prediction", "confidence")
#: a line for each of ten million images
_BYTES = 2**32
#: numbers that are kept of all predictions, at most; 400 MB
_KEPT_NUMBERS = 10**8
#: of the file that holds them: the array, and the digest of the table that it belongs to
_ARRAY, _TABLE = "predictions", "table"


@dataclass(frozen=True)
class StoredPredictions:
    """What a run kept of the images that judged it, in the order of ``predictions.csv``.

    Attributes
    ----------
    paths, labels, answers : tuple of str
        Names of images, and what is true and was answered, as text.
    confidence : tuple of float or None
        None where the answer is no class or label.
    numbers : float64 ndarray of shape (n, k) or None
        Probabilities or numbers; None where an older version, or a very large run, kept none.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    answers: tuple[str, ...]
    confidence: tuple[float | None, ...]
    numbers: FloatArray | None


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


def write_numbers(path: Path, table: Path, predictions: FloatArray) -> None:
    """Write the probabilities or numbers behind ``predictions.csv``, so that runs can be compared.

    In single precision; nothing is written for more than 100 million numbers. Raises RunFolderError
    if the file cannot be written.

    ``table``: the ``predictions.csv`` that was written for the same rows. ``predictions``: shape
    (n, k).
    """
    if predictions.size > _KEPT_NUMBERS:
        return
    from safetensors.numpy import save

    content = save(
        {_ARRAY: np.ascontiguousarray(predictions, dtype=np.float32)},
        metadata={_TABLE: digest_regular(table, at_most=_BYTES).hexdigest},
    )
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_predictions(table: Path, numbers: Path) -> StoredPredictions:
    """Read what a run kept of the images that judged it.

    Raises RunFolderError if the table is missing or damaged. ``numbers`` may be missing, or belong
    to another table; then there are none.
    """
    try:
        with open_regular(table, at_most=_BYTES) as file:
            rows = list(csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline="")))
    except (UnfitFileError, OSError, ValueError, csv.Error) as error:
        raise RunFolderError(f"{table} cannot be read: {error}.") from None
    header, body = tuple(rows[0]) if rows else (), rows[1:]
    if header[: len(COLUMNS)] != COLUMNS or any(len(row) != len(header) for row in body):
        raise RunFolderError(
            f"{table} is damaged: expected the columns {', '.join(COLUMNS)} in every row.",
            hint="Run 'frostline fit' again to make it anew.",
        )
    columns = list(zip(*(row[: len(COLUMNS)] for row in body), strict=True)) or [()] * len(COLUMNS)
    paths, labels, answers, confidence = columns
    return StoredPredictions(
        tuple(paths),
        tuple(labels),
        tuple(answers),
        tuple(_confidence(text, table) for text in confidence),
        _numbers(numbers, table, len(body)),
    )


def _confidence(text: str, table: Path) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise RunFolderError(
            f"{table} is damaged: {text!r} is no confidence.",
            hint="Run 'frostline fit' again to make it anew.",
        ) from None


def _numbers(path: Path, table: Path, n_rows: int) -> FloatArray | None:
    """Return the numbers of a table; None where there are none, or those of another one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            of = (file.metadata() or {}).get(_TABLE)
            if of != digest_regular(table, at_most=_BYTES).hexdigest:
                return None
            found = np.asarray(file.get_tensor(_ARRAY), dtype=np.float64)
    except (SafetensorError, OSError, UnfitFileError):
        return None
    return found if found.ndim == 2 and len(found) == n_rows else None
