"""Ways from left-out outputs to probabilities of ordered levels, and to the level that is answered.

Whatever a way chooses, it chooses on the images that teach: second levels are fitted to their
left-out outputs, and shares and limits to what folds of these say of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from frostline.data.splitting.stratified import stratified_folds
from frostline.stats.calibration import softmax
from frostline.stats.intervals import mean_error
from frostline.stats.second_stage import StageKind, fit_second_stage
from frostline.stats.sigmoids import fit_sigmoids, sigmoid
from frostline.stats.stacked_head import stack_prior
from frostline.stats.stacking import fit_stack

Array = npt.NDArray[Any]
#: what all others are compared with
BASE = "classifier, likeliest"
#: accuracy that a limited answer may cost on images that teach
_LIMIT = 0.005
_TINY = 1e-6
_INNER = 5


@dataclass(frozen=True)
class Outputs:
    """What K heads say of n images: a list of (n, k) for levels, and of (n, k - 1) for above."""

    levels: list[Array]
    above: list[Array]

    def __getitem__(self, rows: Array) -> Outputs:
        return Outputs([each[rows] for each in self.levels], [each[rows] for each in self.above])


Way = Callable[[Outputs, Array, Outputs], Array]


def answers(
    seen: Outputs, truth: Array, groups: Array, told: Outputs
) -> dict[str, tuple[Array, Array]]:
    """Return probabilities (m, k) and answers (m,) of every way for images that did not teach."""
    ways: dict[str, Way] = {
        "classifier": _staged("matrix"),
        "ordered stage": _staged("ordered"),
        "cumulative": _cumulative,
    }
    inner = {name: _crossed(way, seen, truth, groups) for name, way in ways.items()}
    given = {name: way(seen, truth, told) for name, way in ways.items()}
    share = _share(inner["classifier"], inner["cumulative"], truth)
    mixed = (1 - share) * given["classifier"] + share * given["cumulative"]
    suited = _by_distance(inner["classifier"], truth)(given["classifier"])
    each = {
        **given,
        "both stages": 0.5 * (given["classifier"] + given["ordered stage"]),
        "mixture": mixed,
        "calibrated by distance": suited,
    }
    found = {}
    for name, p in each.items():
        found[f"{name}, likeliest"] = (p, p.argmax(axis=1))
        found[f"{name}, median"] = (p, (p @ _apart(p)).argmin(axis=1))
    p, own = given["classifier"], inner["classifier"]
    found["classifier, squared distance"] = (p, (p @ _apart(p) ** 2).argmin(axis=1))
    found["classifier, kappa"] = (p, (p @ _for_kappa(own, truth)).argmin(axis=1))
    for name, power in (("distance", 1), ("squared distance", 2)):
        costs = _limited(own, truth, _apart(p) ** power)
        found[f"classifier, limited {name}"] = (p, (p @ costs).argmin(axis=1))
    two = each["both stages"]
    costs = _limited(0.5 * (own + inner["ordered stage"]), truth, _apart(p))
    found["both stages, limited distance"] = (two, (two @ costs).argmin(axis=1))
    found["classifier, limited pair by pair"] = (p, _by_pairs(own, truth, groups)(p))
    return found


def beyond_doubt(p: Array, truth: Array) -> dict[str, Any]:
    """Say what answers could gain at best if the probabilities (n, k) were true.

    For each loss of accuracy the answers that save most distance for it: how much they are
    expected to save, and that by its standard error on so many images (``errors``).
    """
    n, apart = len(truth), _apart(p)
    likeliest = p.argmax(axis=1)
    saved = (p @ apart)[np.arange(n), likeliest][:, None] - p @ apart
    best = saved.argmax(axis=1)
    gain = saved[np.arange(n), best]
    loss = p.max(axis=1) - p[np.arange(n), best]
    squares = np.einsum("nc,nc->n", p, (apart[:, likeliest] - apart[:, best]).T ** 2)
    order = np.argsort(-gain / np.maximum(loss, _TINY))
    order = order[best[order] != likeliest[order]]
    found: dict[str, Any] = {}
    for limit in (0.0025, 0.005, 0.01, 1.0):
        kept = order[np.cumsum(loss[order]) / n <= limit]
        total = float(gain[kept].sum())
        found[f"at most {limit:.2%}" if limit < 1 else "median"] = {
            "answers changed": len(kept),
            "accuracy lost": round(100 * float(loss[kept].sum()) / n, 3),
            "mae gained": round(total / n, 5),
            "errors": round(total / float(np.sqrt(squares[kept].sum())), 3),
        }
    return found


def _apart(p: Array) -> Array:
    place = np.arange(p.shape[1])
    return np.abs(np.subtract.outer(place, place)).astype(np.float64)


def _staged(kind: StageKind) -> Way:
    """The head of a fit: a convex sum of the heads, and a linear correction of their logits."""

    def way(seen: Outputs, truth: Array, told: Outputs) -> Array:
        prior = stack_prior(len(seen.levels) - 2, kernel=True)
        stack = fit_stack(seen.levels, truth, prior=prior)
        stage = fit_second_stage(kind, stack.apply(seen.levels), truth)
        return softmax(stage.apply(stack.apply(told.levels)))

    return way


def _cumulative(seen: Outputs, truth: Array, told: Outputs) -> Array:
    """For every level the probability of lying above it, each with weights of its own."""
    above = (truth[:, None] > np.arange(seen.above[0].shape[1])).astype(np.int64)
    prior = stack_prior(len(seen.above) - 2, kernel=True)
    columns = []
    for k in range(above.shape[1]):
        pairs, unseen = (
            [np.hstack([1 - each[:, [k]], each[:, [k]]]) for each in outputs.above]
            for outputs in (seen, told)
        )
        stack = fit_stack(pairs, above[:, k], prior=prior)
        inside, outside = (np.diff(stack.apply(each), axis=1) for each in (pairs, unseen))
        fitted = fit_sigmoids(inside, above[:, [k]].astype(np.float64))
        columns.append(sigmoid(fitted.apply(outside)))
    falling = np.minimum.accumulate(np.hstack(columns), axis=1)
    ends = np.ones((len(falling), 1))
    p = np.maximum(-np.diff(np.hstack([ends, falling, 0 * ends]), axis=1), _TINY)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _crossed(way: Way, seen: Outputs, truth: Array, groups: Array) -> Array:
    """Return probabilities of every image that teaches, by folds of the others."""
    digests = [str(i) for i in range(len(truth))]
    found = np.zeros((len(truth), seen.levels[0].shape[1]))
    for learn, judge in stratified_folds(truth, groups, digests, n_folds=_INNER, seed=1):
        found[judge] = way(seen[learn], truth[learn], seen[judge])
    return found


def _ranked(p: Array, truth: Array) -> float:
    reached = truth[:, None] <= np.arange(p.shape[1] - 1)
    return float(((np.cumsum(p, axis=1)[:, :-1] - reached) ** 2).mean())


def _share(first: Array, second: Array, truth: Array) -> float:
    """Return the share of the second in the mixture of the lowest ranked probability score."""
    shares = np.linspace(0.0, 1.0, 21)
    return float(shares[np.argmin([_ranked((1 - s) * first + s * second, truth) for s in shares])])


def _by_distance(p: Array, truth: Array) -> Callable[[Array], Array]:
    """Return a scale and a bias a level that lower the ranked probability score of (n, k)."""

    def suited(values: Array, probabilities: Array) -> Array:
        logits = np.log(np.maximum(probabilities, _TINY))
        return softmax(values[0] * logits + values[1:])

    start = np.r_[1.0, np.zeros(p.shape[1])]
    found = minimize(
        lambda values: _ranked(suited(values, p), truth) + 1e-4 * np.square(values - start).sum(),
        start,
        method="L-BFGS-B",
    ).x
    return lambda probabilities: suited(found, probabilities)


def _for_kappa(p: Array, truth: Array) -> Array:
    """Return costs whose answers have the highest kappa with quadratic weights.

    It is 1 minus a ratio of two means over images, so that for the ratio that is reached both
    differ by a mean as well (Dinkelbach 1967).
    """
    squared, place = _apart(p) ** 2, np.arange(p.shape[1])
    around = (place - truth.mean()) ** 2
    ratio, costs = 0.0, squared
    for _ in range(20):
        costs = squared - ratio * around[None, :]
        said = (p @ costs).argmin(axis=1)
        expected = ((truth - truth.mean()) ** 2).mean() + around[said].mean()
        now = float(squared[truth, said].mean() / expected)
        if abs(now - ratio) < 1e-9:
            break
        ratio = now
    return np.asarray(costs)


def _limited(p: Array, truth: Array, costs: Array) -> Array:
    """Return costs with what a right answer is worth besides, the least that keeps the limit."""
    right = (p.argmax(axis=1) == truth).mean()
    eye = np.eye(len(costs))
    for worth in np.linspace(0.0, 12.0, 121):
        kept = costs - worth * eye
        if right - ((p @ kept).argmin(axis=1) == truth).mean() <= _LIMIT:
            return np.asarray(kept)
    return -eye


def _by_pairs(p: Array, truth: Array, groups: Array) -> Callable[[Array], Array]:
    """Return answers with a limit of its own for each pair of likeliest and answered level.

    An image moves from the likeliest level to another where that saves more distance for the
    accuracy it costs than the limit of the pair. Limits save most distance on images that teach;
    pairs that save less than a standard error do not move, and those that save most for what they
    cost come first, until the limit of accuracy is reached.
    """
    apart, n = _apart(p), len(truth)
    first, second, saves = _moves(p)
    gain = apart[truth, first] - apart[truth, second]
    lost = (first == truth) * 1.0 - (second == truth)
    pairs = []
    for a, b in {(int(a), int(b)) for a, b in zip(first, second, strict=True) if a != b}:
        mine = (first == a) & (second == b)
        tried = []
        for limit in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0):
            moved = mine & (saves > limit)
            error = mean_error(np.where(moved, gain, 0.0), groups)
            if gain[moved].sum() / n > error:
                tried.append((gain[moved].sum() / n, lost[moved].sum() / n, limit))
        if tried:
            best = max(tried)
            pairs.append((best[0] / max(best[1], _TINY), best[1], a, b, best[2]))
    limits, left = {}, _LIMIT
    for _, cost, a, b, limit in sorted(pairs, reverse=True):
        if cost <= left:
            limits[a, b] = limit
            left -= max(cost, 0.0)

    def said(probabilities: Array) -> Array:
        one, other, worth = _moves(probabilities)
        least = np.array(
            [limits.get(pair, np.inf) for pair in zip(one.tolist(), other.tolist(), strict=True)]
        )
        return np.where(worth > least, other, one)

    return said


def _moves(p: Array) -> tuple[Array, Array, Array]:
    """Return the likeliest level, the one that saves most distance, and that by what it costs."""
    expected = p @ _apart(p)
    first, second = p.argmax(axis=1), expected.argmin(axis=1)
    rows = np.arange(len(p))
    saved = expected[rows, first] - expected[rows, second]
    return first, second, saved / np.maximum(p[rows, first] - p[rows, second], _TINY)
