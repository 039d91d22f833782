"""Which class is answered for given probabilities: the likeliest, or the one that suits an aim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError


class Answers(Protocol):
    """What n images were called, each by one class or by shares of several."""

    def own(self, truth: IntArray) -> FloatArray:
        """Return the share of each image's true class, shape (n,)."""
        ...

    def totals(self, weights: FloatArray) -> FloatArray:
        """Return the weighted sum of all shares of each class, shape (C,)."""
        ...

    def times(self, values: FloatArray) -> FloatArray:
        """Return the sum over classes of shares times ``values`` (C,), shape (n,)."""
        ...

    def cost(self, costs: FloatArray, truth: IntArray) -> FloatArray:
        """Return what each image costs by ``costs`` (C, C), rows being the truth, shape (n,)."""
        ...


@dataclass(frozen=True)
class Decided:
    """One class for every image: ``labels`` (n,), of ``n_outputs``."""

    labels: IntArray
    n_outputs: int

    def own(self, truth: IntArray) -> FloatArray:
        return np.asarray(self.labels == truth, dtype=np.float64)

    def totals(self, weights: FloatArray) -> FloatArray:
        found = np.bincount(self.labels, weights=weights, minlength=self.n_outputs)
        return np.asarray(found, dtype=np.float64)

    def times(self, values: FloatArray) -> FloatArray:
        found: FloatArray = values[self.labels]
        return found

    def cost(self, costs: FloatArray, truth: IntArray) -> FloatArray:
        found: FloatArray = costs[truth, self.labels]
        return found


@dataclass(frozen=True)
class Shared:
    """Shares of every class, ``shares`` (n, C): as if the class were drawn by them."""

    shares: FloatArray

    def own(self, truth: IntArray) -> FloatArray:
        found: FloatArray = self.shares[np.arange(len(truth)), truth]
        return found

    def totals(self, weights: FloatArray) -> FloatArray:
        found: FloatArray = weights @ self.shares
        return found

    def times(self, values: FloatArray) -> FloatArray:
        found: FloatArray = self.shares @ values
        return found

    def cost(self, costs: FloatArray, truth: IntArray) -> FloatArray:
        found: FloatArray = np.einsum("nc,nc->n", self.shares, costs[truth])
        return found


@dataclass(frozen=True)
class DecisionRule:
    """How a class follows from calibrated probabilities, which stay as they are.

    Attributes
    ----------
    factors : tuple of float
        One a class: the class with the largest product of probability and factor is answered.
        Empty: the likeliest class.
    costs : tuple of tuples of float
        What it costs to take the class of the row for that of the column: the class with the lowest
        expected cost is answered (Elkan 2001, "The foundations of cost-sensitive learning"). Empty
        where factors decide.
    thresholds : tuple of float
        One a label, where an image may have several: those whose probability reaches it are given.

    Raises
    ------
    InputError
        If several are given, a number is negative or not finite, or shapes do not fit.
    """

    factors: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if sum(map(bool, (self.factors, self.costs, self.thresholds))) > 1:
            raise InputError("A decision rule has factors, costs or thresholds, not several.")
        if any(len(row) != len(self.costs) for row in self.costs):
            raise InputError("The costs of a decision rule must be a square table.")
        of_costs = (x for row in self.costs for x in row)
        numbers = np.array([*self.factors, *self.thresholds, *of_costs])
        if not np.all(np.isfinite(numbers)) or np.any(numbers < 0):
            raise InputError("The numbers of a decision rule must be finite and at least 0.")

    @property
    def n_outputs(self) -> int | None:
        """For how many classes it is; None for any."""
        return len(self.factors) or len(self.costs) or len(self.thresholds) or None

    def decide(self, probabilities: FloatArray) -> IntArray:
        """Return the class (n,) that is answered for probabilities (n, C)."""
        if self.costs:
            cheapest: IntArray = (probabilities @ np.array(self.costs)).argmin(axis=1)
            return cheapest
        likeliest: IntArray = self._weighed(probabilities).argmax(axis=1)
        return likeliest

    def shared(self, probabilities: FloatArray) -> Answers:
        """Return how surely each class is answered: near a border a little tells nearly nothing.

        Where costs decide there is a class for every image and nothing between.
        """
        if self.costs:
            return Decided(self.decide(probabilities), probabilities.shape[1])
        if not self.factors:
            return Shared(probabilities)
        weighed = self._weighed(probabilities)
        return Shared(weighed / weighed.sum(axis=1, keepdims=True))

    def _weighed(self, probabilities: FloatArray) -> FloatArray:
        return probabilities * np.array(self.factors) if self.factors else probabilities


#: the class with the highest probability
LIKELIEST = DecisionRule()
