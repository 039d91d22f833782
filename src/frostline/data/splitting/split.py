"""Divide images into training, validation and test: stratified, group-aware, stable.

Who goes where depends on the seed and on what is in the files, never on their order or names,
so a split survives renaming, and adding images moves few of the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.data.catalog import Catalog
from frostline.data.splitting.stratified import separable, stratified_folds, stratified_holdout

__all__ = ["Split", "make_split", "stratified_folds", "stratified_holdout"]


@dataclass(frozen=True)
class Split:
    """Row positions, each array in ascending order.

    Attributes
    ----------
    method : {"given", "held-out", "cross-validation", "none"}
        How the test images come about.
    validation : int64 ndarray
        Only a validation part given by the user; may be empty.
    test : int64 ndarray
        Empty for cross-validation, and where nothing is tested.
    """

    method: Literal["given", "held-out", "cross-validation", "none"]
    train: IntArray
    validation: IntArray
    test: IntArray

    @classmethod
    def everything(cls, n: int) -> Split:
        """Return the split that learns from all ``n`` images; somebody else judges."""
        none = np.empty(0, dtype=np.int64)
        return cls("none", np.arange(n, dtype=np.int64), none, none)


def make_split(
    catalog: Catalog,
    groups: npt.ArrayLike,
    *,
    test_size: float,
    seed: int,
    cross_validate_below: int = 500,
) -> Split:
    """Choose how a catalog is evaluated, and on which rows.

    A given test part always wins and is never altered. Otherwise the test images come from the rows
    that are not given as validation: held out, or cross-validated if there are fewer than
    ``cross_validate_below``. Raises InputError if no class has images in two groups, so that
    nothing can be held out, or if all images are in one.

    Parameters
    ----------
    groups : array_like of shape (n,), int
        Rows with one number stay together (``Audit.groups``).
    test_size : float in (0, 1)
    """
    grouping = np.asarray(groups, dtype=np.int64)
    empty = np.empty(0, dtype=np.int64)
    parts = np.array([part or "" for part in catalog.parts], dtype=object)
    validation = np.flatnonzero(parts == "val").astype(np.int64)
    learn = np.flatnonzero((parts == "train") | (parts == "")).astype(np.int64)
    test = np.flatnonzero(parts == "test").astype(np.int64)
    if len(test):
        return Split("given", learn, validation, test)
    labels = catalog.target.split_by(catalog.truth[learn])
    digests = [catalog.digests[i] for i in learn]
    inseparable = InputError(
        "Every class consists of a single group, so nothing can be held out for testing.",
        hint="Groups must be finer than classes; look at 'groups' and at the near-duplicates.",
    )
    if len(learn) > 1 and len(np.unique(grouping[learn])) == 1:
        raise InputError(
            f"All {len(learn):,} images are copies of one picture or belong to one group, so "
            "nothing can be held out for testing, and nothing told apart.",
            hint="Look at the files, at 'groups' and at the near-duplicates.",
        )
    if not separable(labels, grouping[learn]):
        raise inseparable
    if len(learn) < cross_validate_below:
        return Split("cross-validation", learn, validation, empty)
    rest, held = stratified_holdout(labels, grouping[learn], digests, fraction=test_size, seed=seed)
    if not len(held):
        raise inseparable
    return Split("held-out", learn[rest], validation, learn[held])
