"""What a reader must know before believing an accuracy: facts about these very images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.errors import InputError
from frostline.stats.intervals import wilson
from frostline.stats.scores import Scores

#: a class that was judged on fewer images is named: one image more or less would change its recall
#: by more than 20 points
FEW = 5
#: balanced accuracy above chance that must be ruled out before nothing is said to be learned
_UNCLEAR = 0.15
_Z95 = 1.959963984540054
#: share of blank images that explains why nothing was learned
_MOSTLY_BLANK = 0.5


@dataclass(frozen=True)
class Baseline:
    """What needs no picture: always naming the class that is largest in training.

    ``label``: that class. ``accuracy``: share of the judged images that belong to it, in [0, 1].
    """

    label: int
    accuracy: float


@dataclass(frozen=True)
class AllLeaked:
    """Every judged image also trained the model."""


@dataclass(frozen=True)
class NoBetterThanBaseline:
    """The accuracy is not clearly above that of always naming one class, ``always``.

    ``verdict`` says what the balanced accuracy, with its interval ``low`` to ``high``, adds: that
    something was learned, that nobody can tell, or that nothing was. ``blank`` is the share of all
    images that are of one colour where that explains it, else 0.
    """

    always: str
    baseline: float
    accuracy: float
    balanced_accuracy: float
    low: float
    high: float
    verdict: Literal["learned", "unclear", "nothing learned"]
    blank: float = 0.0


@dataclass(frozen=True)
class NeverRight:
    """Classes, with the number of judged images, of which no image was recognised."""

    classes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class NotJudged:
    """Classes of which no image was judged."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class HardlyJudged:
    """Classes of which fewer than ``few`` images were judged.

    The recall of ``worst``, from its ``n`` images, may lie anywhere from ``low`` to ``high``.
    """

    few: int
    classes: tuple[str, ...]
    worst: str
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class NoBetterThanMean:
    """Predictions are not clearly better than the same for every image.

    ``score``, with its interval ``low`` to ``high``: the share of what the mean of every output
    leaves that is gone. ``of``: what is predicted.
    """

    of: Literal["labels", "numbers"]
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class NothingLearnedOf:
    """Columns of which not clearly more is explained than by their mean: name, low and high R2."""

    columns: tuple[tuple[str, float, float], ...]


Caveat = (
    AllLeaked
    | NoBetterThanBaseline
    | NeverRight
    | NotJudged
    | HardlyJudged
    | NoBetterThanMean
    | NothingLearnedOf
)


def largest_class(train_labels: npt.ArrayLike, judged: npt.ArrayLike) -> Baseline:
    """Return the baseline for images with labels ``judged``, by the training labels.

    Raises InputError if there is no label.
    """
    training, truth = np.asarray(train_labels), np.asarray(judged)
    if not len(training) or not len(truth):
        raise InputError("A baseline needs at least one training label and one judged label.")
    label = int(np.bincount(training).argmax())
    return Baseline(label, float(np.mean(truth == label)))


def caveats(
    scores: Scores,
    baseline: Baseline,
    classes: Sequence[str],
    *,
    leaked: float = 0.0,
    blank: float = 0.0,
) -> list[Caveat]:
    """Find what is wrong with these scores, or with what they rest on; nothing where all is well.

    ``baseline``: of the same images. ``leaked``: share of the judged images that also trained the
    model. ``blank``: share of all images that are of one colour where the model looks.
    """
    return [
        *([AllLeaked()] if leaked == 1.0 else []),
        *_no_better(scores, baseline, classes, blank),
        *_never_right(scores, classes),
        *_hardly_judged(scores, classes),
    ]


def value_caveats(
    of: Literal["labels", "numbers"],
    score: float,
    error: float,
    columns: Sequence[tuple[str, float, float]] = (),
    *,
    leaked: float = 0.0,
) -> list[Caveat]:
    """Find what is wrong with scores of labels or numbers; nothing where all is well.

    ``score`` and its standard ``error``: what is gone of what the mean of every output leaves.
    ``columns``: of numbers, with the ends of the interval of their R2. ``leaked``: share of the
    judged images that also trained the model.
    """
    found: list[Caveat] = [AllLeaked()] if leaked == 1.0 else []
    reach = _Z95 * error
    unlearned = tuple(column for column in columns if not column[1] > 0.0)
    if 0 < len(unlearned) < len(columns):
        found.append(NothingLearnedOf(unlearned))
    elif score - reach <= 0.0:
        found.append(NoBetterThanMean(of, score, score - reach, score + reach))
    return found


def _no_better(
    scores: Scores, baseline: Baseline, classes: Sequence[str], blank: float
) -> list[Caveat]:
    """Compare with the baseline, and let the balanced accuracy say how bad that is."""
    if scores.accuracy_interval[0] > baseline.accuracy:
        return []
    occurring = sum(row["support"] > 0 for row in scores.per_class)
    chance, (low, high) = 1.0 / max(1, occurring), scores.balanced_accuracy_interval
    verdict: Literal["learned", "unclear", "nothing learned"] = "nothing learned"
    if occurring > 1 and low > chance:
        verdict = "learned"
    elif occurring > 1 and high > chance + _UNCLEAR:
        verdict = "unclear"
    return [
        NoBetterThanBaseline(
            always=classes[baseline.label],
            baseline=baseline.accuracy,
            accuracy=scores.accuracy,
            balanced_accuracy=scores.balanced_accuracy,
            low=low,
            high=high,
            verdict=verdict,
            blank=blank if blank >= _MOSTLY_BLANK else 0.0,
        )
    ]


def _never_right(scores: Scores, classes: Sequence[str]) -> list[Caveat]:
    missed = [row for row in scores.per_class if row["support"] and not row["recall"]]
    if not missed or len(missed) == sum(row["support"] > 0 for row in scores.per_class):
        return []
    return [NeverRight(tuple((classes[row["class"]], row["support"]) for row in missed))]


def _hardly_judged(scores: Scores, classes: Sequence[str]) -> list[Caveat]:
    found: list[Caveat] = []
    absent = tuple(classes[row["class"]] for row in scores.per_class if not row["support"])
    if absent:
        found.append(NotJudged(absent))
    few = [row for row in scores.per_class if 0 < row["support"] < FEW]
    if few:
        worst = min(few, key=lambda row: (row["support"], row["class"]))
        n = worst["support"]
        low, high = wilson(round(worst["recall"] * n), n)
        names = tuple(classes[row["class"]] for row in few)
        found.append(HardlyJudged(FEW, names, classes[worst["class"]], n, low, high))
    return found
