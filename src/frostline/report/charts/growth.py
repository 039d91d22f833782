"""What more images would bring: accuracy with half of them, with all, and an outlook."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary
from frostline.report.charts.axis import Scale, accuracy_scale, beside, whole_percent
from frostline.report.charts.rows import Z95
from frostline.report.charts.svg import WIDTH, Chart, Dot, Hit, Line, Mark, Path, Text
from frostline.wording.numbers import number, percent
from frostline.wording.tasks import TASKS, TaskWords

_LEFT, _TOP, _BOTTOM = 46.0, 28.0, 176.0


@dataclass(frozen=True)
class Growth:
    """Accuracies in [0, 1] of a head on all depths, by the number of training images.

    Of several labels these are mean average precisions, of numbers shares of the variance.

    ``next`` is the range that twice the images may bring: no gain, up to as much as last time.
    """

    n: int
    half: float
    whole: float
    error: float
    next: tuple[float, float]
    words: TaskWords = TASKS["single"]


def growth(evidence: EvidenceSummary) -> Growth:
    """Read the curve off the gain of the last doubling."""
    whole, gain = evidence.all_taps.accuracy, evidence.slope
    return Growth(
        n=evidence.size.n_images,
        half=min(1.0, max(0.0, whole - gain)),
        whole=whole,
        error=evidence.all_taps.standard_error,
        next=(whole, min(1.0, whole + max(0.0, gain))),
        words=TASKS[evidence.task],
    )


def growth_chart(found: Growth) -> Chart:
    """Lay out two measured points, and the fan in which the next one can be expected."""
    low, high = max(0.0, found.whole - Z95 * found.error), min(1.0, found.whole + Z95 * found.error)
    ends = accuracy_scale((low, high, found.half, *found.next), start=_BOTTOM, stop=_TOP)
    across = Scale(found.n / 2.3, found.n * 2.3, _LEFT, WIDTH - 4, doublings=True)
    counts = (found.n // 2, found.n, 2 * found.n)
    x = [across.at(count) for count in (found.n / 2, found.n, 2 * found.n)]
    y = ends.at(found.whole)
    title = f"{found.words.score} of a head on all depths (%)"
    marks: list[Mark] = beside(ends, _LEFT, title, whole_percent, right=WIDTH)
    marks += [Line(_LEFT, _BOTTOM, WIDTH, _BOTTOM, "axis")]
    for place, count, word in zip(x, counts, ("half", "all of yours", "twice"), strict=True):
        marks += [
            Line(place, _BOTTOM, place, _BOTTOM + 4, "axis"),
            Text(place, _BOTTOM + 17, number(count), "dim", "middle"),
            Text(place, _BOTTOM + 31, word, "dim", "middle"),
        ]
    marks += [
        Text((_LEFT + WIDTH) / 2, _BOTTOM + 48, "training images (number)", "title", "middle"),
        Path(
            [(x[1], y), (x[2], ends.at(found.next[1])), (x[2], ends.at(found.next[0]))],
            "fan",
            closed=True,
        ),
        Path([(x[0], ends.at(found.half)), (x[1], y)], "curve"),
        Line(x[1], ends.at(low), x[1], ends.at(high), "whisker"),
        Line(x[1] - 4, ends.at(low), x[1] + 4, ends.at(low), "whisker"),
        Line(x[1] - 4, ends.at(high), x[1] + 4, ends.at(high), "whisker"),
        Dot(x[0], ends.at(found.half), 5, "dot frozen"),
        Dot(x[1], y, 5, "dot frozen"),
        *(
            Hit(place - 25, _TOP, 50, _BOTTOM - _TOP, tip)
            for place, tip in zip(x, _tips(found, counts), strict=True)
        ),
    ]
    return Chart(
        name=f"{found.words.heading} by number of training images",
        summary=f"About {percent(found.half)} with half of the images, {percent(found.whole)} with "
        f"all of them; twice as many can be expected to give {percent(found.next[0])} to "
        f"{percent(found.next[1])}.",
        width=WIDTH,
        height=_BOTTOM + 52,
        marks=marks,
    )


def _tips(found: Growth, counts: tuple[int, int, int]) -> tuple[str, str, str]:
    half, whole, twice = (number(count) for count in counts)
    return (
        f"{half} images: about {percent(found.half)}",
        f"{whole} images: {percent(found.whole)}, standard error {percent(found.error)}",
        f"{twice} images: {percent(found.next[0])} to {percent(found.next[1])} can be expected",
    )
