"""Which outputs two models share."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.errors import InputError

_NAMED = 5


def in_both(names: Sequence[str], others: Sequence[str], one: str) -> tuple[str, ...]:
    """Return the names that both have, in the order of the first.

    Raises InputError if there are none. ``one``: what an output is called.
    """
    known = set(others)
    found = tuple(name for name in names if name in known)
    if not found:
        raise InputError(
            f"The models have no {one} in common: {some(names)}, and {some(others)}.",
            hint=f"Compare models of which each predicts the same {one}.",
        )
    return found


def some(names: Sequence[str]) -> str:
    """Return the first few names, and whether there are more."""
    said = ", ".join(map(repr, names[:_NAMED]))
    return said + (" and others" if len(names) > _NAMED else "")
