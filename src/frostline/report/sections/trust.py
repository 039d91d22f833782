"""How far the confidence of a prediction can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import Metrics
from frostline.core.score_record import CalibrationScores
from frostline.report.charts.reliability import Group, joined, reliability_chart
from frostline.report.charts.svg import Chart
from frostline.wording.scores import unknown_words


@dataclass(frozen=True)
class TrustView:
    """What the section shows; None stands for what a run does not tell.

    ``chart`` is None where predictions have no confidence of their own, as labels and numbers.
    ``gap`` is mean confidence minus accuracy, ``by_chance`` the calibration error of a model that
    is exactly as often right as it says. ``unknown`` is a sentence about images unlike those of
    training.
    """

    chart: Chart | None
    groups: list[Group]
    ece: float
    gap: float
    temperature: float | None
    by_chance: float | None
    before: CalibrationScores | None
    after: CalibrationScores | None
    unknown: str


def trust(metrics: Metrics) -> TrustView | None:
    """Arrange the bins of confidence; None where nothing is known of any."""
    test = metrics.test
    unknown = "" if metrics.unknown is None else unknown_words(metrics.unknown)
    if not test.reliability or test.ece is None:
        if not unknown:
            return None
        return TrustView(None, [], 0.0, 0.0, None, None, None, None, unknown)
    groups = joined(test.reliability)
    calibration = test.calibration
    n = sum(group.n for group in groups)
    return TrustView(
        chart=reliability_chart(groups),
        groups=groups,
        ece=test.ece,
        gap=sum(group.n * (group.confidence - group.accuracy) for group in groups) / n,
        temperature=metrics.temperature,
        by_chance=None if calibration is None else calibration.ece_by_chance,
        before=None if calibration is None else calibration.before,
        after=None if calibration is None else calibration.after,
        unknown=unknown,
    )
