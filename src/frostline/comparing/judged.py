"""The images that two models are compared on, with what both said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.audit_record import UnreadableImage
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.sources.other_columns import OtherColumns
from frostline.stats.score_contributions import Answered
from frostline.targets.choose import target_of
from frostline.targets.protocol import Target

#: confidence of every answer, None where there is none
Sureness = tuple[float | None, ...]


@dataclass(frozen=True)
class Judged:
    """Images that both models answered, in one order.

    Attributes
    ----------
    target : Target
    outputs : tuple of str
        What both models predict, or classes that either knows.
    names, digests : tuple of str
    origins : tuple of Path, ImageRef or None
        Where images can be read; None where they cannot be found.
    truth : ndarray of shape (n,) or (n, k)
    groups : int64 ndarray of shape (n,)
    a, b : Answered
    sure_a, sure_b : tuple of float or None
    columns : dict
        What the table of the images says of them beside labels, if there is one.
    unreadable : tuple of UnreadableImage
    caveats : tuple
        What a reader must know, of the types of :mod:`frostline.core.comparison_record`.
    source : str
        What was judged; empty for stored predictions.
    counts : (int, int, int) or None
        Images that both runs judged, that the first did, and the second; None with a source.
    """

    target: Target
    outputs: tuple[str, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    origins: tuple[Path | ImageRef | None, ...]
    truth: Truth
    groups: IntArray
    a: Answered
    b: Answered
    sure_a: Sureness
    sure_b: Sureness
    columns: OtherColumns = field(default_factory=dict)
    unreadable: tuple[UnreadableImage, ...] = ()
    caveats: tuple[Any, ...] = ()
    source: str = ""
    counts: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def only(self, wanted: BoolArray) -> Judged:
        """Return some of the images."""
        if wanted.all():
            return self
        rows = np.flatnonzero(wanted)
        each = rows.tolist()
        return replace(
            self,
            names=tuple(self.names[i] for i in each),
            digests=tuple(self.digests[i] for i in each),
            origins=tuple(self.origins[i] for i in each),
            truth=self.truth[rows],
            groups=np.unique(self.groups[rows], return_inverse=True)[1].astype(np.int64),
            a=some_of(self.a, rows),
            b=some_of(self.b, rows),
            sure_a=tuple(self.sure_a[i] for i in each),
            sure_b=tuple(self.sure_b[i] for i in each),
        )


def some_of(answered: Answered, rows: IntArray) -> Answered:
    """Return what a model said of some of the images."""
    prediction = None if answered.prediction is None else answered.prediction[rows]
    return Answered(answered.decided[rows], prediction)


def as_outputs(answered: Answered, own: Sequence[str], outputs: Sequence[str]) -> Answered:
    """Return what a model with its own outputs said, in the order of other ones.

    A class that it does not know it gives no probability; a label or column that is not among
    ``outputs`` is left out.
    """
    if tuple(own) == tuple(outputs):
        return answered
    decided, prediction = answered.decided, answered.prediction
    place = {name: number for number, name in enumerate(own)}
    if decided.ndim == 1:
        number_of = {name: number for number, name in enumerate(outputs)}
        renumbered = np.array([number_of[name] for name in own], dtype=np.int64)
        if prediction is not None:
            prediction = _spread(prediction, place, outputs)
        return Answered(renumbered[decided], prediction)
    columns = [place[name] for name in outputs]
    return Answered(decided[:, columns], None if prediction is None else prediction[:, columns])


def truth_as_outputs(truth: Truth, own: Sequence[str], outputs: Sequence[str]) -> Truth:
    """Return truth that is encoded by some outputs, encoded by other ones."""
    return as_outputs(Answered(truth), own, outputs).decided


def outputs_of(
    a: Target, names: Sequence[str], others: Sequence[str]
) -> tuple[Target, tuple[str, ...]]:
    """Return the outputs that two models are compared by, and the target of these.

    Raises InputError if there are none.
    """
    outputs = a.comparable(names, others)
    return target_of(a.task, len(outputs)), outputs


def known_to_both(
    truth: Truth, names: Sequence[str], others: Sequence[str], outputs: Sequence[str]
) -> BoolArray:
    """Return the images whose class both models know, shape (n,); all where several are known."""
    if truth.ndim > 1:
        return np.asarray(~np.isnan(truth).all(axis=1))
    both = set(names) & set(others)
    found: BoolArray = np.array([name in both for name in outputs], dtype=bool)[truth]
    return found


def _spread(prediction: FloatArray, place: dict[str, int], outputs: Sequence[str]) -> FloatArray:
    found = np.zeros((len(prediction), len(outputs)))
    for column, name in enumerate(outputs):
        if name in place:
            found[:, column] = prediction[:, place[name]]
    return found
