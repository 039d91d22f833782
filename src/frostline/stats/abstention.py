"""Answer or abstain: from which confidence on at most a given share of answers is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.conformal import TooFewCases

#: steps that are kept: more would be finer than the errors that they tell of
_STEPS, _OWN_STEPS = 48, 16
#: a class is judged by itself where so many wrong answers would be within the bound
_OWN_WRONG = 3.0
#: the largest bound for which classes are judged by themselves
_LARGEST = 0.05


@dataclass(frozen=True)
class NeverSure:
    """No confidence is high enough: ``lowest`` is the smallest share of wrong answers found."""

    lowest: float


@dataclass(frozen=True)
class Step:
    """Answering from ``threshold`` on, a share ``wrong`` of answers is expected to be wrong.

    ``answered``: share of the images that are answered then.
    """

    wrong: float
    threshold: float
    answered: float


@dataclass(frozen=True)
class Steps:
    """From all answers to the surest ones: each step has fewer wrong and higher thresholds.

    ``n_groups``: independent cases that were answered.
    """

    steps: tuple[Step, ...]
    n_groups: int

    def __post_init__(self) -> None:
        numbers = [x for step in self.steps for x in (step.wrong, step.threshold, step.answered)]
        if not numbers or not np.all(np.isfinite(numbers)):
            raise InputError("Steps of abstention need finite numbers, at least one step of them.")

    def reaching(self, at_most_wrong: float) -> Step | None:
        """Return the step with most answers of which at most so many are wrong."""
        return next((step for step in self.steps if step.wrong <= at_most_wrong), None)


@dataclass(frozen=True)
class Abstention:
    """How sure an answer must be, for any bound on the share of wrong answers.

    Attributes
    ----------
    together : Steps
        Over all answers.
    own : tuple of Steps or None
        Over the answers that name one class, for every class with many; empty for none.
    n_outputs : int
        Number of classes.
    """

    together: Steps
    own: tuple[Steps | None, ...]
    n_outputs: int

    def __post_init__(self) -> None:
        if self.own and len(self.own) != self.n_outputs:
            raise InputError("Abstention needs steps for every class or for none.")

    def thresholds(self, at_most_wrong: float) -> FloatArray | TooFewCases | NeverSure:
        """Return the confidence from which each class is answered, shape (C,).

        All answers together keep the bound, and so does every class that was answered for so many
        images that it can be told: its threshold is raised where it has to be, above 1 where it is
        never sure enough. Raises InputError if the bound is not in (0, 1).
        """
        if not 0.0 < at_most_wrong < 1.0:
            raise InputError(f"The share of wrong answers must be in (0, 1), not {at_most_wrong}.")
        step = self.together.reaching(at_most_wrong)
        if step is None:
            needed = math.ceil(1.0 / at_most_wrong - 1e-9) - 1
            if self.together.n_groups < needed:
                return TooFewCases(needed, self.together.n_groups)
            return NeverSure(self.together.steps[-1].wrong)
        found = np.full(self.n_outputs, step.threshold)
        for number, own in enumerate(self.own):
            if own is None or own.n_groups < _OWN_WRONG / at_most_wrong:
                continue
            reached = own.reaching(at_most_wrong)
            # no probability reaches 2
            found[number] = max(found[number], 2.0 if reached is None else reached.threshold)
        return found


def fit_abstention(
    probabilities: FloatArray, truth: IntArray, groups: IntArray, answers: IntArray
) -> Abstention:
    """Learn from left-out images how often answers of which confidence are wrong.

    Of n answers of at least some confidence k are wrong; for one further image that makes
    ``(k + 1) / (n + 1)``, the estimate with which the most generous threshold that keeps a bound
    keeps it on average (as in Storey 2002; Jin and Candès 2023, "Selection by prediction with
    conformal p-values"). A group counts as one case, shared among its images. Raises InputError
    if there is no image.

    ``probabilities``, shape (n, C), ``truth``, ``groups`` and ``answers``, shape (n,): of images
    that did not teach what scored them.
    """
    if not len(truth):
        raise InputError("Abstention needs at least one image.")
    n_outputs = probabilities.shape[1]
    confidence = probabilities[np.arange(len(truth)), answers]
    wrong = answers != truth
    codes = np.unique(groups, return_inverse=True)[1]
    together = _steps(confidence, wrong, codes, most=_STEPS)
    own: list[Steps | None] = []
    for number in range(n_outputs):
        rows = answers == number
        enough = len(np.unique(codes[rows])) >= _OWN_WRONG / _LARGEST
        own.append(
            _steps(confidence[rows], wrong[rows], codes[rows], most=_OWN_STEPS) if enough else None
        )
    return Abstention(together, tuple(own) if any(own) else (), n_outputs)


def _steps(confidence: FloatArray, wrong: BoolArray, codes: IntArray, *, most: int) -> Steps:
    """Return the steps from all answers to the surest, at most ``most`` of them."""
    n_groups = len(np.unique(codes))
    weights = 1.0 / np.bincount(codes)[codes]
    order = np.argsort(-confidence, kind="stable")
    values = confidence[order]
    answered = np.cumsum(weights[order])
    errors = np.cumsum(weights[order] * wrong[order])
    # images of one confidence are answered together
    last = np.append(values[1:] != values[:-1], True)
    values, answered, errors = values[last], answered[last], errors[last]
    share = (errors + 1.0) / (answered + 1.0)
    # from all answers upwards, only what has fewer wrong ones than every step before
    values, answered, expected = values[::-1], answered[::-1], _rounded_up(share[::-1])
    before = np.append(np.inf, np.minimum.accumulate(expected)[:-1])
    places = np.flatnonzero(expected < before).tolist()
    shares = np.round(answered / answered[0], 4)
    found = [Step(float(expected[i]), _above(float(values[i])), float(shares[i])) for i in places]
    # the first step answers everything, also what is less sure than all these
    found[0] = replace(found[0], threshold=0.0)
    return Steps(tuple(_thinned(found, most)), n_groups)


def _rounded_up(shares: FloatArray) -> FloatArray:
    """Return shares of six digits that are not below them, but for the rounding of their sums."""
    found: FloatArray = np.ceil(shares * 1e6 - 1e-6) / 1e6
    return found


def _above(value: float) -> float:
    """Return the smallest number of single precision that is not below a confidence."""
    rounded = np.float32(value)
    if float(rounded) < value:
        rounded = np.nextafter(rounded, np.float32(np.inf))
    return float(rounded)


def _thinned(steps: list[Step], most: int) -> list[Step]:
    """Keep the most generous step below each of ``most`` bounds, evenly apart as ratios."""
    if len(steps) <= most:
        return steps
    bounds = np.geomspace(steps[0].wrong, steps[-1].wrong, most)
    bounds[-1] = steps[-1].wrong
    places = {next(i for i, s in enumerate(steps) if s.wrong <= bound) for bound in bounds[1:]}
    return [steps[i] for i in sorted({0, *places})]
