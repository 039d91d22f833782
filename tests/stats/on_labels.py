"""The closed-form models on classes: what every fit of a single label does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.stats import neighbours, ridge
from frostline.stats.ridge import RidgeLOO
from frostline.targets.single_label import SingleLabel

FloatArray = npt.NDArray[np.float64]


def ridge_loo(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    n_classes: int,
    class_weights: npt.ArrayLike | None = None,
    **options: Any,
) -> RidgeLOO:
    target, truth = SingleLabel(n_classes), np.asarray(labels)
    weights = None if class_weights is None else np.asarray(class_weights, dtype=np.float64)
    rows = target.row_weights(truth, weights)
    return ridge.ridge_loo(X, target.matrix(truth), weights=rows, **options)


def ridge_without(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    divisions: list[Any],
    *,
    n_classes: int,
    class_weights: npt.ArrayLike | None = None,
    **options: Any,
) -> list[FloatArray]:
    target, truth = SingleLabel(n_classes), np.asarray(labels)
    weights = None if class_weights is None else np.asarray(class_weights, dtype=np.float64)
    rows = target.row_weights(truth, weights)
    return ridge.ridge_without(X, target.matrix(truth), divisions, weights=rows, **options)


def knn_loo(
    X: npt.ArrayLike, labels: npt.ArrayLike, *, n_classes: int, **options: Any
) -> FloatArray:
    matrix = SingleLabel(n_classes).matrix(np.asarray(labels))
    return neighbours.knn_loo(X, matrix, **options)
