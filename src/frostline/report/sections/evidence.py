"""What was measured at every depth before anything was decided."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary
from frostline.report.charts.probes import probe_chart
from frostline.report.charts.shift import shift_chart
from frostline.report.charts.svg import Chart
from frostline.report.depth import Depths
from frostline.wording.evidence import size_words
from frostline.wording.numbers import number
from frostline.wording.shift import chart_words, shift_label
from frostline.wording.tasks import TASKS, TaskWords


@dataclass(frozen=True)
class EvidenceView:
    """Two charts, and the numbers and words beside them.

    ``words``: of what is predicted. ``size`` and ``gap``: how much there is to learn from, and how
    much more is reached on it.
    """

    summary: EvidenceSummary
    probes: Chart
    shift: Chart | None
    shift_words: str
    shift_label: str
    words: TaskWords
    size: str
    gap: str


def evidence(summary: EvidenceSummary | None, depths: Depths) -> EvidenceView | None:
    """Arrange the evidence; None where a plan was given and nothing was measured."""
    if summary is None:
        return None
    shift = summary.shift
    words = TASKS[summary.task]
    return EvidenceView(
        summary=summary,
        probes=probe_chart(summary, depths),
        words=words,
        size=size_words(summary),
        gap=words.gap(number(100 * summary.gap, 1)),
        shift=shift_chart(shift.layers, depths, measure=shift.measure) if shift.layers else None,
        shift_words=chart_words(shift),
        shift_label=shift_label(shift),
    )
