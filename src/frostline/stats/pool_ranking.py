"""Which unlabelled images to label next: by coverage, then by what their labels would change."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.pool_head import PoolHead, Rows32

#: labelled images a class up to which images are chosen to cover the pool: until then the head
#: knows too little to say what it is unsure of
COVER_UP_TO = 10
#: images that stand for the whole pool, and images that are looked at closely, at most
MOST_TARGETS, MOST_CANDIDATES = 2000, 4000
_CHUNK = 2048


@dataclass
class PoolRanking:
    """Chooses images one after the other, each knowing those before it.

    While there are few labels that is weighted facility location: the image that brings most of
    the images that the head is unsure of near to one that will be labelled (Wei, Iyer and Bilmes
    2015). Later it is the image whose label is expected to change the outputs for all others most.
    Labelling image ``i`` moves the output for ``j`` by ``cov(i, j) / (var(i) + penalty)`` times the
    error at ``i`` (a rank-one update of the ridge fit), so the expected squared change is, up to
    the scale of the noise, ``s(i) * sum_j cov(i, j)^2 / (var(i) + penalty)`` with ``s(i) = 1 -
    sum_c p(c | i)^2``, the expected squared error of calibrated probabilities: without ``s`` it is
    the expected fall of the mean squared error (Cohn, Ghahramani and Jordan 1996, ALC or
    V-optimality). Covariances are those after the images chosen so far.

    - ``head``: fitted to the labelled images.
    - ``rows``, shape (n, d): of the pool, see :func:`frostline.stats.pool_head.common_rows`.
    - ``targets``, shape (t,): positions in ``rows`` that stand for the pool.
    """

    head: PoolHead
    rows: Rows32
    targets: IntArray
    probabilities: FloatArray = field(init=False)
    covering: bool = field(init=False)
    _candidates: IntArray = field(init=False)
    _explained: FloatArray = field(init=False)
    _covariance: FloatArray = field(init=False)
    _variance: FloatArray = field(init=False)
    _updates: list[FloatArray] = field(init=False, default_factory=list)
    _alive: BoolArray = field(init=False)

    def __post_init__(self) -> None:
        head, n_classes = self.head, self.head.solved.shape[1]
        self.covering = len(head.known) < COVER_UP_TO * n_classes
        explained, outputs = _in_chunks(head, self.rows)
        self.probabilities = outputs
        surprise = self.surprise
        targets = explained[self.targets]
        candidates = np.arange(len(self.rows))
        if len(candidates) > MOST_CANDIDATES:
            candidates = self._likeliest(explained, targets, surprise)
        self._candidates = candidates
        self._explained = explained[candidates]
        self._covariance = self._covariances(candidates, explained[candidates], targets)
        own = np.square(self.rows[candidates]).sum(axis=1, dtype=np.float64)
        self._variance = np.maximum(own - np.square(self._explained).sum(axis=1), 0.0)
        self._alive = np.ones(len(candidates), dtype=bool)
        if self.covering:
            self._nearness = _cosines(self.rows[candidates], self.rows[self.targets])
            self._covered = _cosines(head.known, self.rows[self.targets]).max(axis=0)

    @property
    def surprise(self) -> FloatArray:
        """The expected squared error of the probabilities for every image of the pool, (n,)."""
        found: FloatArray = 1.0 - np.square(self.probabilities).sum(axis=1)
        return found

    def gains(self) -> FloatArray:
        """Return the expected squared change of the outputs, (n_candidates,), mean over the pool.

        Of what was chosen already it is 0.
        """
        change = np.square(self._covariance).mean(axis=1) / (self._variance + self.head.penalty)
        return np.where(self._alive, self.surprise[self._candidates] * change, 0.0)

    def take(self) -> tuple[int, float] | None:
        """Choose the next image: its position in the pool and its gain; None if none is left."""
        if not self._alive.any():
            return None
        gains = self.gains()
        if self.covering:
            nearer = np.maximum(self._nearness - self._covered, 0.0)
            score = np.where(self._alive, nearer @ self.surprise[self.targets], -1.0)
            chosen = int(score.argmax())
            self._covered = np.maximum(self._covered, self._nearness[chosen])
        else:
            chosen = int(np.where(self._alive, gains, -1.0).argmax())
        self._alive[chosen] = False
        self._condition_on(chosen)
        return int(self._candidates[chosen]), float(gains[chosen])

    def drop(self, position: int) -> None:
        """Choose an image of the pool never."""
        self._alive[self._candidates == position] = False

    def _condition_on(self, chosen: int) -> None:
        """Let covariances be those after an image was labelled."""
        place = self._candidates[chosen]
        own = (self.rows[self._candidates] @ self.rows[place]).astype(np.float64)
        own -= self._explained @ self._explained[chosen]
        for update in self._updates:
            own -= update * update[chosen]
        root = np.sqrt(max(float(own[chosen]), 0.0) + self.head.penalty)
        update = own / root
        self._updates.append(update)
        self._covariance -= np.outer(update, self._covariance[chosen] / root)
        self._variance = np.maximum(self._variance - np.square(update), 0.0)

    def _covariances(
        self, places: IntArray, explained: FloatArray, targets: FloatArray
    ) -> FloatArray:
        product = (self.rows[places] @ self.rows[self.targets].T).astype(np.float64)
        return product - explained @ targets.T

    def _likeliest(
        self, explained: FloatArray, targets: FloatArray, surprise: FloatArray
    ) -> IntArray:
        """Return those of a large pool whose labels alone would change most."""
        gains = np.empty(len(self.rows))
        for start in range(0, len(gains), _CHUNK):
            places = np.arange(start, min(len(gains), start + _CHUNK))
            own = explained[places]
            variance = np.square(self.rows[places]).sum(axis=1) - np.square(own).sum(axis=1)
            change = np.square(self._covariances(places, own, targets)).mean(axis=1)
            gains[places] = surprise[places] * change / (variance + self.head.penalty)
        return np.sort(np.argsort(-gains, kind="stable")[:MOST_CANDIDATES])


def _in_chunks(head: PoolHead, rows: Rows32) -> tuple[FloatArray, FloatArray]:
    """Return what is explained of rows, and their calibrated probabilities."""
    parts = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    explained = np.concatenate([head.explained(part) for part in parts])
    probabilities = np.concatenate([head.probabilities(part) for part in parts])
    return explained, probabilities


def _cosines(a: Rows32, b: Rows32) -> FloatArray:
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    found: FloatArray = (a @ b.T).astype(np.float64) / lengths
    return found
