"""The page of a comparison of two models: one self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.comparison_record import (
    ComparisonRecord,
    Flip,
    PartComparison,
    ScoreComparison,
    Which,
)
from frostline.core.files import write_text
from frostline.explain.gallery import sides
from frostline.report.pictures import address
from frostline.report.sections.pictures import Picture
from frostline.report.write import environment, page_parts
from frostline.wording.comparison import (
    answer_words,
    change_words,
    comparison_caveat,
    correction_sentence,
    dimension_words,
    flips_sentence,
    interval_words,
    judged_sentence,
    lean_sentence,
    non_inferiority_sentence,
    p_words,
    score_words,
    unused_words,
    value_words,
    verdict_words,
)
from frostline.wording.numbers import fixed, is_number, number, plural, size
from frostline.wording.tasks import TASKS

#: flipped images that are listed without a picture, each way
_LISTED = 200
#: tiles that are open at once; the others wait behind a line
_FIRST = 12


@dataclass(frozen=True)
class FlipTile:
    """A flipped image with its picture: a small JPEG."""

    flip: Flip
    thumbnail: bytes


@dataclass(frozen=True)
class _Bar:
    """Where an interval lies on a scale, in percent of its width."""

    low: float
    width: float
    middle: float
    zero: float


@dataclass(frozen=True)
class _Row:
    """One line of a table of differences."""

    name: str
    more: str
    a: str
    b: str
    change: str
    interval: str
    sort: float
    bar: _Bar | None
    verdict: str
    p: str = ""
    images: int = 0


@dataclass(frozen=True)
class _Way:
    """The flipped images of one way."""

    anchor: str
    title: str
    count: int
    tiles: tuple[Any, ...]
    listed: tuple[Flip, ...]
    missing: int


def write_comparison(path: Path, record: ComparisonRecord, tiles: Sequence[FlipTile] = ()) -> None:
    """Write the page; nothing is loaded from elsewhere, and it reads without scripts.

    Raises RunFolderError if the file cannot be written.
    """
    write_text(path, render_comparison(record, tiles))


def render_comparison(record: ComparisonRecord, tiles: Sequence[FlipTile] = ()) -> str:
    """Return the page as text."""
    page = environment().get_template("comparison.html")
    return page.render(**page_parts(("comparison",)), **_names(record, tiles)) + "\n"


def _names(record: ComparisonRecord, tiles: Sequence[FlipTile]) -> dict[str, Any]:
    head = record.scores[0]
    parts = sorted(record.parts, key=lambda one: (one.p_adjusted, one.p_value))
    found = record.non_inferiority
    return {
        "record": record,
        "words": TASKS[record.task],
        "verdict": verdict_words(record),
        "tone": _tone(head),
        "head": _score_row(head, [head]),
        "head_unit": "" if head.lower_is_better or not _in_points(head) else "points",
        "judged": judged_sentence(record),
        "test": None if found is None else (found.passed, non_inferiority_sentence(found)),
        "caveats": [comparison_caveat(one) for one in record.caveats],
        "scores": [_score_row(one, [one]) for one in record.scores],
        "differing": [one for one in parts if one.verdict != "neither"],
        "rows": [_part_row(one, record) for one in parts],
        "correction": correction_sentence(record),
        "unused": unused_words(record.unused),
        "leans": [(one.verdict != "neither", lean_sentence(one)) for one in record.leans],
        "untested": [
            (dimension_words(one.dimension, record.task), one.value, one.images, one.groups)
            for one in record.untested
        ],
        "flips": flips_sentence(record),
        "ways": [_way(record, tiles, "a"), _way(record, tiles, "b")],
        "first": _FIRST,
        "models": _models(record),
        "calibration": _calibrated(record),
    }


def _score_row(one: ScoreComparison, scale: Sequence[ScoreComparison]) -> _Row:
    return _Row(
        name=score_words(one.score),
        more="lower is better" if one.lower_is_better else "",
        a=value_words(one.score, one.a),
        b=value_words(one.score, one.b),
        change=change_words(one.score, one.difference),
        interval=interval_words(one.score, one.interval),
        sort=one.difference,
        bar=_bar(one.interval, one.difference, _reach(scale)),
        verdict=_tone(one),
        p=p_words(one.p_value),
    )


def _part_row(one: PartComparison, record: ComparisonRecord) -> _Row:
    return _Row(
        name=one.value,
        more=dimension_words(one.dimension, record.task),
        a=value_words(one.score, one.a),
        b=value_words(one.score, one.b),
        change=change_words(one.score, one.difference),
        interval=interval_words(one.score, one.interval),
        sort=one.difference,
        bar=_bar(
            one.interval, one.difference, _reach([p for p in record.parts if p.score == one.score])
        ),
        verdict={"a": "worse", "b": "better", "neither": ""}[one.verdict],
        p=p_words(one.p_adjusted),
        images=one.images,
    )


def _tone(one: ScoreComparison) -> str:
    """Return ``better`` or ``worse`` where the interval excludes no difference."""
    low, high = one.interval
    if not (is_number(low) and is_number(high)) or low <= 0.0 <= high:
        return ""
    return "better" if (one.difference > 0) != one.lower_is_better else "worse"


def _in_points(one: ScoreComparison) -> bool:
    return value_words(one.score, one.a).endswith("%")


def _reach(every: Sequence[ScoreComparison | PartComparison]) -> float:
    """Return how far the intervals reach from no difference."""
    ends = [abs(end) for one in every for end in one.interval if is_number(end)]
    return max(ends, default=0.0)


def _bar(ends: Sequence[float | None], middle: float, reach: float) -> _Bar | None:
    low, high = ends
    if not (is_number(low) and is_number(high)) or not reach:
        return None

    def place(value: float) -> float:
        return round(50.0 + 50.0 * max(-1.0, min(1.0, value / reach)), 2)

    return _Bar(place(low), round(place(high) - place(low), 2), place(middle), 50.0)


def _way(record: ComparisonRecord, tiles: Sequence[FlipTile], right: Which) -> _Way:
    flips = record.lost if right == "a" else record.won
    shown = [one for one in tiles if one.flip.right == right]
    pictured = {one.flip.digest for one in shown}
    rest = [flip for flip in flips if flip.digest not in pictured]
    return _Way(
        anchor="lost" if right == "a" else "won",
        title="Right in A, wrong in B" if right == "a" else "Right in B, wrong in A",
        count=len(flips),
        tiles=tuple(
            (_told(one.flip, record), Picture(address(one.thumbnail), *sides(one.thumbnail)))
            for one in shown
        ),
        listed=tuple(_told(flip, record) for flip in rest[:_LISTED]),
        missing=max(0, len(rest) - _LISTED),
    )


def _told(flip: Flip, record: ComparisonRecord) -> Flip:
    """Return a flipped image with its answers as people read them."""
    said = {name: answer_words(getattr(flip, name), record.task) for name in ("truth", "a", "b")}
    return flip.model_copy(update=said)


def _models(record: ComparisonRecord) -> list[tuple[str, str, str]]:
    a, b = record.a, record.b
    rows = [
        ("Network", a.backbone, b.backbone),
        ("Trained on", plural(a.n_train, "image"), plural(b.n_train, "image")),
        ("Size of model.onnx", size(a.bytes), size(b.bytes)),
    ]
    if a.images_a_second is not None and b.images_a_second is not None:
        first, second = number(a.images_a_second, 1), number(b.images_a_second, 1)
        rows.append(("Images a second here", first, second))
    return rows + [
        (one.name[:1].upper() + one.name[1:], one.a, one.b) for one in record.differences
    ]


def _calibrated(record: ComparisonRecord) -> list[tuple[str, str, str]]:
    found = record.calibration
    if found is None:
        return []
    return [
        ("Expected calibration error", fixed(found.a, 3), fixed(found.b, 3)),
        ("By chance alone", fixed(found.a_by_chance, 3), fixed(found.b_by_chance, 3)),
    ]
