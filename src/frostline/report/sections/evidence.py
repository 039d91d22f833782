"""What was measured at every depth before anything was decided."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary
from frostline.report.charts.probes import probe_chart
from frostline.report.charts.shift import shift_chart
from frostline.report.charts.svg import Chart
from frostline.report.depth import Depths
from frostline.wording.shift import chart_words, shift_label


@dataclass(frozen=True)
class EvidenceView:
    """Two charts, and the numbers and words beside them."""

    summary: EvidenceSummary
    probes: Chart
    shift: Chart | None
    shift_words: str
    shift_label: str


def evidence(summary: EvidenceSummary | None, depths: Depths) -> EvidenceView | None:
    """Arrange the evidence; None where a plan was given and nothing was measured."""
    if summary is None:
        return None
    shift = summary.shift
    return EvidenceView(
        summary=summary,
        probes=probe_chart(summary, depths),
        shift=shift_chart(shift.layers, depths, measure=shift.measure) if shift.layers else None,
        shift_words=chart_words(shift),
        shift_label=shift_label(shift),
    )
