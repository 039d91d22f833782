"""What is told of each of several labels: surely there, surely not, or too unsure to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.errors import SettingsError
from frostline.stats.abstention import Abstention
from frostline.stats.conformal import PredictionSets
from frostline.stats.presence import two_answers

#: no probability reaches it: a label that cannot keep a bound is never answered
_NEVER = 2.0


@dataclass(frozen=True)
class OfLabel:
    """What is told of one label in n images.

    ``sets``, shape (n, 2): whether it may be absent, and present; None where too few images had or
    lacked it. ``abstain``, shape (n,): whether the answer is too unsure; None without a bound.
    """

    sets: BoolArray | None
    abstain: BoolArray | None


class LabelAnswers:
    """How sets and abstention follow from the probabilities of several labels.

    ``sets`` and ``abstention``: one a label, or empty. ``at_most_wrong``: share of the answers on
    each label that may be wrong, in (0, 1); None for no bound. Raises SettingsError if it is out of
    range, or no label can keep it.

    Attributes
    ----------
    least : ndarray of shape (k, 2) or None
        Confidence from which on absent and present are answered; None without a bound.
    """

    def __init__(
        self,
        sets: Sequence[PredictionSets | None],
        abstention: Sequence[Abstention | None],
        at_most_wrong: float | None,
    ) -> None:
        self._sets = tuple(sets)
        self.least = _confidences(abstention, at_most_wrong) if abstention else None

    @property
    def tells(self) -> bool:
        """Whether there is anything to say."""
        return bool(self._sets)

    @property
    def abstains(self) -> bool:
        """Whether labels may be left without an answer."""
        return self.least is not None

    def of(self, probabilities: FloatArray, decided: Truth) -> tuple[OfLabel, ...]:
        """Tell of every label; both of shape (n, k). Empty where the model does not tell."""
        return tuple(
            self._of_one(label, two_answers(probabilities[:, label]), decided[:, label].astype(int))
            for label in range(len(self._sets))
        )

    def _of_one(self, label: int, probabilities: FloatArray, answers: IntArray) -> OfLabel:
        sets, abstain = self._sets[label], None
        if self.least is not None:
            confidence = probabilities[np.arange(len(answers)), answers]
            abstain = confidence < self.least[label][answers]
        return OfLabel(None if sets is None else sets.of(probabilities, answers), abstain)


def _confidences(
    abstention: Sequence[Abstention | None], at_most_wrong: float | None
) -> FloatArray | None:
    """Return the confidence from which each answer on each label is given, shape (k, 2)."""
    if at_most_wrong is None:
        return None
    if not 0.0 < at_most_wrong < 1.0:
        raise SettingsError(f"at_most_wrong must lie between 0 and 1, not {at_most_wrong}.")
    least = np.full((len(abstention), 2), _NEVER)
    for label, one in enumerate(abstention):
        found = None if one is None else one.thresholds(at_most_wrong)
        if isinstance(found, np.ndarray):
            least[label] = found
    if np.all(least == _NEVER):
        raise SettingsError(
            f"At most {at_most_wrong:.2%} wrong cannot be kept for any label.",
            hint="Ask for a larger share, or fit with more images of each label.",
        )
    return least
