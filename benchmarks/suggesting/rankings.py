"""Rankings of unlabelled images: ours, and those that it was compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from frostline.stats.pool_head import PoolHead
from frostline.stats.pool_ranking import PoolRanking

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]
#: takes the head, the rows of the pool, how many and a generator; returns positions in the pool
Ranking = Callable[[PoolHead, Rows, int, np.random.Generator], Ints]


def chance(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    del head
    return rng.choice(len(pool), n, replace=False).astype(np.int64)


def suggested(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """What Frostline suggests."""
    return _taken(PoolRanking(head, pool, _targets(pool, rng)), n)


def expected_change(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """The rank-one update from the first label on, without covering first."""
    ranking = PoolRanking(head, pool, _targets(pool, rng))
    ranking.covering = False
    return _taken(ranking, n)


def covering(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """Facility location weighted by uncertainty, however many labels there are."""
    return _cover(head, pool, n, rng, weighted=True)


def facility_location(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """Coverage alone (Wei, Iyer and Bilmes 2015)."""
    return _cover(head, pool, n, rng, weighted=False)


def v_optimal(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """Expected fall of the mean squared error with equal noise everywhere (Cohn et al. 1996)."""
    ranking = _Even(head, pool, _targets(pool, rng))
    ranking.covering = False
    return _taken(ranking, n)


def margin(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """The smallest difference of the two likeliest classes (Scheffer et al. 2001)."""
    del rng
    first = np.sort(head.probabilities(pool), axis=1)
    return np.argsort(first[:, -1] - first[:, -2], kind="stable")[:n]


def entropy(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    del rng
    p = head.probabilities(pool)
    return np.argsort((p * np.log(np.maximum(p, 1e-12))).sum(axis=1), kind="stable")[:n]


def badge(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """k-means++ on gradients of the last layer (Ash et al. 2020)."""
    gradient = head.probabilities(pool)
    gradient[np.arange(len(pool)), gradient.argmax(axis=1)] -= 1.0
    product = (gradient @ gradient.T) * (pool @ pool.T)
    length = np.diag(product)
    chosen = [int(length.argmax())]
    nearest = np.full(len(pool), np.inf)
    while len(chosen) < n:
        last = chosen[-1]
        nearest = np.minimum(nearest, np.maximum(length + length[last] - 2 * product[:, last], 0))
        nearest[chosen] = 0.0
        share = nearest / nearest.sum() if nearest.sum() > 0 else _rest(len(pool), chosen)
        chosen.append(int(rng.choice(len(pool), p=share)))
    return np.array(chosen)


def typiclust(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator) -> Ints:
    """The most typical image of every cluster without a label (Hacohen et al. 2022)."""
    both = np.concatenate([pool, head.known]).astype(np.float64)[:, :-1]
    both -= both.mean(axis=0)
    values, vectors = np.linalg.eigh(both @ both.T)
    points = vectors[:, -64:] * np.sqrt(np.maximum(values[-64:], 0.0))
    points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
    cluster = _clusters(points, min(n + len(head.known), len(both) // 2), rng)
    distance = np.sqrt(np.maximum(2.0 - 2.0 * points[: len(pool)] @ points[: len(pool)].T, 0.0))
    labelled, sizes = set(cluster[len(pool) :].tolist()), np.bincount(cluster[: len(pool)])
    order = sorted(np.flatnonzero(sizes).tolist(), key=lambda c: (c in labelled, -sizes[c]))
    chosen: list[int] = []
    for turn in range(n * len(order)):
        free = np.flatnonzero(cluster[: len(pool)] == order[turn % len(order)])
        free = free[~np.isin(free, chosen)]
        if len(free):
            near = np.sort(distance[np.ix_(free, free)], axis=1)[:, 1:21]
            typical = near.mean(axis=1) if near.shape[1] else np.zeros(len(free))
            chosen.append(int(free[typical.argmin()]))
        if len(chosen) == n:
            break
    return np.array(chosen, dtype=np.int64)


#: all that were tried, by name
RANKINGS: dict[str, Ranking] = {
    "random": chance,
    "suggested": suggested,
    "expected change": expected_change,
    "weighted coverage": covering,
    "coverage": facility_location,
    "V-optimal": v_optimal,
    "margin": margin,
    "entropy": entropy,
    "BADGE": badge,
    "TypiClust": typiclust,
}


class _Even(PoolRanking):
    @property
    def surprise(self) -> Floats:
        return np.ones(len(self.rows))


def _targets(pool: Rows, rng: np.random.Generator) -> Ints:
    return np.sort(rng.permutation(len(pool))[:2000])


def _taken(ranking: PoolRanking, n: int) -> Ints:
    found = [ranking.take() for _ in range(n)]
    return np.array([one[0] for one in found if one is not None], dtype=np.int64)


def _cover(head: PoolHead, pool: Rows, n: int, rng: np.random.Generator, *, weighted: bool) -> Ints:
    unsure = (
        1.0 - np.square(head.probabilities(pool)).sum(axis=1) if weighted else np.ones(len(pool))
    )
    length = np.linalg.norm(pool, axis=1)
    near = (pool @ pool.T) / np.outer(length, length)
    covered = ((head.known @ pool.T) / np.outer(np.linalg.norm(head.known, axis=1), length)).max(0)
    chosen: list[int] = []
    for _ in range(n):
        gain = np.maximum(near - covered, 0.0) @ unsure
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        covered = np.maximum(covered, near[chosen[-1]])
    return np.array(chosen)


def _rest(n: int, chosen: list[int]) -> Floats:
    share: Floats = np.ones(n)
    share[chosen] = 0.0
    share /= share.sum()
    return share


def _clusters(points: Floats, k: int, rng: np.random.Generator) -> Ints:
    middles = points[rng.choice(len(points), k, replace=False)]
    nearest: Ints = np.zeros(len(points), dtype=np.int64)
    for _ in range(15):
        nearest = (np.square(middles).sum(axis=1) - 2 * points @ middles.T).argmin(axis=1)
        for c in range(k):
            if (nearest == c).any():
                middles[c] = points[nearest == c].mean(axis=0)
    return nearest
