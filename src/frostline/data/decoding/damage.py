"""What is wrong with a file, before it is known what to call the file."""

from __future__ import annotations

from frostline.core.errors import ImageFault


class DamageError(Exception):
    """A short human reason and a fault, before it is known which path they belong to."""

    def __init__(self, reason: str, fault: ImageFault = ImageFault.DAMAGED) -> None:
        super().__init__(reason)
        self.fault = fault


class TooManyPixelsError(DamageError):
    """The image is sound, but larger than the limit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, ImageFault.TOO_MANY_PIXELS)
