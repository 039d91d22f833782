"""Probe accuracy by depth."""

from __future__ import annotations

from frostline.core.plan import EvidenceSummary, ProbeEvidence
from frostline.report.charts.rows import BESIDE, GAP, Row, row_marks
from frostline.report.charts.svg import WIDTH, Chart, Path, Text
from frostline.report.depth import Depths
from frostline.targets.choose import target_of
from frostline.wording.numbers import number, percent
from frostline.wording.tasks import TASKS


def probe_chart(evidence: EvidenceSummary, depths: Depths) -> Chart:
    """Lay out one row a depth, shallow first, then all depths together."""
    words = TASKS[evidence.task]
    # labels and numbers have no classes of which one might count more than another
    exclusive = target_of(evidence.task, evidence.size.n_classes).exclusive
    balanced = ("balanced",) if exclusive else ()
    every = [*evidence.probes, evidence.all_taps, evidence.adapted]
    # neighbours vote for classes; labels and numbers have none
    voted = any(probe is not None and probe.neighbours is not None for probe in every)
    neighbours = ("nearest neighbours",) if voted else ()
    rows = [
        _row(probe, "best" if probe.tap == evidence.best_tap else "one")
        for probe in evidence.probes
    ]
    rows.append(_row(evidence.all_taps, "all", "all together"))
    if evidence.adapted is not None:
        rows.append(_row(evidence.adapted, "all", "all, adapted"))
    above = depths.above_line([probe.tap for probe in evidence.probes]) or 0
    line = above if above < len(evidence.probes) else 0
    marks, height = row_marks(
        rows,
        chance=evidence.chance,
        title=words.left_out,
        layout=BESIDE,
        line=line,
    )
    if line:
        y = BESIDE.top + line * BESIDE.row + GAP - 4
        marks += [
            Path([(0, y), (WIDTH, y)], "frost straight"),
            Text(0, y - 4, "frost line", "frost-name"),
        ]
    best, last = (evidence.probe(tap) for tap in (evidence.best_tap, evidence.last_tap))
    return Chart(
        name=f"Probe {words.score} by depth",
        summary=f"The best single depth, the deepest that is not clearly worse than "
        f"{words.top}, is {best.tap} with {percent(best.accuracy)}, the last one "
        f"has {percent(last.accuracy)}, all together "
        f"{percent(evidence.all_taps.accuracy)}; chance would give {percent(evidence.chance)}.",
        width=WIDTH,
        height=height,
        marks=marks,
        columns=("depth", words.short, "standard error", *balanced, *neighbours, "values"),
        rows=[
            (
                row.name,
                percent(probe.accuracy),
                percent(probe.standard_error),
                *([percent(probe.balanced_accuracy)] if balanced else []),
                *([percent(probe.neighbours)] if neighbours else []),
                number(probe.dimensions),
            )
            for row, probe in zip(rows, every, strict=False)
            if probe is not None
        ],
    )


def _row(probe: ProbeEvidence, kind: str, name: str = "") -> Row:
    return Row(
        name=name or probe.tap,
        value=probe.accuracy,
        error=probe.standard_error,
        said=percent(probe.accuracy),
        tip=f"{name or probe.tap}: {percent(probe.accuracy)}, standard error "
        f"{percent(probe.standard_error)}, {number(probe.dimensions)} values an image",
        kind=kind,
    )
