"""What is said of trained layers that a later run goes on with."""

from __future__ import annotations

from frostline.core.run_record import Refit
from frostline.wording.numbers import percent


def refit_sentence(found: Refit) -> str:
    """Say whether it is time to train again, and by which scores."""
    before = found.before
    frozen = "" if before.frozen is None else f" (a head on frozen layers {percent(before.frozen)})"
    said = f"training had reached {percent(before.reached)}{frozen}, the new head on its layers "
    said += f"reaches {percent(found.now)}"
    if found.due:
        return f"A refit is due: {said}, less than chance explains. Fit all images anew."
    return f"No refit is due: {said}."
