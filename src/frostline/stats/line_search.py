"""A step that is halved until a loss no longer rises: how Newton's steps stay safe."""

from __future__ import annotations

from collections.abc import Callable

from frostline.core.arrays import FloatArray


def line_search(
    loss: Callable[[FloatArray], float],
    start: FloatArray,
    step: FloatArray,
    *,
    now: float,
    length: float,
    shortest: float,
) -> tuple[FloatArray, float] | None:
    """Return where a step ends and the loss there, or None if it rises even after the shortest.

    - ``loss``: at values of the shape of ``start``. ``now``: at ``start``.
    - ``step``: a direction in which the loss falls. ``length``: the share of it tried first; it is
      halved down to ``shortest``.
    """
    after = loss(start + length * step)
    while length > shortest and after > now:
        length /= 2.0
        after = loss(start + length * step)
    return None if after > now else (start + length * step, after)
