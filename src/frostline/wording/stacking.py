"""How a head was put together of several, in words."""

from __future__ import annotations

from frostline.core.plan import StackingEvidence

_STAGES = {
    "biases": "one bias a class",
    "matrix": "a matrix over the classes",
}
#: so many depths are named
_NAMED = 3


def stacking_sentences(found: StackingEvidence) -> list[str]:
    """Say which depths the head rests on, and how its outputs are corrected."""
    lines = []
    if len(found.shares) > 1:
        by_weight = sorted(found.shares.items(), key=lambda item: -item[1])
        named = ", ".join(
            f"{'all depths together' if tap == 'all' else tap} {share:.0%}"
            for tap, share in by_weight[:_NAMED]
        )
        lines.append(
            f"The head adds up one for every depth and one for all together, weighed by what each "
            f"says of left-out images ({named}, the others less); the sum is one linear head."
        )
    if found.second_stage != "none" and "none" in found.log_losses:
        plain, corrected = found.log_losses["none"], found.log_losses[found.second_stage]
        lines.append(
            f"Its outputs are corrected by {_STAGES[found.second_stage]}, which lowers the log "
            f"loss on left-out images from {plain:.3f} to {corrected:.3f}."
        )
    return lines
