"""How far an export's probabilities are from those of the model that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.core.errors import EngineError

Probabilities = FloatArray

#: largest accepted difference of a probability for images of the network's own size
EXACT = 1e-4
#: the same for whole images: the graph's resizing differs by a grey level at few pixels
RESIZED = 0.02


@dataclass(frozen=True)
class Agreement:
    """Of an export with the model.

    - ``n``: images compared.
    - ``real``: whether they were the user's, not made up.
    - ``largest`` and ``mean``: absolute difference of a probability.
    - ``same``: images with the same likeliest class.
    - ``ties``: images with another one, which the model itself gives as much to within twice the
      largest accepted difference.
    """

    n: int
    real: bool
    largest: float
    mean: float
    same: int
    ties: int = 0


def compare(
    expected: Probabilities, found: Probabilities, *, real: bool, tie: float = 0.0
) -> Agreement:
    """Compare probabilities (n, C) of the same images.

    Raises EngineError if the shapes differ, or a probability is no number.

    ``expected`` and ``found``, shape (n, C): of the model, and of the export. ``tie``: classes
    whose probabilities differ by no more than this are alike.
    """
    if found.shape != expected.shape:
        raise EngineError(f"The export gives {found.shape} probabilities, not {expected.shape}.")
    if not np.isfinite(found).all():
        raise EngineError("The export gives probabilities that are no numbers.")
    difference = np.abs(found - expected)
    rows = np.arange(len(expected))
    mine, theirs = expected.argmax(axis=1), found.argmax(axis=1)
    close = expected[rows, mine] - expected[rows, theirs] <= tie
    return Agreement(
        n=len(expected),
        real=real,
        largest=float(difference.max(initial=0.0)),
        mean=float(difference.mean()) if difference.size else 0.0,
        same=int((mine == theirs).sum()),
        ties=int(((mine != theirs) & close).sum()),
    )


def require(agreement: Agreement, tolerance: float) -> Agreement:
    """Return the agreement if it is close enough.

    Raises EngineError if a probability differs by more than ``tolerance``, or a clear winner does.
    """
    others = agreement.n - agreement.same - agreement.ties
    if agreement.largest > tolerance or others:
        raise EngineError(
            f"The export differs from the model by {agreement.largest:.2g} in a probability (at "
            f"most {tolerance:g} is accepted), and in the class of {others} of {agreement.n} "
            "images. Nothing was written.",
            hint="Please report the backbone's name.",
        )
    return agreement
