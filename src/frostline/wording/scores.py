"""Scores and what they rest on, in words."""

from __future__ import annotations

from frostline.core.run_record import Metrics, UnknownImages
from frostline.core.score_record import ScoresWithoutLeaks
from frostline.wording.numbers import interval, number, percent

METHODS = {
    "given": "the test part that came with the data",
    "held-out": "held out and looked at once",
    "cross-validation": "by cross-validation: every image judged by a model that never saw it",
}
#: the same in a few words
METHODS_BRIEFLY = {
    "given": "the given test part",
    "held-out": "held out and looked at once",
    "cross-validation": "by cross-validation of the whole procedure",
}


def measured_words(metrics: Metrics) -> str:
    """Say how many images were judged, and how they were held out."""
    return f"{number(metrics.n_test)} images, {METHODS[metrics.test.method]}"


def without_leaks_sentence(found: ScoresWithoutLeaks, n_test: int) -> str:
    """Say what the score is without images that also occur in another given part."""
    head = found.headline
    return (
        f"Without the {number(n_test - found.n)} images that also occur in another given part: "
        f"{percent(head.value)} (95% interval {interval(head.interval)})."
    )


def unknown_words(found: UnknownImages) -> str:
    """Say how the threshold for images unlike those of training came about."""
    said = (
        "Images unlike everything in training are called unknown. The threshold was set by "
        f"{found.n_threshold:,} images that were left out of training, so that "
        f"{100 * found.accepted:.0f}% of such images stay within it."
    )
    if found.share_of_held_out is not None:
        said += f" Of the held-out images it would reject {100 * found.share_of_held_out:.1f}%."
    if found.rough:
        said += " So few images make it rough."
    return said
