"""Where the model errs: pairs of classes, and every class by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from frostline.core.score_record import ClassScores, HeldOutScores
from frostline.report.charts.matrix import MOST_CELLS, Matrix, matrix_chart
from frostline.report.confused import group, top_pairs
from frostline.stats.intervals import wilson

#: up to so many classes the counts themselves fit into a table
MAX_TABLE_CLASSES = 16
_MAX_GROUPS = 12


@dataclass(frozen=True)
class Cell:
    """One cell of the small table; ``share`` is of the images of the true class, in [0, 1]."""

    count: int
    share: float
    right: bool


@dataclass(frozen=True)
class Confusion:
    """One kind of mistake."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassRow:
    """Scores of one class; None where undefined."""

    name: str
    support: int
    precision: float | None
    recall: float | None
    ends: tuple[float, float] | None
    f1: float | None


@dataclass(frozen=True)
class ErrorsView:
    """What the section shows: either ``table`` or ``matrix``.

    ``names_json`` are all classes in the model's order, ``hardest`` positions in it.
    """

    names: Sequence[str]
    table: list[tuple[str, list[Cell]]]
    matrix: Matrix | None
    names_json: str
    hardest: list[int]
    most_cells: int
    groups: list[list[str]]
    confusions: list[Confusion]
    counted: bool
    classes: list[ClassRow]


def errors(test: HeldOutScores, classes: Sequence[str]) -> ErrorsView | None:
    """Arrange the mistakes; None where nothing was scored, or images have several labels."""
    confusion = test.confusion
    if not confusion and any(row.known for row in test.per_class):
        return None
    rows = class_rows(classes, test.per_class)
    if not confusion and not rows:
        return None
    grouping = group(confusion) if confusion else None
    small = len(classes) <= MAX_TABLE_CLASSES
    return ErrorsView(
        names=classes,
        table=confusion_table(classes, confusion) if small else [],
        matrix=None if small or grouping is None else matrix_chart(classes, confusion, grouping),
        names_json=json.dumps(list(classes)),
        hardest=_hardest(confusion),
        most_cells=MOST_CELLS,
        groups=[]
        if small or grouping is None
        else [
            [classes[grouping.order[i]] for i in range(*run)]
            for run in grouping.groups[:_MAX_GROUPS]
        ],
        confusions=top_confusions(classes, confusion),
        counted=bool(confusion),
        classes=rows,
    )


def _hardest(confusion: Sequence[Sequence[int]]) -> list[int]:
    """Return the classes by the share that was found, the smallest first."""
    recall = [row[i] / sum(row) if sum(row) else 2.0 for i, row in enumerate(confusion)]
    return sorted(range(len(recall)), key=lambda i: recall[i])


def confusion_table(
    classes: Sequence[str], confusion: Sequence[Sequence[int]]
) -> list[tuple[str, list[Cell]]]:
    """Return the rows of the table of counts, by true class."""
    return [
        (name, [Cell(count, count / max(1, sum(counts)), i == j) for j, count in enumerate(counts)])
        for i, (name, counts) in enumerate(zip(classes, confusion, strict=False))
    ]


def top_confusions(
    classes: Sequence[str], confusion: Sequence[Sequence[int]], *, limit: int = 15
) -> list[Confusion]:
    """Return the most frequent mistakes by name."""
    return [
        Confusion(classes[pair.true], classes[pair.predicted], pair.count, pair.share)
        for pair in top_pairs(confusion, limit=limit)
    ]


def class_rows(classes: Sequence[str], rows: Iterable[ClassScores]) -> list[ClassRow]:
    """Return per-class scores with names and intervals, the hardest class first."""
    found = []
    for row in rows:
        ends = None
        if row.support and row.recall is not None:
            hits = min(row.support, round(row.recall * row.support))
            ends = wilson(hits, row.support)
        found.append(ClassRow(str(row.label), row.support, row.precision, row.recall, ends, row.f1))
    return sorted(found, key=lambda row: row.f1 or 0.0)
