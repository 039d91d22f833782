"""How often a model gave each answer, and how often people called it wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from frostline.model.prediction import Prediction
from frostline.model_format.card import ModelCard
from frostline.stats.intervals import wilson

#: outputs that are counted by name; the others share one
NAMED = 100
OTHER, NOTHING = "(other)", "(none)"


@dataclass(frozen=True, slots=True)
class Called:
    """How many answers were judged, and how many of all called wrong.

    ``low`` and ``high``: ends of the 95 % interval of Wilson around ``share``; None, as it, before
    the first answer.
    """

    answers: int
    judged: int
    wrong: int
    low: float | None
    high: float | None

    @property
    def share(self) -> float | None:
        """The share of the answers that was called wrong."""
        return self.wrong / self.answers if self.answers else None


class AnswerCounts:
    """Counts of one model, from the moment it was loaded.

    A class or grade counts once for its image, every label of several for itself, and all columns
    of numbers as one. At most 100 outputs are counted by name.
    """

    def __init__(self, card: ModelCard) -> None:
        self._classes = frozenset(card.classes[:NAMED])
        self._numbers = ", ".join(card.classes[:3]) if card.target.link_name == "identity" else ""
        self._pictures = 0
        self._answers: Counter[str] = Counter()
        #: by digest, so that a picture that is judged again counts once: wrong as a whole, by name
        self._judged: dict[str, tuple[bool, dict[str, bool]]] = {}

    def answered(self, prediction: Prediction) -> None:
        """Count the answer for one picture."""
        self._pictures += 1
        self._answers.update(self._names(prediction))

    def judged(
        self, digest: str, prediction: Prediction, *, wrong: bool, outputs: Collection[str]
    ) -> None:
        """Count what a person said of an answer; of one picture the latest counts.

        ``outputs``: of several labels, those that were answered and are not right.
        """
        labels = prediction.labels
        each = {
            self._name(name): (name in outputs if labels else wrong)
            for name in self._said(prediction)
        }
        self._judged[digest] = (wrong, each)

    def whole(self) -> Called:
        """Return the counts of all pictures."""
        wrong = sum(wrong for wrong, _ in self._judged.values())
        return _called(self._pictures, len(self._judged), wrong)

    def by_answer(self) -> dict[str, Called]:
        """Return the counts by what was answered, the most often called wrong first."""
        judged: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        for _, each in self._judged.values():
            judged.update(each.keys())
            wrong.update(name for name, bad in each.items() if bad)
        found = {
            name: _called(self._answers[name], judged[name], wrong[name])
            for name in {**self._answers, **judged}
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1].wrong, item[0])))

    def _names(self, prediction: Prediction) -> list[str]:
        return [self._name(name) for name in self._said(prediction)]

    def _said(self, prediction: Prediction) -> tuple[str, ...]:
        if self._numbers:
            return (self._numbers,)
        if prediction.labels is not None:
            return prediction.labels or (NOTHING,)
        return (prediction.label,)

    def _name(self, name: str) -> str:
        known = name in self._classes or name in (NOTHING, self._numbers)
        return name if known else OTHER


def _called(answers: int, judged: int, wrong: int) -> Called:
    # a picture may be judged that was only sent for that
    answers = max(answers, judged)
    low, high = wilson(wrong, answers) if answers else (None, None)
    return Called(answers, judged, wrong, low, high)
