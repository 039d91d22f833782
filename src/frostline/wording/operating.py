"""Prediction sets and abstention in words."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from frostline.core.operating_record import (
    AbstentionPoint,
    AbstentionScores,
    CasesNeeded,
    IntervalScores,
    LabelAbstentionScores,
    LabelSetScores,
    SetScores,
)
from frostline.wording.numbers import interval, number, percent, plural
from frostline.wording.tasks import TASKS, TaskWords

_SCORED = {
    "split": "{images} that taught nothing",
    "cross": "{images}, each scored by a fit without it",
}
_PROMISED = {
    "split": "on average over such images that is a guarantee",
    "cross": "proven is at most twice that share of misses, measured it is as it says",
}
#: columns of numbers that are told one by one
_NAMED = 6


def set_sentences(found: SetScores, task: TaskWords = TASKS["single"]) -> list[str]:
    """Say what prediction sets rest on, and how they did on images that judge.

    ``task``: the words of what is predicted.
    """
    if found.too_few is not None:
        return [f"There are no prediction sets: {_needed(found.too_few, found.level)}."]
    level, scoring = f"{100 * found.level:.0f}%", found.scoring or "cross"
    scored = _SCORED[scoring].format(images=plural(found.n_images, "image"))
    said = [
        f"The set of an image is meant to hold its true {task.one} for {level} of new images. "
        f"Thresholds come from {scored}{_in_groups(found)}; {_PROMISED[scoring]}."
    ]
    if found.coverage is not None and found.mean_size is not None:
        said.append(
            f"Of the images that judge, {percent(found.coverage)} had their {task.one} in the "
            f"set (95% interval {interval(found.coverage_interval)}); a set has "
            f"{number(found.mean_size, 2)} {task.many} on average."
        )
    return said


def abstention_sentences(found: AbstentionScores) -> list[str]:
    """Say what keeping the bound that was asked for costs, or why it cannot be kept."""
    asked = found.at_most_wrong
    if asked is None:
        return []
    bound = f"At most {bound_words(asked)} wrong"
    if found.too_few is not None:
        return [
            f"{bound} cannot be promised: {_needed(found.too_few, 1.0 - asked)}. "
            "Every image is answered."
        ]
    if found.lowest is not None:
        return [
            f"{bound} cannot be promised: even the surest answers are expected to be wrong for "
            f"{percent(found.lowest)}. Every image is answered."
        ]
    return [] if found.chosen is None else [f"{bound}: {chosen_words(found.chosen)}."]


def interval_sentences(found: Sequence[IntervalScores]) -> list[str]:
    """Say how far intervals of numbers reach, and how often they held the truth."""
    known = [one for one in found if one.radius is not None]
    said = [_column_words(one, several=len(found) > 1) for one in known[:_NAMED]]
    if len(known) > _NAMED:
        said.append(f"{plural(len(known) - _NAMED, 'more column')} in metrics.json.")
    return said + [
        f"There is no interval for {one.column}: {_needed(one.too_few, one.level)}."
        for one in found
        if one.too_few is not None
    ]


def label_sentences(
    sets: Sequence[LabelSetScores], abstention: Sequence[LabelAbstentionScores]
) -> list[str]:
    """Say of how many labels sets tell, how often they held the truth, and what a bound costs."""
    said = []
    held = [one.coverage for one in sets if one.coverage is not None]
    if held:
        known = [one.sizes for one in sets if one.sizes]
        either = mean(sizes[2] / sum(sizes) if sizes[2:] else 0.0 for sizes in known)
        said.append(
            "Each label is told present, absent or either, so that this holds for 95% of images "
            "that have it and of those that do not: "
            f"over {plural(len(held), 'label')} it held for {percent(mean(held))}, least often for "
            f"{percent(min(held))}, and {percent(either)} were either."
        )
    few = sum(one.too_few is not None for one in sets)
    if few:
        said.append(f"Too few images with the label, or without it: {plural(few, 'label')}.")
    kept = [one.chosen for one in abstention if one.chosen is not None]
    asked = next((one.at_most_wrong for one in abstention), None)
    if asked is not None:
        said.append(_kept_words(bound_words(asked), kept, len(abstention)))
    return said


def _kept_words(bound: str, kept: Sequence[AbstentionPoint], n_labels: int) -> str:
    if not kept:
        return f"At most {bound} wrong cannot be promised for any label. Every label is answered."
    wrong = [one.wrong for one in kept if one.wrong is not None]
    said = f", {percent(mean(wrong))} of these wrong" if wrong else ""
    never = n_labels - len(kept)
    rest = f"; never on {plural(never, 'label')} that cannot keep it" if never else ""
    answered = percent(mean(one.answered for one in kept))
    return f"At most {bound} wrong: {answered} of the labels answered{said}{rest}."


def _column_words(one: IntervalScores, *, several: bool) -> str:
    said = f"±{number(one.radius)}" + (f" around {one.column}" if several else "")
    said += f" holds the true number for {100 * one.level:.0f}% by {plural(one.n_images, 'image')}"
    if one.coverage is None:
        return f"{said}."
    return f"{said}; here it held {percent(one.coverage)} ({interval(one.coverage_interval)})."


def expected_sentence(
    asked: float, found: AbstentionPoint | None, *, things: str = "images"
) -> str:
    """Say how many images would be answered, by frozen features of images left out."""
    bound = f"At most {bound_words(asked)} wrong"
    if found is None:
        return f"{bound} cannot be promised by these images and frozen features alone."
    return f"{bound}: {chosen_words(found, things=things)}, by frozen features on images left out."


def chosen_words(point: AbstentionPoint, *, things: str = "images") -> str:
    """Say how many images are answered, and how many of these wrongly."""
    said = f"{percent(point.answered)} of {things} answered ({interval(point.answered_interval)})"
    if point.wrong is None:
        return said
    return f"{said}, {percent(point.wrong)} of these wrong ({interval(point.wrong_interval)})"


def bound_words(bound: float) -> str:
    """Return ``"0.5%"`` for 0.005: as few digits as it has."""
    return f"{100 * bound:.3g}%"


def _needed(cases: CasesNeeded, level: float) -> str:
    return (
        f"{100 * level:.4g}% takes {plural(cases.needed, 'independent image')} that did not teach, "
        f"and there are {cases.found:,}"
    )


def _in_groups(found: SetScores) -> str:
    same = found.n_groups == found.n_images
    return "" if same else f" (in {plural(found.n_groups, 'group')}, each counting as one)"
