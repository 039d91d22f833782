"""The predictions that were wrong although the model was sure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray


def worst_mistakes(probabilities: npt.ArrayLike, labels: npt.ArrayLike, *, most: int) -> IntArray:
    """Return positions of wrong predictions, the most confident first.

    - ``probabilities``, shape (n, C): for images that the model was not trained on.
    - ``labels``: shape (n,).
    - ``most``: how many are returned at most.

    Predictions of equal confidence keep their order.
    """
    values, given = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    predicted = values.argmax(axis=1)
    wrong = np.flatnonzero(predicted != given)
    order = np.argsort(-values[wrong, predicted[wrong]], kind="stable")
    return wrong[order][:most].astype(np.int64)
