"""The network as a column of layers with the frost line."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import RunRecord
from frostline.report.charts.column import FATES, column_chart
from frostline.report.charts.svg import Chart
from frostline.report.depth import Depths
from frostline.wording.cases import CASES


@dataclass(frozen=True)
class Part:
    """Layers that share one fate."""

    fate: str
    title: str
    text: str
    layers: list[str]


@dataclass(frozen=True)
class NetworkView:
    """What the section shows."""

    chart: Chart
    parts: list[Part]
    verified: bool
    case: int
    case_name: str
    textbook: str
    cut: str | None
    backbone: str
    input_size: int | None


def network(record: RunRecord, depths: Depths, n_outputs: int) -> NetworkView:
    """Arrange the layers."""
    plan = record.plan
    every = {
        "frozen": plan.frozen,
        "trained": plan.trained,
        "new": plan.new,
        "removed": plan.removed,
    }
    words = CASES[plan.case]
    return NetworkView(
        chart=column_chart(depths, n_outputs=n_outputs),
        parts=[Part(fate, *FATES[fate], layers) for fate, layers in every.items() if layers],
        verified=record.metrics.frozen_verified and bool(plan.frozen),
        case=plan.case,
        case_name=words.title,
        textbook=(plan.prior or words.lesson) if plan.names_case else "",
        cut=plan.cut,
        backbone=plan.backbone,
        input_size=plan.input_size,
    )
