"""What is wrong with a file, before it is known what to call the file."""

from __future__ import annotations


class DamageError(Exception):
    """A short human reason, before it is known which path it belongs to."""


class TooManyPixelsError(DamageError):
    """The image is sound, but larger than the limit."""
