"""The page of a watch: one self-contained file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.files import write_text
from frostline.core.watch_record import WatchRecord
from frostline.report.write import environment, page_parts
from frostline.wording.numbers import number, percent
from frostline.wording.tasks import TASKS
from frostline.wording.watching import (
    alarm_sentence,
    caveats,
    counted_sentence,
    evidence_words,
    onset_sentence,
    outputs_sentence,
    p_words,
    share_words,
    unknown_sentence,
    verdict_words,
)

_LEVEL, _SAME = 0.05, "as before"
#: the drawing of the course, in its own units
_WIDTH, _HEIGHT = 600.0, 120.0


@dataclass(frozen=True)
class _Row:
    """One line of a table; ``low``, ``width`` and ``mark`` in percent of the scale beside it."""

    name: str
    cells: tuple[str, ...]
    differs: bool
    low: float
    width: float
    mark: float


@dataclass(frozen=True)
class _Course:
    """The evidence image by image: a line, the height of an alarm, and where it was."""

    points: str
    needed: float
    alarm: float | None
    summary: str


def write_watch(path: Path, record: WatchRecord) -> None:
    """Write the page; nothing is loaded from elsewhere, and it reads without scripts.

    Raises RunFolderError if the file cannot be written.
    """
    write_text(path, render_watch(record))


def render_watch(record: WatchRecord) -> str:
    """Return the page as text."""
    page = environment().get_template("watch.html")
    return page.render(**page_parts(("comparison", "watch")), **_names(record)) + "\n"


def _names(record: WatchRecord) -> dict[str, Any]:
    return {
        "record": record,
        "words": TASKS[record.task],
        "verdict": verdict_words(record),
        "tone": "better" if record.alarm is None else "worse",
        "alarm": alarm_sentence(record),
        "onset": onset_sentence(record),
        "counted": counted_sentence(record),
        "caveats": caveats(record),
        "evidence": evidence_words(record.evidence),
        "needed": evidence_words(record.needed),
        "course": _course(record),
        "depths": _depths(record),
        "outputs": _outputs(record),
        "changed": outputs_sentence(record),
        "unknown": unknown_sentence(record),
    }


def _course(record: WatchRecord) -> _Course:
    most = max([record.needed * 1.2, *(one.evidence for one in record.course)])
    last = max(record.counted, 1)

    def x(images: int) -> float:
        return round(_WIDTH * images / last, 1)

    def y(evidence: float) -> float:
        return round(_HEIGHT * (1.0 - max(evidence, 0.0) / most), 1)

    points = " ".join(f"{x(one.images)},{y(one.evidence)}" for one in record.course)
    return _Course(
        points=points,
        needed=y(record.needed),
        alarm=None if record.alarm is None else x(record.alarm.image),
        summary=f"Evidence after each of {last:,} images; an alarm at "
        f"{evidence_words(record.needed)}",
    )


def _depths(record: WatchRecord) -> list[_Row]:
    most = max([1.0, *(one.distance for one in record.depths)])
    return [
        _Row(
            name=one.name,
            cells=(percent(one.depth, 0), number(one.distance, 2), p_words(one.p_adjusted)),
            differs=one.p_adjusted < _LEVEL,
            low=0.0,
            width=round(100.0 * one.distance / most, 2),
            mark=round(100.0 * one.by_chance / most, 2),
        )
        for one in record.depths
    ]


def _outputs(record: WatchRecord) -> list[_Row]:
    numbers = record.task == "regression"
    ordered = sorted(record.outputs, key=lambda one: one.p_adjusted)
    if numbers:
        # columns have units of their own, so there is no common scale
        each = ((one, share_words(one, numbers=True)) for one in ordered)
        return [_Row(one.name, said, one.verdict != _SAME, 0.0, 0.0, 0.0) for one, said in each]
    most = max([1e-9, *(max(one.trained, one.interval[1]) for one in ordered)])
    return [
        _Row(
            name=one.name,
            cells=share_words(one, numbers=False),
            differs=one.verdict != _SAME,
            low=round(100.0 * one.interval[0] / most, 2),
            width=round(100.0 * (one.interval[1] - one.interval[0]) / most, 2),
            mark=round(100.0 * one.trained / most, 2),
        )
        for one in ordered
    ]
