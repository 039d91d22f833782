"""How pictures become square, what of them is never seen, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.plan import ResizeResult
from frostline.core.settings import ResizeMode

_DONE: dict[ResizeMode, str] = {
    "crop": "Pictures are cropped to the square in their middle",
    "squash": "Pictures are squashed to squares",
    "pad": "Pictures are made square by bars of the mean colour",
}
_NAMES: dict[ResizeMode, str] = {"crop": "cropped", "squash": "squashed", "pad": "padded"}


def resize_sentences(results: Sequence[ResizeResult]) -> list[str]:
    """Say how pictures become square, how much is never seen so, and what others reached."""
    chosen = next((one for one in results if one.chosen), None)
    if chosen is None:
        return []
    unseen = "all of their area is seen"
    if round(chosen.unseen, 2):
        unseen = f"{chosen.unseen:.0%} of their area is never seen"
    said = f"{_DONE[chosen.mode]}: {unseen}"
    others = [one for one in results if not one.chosen and one.accuracy is not None]
    if chosen.accuracy is None or not others:
        return [f"{said}."]
    reached = ", ".join(
        f"{_NAMES[o.mode]} {o.accuracy:.1%} ({o.unseen:.0%} unseen)" for o in others
    )
    why = (
        "that is clearly better than the weights' own way"
        if results[0] is not chosen
        else "no other way is clearly better than the weights' own"
    )
    return [
        f"{said}. So frozen features classify {chosen.accuracy:.1%} of {chosen.n_images} images "
        f"left out one at a time; {reached}: {why}."
    ]
