"""How a head was put together of several, in words."""

from __future__ import annotations

from frostline.core.plan import StackingEvidence

_STAGES = {
    "biases": "one bias a class",
    "ordered": "one score of the order of the grades, and one bias a grade",
    "matrix": "a matrix over the classes",
}
_NAMES = {"all": "all depths together", "kernel": "a kernel"}
#: so many depths are named
_NAMED = 3


def stacking_sentences(found: StackingEvidence) -> list[str]:
    """Say which depths the head rests on, and how its outputs are corrected."""
    lines = []
    if len(found.shares) > 1:
        by_weight = sorted(found.shares.items(), key=lambda item: -item[1])
        named = ", ".join(
            f"{_NAMES.get(tap, tap)} {share:.0%}" for tap, share in by_weight[:_NAMED]
        )
        sum_of_them = "the sum is one linear head"
        if found.linear_log_loss is not None:
            sum_of_them = "without the kernel the sum is one linear head"
        lines.append(
            f"The head adds up one for every depth and one for all together, weighed by what each "
            f"says of left-out images ({named}, the others less); {sum_of_them}."
        )
    if found.linear_log_loss is not None:
        taken = found.log_losses[found.second_stage]
        lines.append(
            f"A kernel, which compares an image with the training images, lowers the log loss on "
            f"left-out images from {found.linear_log_loss:.3f} to {taken:.3f}."
        )
    if found.second_stage != "none" and "none" in found.log_losses:
        plain, corrected = found.log_losses["none"], found.log_losses[found.second_stage]
        lines.append(
            f"Its outputs are corrected by {_STAGES[found.second_stage]}, which lowers the log "
            f"loss on left-out images from {plain:.3f} to {corrected:.3f}."
        )
    return lines
