"""The options that were compared, and the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.core.plan import CandidateResult, NetworkResult, Plan
from frostline.report.charts.race import KINDS, race_chart
from frostline.report.charts.svg import Chart
from frostline.wording.metrics import METRICS


@dataclass(frozen=True)
class Option:
    """One row of the table."""

    result: CandidateResult
    kind: str
    chosen: bool


@dataclass(frozen=True)
class OptionsView:
    """What the section shows.

    ``chart`` is None where nothing was scored; ``score`` is what scores are called.
    """

    chart: Chart | None
    rows: list[Option]
    raced: bool
    networks: Sequence[NetworkResult]
    score: str


def options(plan: Plan) -> OptionsView | None:
    """Arrange the options; None where there was no choice."""
    if not plan.candidates and not plan.networks:
        return None
    chart = None
    if any(one.score is not None for one in plan.candidates):
        chart = race_chart(plan.candidates, chosen=plan.chosen, metric=plan.metric)
    return OptionsView(
        chart=chart,
        rows=[Option(one, KINDS[one.kind], one.name == plan.chosen) for one in plan.candidates],
        raced=any(one.trains and one.score is not None for one in plan.candidates),
        networks=plan.networks,
        score=METRICS[plan.metric],
    )
