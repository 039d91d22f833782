"""What a race has been worth on other data: points of accuracy, before anything is trained.

What training gained over the best head, as a share of what the head had left to gain, was alike
over the study's target sets at one distance and size. The same share of what is left here is what
a race may be expected to gain: on similar or few images next to nothing, which is not worth the
minutes.
"""

from __future__ import annotations

from collections.abc import Mapping

from frostline.core.plan import EvidenceSummary

#: share of the headroom, by shift, for less than 10, less than 50 and more images a class
GainShares = Mapping[str, tuple[float, float, float]]

#: means over families of the study's target sets, with some hope for what hardly was looked at
#: (benchmarks/results/decision.json)
FITTED_SHARES: GainShares = {
    "similar": (0.04, 0.3, 0.25),
    "moderate": (0.09, 0.5, 0.5),
    "different": (0.08, 0.52, 0.66),
    "unknown": (0.06, 0.41, 0.44),
}

_BORDERS = (10.0, 50.0)


def expected_gain(summary: EvidenceSummary, shares: GainShares = FITTED_SHARES) -> float:
    """Return the accuracy, in [0, 1], that a race has gained on average on data like this."""
    return shares[summary.shift.label][bucket(summary.size.per_class)] * max(summary.headroom, 0.0)


def bucket(per_class: float) -> int:
    """Return the position of a size, in images of the median class, in a row of shares."""
    return sum(per_class >= border for border in _BORDERS)
