"""What is to be learned: one value that goes with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import InputError
from frostline.data.catalog import Catalog
from frostline.data.splitting.stratified import stratified_folds
from frostline.stats.metrics import ACCURACY, Metric
from frostline.targets.labelled import Labelled, product
from frostline.targets.protocol import Target, Weighting


@dataclass(frozen=True)
class Problem:
    """What is to be learned, never how.

    - ``catalog``: the readable images; every array here has one entry for each.
    - ``target``: what kind of thing is predicted.
    - ``labels``, shape (n,) or (n, k): the truth about every image, as the target encodes it.
    - ``groups``, shape (n,): images of one group are never split apart.
    - ``weights``: whether images or classes count alike in fits in closed form.
    - ``metric``: what predictions are to make as high as possible.
    - ``seed``: with the content of the images it decides all randomness.
    """

    catalog: Catalog
    target: Target
    labels: Truth
    groups: IntArray
    weights: Weighting = "none"
    seed: int = 0
    metric: Metric = ACCURACY

    def __post_init__(self) -> None:
        for name, values in (("labels", self.labels), ("groups", self.groups)):
            if values.shape[:1] != (len(self.catalog),):
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
        weights: Weighting = "none",
        seed: int = 0,
        metric: Metric | None = None,
    ) -> Problem:
        """Take the labels from a catalog, and every image for a group of its own, if not given.

        ``metric``: None for what the target is judged by.
        """
        own = catalog.truth if labels is None else labels
        grouping = np.arange(len(catalog)) if groups is None else groups
        target = catalog.target
        truth = np.asarray(own, dtype=np.int64) if target.exclusive else target.encode(own)
        codes = np.asarray(grouping, dtype=np.int64)
        return cls(catalog, target, truth, codes, weights, seed, target.metric(metric))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.catalog.classes

    def labelled(self, rows: IntArray) -> Labelled:
        """Return the truth about some rows, each as heavy as it and its class are among them."""
        truth = self.labels[rows]
        own = self.image_weights(rows)
        weights = self.target.row_weights(truth, self.target.output_weights(truth, self.weights))
        return Labelled(
            self.target, truth, self.groups[rows], product(weights, own), self.metric, own
        )

    def image_weights(self, rows: IntArray) -> FloatArray | None:
        """Return how much some rows count by themselves, shape (n,); None where all do alike."""
        return None if self.catalog.weights is None else self.catalog.weights[rows]

    def digests(self, rows: Sequence[int] | IntArray) -> list[str]:
        """Return the digests of some rows."""
        return [self.catalog.digests[int(row)] for row in rows]

    def folds(self, rows: IntArray, n_folds: int) -> list[tuple[IntArray, IntArray]]:
        """Return positions in ``rows`` that train and that judge, for each fold."""
        return stratified_folds(
            self.target.split_by(self.labels[rows]),
            self.groups[rows],
            self.digests(rows),
            n_folds=n_folds,
            seed=self.seed,
        )
