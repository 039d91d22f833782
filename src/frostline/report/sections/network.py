"""The network as a column of layers with the frost line."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import RunRecord
from frostline.report.charts.column import column_chart, fate_words
from frostline.report.charts.svg import Chart
from frostline.report.depth import Depths
from frostline.wording.cases import CASES
from frostline.wording.tasks import TASKS, TaskWords


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


def network(
    record: RunRecord, depths: Depths, n_outputs: int, words: TaskWords = TASKS["single"]
) -> NetworkView:
    """Arrange the layers; ``words``: of what is predicted."""
    plan = record.plan
    every = {
        "frozen": plan.frozen,
        "trained": plan.trained,
        "new": plan.new,
        "removed": plan.removed,
    }
    case = CASES[plan.case]
    return NetworkView(
        chart=column_chart(depths, n_outputs=n_outputs, words=words),
        parts=[
            Part(fate, *fate_words(fate, words), layers) for fate, layers in every.items() if layers
        ],
        verified=record.metrics.frozen_verified and bool(plan.frozen),
        case=plan.case,
        case_name=case.title,
        textbook=(plan.prior or case.lesson) if plan.names_case else "",
        cut=plan.cut,
        backbone=plan.backbone,
        input_size=plan.input_size,
    )
