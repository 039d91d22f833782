"""How far the confidence of a prediction can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.report.charts.reliability import Group, joined, reliability_chart
from frostline.report.charts.svg import Chart
from frostline.report.data import ReportData
from frostline.wording.numbers import is_number


@dataclass(frozen=True)
class Calibration:
    """Calibration error and surprise (nats) on images that did not teach."""

    ece: Any
    nll: Any


@dataclass(frozen=True)
class TrustView:
    """What the section shows; None stands for what a run does not tell.

    ``gap`` is mean confidence minus accuracy, ``by_chance`` the calibration error of a model that
    is exactly as often right as it says. ``unknown`` is a sentence about images unlike those of
    training.
    """

    chart: Chart
    groups: list[Group]
    ece: Any
    gap: float
    temperature: Any
    by_chance: Any
    before: Calibration | None
    after: Calibration | None
    unknown: str


def trust(data: ReportData) -> TrustView | None:
    """Arrange the bins of confidence; None where there are none."""
    bins = data.scores.get("reliability") or []
    if not bins:
        return None
    groups = joined(bins)
    test: Mapping[str, Any] = data.metrics.get("test") or {}
    calibration = _mapping(test.get("calibration"))
    n = sum(group.n for group in groups)
    return TrustView(
        chart=reliability_chart(groups),
        groups=groups,
        ece=test.get("ece", data.scores.get("ece")),
        gap=sum(group.n * (group.confidence - group.accuracy) for group in groups) / n,
        temperature=data.metrics.get("temperature"),
        by_chance=calibration.get("ece_by_chance"),
        before=_calibration(calibration.get("before")),
        after=_calibration(calibration.get("after")),
        unknown=_unknown(_mapping(data.metrics.get("unknown"))),
    )


def _calibration(found: object) -> Calibration | None:
    values = _mapping(found)
    ece, nll = values.get("ece"), values.get("nll")
    return Calibration(ece, nll) if is_number(ece) and is_number(nll) else None


def _unknown(found: Mapping[str, Any]) -> str:
    accepted: Any = found.get("accepted")
    n: Any = found.get("n_threshold")
    if not (is_number(accepted) and is_number(n)):
        return ""
    share: Any = found.get("share_of_held_out")
    said = (
        "Images unlike everything in training are called unknown. The threshold was set by "
        f"{n:,} images that had taught nothing, so that {100 * accepted:.0f}% of such images stay "
        "within it."
    )
    if is_number(share):
        said += f" Of the held-out images it would reject {100 * share:.1f}%."
    if found.get("rough"):
        said += " So few images make it rough."
    return said


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
