"""How much each image counts, from a column of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.listing import Listing
from frostline.data.naming import label_text
from frostline.data.notes import WeightedImages


def read_weights(title: str, cells: Sequence[Any], place: Callable[[int], str]) -> list[float]:
    """Return one weight a row.

    Raises InputError if a cell is no finite number of at least 0, or all are 0.

    ``title``: what to call the table. ``place``: names a row in messages.
    """
    found = [_weight(title, cell, place(i)) for i, cell in enumerate(cells)]
    if found and not any(found):
        raise InputError(
            f"{title}: every weight is zero, so no image counts.",
            hint="Give at least some images a weight above 0.",
        )
    return found


def weighted(listing: Listing, column: str) -> Listing:
    """Return a listing of the images that count at all, and note how much they do."""
    weights = [found.weight for found in listing.found]
    kept = [found for found in listing.found if found.weight > 0]
    positive = [found.weight for found in kept]
    note = WeightedImages(column, min(positive), max(positive), len(weights) - len(kept))
    listing.found = kept
    listing.notes.append(note)
    return listing


def _weight(title: str, cell: Any, where: str) -> float:
    text = label_text(cell)
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight < 0:
        raise InputError(
            f"{title}, {where}: a weight cannot be {text or 'blank'}; it must be a number of at "
            "least 0.",
            hint="Fill in 1 where an image counts as any other.",
        )
    return weight
