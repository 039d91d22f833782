"""What every image contributes to the scores of a model, so that two models can be compared.

The mean of the contributions is the score. For scores that are no mean over images they are the
score plus the influence of the image, as in :mod:`frostline.stats.score_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.stats.label_ranking import average_precision
from frostline.stats.metrics import METRICS, TINY
from frostline.stats.multilabel_scores import f1_score
from frostline.stats.ordinal_scores import kappa_contributions
from frostline.stats.sigmoids import log_likelihoods
from frostline.stats.value_metrics import ExplainedVariance

#: scores by which two models are compared
ScoreName = Literal[
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "log_loss",
    "cost",
    "mean_average_precision",
    "average_precision",
    "micro_f1",
    "exact_match",
    "labels_right",
    "qwk",
    "mae",
    "within_one",
    "r2",
    "recall",
    "distance",
]
#: scores that are 0 at best
LOWER_IS_BETTER: frozenset[ScoreName] = frozenset({"log_loss", "cost", "mae", "distance"})


@dataclass(frozen=True)
class Answered:
    """What a model said of n images.

    Attributes
    ----------
    decided : ndarray of shape (n,) or (n, k)
        What was answered, as the target encodes it.
    prediction : float64 ndarray of shape (n, k) or None
        Calibrated probabilities, or numbers; None where only answers were kept.
    """

    decided: Truth
    prediction: FloatArray | None = None


@dataclass(frozen=True)
class Contributions:
    """One score of a model.

    Attributes
    ----------
    name : ScoreName
    each : float64 ndarray of shape (n,)
        Their mean is the score.
    reach : float, default=1.0
        By how much an image that one model wins changes its contribution; 0 where there is no
        natural step.
    """

    name: ScoreName
    each: FloatArray
    reach: float = 1.0


@dataclass(frozen=True)
class OutputContributions:
    """The score of one output: a class, a label or a column.

    ``rows``, shape (n,): the images that it is about; ``found`` has one value for each of these.
    """

    output: str
    rows: BoolArray
    found: Contributions


def of_classes(answered: Answered, truth: IntArray) -> list[Contributions]:
    """Return what images contribute to scores of answers that are one class each."""
    decided, prediction = answered.decided, answered.prediction
    # the truth alone knows how many classes there are
    n_classes = int(max(decided.max(), truth.max())) + 1
    shape = np.broadcast_to(np.zeros(n_classes), (len(truth), n_classes))
    found = [
        Contributions(name, np.asarray(METRICS[name].of_answers(shape, decided, truth), np.float64))
        for name in ("accuracy", "balanced_accuracy", "macro_f1")
    ]
    if prediction is not None:
        sure = prediction[np.arange(len(truth)), truth]
        found.append(Contributions("log_loss", -np.log(np.maximum(sure, TINY)), reach=0.0))
    return found


def of_levels(answered: Answered, truth: IntArray) -> list[Contributions]:
    """Return what images contribute to scores of grades."""
    off = np.abs(answered.decided - truth).astype(np.float64)
    kappa = kappa_contributions(truth, answered.decided)
    return [
        *([] if kappa is None else [Contributions("qwk", kappa[1])]),
        Contributions("mae", off),
        Contributions("within_one", (off <= 1).astype(np.float64)),
    ]


def of_labels(answered: Answered, truth: Truth) -> list[Contributions]:
    """Return what images contribute to scores of several labels; ``truth`` has NaN for unknown."""
    known, called = ~np.isnan(truth), answered.decided > 0.5
    positive, called = known & (truth > 0.5), known & called
    hits, n_called, n_positive = (a.sum(axis=1) for a in (called & positive, called, positive))
    score, pull = f1_score(hits, n_called, n_positive)
    right = ((called == positive) | ~known).all(axis=1)
    found = [
        *([] if np.isnan(score) else [Contributions("micro_f1", score + len(truth) * pull)]),
        Contributions("exact_match", right.astype(np.float64)),
    ]
    if answered.prediction is None:
        return found
    ranked = _mean_average_precision(answered.prediction, positive, known)
    told = known.any(axis=1)
    loss = -log_likelihoods(answered.prediction, truth, tiny=TINY)
    cells = np.where(known, loss, 0.0).sum(axis=1) / max(1, int(known.sum()))
    return [
        *([] if ranked is None else [Contributions("mean_average_precision", ranked)]),
        *found,
        *([Contributions("log_loss", cells * len(truth), reach=0.0)] if told.any() else []),
    ]


def of_numbers(prediction: FloatArray, truth: Truth) -> list[Contributions]:
    """Return what images contribute to scores of numbers; ``truth`` has NaN for unknown."""
    known = ~np.isnan(truth)
    off = np.where(known, np.abs(prediction - np.where(known, truth, 0.0)), 0.0)
    per_column = off * len(truth) / np.maximum(known.sum(axis=0), 1)
    mae = per_column[:, known.any(axis=0)].mean(axis=1)
    return [
        Contributions("r2", ExplainedVariance().of_values(prediction, truth), reach=0.0),
        Contributions("mae", np.asarray(mae, dtype=np.float64), reach=0.0),
    ]


def of_each_label(
    answered: Answered, truth: Truth, names: tuple[str, ...]
) -> list[OutputContributions]:
    """Return the average precision of every label, or how often it is right without probabilities.

    Labels that no image has, or all have, tell nothing and are left out.
    """
    found = []
    for c, name in enumerate(names):
        rows = ~np.isnan(truth[:, c])
        positive = truth[rows, c] > 0.5
        if not positive.any() or positive.all():
            continue
        if answered.prediction is None:
            right = (answered.decided[rows, c] > 0.5) == positive
            own = Contributions("labels_right", right.astype(np.float64))
        else:
            score, pull = average_precision(answered.prediction[rows, c], positive)
            own = Contributions("average_precision", score + len(pull) * pull)
        found.append(OutputContributions(name, rows, own))
    return found


def _mean_average_precision(
    prediction: FloatArray, positive: BoolArray, known: BoolArray
) -> FloatArray | None:
    """Return contributions, shape (n,), to the mean over the labels that some image has."""
    occurring = np.flatnonzero(positive.any(axis=0))
    if not len(occurring):
        return None
    total, pulls = 0.0, np.zeros(len(prediction))
    for c in occurring:
        rows = known[:, c]
        score, pull = average_precision(prediction[rows, c], positive[rows, c])
        total += score
        pulls[rows] += pull
    found: FloatArray = (total + len(pulls) * pulls) / len(occurring)
    return found
