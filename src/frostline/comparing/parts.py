"""Compare two models class by class and slice by slice, corrected for how often one looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.comparing.judged import Judged
from frostline.comparing.slices import Slice
from frostline.core.arrays import BoolArray, FloatArray
from frostline.core.comparison_record import PartComparison, UntestedPart
from frostline.stats.paired import PairedDifference, compare_paired, holm
from frostline.stats.score_contributions import LOWER_IS_BETTER, Contributions
from frostline.stats.score_intervals import plain

#: images, and groups of them, that tell something
FEWEST_IMAGES, FEWEST_GROUPS = 20, 10
#: parts together are wrongly said to differ with at most this probability
_LEVEL = 0.05
#: the dimension of classes, labels and columns
OUTPUT = "output"


@dataclass(frozen=True)
class Parts:
    """Parts that were tested, and those that are too small."""

    tested: tuple[PartComparison, ...]
    untested: tuple[UntestedPart, ...]


@dataclass(frozen=True)
class _Tested:
    dimension: str
    value: str
    a: Contributions
    b: FloatArray
    found: PairedDifference


def compare_parts(judged: Judged, slices: Sequence[Slice]) -> Parts:
    """Compare both models on every class, label or column, and on every slice.

    All tests are corrected together (Holm 1979): where nothing differs, the chance that any part is
    said to differ is at most 5 %. Parts of fewer than 20 images, or 10 groups, are not tested.
    """
    tested: list[_Tested] = []
    untested: list[UntestedPart] = []

    def add(dimension: str, value: str, rows: BoolArray, a: Contributions, b: FloatArray) -> None:
        groups = judged.groups[rows]
        n_groups = len(np.unique(groups))
        if len(groups) < FEWEST_IMAGES or n_groups < FEWEST_GROUPS:
            untested.append(
                UntestedPart(dimension=dimension, value=value, images=len(groups), groups=n_groups)
            )
            return
        found = compare_paired(a.each, b, groups=groups, reach=a.reach)
        tested.append(_Tested(dimension, value, a, b, found))

    by_output = [
        judged.target.output_contributions(answered, judged.truth, judged.outputs)
        for answered in (judged.a, judged.b)
    ]
    for first, second in zip(*by_output, strict=True):
        add(OUTPUT, first.output, first.rows, first.found, second.found.each)
    whole_a = judged.target.image_contributions(judged.a, judged.truth)
    whole_b = judged.target.image_contributions(judged.b, judged.truth)
    for one in slices:
        own = Contributions(whole_a.name, whole_a.each[one.rows], whole_a.reach)
        add(one.dimension, one.value, one.rows, own, whole_b.each[one.rows])
    adjusted = holm([one.found.p_value for one in tested])
    return Parts(tuple(map(_part, tested, adjusted)), tuple(untested))


def _part(one: _Tested, adjusted: float) -> PartComparison:
    found, lower = one.found, one.a.name in LOWER_IS_BETTER
    better = found.difference < 0 if lower else found.difference > 0
    surely = adjusted < _LEVEL and found.difference != 0.0
    return PartComparison(
        dimension=one.dimension,
        value=one.value,
        score=one.a.name,
        images=found.n,
        groups=found.n_groups,
        a=float(one.a.each.mean()),
        b=float(one.b.mean()),
        difference=found.difference,
        interval=tuple(plain(found.interval)),
        lower_is_better=lower,
        p_value=found.p_value,
        p_adjusted=adjusted,
        verdict=("b" if better else "a") if surely else "neither",
    )
