"""How far an export's predictions are from those of the model that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray
from frostline.core.errors import EngineError
from frostline.model_format.card import ModelCard
from frostline.stats.decision_rule import LIKELIEST

Probabilities = FloatArray

#: largest accepted difference of a probability for images of the network's own size
EXACT = 1e-4
#: the same for whole images: the graph's resizing differs by a grey level at few pixels
RESIZED = 0.02
#: numbers are the same where they differ by no more than this share of their spread
_SAME_NUMBER = 0.1


@dataclass(frozen=True)
class Agreement:
    """Of an export with the model.

    - ``n``: images compared.
    - ``real``: whether they were the user's, not made up.
    - ``largest`` and ``mean``: absolute difference of a probability; of numbers as a share of the
      largest of them, where that is above 1.
    - ``same``: images with the same answer: the likeliest class, all labels, or numbers within a
      tenth of their spread.
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
    expected: Probabilities,
    found: Probabilities,
    card: ModelCard,
    *,
    real: bool,
    tie: float = 0.0,
) -> Agreement:
    """Compare predictions (n, k) of the same images.

    Raises EngineError if the shapes differ, or a prediction is no number.

    ``expected`` and ``found``, shape (n, k): of the model, and of the export. ``card``: of the
    model. ``tie``: classes whose probabilities differ by no more than this are alike.
    """
    if found.shape != expected.shape:
        raise EngineError(f"The export gives {found.shape} probabilities, not {expected.shape}.")
    if not np.isfinite(found).all():
        raise EngineError("The export gives probabilities that are no numbers.")
    difference = differences(expected, found, card)
    same = same_answers(expected, found, card)
    close = _close(expected, found, tie, card)
    return Agreement(
        n=len(expected),
        real=real,
        largest=float(difference.max(initial=0.0)),
        mean=float(difference.mean()) if difference.size else 0.0,
        same=int(same.sum()),
        ties=int((~same & close).sum()),
    )


def differences(expected: Probabilities, found: Probabilities, card: ModelCard) -> FloatArray:
    """Return absolute differences (n, k); numbers have any size, so theirs are relative to it."""
    difference: FloatArray = np.abs(found - expected)
    if card.target.link_name == "identity":
        difference = difference / max(1.0, float(np.abs(expected).max(initial=0.0)))
    return difference


def same_answers(expected: Probabilities, found: Probabilities, card: ModelCard) -> BoolArray:
    """Return for which images two predictions (n, k) come to the same, shape (n,)."""
    if card.target.link_name == "identity":
        spread = expected.std(axis=0)
        near: BoolArray = (np.abs(found - expected) <= _SAME_NUMBER * spread).all(axis=1)
        return near
    target = card.target
    # one class is compared as the likeliest, whatever the rule makes of it
    rule = LIKELIEST if target.exclusive else card.rule
    return target.agrees(target.decide(found, rule), target.decide(expected, rule))


def _close(expected: Probabilities, found: Probabilities, tie: float, card: ModelCard) -> BoolArray:
    """Return for which images another answer is as good, shape (n,)."""
    if not card.target.exclusive:
        # a label turns over where its threshold lies between, a number never quite
        near: BoolArray = differences(expected, found, card).max(axis=1) <= max(tie / 2, EXACT)
        return near
    rows = np.arange(len(expected))
    mine, theirs = expected.argmax(axis=1), found.argmax(axis=1)
    close: BoolArray = expected[rows, mine] - expected[rows, theirs] <= tie
    return close


def require(agreement: Agreement, tolerance: float) -> Agreement:
    """Return the agreement if it is close enough.

    Raises EngineError if a prediction differs by more than ``tolerance``, or a clear answer does.
    """
    others = agreement.n - agreement.same - agreement.ties
    if agreement.largest > tolerance or others:
        raise EngineError(
            f"The export differs from the model by {agreement.largest:.2g} in a probability (at "
            f"most {tolerance:g} is accepted), and in the answer for {others} of {agreement.n} "
            "images. Nothing was written.",
            hint="Please report the backbone's name.",
        )
    return agreement
