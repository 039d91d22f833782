"""Scores as they are, where a pattern is broken, and without a value."""

from __future__ import annotations

from frostline.core.confound_record import Confound, ConfoundAudit, Interval
from frostline.report.charts.rows import ABOVE, Z95, Row, row_marks
from frostline.report.charts.svg import WIDTH, Chart
from frostline.wording.confounds import SCORES, ends_words, score_words


def honest_chart(audit: ConfoundAudit) -> Chart | None:
    """Lay out the scores of every group that tells the label; None where none does."""
    followed = [one for one in audit.groups if one.honest is not None]
    if not followed or audit.usual is None:
        return None
    rows = [_row(audit, "all images, as they are", audit.usual, None, "frozen chosen")]
    for one in followed:
        rows += _rows(audit, one)
    name = SCORES[audit.score]
    title = f"{name} on left-out training images (%)"
    marks, height = row_marks(rows, chance=None, title=title, layout=ABOVE)
    said = "; ".join(row.tip for row in rows)
    return Chart(
        name="The model where facts are no help",
        summary=f"{said}.",
        width=WIDTH,
        height=height,
        marks=marks,
    )


def _rows(audit: ConfoundAudit, one: Confound) -> list[Row]:
    honest = one.honest
    if honest is None:
        return []
    found = [
        _row(
            audit,
            f"{honest.fact}: pattern broken",
            honest.broken,
            honest.broken_interval,
            "trained" if one.verdict == "warning" else "frozen",
        )
    ]
    if honest.left_out is not None:
        found.append(
            _row(
                audit,
                f"{honest.fact}: value left out",
                honest.left_out,
                honest.left_out_interval,
                "trained" if one.verdict == "warning" else "frozen",
            )
        )
    return found


def _row(audit: ConfoundAudit, name: str, value: float, ends: Interval | None, kind: str) -> Row:
    error = 0.0 if ends is None else max(value - ends[0], ends[1] - value) / Z95
    said = score_words(audit, value)
    between = "" if ends is None else f", 95% interval {ends_words(audit, ends)}"
    return Row(name, value, error, said, f"{name}: {said}{between}", kind)
