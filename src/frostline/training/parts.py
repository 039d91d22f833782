"""Which rows teach, and which only judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.errors import PlanError
from frostline.data.catalog import Catalog
from frostline.data.splitting.stratified import stratified_holdout

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Catalog rows that teach and that judge; they never overlap.

    Attributes
    ----------
    train, validation : ndarray of int64
        Catalog rows; ``validation`` may be empty.
    train_labels, validation_labels : ndarray of int64
    digests : tuple of str
        Of the training rows' files.
    n_classes : int
    """

    train: IntArray
    train_labels: IntArray
    validation: IntArray
    validation_labels: IntArray
    digests: tuple[str, ...]
    n_classes: int


def make_parts(
    catalog: Catalog,
    rows: IntArray,
    labels: IntArray,
    *,
    n_classes: int,
    groups: IntArray | None,
    fraction: float,
    seed: int,
    validation_rows: IntArray | None = None,
) -> Parts:
    """Draw a stratified validation part from ``rows`` that splits no group, or take a given one.

    Parameters
    ----------
    catalog : Catalog
    rows : int array of shape (n,)
        Catalog rows that may be learned from.
    labels, groups : int arrays of shape (len(catalog),)
        Of all catalog rows; None: every image is a group of its own.
    fraction : float in [0, 0.5]
        Share of ``rows`` to draw; 0 draws none.
    validation_rows : int array or None
        A given validation part, then nothing is drawn.

    Raises
    ------
    PlanError
        If a given validation part overlaps ``rows``.
    """
    held = np.zeros(0, dtype=np.int64)
    if validation_rows is not None:
        held = np.asarray(validation_rows, dtype=np.int64)
        shared = np.intersect1d(rows, held)
        if len(shared):
            raise PlanError(
                f"{len(shared)} images are in the training and in the validation part, "
                f"the first: {catalog.rows[int(shared[0])].name}."
            )
    elif fraction > 0:
        digests = [catalog.digests[int(row)] for row in rows]
        grouping = np.arange(len(rows)) if groups is None else groups[rows]
        rest, drawn = stratified_holdout(
            labels[rows], grouping, digests, fraction=fraction, seed=seed
        )
        if len(rest):
            rows, held = rows[rest], rows[drawn]
    return Parts(
        train=rows,
        train_labels=labels[rows],
        validation=held,
        validation_labels=labels[held],
        digests=tuple(catalog.digests[int(row)] for row in rows),
        n_classes=n_classes,
    )
