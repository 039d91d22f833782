"""What is known about some training images before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frostline.core.arrays import IntArray
from frostline.core.plan import EvidenceSummary
from frostline.stats.kernel_ridge import KernelRidge
from frostline.stats.metrics import Gains
from frostline.stats.ridge import RidgeLOO

#: labels of the shift at which re-estimated norm statistics may help
FAR = ("moderate", "different")


@dataclass(frozen=True)
class Evidence:
    """What was found, and the fits that found it.

    Attributes
    ----------
    summary : EvidenceSummary
        Plain numbers, as they go into a plan.
    rows : int ndarray of shape (n,)
        The catalog rows that everything rests on.
    groups : int ndarray of shape (n,)
        Rows of one number succeed and fail together, so comparisons count groups.
    ridge : dict of str to RidgeLOO
        By tap, and ``"all"``: fits on all of ``rows``, fit to be used as heads. Above 10,000 rows
        it holds ``"all"`` only, as single taps are then compared on a part of the rows.
    correct : dict of str to ndarray of bool or float64
        By tap, ``"all"``, ``"stacked"`` and perhaps ``"adapted"``: which rows are classified
        rightly when left out, or what each contributes to another metric than accuracy. The taps
        have the shape of ``compared``, all others (n,).
    compared : int ndarray
        Positions in ``rows`` that the single taps were compared on; all of them up to 10,000.
    flip_safe : bool, default=True
        Whether mirrored images keep their class, as far as anybody asked.
    kernel : KernelRidge or None, default=None
        The kernel of the stacked head on all of ``rows``, where it has one.
    """

    summary: EvidenceSummary
    rows: IntArray
    groups: IntArray
    ridge: Mapping[str, RidgeLOO]
    correct: Mapping[str, Gains]
    compared: IntArray
    flip_safe: bool = True
    kernel: KernelRidge | None = None
