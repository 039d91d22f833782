"""Prediction sets and abstention in words."""

from __future__ import annotations

from frostline.core.operating_record import (
    AbstentionPoint,
    AbstentionScores,
    CasesNeeded,
    SetScores,
)
from frostline.wording.numbers import interval, number, percent, plural

_SCORED = {
    "split": "{images} that taught nothing",
    "cross": "{images}, each scored by a fit without it",
}
_PROMISED = {
    "split": "on average over such images that is a guarantee",
    "cross": "proven is at most twice that share of misses, measured it is as it says",
}


def set_sentences(found: SetScores) -> list[str]:
    """Say what prediction sets rest on, and how they did on images that judge."""
    if found.too_few is not None:
        return [f"There are no prediction sets: {_needed(found.too_few, found.level)}."]
    level, scoring = f"{100 * found.level:.0f}%", found.scoring or "cross"
    scored = _SCORED[scoring].format(images=plural(found.n_images, "image"))
    said = [
        f"The set of an image is meant to hold its true class for {level} of new images. "
        f"Thresholds come from {scored}{_in_groups(found)}; {_PROMISED[scoring]}."
    ]
    if found.coverage is not None and found.mean_size is not None:
        said.append(
            f"Of the images that judge, {percent(found.coverage)} had their class in the set "
            f"(95% interval {interval(found.coverage_interval)}); a set has "
            f"{number(found.mean_size, 2)} classes on average."
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


def expected_sentence(asked: float, found: AbstentionPoint | None) -> str:
    """Say how many images would be answered, by frozen features of images left out."""
    bound = f"At most {bound_words(asked)} wrong"
    if found is None:
        return f"{bound} cannot be promised by these images and frozen features alone."
    return f"{bound}: {chosen_words(found)}, by frozen features on images left out."


def chosen_words(point: AbstentionPoint) -> str:
    """Say how many images are answered, and how many of these wrongly."""
    said = f"{percent(point.answered)} of images answered ({interval(point.answered_interval)})"
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
