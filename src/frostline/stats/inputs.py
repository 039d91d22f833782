"""What every linear model checks about its rows, and how it walks over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.selection import Features, Selection
from frostline.stats.target_matrix import TargetMatrix

#: rows that are held in float64 at a time; 2048 x 4200 is 69 MB
CHUNK_ROWS = 2048


def check_features(X: npt.ArrayLike) -> Features:
    """Return ``X`` as a floating (n, d) table, without a copy where it already is one.

    Raises InputError if ``X`` is not two-dimensional, or has fewer than two rows or no column.
    """
    features = X if isinstance(X, Selection) else np.asarray(X)
    if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < 1:
        raise InputError(
            f"Features must be a table of at least 2 rows and 1 column, not {features.shape}."
        )
    if isinstance(features, Selection) or np.issubdtype(features.dtype, np.floating):
        return features
    return features.astype(np.float64)


def check_labels(labels: npt.ArrayLike, *, n_rows: int, n_classes: int) -> IntArray:
    """Return ``labels`` as int64 of shape (n_rows,), every value in [0, n_classes).

    Raises InputError if the length, the type or a value is wrong.
    """
    found = np.asarray(labels)
    if found.shape != (n_rows,):
        raise InputError(f"There are {n_rows} rows of features but labels of shape {found.shape}.")
    if not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"Labels must be whole numbers, not {found.dtype}.")
    if n_rows and (found.min() < 0 or found.max() >= n_classes):
        raise InputError(
            f"Labels must lie in 0 to {n_classes - 1}, not {found.min()} to {found.max()}."
        )
    return found.astype(np.int64, copy=False)


def check_targets(targets: TargetMatrix, *, n_rows: int) -> None:
    """Refuse targets of another number of rows.

    Raises InputError.
    """
    if len(targets) != n_rows:
        raise InputError(f"There are {n_rows} rows of features but labels for {len(targets)}.")


def normalised_weights(weights: npt.ArrayLike | None, *, n_rows: int) -> FloatArray:
    """Return one weight a row, with mean 1.

    Raises InputError if the length or a value is wrong.

    Parameters
    ----------
    weights : array of shape (n_rows,) or None
        Positive and finite; None weighs all rows alike.
    """
    if weights is None:
        return np.ones(n_rows)
    chosen = np.asarray(weights, dtype=np.float64)
    if chosen.shape != (n_rows,):
        raise InputError(f"Expected {n_rows} weights, not shape {chosen.shape}.")
    if not np.all(np.isfinite(chosen)) or np.any(chosen <= 0):
        raise InputError("Weights must be positive and finite for every row.")
    scaled: FloatArray = chosen * (n_rows / chosen.sum())
    return scaled


def group_codes(groups: npt.ArrayLike | None, *, n_rows: int) -> IntArray:
    """Return group numbers 0, 1, ... of shape (n_rows,); every row is its own group for None.

    Raises InputError if the length is wrong or all rows are in one group (nothing would be left to
    fit on).
    """
    if groups is None:
        return np.arange(n_rows)
    found = np.asarray(groups)
    if found.shape != (n_rows,):
        raise InputError(f"There are {n_rows} rows of features but groups of shape {found.shape}.")
    codes = np.unique(found, return_inverse=True)[1].astype(np.int64)
    if codes.max() == 0:
        raise InputError(
            "All rows are in one group, so leaving it out leaves nothing to learn from.",
            hint="Check what the images are grouped by.",
        )
    return codes


def check_alphas(alphas: npt.ArrayLike) -> FloatArray:
    """Return what scales penalties as a float64 array of shape (k,), all positive and finite."""
    found = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if found.ndim != 1 or not len(found) or not np.all(np.isfinite(found)) or np.any(found <= 0):
        raise InputError("Strengths must be positive, finite numbers, at least one of them.")
    return found


def check_blocks(blocks: Sequence[slice] | None, *, n_columns: int) -> list[slice]:
    """Return blocks of columns that cover 0 to ``n_columns`` once; one block for None."""
    if blocks is None:
        return [slice(0, n_columns)]
    covered = np.zeros(n_columns, dtype=np.int64)
    for block in blocks:
        covered[block] += 1
    if not np.all(covered == 1):
        raise InputError(
            f"Blocks must cover each of {n_columns} columns once; column "
            f"{int(np.flatnonzero(covered != 1)[0])} is covered {int(covered[covered != 1][0])} "
            "times."
        )
    return list(blocks)


def row_chunks(n_rows: int) -> Iterator[slice]:
    """Yield slices of at most ``CHUNK_ROWS`` rows that cover all rows in order."""
    for start in range(0, n_rows, CHUNK_ROWS):
        yield slice(start, min(n_rows, start + CHUNK_ROWS))


def linear_outputs(X: npt.ArrayLike, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Return ``X @ weight + bias`` in float64, converting a chunk of rows at a time.

    Raises InputError if ``X`` does not have as many columns as ``weight`` has rows.
    """
    features = X if isinstance(X, Selection) else np.asarray(X)
    if features.ndim != 2 or features.shape[1] != weight.shape[0]:
        raise InputError(
            f"Features must have {weight.shape[0]} columns, not shape {features.shape}."
        )
    outputs = np.empty((len(features), weight.shape[1]))
    for rows in row_chunks(len(features)):
        outputs[rows] = features[rows].astype(np.float64, copy=False) @ weight + bias
    return outputs
