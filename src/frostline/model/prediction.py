"""The answer for one image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.model.answering import Answered, Answering, in_set
from frostline.onnx_graph.session import Embeddings
from frostline.stats.presence import Presence, presences


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training image that is like an image.

    Attributes
    ----------
    path : str
        As the run's list of images (``catalog.csv``) names it.
    label : str
        What is true of it, as text: a class, a grade, labels or numbers with ``;`` between.
    similarity : float
        Cosine between the embeddings of both, in [-1, 1].
    """

    path: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes
    ----------
    name : str
        The image's path as given, or ``"image 3"`` by its place when it had none.
    label : str
        The class that is answered: the likeliest, or the one that the model's rule names. Of a
        model of several labels or numbers, these as text with ``;`` between.
    confidence : float
        Its probability, in [0, 1]; of several labels that of the least sure answer; NaN of numbers.
    probabilities : ndarray of shape (C,), float64
        For all classes, in the model's order; of a model of numbers these.
    classes : tuple of str
    unfamiliarity : float or None
        How unlike the images of training it is, from 0 to 1000: 95 % of images like those stay at
        or below 1. None for a model that does not tell.
    set_95 : tuple of str, dict or None
        The classes that it may be of, likeliest first: they hold the true one for 95 % of new
        images, and always the label. Of a model of several labels, ``"present"``, ``"absent"`` or
        ``"either"`` by label: what is said holds for 95 % of images that have the label, and of
        those that do not; None for a label that too few images have. None where too few images were
        left out of training.
    abstain : bool, tuple of str or None
        Whether the label is too unsure for the bound on wrong answers; of a model of several labels
        those that are. None where there is no bound.
    labels : tuple of str or None
        The labels of the image, perhaps none; None of a model of one class an image, or numbers.
    value : tuple of float or None
        The predicted numbers, one a column; None of a model of classes or labels.
    interval : tuple of (float, float) or None
        Lower and upper end around each number: they hold the true one for 90 % of new images; None
        for a column of which too few numbers were left out of training. None as a whole of a model
        that predicts no numbers, or does not tell.
    embedding : ndarray of shape (d,), float32, or None
        What the model's head reads of the image, as it reads it: nothing is scaled or centred. Of
        an average of several networks, what the head of its frozen leader reads. None where nobody
        asked.
    nearest : tuple of Neighbour or None
        The training images that it is most like, the nearest first. None where nobody asked.
    """

    name: str
    label: str
    confidence: float
    probabilities: FloatArray
    classes: tuple[str, ...]
    unfamiliarity: float | None = None
    set_95: tuple[str, ...] | dict[str, Presence | None] | None = None
    abstain: bool | tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    value: tuple[float, ...] | None = None
    interval: tuple[tuple[float, float] | None, ...] | None = None
    embedding: Embeddings | None = None
    nearest: tuple[Neighbour, ...] | None = None

    @property
    def unknown(self) -> bool | None:
        """Whether the image is unlike everything in training; None where the model does not tell.

        Then the label is the nearest of the known classes, and its probability means nothing.
        """
        return None if self.unfamiliarity is None else self.unfamiliarity > 1.0

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the ``k`` likeliest classes with their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(0, k)]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


@dataclass(frozen=True, slots=True)
class Computed:
    """What the network says of one image: probabilities (C,), how unfamiliar it is, its embedding
    (d,) where that was asked for.
    """

    name: str
    row: FloatArray
    unfamiliarity: float | None
    embedding: Embeddings | None = None


def told(one: Computed, answering: Answering) -> Prediction:
    """Say in classes what the network computed for one image."""
    found, classes, target = answering.of(one.row[None]), answering.classes, answering.target
    sure = target.sureness(found.probabilities, found.decided)
    row, labels = found.probabilities[0], target.labels_of(found.decided, classes)
    return Prediction(
        one.name,
        target.said(found.decided, classes)[0],
        math.nan if sure is None else float(sure[0]),
        row,
        classes,
        one.unfamiliarity,
        _set(found, classes, row),
        _abstain(found, classes),
        None if labels is None else labels[0],
        None if target.link_name != "identity" else tuple(map(float, row)),
        None if found.intervals is None else tuple(map(_ends, found.intervals[0])),
        one.embedding,
    )


def _set(
    found: Answered, classes: tuple[str, ...], row: FloatArray
) -> tuple[str, ...] | dict[str, Presence | None] | None:
    if any(one.sets is not None for one in found.labels):
        return {
            name: None if one.sets is None else presences(one.sets)[0]
            for name, one in zip(classes, found.labels, strict=True)
        }
    return None if found.sets is None else in_set(classes, row, found.sets[0])


def _abstain(found: Answered, classes: tuple[str, ...]) -> bool | tuple[str, ...] | None:
    if any(one.abstain is not None for one in found.labels):
        each = zip(classes, found.labels, strict=True)
        return tuple(name for name, one in each if one.abstain is not None and one.abstain[0])
    return None if found.abstain is None else bool(found.abstain[0])


def _ends(ends: FloatArray) -> tuple[float, float] | None:
    return None if np.isnan(ends).any() else (float(ends[0]), float(ends[1]))
