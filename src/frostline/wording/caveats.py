"""What a reader must know before believing an accuracy, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.task import Task
from frostline.stats.caveats import (
    AllLeaked,
    Caveat,
    HardlyJudged,
    NeverRight,
    NoBetterThanBaseline,
    NoBetterThanMean,
    NothingLearnedOf,
    NotJudged,
)
from frostline.wording.numbers import listed
from frostline.wording.tasks import TASKS


def caveat_sentence(caveat: Caveat) -> str:
    """Say one caveat."""
    match caveat:
        case AllLeaked():
            return (
                "Every image of the test part is also in another given part, so these scores say "
                "nothing about new images."
            )
        case NoBetterThanBaseline():
            return _no_better(caveat)
        case NoBetterThanMean(of, score, low, high):
            mean = "its mean" if of == "numbers" else "how frequent each label is"
            loss = "squared error" if of == "numbers" else "log loss"
            return (
                f"Telling {mean} for every image would be about as good: {score:.1%} of the "
                f"{loss} of that is gone (95% interval {low:.1%} to {high:.1%})."
            )
        case NothingLearnedOf(columns):
            told = [f"'{name}' (R2 {low:.1%} to {high:.1%})" for name, low, high in columns]
            return f"No more than the mean may have been learned of {listed(told)}."
        case NeverRight(classes):
            named = [f"'{name}' ({support:,} judged)" for name, support in classes]
            return f"No image was recognised of {listed(named)}."
        case NotJudged(classes):
            return (
                f"How well it recognises {_quoted(classes)} is unknown: no image of that was "
                "judged."
            )
        case HardlyJudged(few, classes, worst, n, low, high):
            images = "1 image" if n == 1 else f"{n} images"
            return (
                f"Fewer than {few} images each were judged of {_quoted(classes)}: by {images} of "
                f"'{worst}', its recall may lie anywhere from {low:.0%} to {high:.0%}."
            )


def onnx_sentence(difference: float, n_images: int, task: Task = "single") -> str:
    """Say that the ONNX file answers otherwise than rounding explains.

    ``difference``: of a probability, or of a number as a share of the largest.
    """
    where, same = "in a probability", f"the same {TASKS[task].many}"
    if task == "regression":
        where, same = "of the largest number", "numbers next to the same"
    return (
        f"model.onnx differs from the trained network by up to {100 * difference:.1g}% {where} "
        f"({same} on all {n_images} images that were checked): more than rounding explains. The "
        "figures here are the trained network's."
    )


def _no_better(found: NoBetterThanBaseline) -> str:
    always = (
        f"Always naming '{found.always}', the largest class in training, would be right for "
        f"{found.baseline:.1%} of these images, and {found.accuracy:.1%} is not clearly more"
    )
    if found.verdict == "learned":
        return f"{always}. The balanced accuracy, {found.balanced_accuracy:.1%}, tells more here."
    if found.verdict == "unclear":
        return (
            f"{always}. These images are too few, or too unequal, to tell whether anything was "
            f"learned: the balanced accuracy may lie anywhere from {found.low:.0%} to "
            f"{found.high:.0%}."
        )
    cause = (
        f"No label is to blame: {found.blank:.0%} of all images are of one colour as the model "
        "sees them."
        if found.blank
        else "The labels may be wrong, or may not depend on what the pictures show."
    )
    return f"{always}: nothing was learned that helps with new images. {cause}"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"'{name}'" for name in names])
