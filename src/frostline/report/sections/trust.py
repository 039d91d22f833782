"""How far the confidence of a prediction can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.report.charts.reliability import Group, joined, reliability_chart
from frostline.report.charts.svg import Chart
from frostline.report.data import ReportData


@dataclass(frozen=True)
class TrustView:
    """What the section shows; ``gap`` is mean confidence minus accuracy."""

    chart: Chart
    groups: list[Group]
    ece: Any
    gap: float
    temperature: Any


def trust(data: ReportData) -> TrustView | None:
    """Arrange the bins of confidence; None where there are none."""
    bins = data.scores.get("reliability") or []
    if not bins:
        return None
    groups = joined(bins)
    test: Mapping[str, Any] = data.metrics.get("test") or {}
    n = sum(group.n for group in groups)
    return TrustView(
        chart=reliability_chart(groups),
        groups=groups,
        ece=test.get("ece", data.scores.get("ece")),
        gap=sum(group.n * (group.confidence - group.accuracy) for group in groups) / n,
        temperature=data.metrics.get("temperature"),
    )
