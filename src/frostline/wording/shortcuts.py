"""Shortcuts in words: places in the picture that give classes away."""

from __future__ import annotations

from frostline.core.run_record import PLACES, Shortcut

_ROWS = ("top", "upper middle", "lower middle", "bottom")
_COLUMNS = ("left", "centre", "right")
#: classes that a sentence names
_NAMED = 3


def shortcut_sentence(found: Shortcut) -> str:
    """Say what a reader should know."""
    names = [f"'{label}'" for label in found.labels]
    if len(names) > _NAMED:
        names[_NAMED:] = [f"{len(names) - _NAMED} more classes"]
    said = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    each = "" if len(names) == 1 else " each"
    return (
        f"One place in the picture, {where(found)}, is enough to know {said}{each} from all "
        f"other images in {found.tells:.1%} of pairs; places apart from it manage at most "
        f"{found.elsewhere:.1%}. "
        "Look there for a watermark, a date, a frame or a ruler: the model may have learned "
        "that instead of what you mean."
    )


def where(found: Shortcut) -> str:
    """Say where the place is, with the share of width and height where its middle lies."""
    if found.border:
        return "along its border"
    across = _COLUMNS[min(2, found.column * 3 // PLACES)]
    down = _ROWS[found.row * 4 // PLACES]
    x, y = ((at + 0.5) / PLACES for at in (found.column, found.row))
    return f"{down} {across} (at {x:.0%} of the width and {y:.0%} of the height)"
