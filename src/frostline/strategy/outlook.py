"""What more images would change: how many until training overtakes a head that won."""

from __future__ import annotations

from frostline.core.plan import EvidenceSummary
from frostline.core.reasons import RunnerUp

#: accuracy that training gained on heads with every doubling of the images: medians over the
#: study's sets by shift (benchmarks/results/decision.json)
GAIN_PER_DOUBLING = {"similar": 0.002, "moderate": 0.002, "different": 0.026}
_MOST_DOUBLINGS = 4.0
_LEAST_DOUBLINGS = 0.3


def runner_up(summary: EvidenceSummary, name: str, behind: float) -> RunnerUp | None:
    """Return how far an option that trains layers is from paying; None if the shift is not known.

    ``name``: of the option. ``behind``: accuracy that it lost to the head that won.
    """
    gain = GAIN_PER_DOUBLING.get(summary.shift.label)
    if gain is None:
        return None
    doublings = max(behind, 0.0) / gain
    more = None
    if doublings <= _MOST_DOUBLINGS:
        growth = 2.0 ** max(doublings, _LEAST_DOUBLINGS) - 1.0
        more = _rounded(summary.size.per_class * growth)
    return RunnerUp(name=name, behind=behind, gain_per_doubling=gain, more_per_class=more)


def _rounded(count: float) -> int:
    """Round to one digit: nobody knows better."""
    size = int("1" + "0" * max(0, len(str(int(count))) - 1))
    return max(1, round(count / size) * size)
