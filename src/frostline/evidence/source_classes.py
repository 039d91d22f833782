"""Which old classes the new ones look like: an explanation, never a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.core.plan import Lookalike
from frostline.stats.inputs import row_chunks
from frostline.stats.selection import Selection
from frostline.stats.target_matrix import sums_by_label

if TYPE_CHECKING:
    from frostline.backbones.heads.source_classifier import SourceClassifier

#: at a smaller mean probability the old class is only the nearest, not near
CLOSE = 0.2


def nearest_source_classes(
    means: npt.ArrayLike, labels: npt.ArrayLike, classes: Sequence[str], source: SourceClassifier
) -> list[Lookalike]:
    """Name for every class the old class with the highest mean probability.

    ``means``, shape (n, channels): pooled means of the deepest feature map. ``labels``: shape (n,).
    """
    features = means if isinstance(means, Selection) else np.asarray(means)
    y = np.asarray(labels)
    n = len(y)
    totals = np.zeros((len(classes), len(source.names)))
    for rows in row_chunks(n):
        shares = np.asarray(source.probabilities(features[rows]), dtype=np.float64)
        totals += sums_by_label(shares, y[rows], len(classes))
    counts = np.bincount(y, minlength=len(classes))
    found = []
    for number, name in enumerate(classes):
        if not counts[number]:
            continue
        nearest = int(totals[number].argmax())
        share = float(totals[number, nearest] / counts[number])
        found.append(
            Lookalike(
                label=name, source=source.names[nearest], probability=share, close=share >= CLOSE
            )
        )
    return found
