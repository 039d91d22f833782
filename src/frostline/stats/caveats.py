"""What a reader must know before believing an accuracy: sentences about these very images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
#: share of blank images that explains why nothing was learned
_MOSTLY_BLANK = 0.5
#: classes that one sentence names
_NAMED = 3


@dataclass(frozen=True)
class Baseline:
    """What needs no picture: always naming the class that is largest in training.

    Attributes
    ----------
    label : int
        That class.
    accuracy : float
        Share of the judged images that belong to it, in [0, 1].
    """

    label: int
    accuracy: float


def largest_class(taught: npt.ArrayLike, judged: npt.ArrayLike) -> Baseline:
    """Return the baseline for images with labels ``judged``, by the labels that taught.

    Raises
    ------
    InputError
        If there is no label.
    """
    training, truth = np.asarray(taught), np.asarray(judged)
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
) -> list[str]:
    """Say what is wrong with these scores, or with what they rest on; nothing where all is well.

    Parameters
    ----------
    scores : Scores
    baseline : Baseline
        Of the same images.
    classes : sequence of str
    leaked : float, default=0
        Share of the judged images that also taught the model.
    blank : float, default=0
        Share of all images that are of one colour where the model looks.
    """
    found = []
    if leaked == 1.0:
        found.append(
            "Every image of the test part is also in another given part, so these scores say "
            "nothing about new images."
        )
    return [
        *found,
        *_no_better(scores, baseline, classes, blank),
        *_never_right(scores, classes),
        *_hardly_judged(scores, classes),
    ]


def _no_better(
    scores: Scores, baseline: Baseline, classes: Sequence[str], blank: float
) -> list[str]:
    """Compare with the baseline, and let the balanced accuracy say how bad that is."""
    if scores.accuracy_interval[0] > baseline.accuracy:
        return []
    always = (
        f"Always naming '{classes[baseline.label]}', the largest class in training, would be right "
        f"for {baseline.accuracy:.1%} of these images"
    )
    occurring = sum(row["support"] > 0 for row in scores.per_class)
    chance, (low, high) = 1.0 / max(1, occurring), scores.balanced_accuracy_interval
    if occurring > 1 and low > chance:
        return [
            f"{always}, and {scores.accuracy:.1%} is not clearly more. The balanced accuracy, "
            f"{scores.balanced_accuracy:.1%}, tells more here."
        ]
    if occurring > 1 and high > chance + _UNCLEAR:
        return [
            f"{always}, and {scores.accuracy:.1%} is not clearly more. These images are too few, "
            "or too unequal, to tell whether anything was learned: the balanced accuracy may lie "
            f"anywhere from {low:.0%} to {high:.0%}."
        ]
    cause = (
        f"No label is to blame: {blank:.0%} of all images are of one colour as the model sees them."
        if blank >= _MOSTLY_BLANK
        else "The labels may be wrong, or may not depend on what the pictures show."
    )
    return [
        f"{always}, and {scores.accuracy:.1%} is not clearly more: nothing was learned that helps "
        f"with new images. {cause}"
    ]


def _never_right(scores: Scores, classes: Sequence[str]) -> list[str]:
    missed = [row for row in scores.per_class if row["support"] and not row["recall"]]
    if not missed or len(missed) == sum(row["support"] > 0 for row in scores.per_class):
        return []
    named = [f"'{classes[row['class']]}' ({row['support']:,} judged)" for row in missed]
    return [f"No image was recognised of {_listed(named)}."]


def _hardly_judged(scores: Scores, classes: Sequence[str]) -> list[str]:
    found = []
    absent = [f"'{classes[row['class']]}'" for row in scores.per_class if not row["support"]]
    if absent:
        found.append(
            f"How well it recognises {_listed(absent)} is unknown: no image of that was judged."
        )
    few = [row for row in scores.per_class if 0 < row["support"] < FEW]
    if few:
        worst = min(few, key=lambda row: (row["support"], row["class"]))
        n = worst["support"]
        low, high = wilson(round(worst["recall"] * n), n)
        images = "1 image" if n == 1 else f"{n} images"
        names = [f"'{classes[row['class']]}'" for row in few]
        found.append(
            f"Fewer than {FEW} images each were judged of {_listed(names)}: by {images} of "
            f"'{classes[worst['class']]}', its recall may lie anywhere from {low:.0%} to "
            f"{high:.0%}."
        )
    return found


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
