"""What was measured at every depth before anything was decided."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary
from frostline.report.charts.probes import ACCURACY_TITLE, probe_chart
from frostline.report.charts.shift import shift_chart
from frostline.report.charts.svg import Chart
from frostline.report.depth import Depths
from frostline.wording.shift import chart_words, shift_label


@dataclass(frozen=True)
class EvidenceView:
    """Two charts, and the numbers and words beside them; ``does``: what a probe does."""

    summary: EvidenceSummary
    probes: Chart
    shift: Chart | None
    shift_words: str
    shift_label: str
    does: str


#: what probes are scored by on the images left out, by the name of the score, and what they do
_MEASURES = {
    "Mean precision": (
        "leave-one-out mean average precision of the labels (%)",
        "finds your labels",
    ),
    "R2": ("leave-one-out R2 (% of the variance explained)", "predicts your numbers"),
}
_ACCURACY = (ACCURACY_TITLE, "tells your classes apart")


def evidence(
    summary: EvidenceSummary | None, depths: Depths, measure: str = "Accuracy"
) -> EvidenceView | None:
    """Arrange the evidence; None where a plan was given and nothing was measured.

    ``measure``: name of the score that stands for all others.
    """
    if summary is None:
        return None
    shift = summary.shift
    title, does = _MEASURES.get(measure, _ACCURACY)
    return EvidenceView(
        summary=summary,
        probes=probe_chart(summary, depths, title),
        does=does,
        shift=shift_chart(shift.layers, depths, measure=shift.measure) if shift.layers else None,
        shift_words=chart_words(shift),
        shift_label=shift_label(shift),
    )
