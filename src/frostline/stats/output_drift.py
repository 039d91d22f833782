"""Shares of classes and labels, or means of numbers, against those of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.stats.label_shift import estimated_shares
from frostline.stats.paired import holm

_Z95 = 1.959963984540054
_TINY = 1e-12


@dataclass(frozen=True)
class OutputChange:
    """An output now and in training; ``interval`` of 95 % of ``now``."""

    now: float
    trained: float
    interval: tuple[float, float]
    p_adjusted: float


def class_changes(
    probabilities: FloatArray,
    trained: FloatArray,
    n_trained: int,
    *,
    calibrated: FloatArray | None = None,
) -> list[OutputChange]:
    """Compare the shares of C classes among n images with those of training.

    The shares are the likeliest (Saerens, Latinne and Decaestecker 2002), their errors those of the
    observed information of that likelihood, on the simplex.

    ``probabilities``, shape (n, C): calibrated for the shares ``calibrated``, shape (C,); for those
    of training if None. ``trained``, shape (C,): shares of ``n_trained`` images.
    """
    before = trained if calibrated is None else calibrated
    now = estimated_shares(probabilities, before)
    ratio = probabilities / np.maximum(before, _TINY)
    pull = ratio / np.maximum(ratio @ now, _TINY)[:, None]
    information = pull.T @ pull
    # shares add up to 1, so only what keeps their sum can vary
    n_classes = len(now)
    centred = np.eye(n_classes) - 1.0 / n_classes
    directions = np.linalg.svd(centred)[0][:, : n_classes - 1]
    inner = directions.T @ information @ directions
    covariance = directions @ np.linalg.pinv(inner, hermitian=True) @ directions.T
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    then = np.sqrt(trained * (1.0 - trained) / max(n_trained, 1))
    return _changes(now, errors, trained, then, bounds=(0.0, 1.0))


def label_changes(
    probabilities: FloatArray, trained: FloatArray, n_trained: int
) -> list[OutputChange]:
    """Compare the shares of C labels among n images, each by itself, with those of training."""
    found = [
        class_changes(np.stack([p, 1.0 - p], axis=1), np.array([share, 1.0 - share]), n_trained)[0]
        for p, share in zip(probabilities.T, np.clip(trained, 1e-6, 1.0 - 1e-6), strict=True)
    ]
    adjusted = holm([one.p_adjusted for one in found])
    return [
        OutputChange(one.now, one.trained, one.interval, p)
        for one, p in zip(found, adjusted, strict=True)
    ]


def number_changes(
    values: FloatArray, trained: FloatArray, spreads: FloatArray, n_trained: int
) -> list[OutputChange]:
    """Compare the means of C predicted numbers of n images with those of training.

    ``spreads``, shape (C,): standard deviations in training.
    """
    errors = values.std(axis=0) / math.sqrt(max(len(values), 1))
    before = spreads / math.sqrt(max(n_trained, 1))
    return _changes(values.mean(axis=0), errors, trained, before)


def _changes(
    now: FloatArray,
    errors: FloatArray,
    trained: FloatArray,
    before: FloatArray,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> list[OutputChange]:
    z = np.abs(now - trained) / np.maximum(np.hypot(errors, before), _TINY)
    # the share of a single class cannot change
    p = [math.erfc(float(one) / math.sqrt(2.0)) for one in z]
    low = np.clip(now - _Z95 * errors, *bounds)
    high = np.clip(now + _Z95 * errors, *bounds)
    rows: Sequence[tuple[float, ...]] = list(
        zip(now.tolist(), trained.tolist(), low.tolist(), high.tolist(), holm(p), strict=True)
    )
    return [OutputChange(a, b, (c, d), adjusted) for a, b, c, d, adjusted in rows]
