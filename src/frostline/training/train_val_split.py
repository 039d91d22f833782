"""Which rows train, and which only validate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import PlanError
from frostline.data.problem import Problem
from frostline.data.splitting.stratified import stratified_holdout
from frostline.stats.sigmoids import Rescaling
from frostline.targets.protocol import Target


@dataclass(frozen=True)
class TrainValSplit:
    """Catalog rows that train and that validate; they never overlap.

    Attributes
    ----------
    train, validation : ndarray of int64
        Catalog rows; ``validation`` may be empty.
    digests : tuple of str
        Of the training rows' files.
    train_weights, validation_weights : ndarray of float64 or None
        How much each of these images counts, with mean 1; None where all count alike.
    units : Rescaling or None
        What turns the numbers that are trained on into those of the truth; None where these are
        the same.
    """

    train: IntArray
    train_labels: Truth
    validation: IntArray
    validation_labels: Truth
    digests: tuple[str, ...]
    target: Target
    train_weights: FloatArray | None = None
    validation_weights: FloatArray | None = None
    units: Rescaling | None = None


def split_train_val(
    problem: Problem, rows: IntArray, *, fraction: float, validation_rows: IntArray | None = None
) -> TrainValSplit:
    """Draw a stratified validation part from ``rows`` that splits no group, or take a given one.

    Raises PlanError if a given validation part overlaps ``rows``.

    Parameters
    ----------
    rows : int array of shape (n,)
        Catalog rows that may be learned from.
    fraction : float in [0, 0.5]
        Share of ``rows`` to draw; 0 draws none.
    validation_rows : int array or None
        A given validation part, then nothing is drawn.
    """
    held = np.zeros(0, dtype=np.int64)
    if validation_rows is not None:
        held = np.asarray(validation_rows, dtype=np.int64)
        shared = np.intersect1d(rows, held)
        if len(shared):
            raise PlanError(
                f"{len(shared)} images are in the training and in the validation part, "
                f"the first: {problem.catalog.rows[int(shared[0])].name}."
            )
    elif fraction > 0:
        rest, drawn = stratified_holdout(
            problem.target.split_by(problem.labels[rows]),
            problem.groups[rows],
            problem.digests(rows),
            fraction=fraction,
            seed=problem.seed,
        )
        if len(rest):
            rows, held = rows[rest], rows[drawn]
    units = problem.target.units(problem.labels[rows])

    def in_units(truth: Truth) -> Truth:
        return truth if units is None else (truth - units.bias) / units.scale

    return TrainValSplit(
        train=rows,
        train_labels=in_units(problem.labels[rows]),
        validation=held,
        validation_labels=in_units(problem.labels[held]),
        units=units,
        digests=tuple(problem.digests(rows)),
        target=problem.target,
        train_weights=_weights(problem, rows),
        validation_weights=_weights(problem, held),
    )


def _weights(problem: Problem, rows: IntArray) -> FloatArray | None:
    weights = problem.image_weights(rows)
    return None if weights is None or not len(rows) else weights / weights.mean()
