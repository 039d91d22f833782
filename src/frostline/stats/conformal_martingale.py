"""Evidence, image by image, that a stream is no longer like some images that were left out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError, SettingsError

#: bins of a score: as many numbers are kept of all images that were ever seen
_BINS = 4096
#: they are counted in this many parts of as many bins, so that few numbers are added up
_PARTS = 64
#: Beta densities (a, b) that p-values are bet to have: fair, small, large, at both ends, middling
_BETS = (
    (1.0, 1.0),
    (0.1, 1.0),
    (0.3, 1.0),
    (0.6, 1.0),
    (1.0, 0.1),
    (1.0, 0.3),
    (1.0, 0.6),
    (0.5, 0.5),
    (3.0, 3.0),
)
#: share of the money that changes its bet after every image
_JUMP = 0.01
#: share of the money that waits for a later start, and images after which half of it has come in
_WAITING, _HALF_AFTER = 0.5, 200.0
#: p-values count as no closer to 0 and 1 than this
_EDGE = 1e-9


class ConformalMartingale:
    """Tests several scores of a stream of images against those of left-out images, step by step.

    As long as new images and left-out ones come from the same place, in whatever order, the chance
    that :attr:`alarmed` *ever* turns true is at most ``false_alarms``, however long the stream.

    Every score of an image becomes a conformal p-value among all images so far, left-out ones
    included; such p-values are independent and uniform (Vovk, Nouretdinov and Gammerman 2003). A
    game bets against that: its money multiplies by the density of a Beta distribution at each
    p-value, part of it changes to another one after every image (the simple jumper of Vovk et al.
    2021, "Retrain or not retrain"), and part waits for a later start, so that a change after
    thousands of images is found as well. By Ville's inequality money that starts as 1 ever reaches
    ``K / false_alarms`` with a chance of at most ``false_alarms / K``; with K scores, any of them
    does with at most ``false_alarms``.

    Memory does not grow: scores are counted in fixed bins, and ties are broken at random, which
    keeps p-values exact.

    Parameters
    ----------
    left_out : array of shape (m, K)
        Scores of images that did not teach what scored them; about 0, in units of their spread.
        Far fewer than a hundred make small p-values, and so alarms, rare.
    false_alarms : float in (0, 1), default=0.01
        Chance of ever raising a false alarm.
    random : Generator or None, default=None
        Breaks ties; None starts one at 0. It must not depend on the images.

    Attributes
    ----------
    images : int
        Seen so far.
    alarm_at : int or None
        How many images had been seen at the first alarm.

    Raises
    ------
    InputError
        If there is no left-out image, or a score is not finite.
    SettingsError
        If ``false_alarms`` is out of range.
    """

    def __init__(
        self,
        left_out: npt.ArrayLike,
        *,
        false_alarms: float = 0.01,
        random: np.random.Generator | None = None,
    ) -> None:
        scores = np.asarray(left_out, dtype=np.float64)
        if scores.ndim != 2 or 0 in scores.shape or not np.isfinite(scores).all():
            raise InputError(
                "A watch needs finite scores of left-out images, at least one of them."
            )
        if not 0.0 < false_alarms < 1.0:
            raise SettingsError(
                f"The chance of a false alarm must lie between 0 and 1, not {false_alarms}."
            )
        self.false_alarms = false_alarms
        self.images = 0
        self.alarm_at: int | None = None
        self._random = np.random.default_rng(0) if random is None else random
        n, k = scores.shape
        self._counts = np.zeros((k, _PARTS, _BINS // _PARTS), dtype=np.int64)
        part, place = np.divmod(_bins(scores), _BINS // _PARTS)
        np.add.at(self._counts, (np.arange(k)[None, :].repeat(n, axis=0), part, place), 1)
        self._parts = self._counts.sum(axis=2)
        self._seen = n
        self._waiting = math.log(_WAITING)
        start = math.log((1.0 - _WAITING) / len(_BETS))
        self._money = np.full((k, len(_BETS)), start)
        self._best = 0.0

    @property
    def evidence(self) -> FloatArray:
        """Money of every game, as its logarithm to base 10, shape (K,); 0 to begin with."""
        whole = np.logaddexp(np.logaddexp.reduce(self._money, axis=1), self._waiting)
        return np.asarray(whole / math.log(10.0))

    @property
    def needed(self) -> float:
        """The evidence at which there is an alarm: ``log10(K / false_alarms)``."""
        return math.log10(len(self._counts) / self.false_alarms)

    @property
    def strongest(self) -> float:
        """The most evidence that any game has had."""
        return self._best

    @property
    def alarmed(self) -> bool:
        """Whether there was an alarm."""
        return self.alarm_at is not None

    def step(self, scores: npt.ArrayLike) -> FloatArray:
        """Take the scores (K,) of one image; return their p-values (K,), small for large scores.

        Raises InputError if a score is not finite, or there are others than before.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != (len(self._counts),) or not np.isfinite(values).all():
            raise InputError(
                f"An image of a watch has {len(self._counts)} finite scores, not {values}."
            )
        part, place = np.divmod(_bins(values), _BINS // _PARTS)
        rows = np.arange(len(values))
        self._counts[rows, part, place] += 1
        self._parts[rows, part] += 1
        self._seen += 1
        inside = self._counts[rows, part]
        equal = inside[rows, place]
        above = np.where(part[:, None] < _NUMBERS, self._parts, 0).sum(axis=1)
        above += np.where(place[:, None] < _NUMBERS, inside, 0).sum(axis=1)
        p = (above + self._random.random(len(rows)) * equal) / self._seen
        self._bet(np.clip(p, _EDGE, 1.0 - _EDGE))
        return np.asarray(p)

    def _bet(self, p: FloatArray) -> None:
        self._money += _LOG_SCALE + _A1 * np.log(p)[:, None] + _B1 * np.log1p(-p)[:, None]
        whole = np.logaddexp.reduce(self._money, axis=1, keepdims=True)
        fresh = whole + math.log(_JUMP / len(_BETS))
        self._money = np.logaddexp(self._money + math.log1p(-_JUMP), fresh)
        self.images += 1
        evidence = self.evidence
        self._best = max(self._best, float(evidence.max()))
        if self.alarm_at is None and bool((evidence >= self.needed).any()):
            self.alarm_at = self.images
        # whoever waited comes in with the same money as ever
        before, after = (_waiting(n) for n in (self.images - 1, self.images))
        self._waiting = math.log(after)
        self._money = np.logaddexp(self._money, math.log((before - after) / len(_BETS)))


def _waiting(images: int) -> float:
    """Money that still waits after some images."""
    return _WAITING / (1.0 + images / _HALF_AFTER)


def _bins(scores: FloatArray) -> npt.NDArray[np.int64]:
    """Fixed bins, the same for everybody: fine near 0, coarse where nothing usual lies."""
    share = 0.5 + np.arctan(scores / 2.0) / math.pi
    return np.minimum((share * _BINS).astype(np.int64), _BINS - 1)


_NUMBERS = np.arange(_PARTS)
_A1 = np.array([a - 1.0 for a, _ in _BETS])
_B1 = np.array([b - 1.0 for _, b in _BETS])
_LOG_SCALE = np.array([math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) for a, b in _BETS])
