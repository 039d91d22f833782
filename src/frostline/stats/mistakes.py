"""The predictions that were wrong although the model was sure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray


def worst_mistakes(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    most: int,
    answers: IntArray | None = None,
) -> IntArray:
    """Return positions of wrong predictions, the most confident first.

    - ``probabilities``, shape (n, C): for images that the model was not trained on.
    - ``labels``: shape (n,).
    - ``most``: how many are returned at most.
    - ``answers``, shape (n,): classes that were answered; the likeliest ones for None.

    Predictions of equal confidence keep their order.
    """
    values, given = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    predicted = values.argmax(axis=1) if answers is None else answers
    wrong = np.flatnonzero(predicted != given)
    order = np.argsort(-values[wrong, predicted[wrong]], kind="stable")
    return wrong[order][:most].astype(np.int64)
