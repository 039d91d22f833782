"""Predictions as a file: its ending says which kind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from frostline.cli.prediction_formats import (
    EMBEDDING,
    NEAREST,
    Result,
    asked_for,
    class_columns,
    csv_lines,
    interval_of,
    neighbours_of,
    object_of,
    path_text,
)
from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.extras import require_extra
from frostline.core.files import replacing
from frostline.model.prediction import Prediction

_Write = Callable[[Path, Sequence[str], Sequence[Result]], None]
CSV, PARQUET = ".csv", ".parquet"


def check_output(path: Path, *, embeddings: bool) -> None:
    """Refuse a file that cannot be written so, before anything is computed.

    Raises InputError for another ending, a folder, or vectors in CSV; MissingExtraError for Parquet
    without the extra.
    """
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InputError(
            f"{path} has no ending that says what to write.", hint=f"End it in {_ENDINGS}."
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file.", hint="Give a file in it.")
    if kind == CSV and embeddings:
        raise InputError(
            "CSV has no column for a vector.",
            hint="Write --embeddings to a file ending in .parquet or .jsonl.",
        )
    if kind == PARQUET:
        require_extra("tables", f"Writing {path.name}")


def write_predictions(path: Path, classes: Sequence[str], results: Sequence[Result]) -> None:
    """Write predictions of images in order; what was there is replaced when all is written.

    Raises InputError if the file cannot be written.

    ``path``: of an ending that :func:`check_output` accepts.
    """
    with replacing(path, failure=InputError) as temporary:
        _KINDS[path.suffix.lower()](temporary, classes, results)


def _csv(path: Path, classes: Sequence[str], results: Sequence[Result]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(csv_lines(classes, results))


def _json(path: Path, classes: Sequence[str], results: Sequence[Result]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for place, (image, result) in enumerate(results):
            file.write("[\n" if place == 0 else ",\n")
            file.write(json.dumps(object_of(classes, image, result)))
        file.write("\n]\n" if results else "[]\n")


def _json_lines(path: Path, classes: Sequence[str], results: Sequence[Result]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for image, result in results:
            file.write(json.dumps(object_of(classes, image, result)) + "\n")


def _parquet(path: Path, classes: Sequence[str], results: Sequence[Result]) -> None:
    """Write the columns of the CSV with their types, and vectors of float32 of one length."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = [one if isinstance(one, Prediction) else None for _, one in results]

    def each(tell: Callable[[Prediction], object]) -> list[object]:
        return [None if one is None else tell(one) for one in read]

    width = next((len(o.embedding) for o in read if o and o.embedding is not None), None)
    beside = [*([] if width is None else [EMBEDDING]), *asked_for(results)]
    values = _matrix(read, len(classes))
    names = class_columns(classes, beside)
    columns = {
        "path": pa.array([_utf8(path_text(image)) for image, _ in results]),
        "label": pa.array(each(lambda one: one.label), pa.string()),
        "confidence": pa.array(each(lambda one: one.confidence), pa.float64(), from_pandas=True),
        "unknown": pa.array(each(lambda one: one.unknown), pa.bool_()),
        "unfamiliarity": pa.array(each(lambda one: one.unfamiliarity), pa.float64()),
        **{
            name: pa.array(values[:, at], pa.float64(), from_pandas=True)
            for at, name in enumerate(names)
        },
        "error": pa.array(
            [o.reason if isinstance(o, UnreadableImageError) else None for _, o in results],
            pa.string(),
        ),
        "set_95": pa.array(each(lambda one: _text(one.set_95)), pa.string()),
        "abstain": pa.array(each(lambda one: _text(one.abstain)), pa.string()),
        "interval": pa.array(each(lambda one: _text(interval_of(classes, one))), pa.string()),
    }
    if width is not None:
        flat = np.zeros((len(read), width), dtype=np.float32)
        for row, one in zip(flat, read, strict=True):
            if one is not None and one.embedding is not None:
                row[:] = one.embedding
        columns[EMBEDDING] = pa.FixedSizeListArray.from_arrays(
            pa.array(flat.ravel()), width, mask=pa.array([one is None for one in read])
        )
    if NEAREST in beside:
        fields = [("path", pa.string()), ("label", pa.string()), ("similarity", pa.float64())]
        columns[NEAREST] = pa.array(each(neighbours_of), pa.list_(pa.struct(fields)))
    pq.write_table(pa.table(columns), path)


def _matrix(read: Sequence[Prediction | None], n_columns: int) -> np.ndarray[tuple[int, int]]:
    """Return probabilities or numbers (n, C); NaN for images that could not be read."""
    values = np.full((len(read), n_columns), np.nan)
    for row, one in zip(values, read, strict=True):
        if one is not None:
            row[:] = one.probabilities
    return values


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _utf8(text: str) -> str:
    """Return a text without halves of letters, which Parquet does not keep."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


_KINDS: dict[str, _Write] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    CSV: _csv,
    PARQUET: _parquet,
}
_ENDINGS = ".jsonl, .json, .csv or .parquet"
