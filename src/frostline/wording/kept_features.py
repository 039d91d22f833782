"""What is said of features that a run keeps in its folder."""

from __future__ import annotations

from frostline.core.run_record import KeptFeatures
from frostline.wording.numbers import plural


def kept_features_words(kept: KeptFeatures) -> str:
    """Say what was kept, or why nothing was."""
    size = f"{kept.bytes / 1e6:,.1f} MB"
    if kept.left_out == "too large":
        return f"no features: they would take {size} in the run folder, more than is kept there"
    if kept.left_out == "trained layers":
        return "no features: layers were trained, and an update runs them over the images again"
    return f"features of {plural(kept.images, 'image')} in features/ ({size}), for updates"
