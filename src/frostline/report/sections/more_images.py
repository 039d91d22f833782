"""What more images would bring, and how training went."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import RunRecord
from frostline.report.charts.growth import Growth, growth, growth_chart
from frostline.report.charts.history import history_chart
from frostline.report.charts.svg import Chart
from frostline.wording.reasons import runner_up_sentence
from frostline.wording.tasks import TASKS, task_judged


@dataclass(frozen=True)
class MoreView:
    """What the section shows; each half may be missing."""

    growth: Growth | None
    curve: Chart | None
    history: Chart | None
    outlook: str


def more_images(record: RunRecord) -> MoreView | None:
    """Arrange both curves; None where there is neither."""
    evidence = record.plan.evidence
    found = growth(evidence) if evidence is not None else None
    history = history_chart(record.metrics.history, TASKS[task_judged(record.metrics.test)].short)
    if found is None and history is None:
        return None
    nearest = record.plan.runner_up
    outlook = ""
    if nearest is not None and nearest.more_per_class is not None:
        outlook = runner_up_sentence(nearest, task_judged(record.metrics.test))
    return MoreView(
        growth=found, curve=growth_chart(found) if found else None, history=history, outlook=outlook
    )
