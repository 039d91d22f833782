"""Divide images of which many have their part already: those that came later join them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.errors import InputError
from frostline.data.catalog import Catalog, Part
from frostline.data.splitting.split import Split
from frostline.data.splitting.stratified import separable, stratified_holdout

#: where a group has images in several parts, the first of them is the part of its new images: what
#: judges must not be learned from
_FIRST: tuple[Part, ...] = ("test", "val", "train")


def grown_split(
    catalog: Catalog,
    groups: IntArray,
    *,
    known: Mapping[str, Part],
    before: str,
    test_size: float,
    seed: int,
) -> Split:
    """Give new images a part, and leave all others where they are.

    A part that the source of new images gives wins. Else a new image joins the part of its group,
    the test part before all, and groups that are new are held out by the rule of
    :func:`frostline.data.splitting.split.make_split`, from their content alone. Where every image
    was judged by cross-validation, all still are.

    Raises InputError if new images have a given test part and the others are cross-validated.

    Parameters
    ----------
    groups : int array of shape (n,)
        Rows with one number stay together (``Audit.groups``).
    known : mapping of str to {"train", "val", "test"}
        The part of every image that has one already, by the name of its row.
    before : str
        How the images that are known are judged (``Split.method``).
    """
    parts = np.array([known.get(row.name, row.part or "") for row in catalog.rows], dtype=object)
    if before == "cross-validation":
        new = np.array([row.name not in known for row in catalog.rows], dtype=bool)
        return _cross_validated(parts, new)
    free = np.flatnonzero(parts == "").astype(np.int64)
    settled = {int(group): part for part in reversed(_FIRST) for group in groups[parts == part]}
    alone = np.array([i for i in free if int(groups[i]) not in settled], dtype=np.int64)
    for i in free:
        parts[i] = settled.get(int(groups[i]), "train")
    labels = catalog.target.split_by(catalog.truth[alone]) if len(alone) else alone
    if len(alone) and separable(labels, groups[alone]):
        digests = [catalog.digests[i] for i in alone]
        _, held = stratified_holdout(labels, groups[alone], digests, fraction=test_size, seed=seed)
        parts[alone[held]] = "test"
    return Split(
        "given" if before == "given" else "held-out",
        np.flatnonzero(parts == "train").astype(np.int64),
        np.flatnonzero(parts == "val").astype(np.int64),
        np.flatnonzero(parts == "test").astype(np.int64),
    )


def _cross_validated(parts: npt.NDArray[np.object_], new: BoolArray) -> Split:
    if np.any((parts == "test") & new):
        raise InputError(
            "What is added has a test part, but the run is judged by cross-validation.",
            hint="Add --resplit to judge it on a test part from now on.",
        )
    validation = np.flatnonzero(parts == "val").astype(np.int64)
    learn = np.flatnonzero(parts != "val").astype(np.int64)
    return Split("cross-validation", learn, validation, np.empty(0, dtype=np.int64))
