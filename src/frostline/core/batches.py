"""How many images go through a network at a time."""

from __future__ import annotations

#: up to this side, in pixels, activations are small
_SMALL = 256


def images_of_a_call(most: int, side: int) -> int:
    """Return how many images of ``side`` pixels run together: ``most``, fewer of large ones.

    Attention compares every place of an image with every other, so what it needs grows with the
    fourth power of the side: at 518 pixels 16 images need as much as 270 of 256.
    """
    return max(1, int(most * min(1.0, (_SMALL / side) ** 4)))
