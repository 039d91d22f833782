"""Is what comes in now still like the training images? One image at a time, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.core.rng import generator
from frostline.stats.conformal_martingale import ConformalMartingale
from frostline.stats.drift import PER_DEPTH, DriftReference
from frostline.stats.drift_onset import DepthShift, Onset, depth_shifts, onset_of

#: images that a change is located with: the last ones
RECENT = 200


@dataclass(frozen=True)
class WatchState:
    """What a watch knows by now.

    Attributes
    ----------
    images : int
        That were counted.
    alarm_at : int or None
        How many images there had been at the first alarm; None without one.
    evidence, needed : float
        The most evidence of any game so far and that of an alarm, as logarithms to base 10.
    depths : tuple of DepthShift
        How far the last images are from the left-out ones, depth by depth.
    onset : Onset
        Where a change starts.
    recent : int
        The last images that ``depths`` and ``onset`` rest on.
    """

    images: int
    alarm_at: int | None
    evidence: float
    needed: float
    depths: tuple[DepthShift, ...]
    onset: Onset
    recent: int


class DriftWatch:
    """Watches a stream of images, one at a time, against what a model learned from.

    The same object serves a command that reads a folder and a service that never ends: its memory
    is fixed (about 5 MB for 5 depths), a step takes about 0.1 ms, and nothing of an image is kept
    but 3 scores for each depth, of the last 200. It is not for several threads at once.

    Parameters
    ----------
    reference : DriftReference
        What training images gave at each depth, from the model's folder.
    false_alarms : float in (0, 1), default=0.01
        Chance that a stream like the training images ever raises an alarm, however long it is.
    seed : int, default=0
        Of the numbers that break ties.

    Raises
    ------
    SettingsError
        If ``false_alarms`` is out of range.

    Examples
    --------
    >>> watch = DriftWatch(reference)  # doctest: +SKIP
    >>> for taps in stream:  # doctest: +SKIP
    ...     if watch.see(taps):
    ...         print(watch.state().onset)
    """

    def __init__(
        self, reference: DriftReference, *, false_alarms: float = 0.01, seed: int = 0
    ) -> None:
        self.reference = reference
        self._martingale = ConformalMartingale(
            reference.left_out,
            false_alarms=false_alarms,
            random=generator("ties of a watch", seed),
        )
        self._recent: deque[FloatArray] = deque(maxlen=RECENT)

    @property
    def images(self) -> int:
        """Images that were counted."""
        return self._martingale.images

    @property
    def false_alarms(self) -> float:
        """Chance of ever raising a false alarm."""
        return self._martingale.false_alarms

    @property
    def alarm_at(self) -> int | None:
        """How many images there had been at the first alarm; None without one."""
        return self._martingale.alarm_at

    @property
    def evidence(self) -> float:
        """The most evidence of any game at this moment, as a logarithm to base 10."""
        return float(self._martingale.evidence.max())

    @property
    def strongest(self) -> float:
        """The most evidence of any game at any moment."""
        return self._martingale.strongest

    @property
    def needed(self) -> float:
        """The evidence of an alarm."""
        return self._martingale.needed

    @property
    def alarmed(self) -> bool:
        """Whether there was an alarm."""
        return self._martingale.alarmed

    def see(self, taps: Sequence[npt.ArrayLike]) -> bool:
        """Take the pooled activations of one image; return whether this one raises the alarm.

        Copies of an image, and further images of a burst, belong together: show one of them.

        Parameters
        ----------
        taps : sequence of array of shape (d,)
            One for each depth of the reference, in its order.

        Raises
        ------
        InputError
            If there are other depths or widths than those of the reference, or a value is not
            finite.
        """
        tables = [np.asarray(values, dtype=np.float64)[None] for values in taps]
        widths = [depth.width for depth in self.reference.depths]
        if [table.shape[1:] for table in tables] != [(width,) for width in widths]:
            raise InputError(
                f"A watch reads {len(widths)} depths of {widths} values, not "
                f"{[table.shape[1:] for table in tables]}."
            )
        return self.see_scores(self.reference.scores(tables)[0])

    def see_scores(self, scores: FloatArray) -> bool:
        """Take what :meth:`DriftReference.scores` says of one image, shape (3 * n_depths,).

        Returns and raises what :meth:`see` does.
        """
        before = self._martingale.alarmed
        self._martingale.step(scores)
        self._recent.append(scores)
        return self._martingale.alarmed and not before

    def state(self, *, last: int | None = None) -> WatchState:
        """Return what is known by now; takes some milliseconds.

        ``last``: so many of the last images locate the change, at most 200; None takes all of
        those.
        """
        recent = np.array(self._recent).reshape(-1, PER_DEPTH * len(self.reference.depths))
        if last is not None:
            recent = recent[-last:]
        shifts = depth_shifts(recent, self.reference.left_out)
        return WatchState(
            images=self.images,
            alarm_at=self._martingale.alarm_at,
            evidence=self._martingale.strongest,
            needed=self._martingale.needed,
            depths=shifts,
            onset=onset_of(shifts),
            recent=len(recent),
        )
