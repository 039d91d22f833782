"""What was understood of several labels, grades and numbers, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.task import Task
from frostline.data.naming import counted, shorten
from frostline.data.notes import (
    GradesInOrder,
    MixedLabels,
    NothingKnown,
    OneLabelEach,
    OneSidedLabels,
    RareLabels,
    SeparatedLabels,
    SuggestedTask,
    TargetColumns,
    VectorLabels,
)

#: names that a sentence shows
_NAMES = 5

TargetNote = (
    SeparatedLabels
    | MixedLabels
    | VectorLabels
    | TargetColumns
    | NothingKnown
    | OneSidedLabels
    | RareLabels
    | OneLabelEach
    | GradesInOrder
    | SuggestedTask
)

_READ_AS: dict[Task, str] = {
    "single": "the class of an image",
    "multilabel": "labels that an image has (1) or lacks (0)",
    "ordinal": "the grade of an image",
    "regression": "numbers",
}


def target_sentence(note: TargetNote) -> str:
    """Return what a note says, for people."""
    match note:
        case SeparatedLabels(sign, images, labels, written, read):
            have = counted(images, "image has several", "images have several")
            return (
                f"{have} of {counted(labels, 'label')}, with {sign!r} between: "
                f"{shorten([written])!r} is read as {_together(read)}."
            )
        case MixedLabels(lists, texts, example):
            return (
                f"{counted(lists, 'image has a list', 'images have lists')} of labels and "
                f"{counted(texts, 'image', 'images')} text, which is one label each: {example!r}."
            )
        case VectorLabels(labels):
            return (
                f"Labels are vectors of 0 and 1: whether an image has each of {labels:,} labels, "
                "by its place."
            )
        case TargetColumns(task, columns):
            if len(columns) == 1:
                return f"Column {columns[0]!r} is read as {_READ_AS[task]}."
            return f"{len(columns):,} columns are read as {_READ_AS[task]}: {_names(columns)}."
        case NothingKnown(images, blanks):
            left = counted(images, "image is", "images are")
            said = f"{left} left out, since nothing is known of {_it(images)}."
            if not blanks:
                return said
            return (
                f"{said} pandas reads blank cells as unknown; where they mean none of the labels: "
                "read_csv(..., keep_default_na=False)."
            )
        case OneSidedLabels(names, had):
            have = "Every image has" if had else "No image has"
            return f"{have} {_names(names)}, so that nothing can be learned of {_it(len(names))}."
        case RareLabels(names, labels):
            return (
                f"A single image has each of {len(names):,} of {counted(labels, 'label')}: "
                f"{_names(names)}. What is learned from it can be judged on no other."
            )
        case OneLabelEach(labels):
            return (
                "A column 'labels' holds any number of labels for an image, but each has one of "
                f"{labels:,}. If that is so of all images: --task single, or a column 'label'. If "
                "a sign lies between labels: --label-separator."
            )
        case GradesInOrder(names):
            return f"Grades from the lowest on: {shorten([repr(n) for n in names], limit=10)}."
        case SuggestedTask(task, column, values):
            where = f"The labels of column {column!r}" if column else "The labels"
            look = "grades in an order" if task == "ordinal" else "numbers"
            return (
                f"{where} look like {look}, but are read as {values:,} classes. If their order "
                f"matters: --task {task}."
            )


def _names(names: Sequence[str]) -> str:
    return shorten([repr(name) for name in names], limit=_NAMES)


def _together(names: Sequence[str]) -> str:
    """Return such as "'a' and 'b'"; of many the first."""
    return " and ".join(map(repr, names)) if len(names) <= _NAMES else _names(names)


def _it(count: int) -> str:
    return "it" if count == 1 else "them"
