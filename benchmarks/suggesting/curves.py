"""Accuracy against labels, image by image labelled as a ranking says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.suggesting.rankings import Ints, Ranking, Rows
from benchmarks.suggesting.sets import PooledSet
from frostline.stats.gain_forecast import forecast_gain, last_doubling_of
from frostline.stats.pool_head import common_rows, fit_pool_head
from frostline.stats.pool_ranking import PoolRanking

#: images that are labelled at first, a class; images of a pool and of a test, at most
START, MOST_POOL, MOST_TEST = 2, 500, 600
ROUNDS = 10


@dataclass(frozen=True)
class Division:
    """One draw of a set: rows of all images, labels, and positions of three parts."""

    rows: Rows
    labels: Ints
    start: Ints
    pool: Ints
    test: Ints

    @property
    def n_classes(self) -> int:
        return int(self.labels.max()) + 1


def division(rows: Rows, labels: Ints, seed: int) -> Division:
    """Draw a pool and a test; two images a class and as many more at random are labelled."""
    order = np.random.default_rng(seed).permutation(len(labels))
    half = len(order) // 2
    test, pool = order[:half][:MOST_TEST], order[half:][:MOST_POOL]
    first = [pool[labels[pool] == c][:START] for c in np.unique(labels)]
    start = np.concatenate(first)
    start = np.concatenate([start, pool[~np.isin(pool, start)][: len(first)]])
    return Division(rows, labels, start, pool[~np.isin(pool, start)], test)


def rows_of(one: PooledSet) -> Rows:
    return common_rows(one.features, blocks=one.blocks)


def curve(drawn: Division, ranking: Ranking, seed: int) -> list[float]:
    """Return the accuracy on the test at the start, and after each round to half of the pool."""
    known, pool = drawn.start, drawn.pool
    rng = np.random.default_rng([seed, 1])
    step = max(1, ((len(known) + len(pool)) // 2 - len(known)) // ROUNDS)
    found = []
    for number in range(ROUNDS + 1):
        head = fit_pool_head(drawn.rows[known], drawn.labels[known], drawn.n_classes)
        found.append(_accuracy(head.outputs(drawn.rows[drawn.test]), drawn))
        if number < ROUNDS:
            chosen = ranking(head, drawn.rows[pool], step, rng)
            known, pool = np.concatenate([known, pool[chosen]]), np.delete(pool, chosen)
    return found


@dataclass(frozen=True)
class Step:
    """One batch: labels before it, accuracy, what was forecast and what came of it."""

    n_labels: int
    batch: int
    accuracy: float
    forecast: float
    margin: float
    more_is_worth_it: bool
    left: int
    left_out: float = 0.0
    doubling: float = 0.0
    mistaken: float = 0.0
    mistaken_pool: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def steps(one: PooledSet, drawn: Division, seed: int) -> list[Step]:
    """Label what is suggested, in batches that grow, until the pool is empty.

    Forecast and accuracy are those of heads that know the labelled images alone, as fits do.
    """
    known, pool = drawn.start, drawn.pool
    rng = np.random.default_rng([seed, 2])
    sizes = np.unique(
        np.round(np.geomspace(len(known), len(known) + len(pool), ROUNDS + 1)).astype(int)
    )
    found = []
    for size, following in zip(sizes, [*sizes[1:], sizes[-1]], strict=True):
        labels = drawn.labels[known]
        own = np.concatenate([known, drawn.test, pool])
        rows = common_rows(one.features[own], blocks=one.blocks, over=np.arange(len(known)))
        fitted = fit_pool_head(rows[: len(known)], labels, drawn.n_classes)
        tested = rows[len(known) : len(known) + len(drawn.test)]
        accuracy = _accuracy(fitted.outputs(tested), drawn)
        if not len(pool):
            found.append(Step(len(known), 0, accuracy, 0.0, 0.0, False, 0))
            break
        mistaken = fitted.mistaken(rows[-len(pool) :])
        past = last_doubling_of(fitted, labels, drawn.n_classes, np.arange(len(known)), rng)
        head = fit_pool_head(drawn.rows[known], labels, drawn.n_classes)
        ranking = PoolRanking(head, drawn.rows[pool], np.arange(len(pool)))
        taken = [ranking.take() for _ in range(following - size)]
        chosen = np.array([one[0] for one in taken if one is not None], dtype=np.int64)
        everyone = float(mistaken.mean())
        said = forecast_gain(past, mistaken[chosen], everyone)
        most = np.sort(mistaken)[::-1][: len(known)]
        worth = forecast_gain(past, most, everyone).worth_it
        found.append(
            Step(
                n_labels=len(known),
                batch=len(chosen),
                accuracy=accuracy,
                forecast=said.gain,
                margin=said.margin,
                more_is_worth_it=worth,
                left=len(pool),
                left_out=past.accuracy,
                doubling=past.gain,
                mistaken=float(mistaken[chosen].mean()),
                mistaken_pool=everyone,
            )
        )
        known, pool = np.concatenate([known, pool[chosen]]), np.delete(pool, chosen)
    return found


def _accuracy(outputs: Any, drawn: Division) -> float:
    return float(np.mean(outputs.argmax(axis=1) == drawn.labels[drawn.test]))
