"""What is to be learned: one value that goes with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.errors import InputError
from frostline.data.catalog import Catalog
from frostline.data.splitting.stratified import stratified_folds
from frostline.stats.class_weights import class_weights

IntArray = npt.NDArray[np.int64]
ClassWeighting = Literal["none", "balanced"]


@dataclass(frozen=True)
class Targets:
    """What is predicted: one class for each image.

    Attributes
    ----------
    labels : int64 ndarray of shape (n,)
        Positions in ``classes``.
    classes : tuple of str
    """

    labels: IntArray
    classes: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def only(self, rows: IntArray) -> Targets:
        """Return the targets of some rows."""
        return Targets(self.labels[rows], self.classes)


@dataclass(frozen=True)
class Problem:
    """What is to be learned, never how.

    Attributes
    ----------
    catalog : Catalog
        The readable images; every array here has one entry for each.
    targets : Targets
    groups : int64 ndarray of shape (n,)
        Images of one group are never split apart.
    weights : {"none", "balanced"}, default="none"
        Whether images or classes count alike in fits in closed form.
    seed : int, default=0
        With the content of the images it decides all randomness.
    """

    catalog: Catalog
    targets: Targets
    groups: IntArray
    weights: ClassWeighting = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values in (("labels", self.targets.labels), ("groups", self.groups)):
            if values.shape != (len(self.catalog),):
                raise InputError(
                    f"There are {len(self.catalog)} images in the catalog, "
                    f"but {name} of {values.shape}."
                )

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        *,
        labels: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        weights: ClassWeighting = "none",
        seed: int = 0,
    ) -> Problem:
        """Take the labels from a catalog, and every image for a group of its own, if not given."""
        own = catalog.labels if labels is None else labels
        grouping = np.arange(len(catalog)) if groups is None else groups
        targets = Targets(np.asarray(own, dtype=np.int64), catalog.classes)
        return cls(catalog, targets, np.asarray(grouping, dtype=np.int64), weights, seed)

    @property
    def labels(self) -> IntArray:
        """Labels of all images, shape (n,)."""
        return self.targets.labels

    @property
    def n_classes(self) -> int:
        return self.targets.n_classes

    def digests(self, rows: Sequence[int] | IntArray) -> list[str]:
        """Return the digests of some rows."""
        return [self.catalog.digests[int(row)] for row in rows]

    def class_weights(self, rows: IntArray) -> npt.NDArray[np.float64] | None:
        """Return one weight a class for fits to ``rows``; None where all images count alike."""
        return class_weights(self.labels[rows], n_classes=self.n_classes, choice=self.weights)

    def folds(self, rows: IntArray, n_folds: int) -> list[tuple[IntArray, IntArray]]:
        """Return positions in ``rows`` that train and that judge, for each fold."""
        return stratified_folds(
            self.labels[rows],
            self.groups[rows],
            self.digests(rows),
            n_folds=n_folds,
            seed=self.seed,
        )
