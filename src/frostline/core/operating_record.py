"""What a run found out about prediction sets and abstention, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from frostline.core.audit_record import Count
from frostline.core.json_record import JsonRecord

Share = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float]


class CasesNeeded(JsonRecord):
    """Independent cases (groups) that a promise needs at least, and how many there are."""

    needed: int
    found: int


class SetScores(JsonRecord):
    """What prediction sets rest on, and how often they held the truth of images that judge.

    ``scoring`` is ``split`` where a part that nothing was trained on set the thresholds, ``cross``
    where each training image was scored by a fit without it. ``n_own`` classes have a threshold of
    their own. ``sizes[k]`` judged images have a set of k classes. Where ``too_few`` is given there
    are no sets.
    """

    level: float = 0.95
    scoring: Literal["split", "cross"] | None = None
    n_images: int = 0
    n_groups: int = 0
    n_own: int = 0
    coverage: Share | None = None
    coverage_interval: Interval | None = None
    mean_size: float | None = None
    sizes: tuple[Count, ...] = ()
    class_coverage: tuple[Share | None, ...] = ()
    too_few: CasesNeeded | None = None


class LabelSetScores(SetScores):
    """The same of one of several labels, whose two answers are absent and present, in this order.

    ``sizes[2]`` judged images may have it or not.
    """

    label: str


class IntervalScores(JsonRecord):
    """What the intervals of one column of numbers rest on, and how often they held the truth.

    ``radius``: they reach so far to both sides, in the column's unit. ``scoring`` is as of
    :class:`SetScores`. Where ``too_few`` is given there are no intervals.
    """

    column: str
    level: float = 0.9
    scoring: Literal["split", "cross"] | None = None
    n_images: int = 0
    n_groups: int = 0
    radius: float | None = None
    coverage: Share | None = None
    coverage_interval: Interval | None = None
    too_few: CasesNeeded | None = None


class AbstentionPoint(JsonRecord):
    """Judged images that are answered where at most so many answers may be wrong.

    ``wrong`` is the share of these answers that was; None where none was answered.
    """

    at_most_wrong: float
    answered: Share
    answered_interval: Interval
    wrong: Share | None = None
    wrong_interval: Interval | None = None


class AbstentionScores(JsonRecord):
    """What a bound on wrong answers costs, on images that judge.

    ``curve`` tells of the bounds that the model can keep, from ``n_groups`` left-out cases.
    ``at_most_wrong`` is the bound that was asked for and ``chosen`` its point; instead of that
    ``too_few`` says that there were too few cases to keep it, or ``lowest`` that answers are never
    so sure: the smallest share of wrong ones at any confidence.
    """

    curve: tuple[AbstentionPoint, ...] = ()
    n_groups: int = 0
    at_most_wrong: float | None = None
    chosen: AbstentionPoint | None = None
    too_few: CasesNeeded | None = None
    lowest: float | None = None


class LabelAbstentionScores(AbstentionScores):
    """The same of one of several labels, without the curve."""

    label: str
