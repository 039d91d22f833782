"""Which old classes the new ones look like: an explanation, never a reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.backbone.source_classifier import SourceClassifier
from frostline.plan import Lookalike

#: at a smaller mean probability the old class is only the nearest, not near
CLOSE = 0.2


def find_lookalikes(
    means: npt.ArrayLike,
    labels: npt.ArrayLike,
    classes: Sequence[str],
    source: SourceClassifier,
) -> list[Lookalike]:
    """Name for every class the old class with the highest mean probability.

    Parameters
    ----------
    means : array_like of shape (n, channels)
        Pooled means of the deepest feature map.
    labels : array_like of shape (n,), int
    classes : sequence of str
    source : SourceClassifier
    """
    probabilities = source.probabilities(means)
    y = np.asarray(labels)
    found = []
    for number, name in enumerate(classes):
        if not (y == number).any():
            continue
        average = probabilities[y == number].mean(axis=0)
        nearest = int(average.argmax())
        share = float(average[nearest])
        found.append(
            Lookalike(
                label=name, source=source.names[nearest], probability=share, close=share >= CLOSE
            )
        )
    return found
