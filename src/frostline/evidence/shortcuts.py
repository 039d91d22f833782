"""Classes that one small place in the picture gives away: watermarks, dates, frames, rulers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.run_record import PLACES, Shortcut
from frostline.data.problem import Problem
from frostline.data.splitting.sampling import chosen_rows
from frostline.stats.ranks import average_ranks

UInt8Array = npt.NDArray[np.uint8]

#: images that are looked at, at most
MOST_IMAGES = 1_000
#: of a class with fewer images some place tells nearly all by chance
FEWEST = 25
#: more classes are not looked at: each costs a comparison at every place
MOST_CLASSES = 50
#: the best place tells the class from the others for at least so many pairs of images ...
TELLS = 0.995
#: ... and leaves at most this share of the mistakes that any place does which lies apart from it
STANDS_OUT = 0.1
#: places that tell nearly as well belong to the same mark; a mark takes at most so many of 64, or
#: lies along the border
ALSO_TELLS, MOST_PLACES = 0.985, 8
#: places that must be left to compare with
LEFT = 16
#: what lies farther from the border than so many places is likely to be what the class is about
OUTER = 2
#: share of a place that the model must see, on average over the images
SEEN = 0.1
# of the ridge, in variances of a channel: the same at every place, so that places compare
_STRENGTH = 0.02
_BORDER = np.pad(np.zeros((PLACES - 2, PLACES - 2), dtype=bool), 1, constant_values=True)


def find_shortcuts(
    problem: Problem, thumbnails: UInt8Array, rows: npt.ArrayLike, *, seen: FloatArray | None = None
) -> list[Shortcut]:
    """Find classes that one of 64 small places tells from all others, where the rest does not.

    What sits at the same place in every image of a class, near the border, is seldom what the
    class is about. A
    ridge classifier on the pixels of each place is judged by its leave-one-out outputs; the
    measure is the area under the ROC curve, which no imbalance can raise. A class whose pictures
    differ everywhere, by brightness for example, or in a large part, has no place that stands out.

    Parameters
    ----------
    thumbnails : uint8 array of shape (n, 32, 32, 3)
    rows : int array
        Training rows; one image of each group is looked at, at most 1,000 in all.
    seen : float array of shape (n, 2) or None, default=None
        Share of the width and of the height of every image that the model sees, around its middle;
        all of it for None. What it does not see it cannot have learned: no such place is named.

    Returns
    -------
    list of Shortcut
        At most one for each place, the surest first; none beyond 50 classes, or where an image
        has no one class.
    """
    if not problem.target.exclusive:
        return []
    classes = problem.classes
    train_rows = np.asarray(rows, dtype=np.int64)
    # one of each group: copies of what is left out would tell its class
    _, first = np.unique(problem.groups[train_rows], return_index=True)
    chosen = chosen_rows(problem.catalog.digests, train_rows[np.sort(first)], MOST_IMAGES)
    y = problem.labels[chosen]
    counts = np.bincount(y, minlength=len(classes))
    asked = [c for c in range(len(classes)) if FEWEST <= counts[c] <= len(y) - FEWEST]
    if len(classes) == 2:
        # what tells one from the other tells the other from the one
        asked = asked[:1]
    if len(classes) > MOST_CLASSES or not asked:
        return []
    tells = _areas(places_of(thumbnails[chosen]), y, asked)
    inside = np.ones((PLACES, PLACES), dtype=bool) if seen is None else _inside(seen[chosen])
    return _standing_out(tells, asked, classes, inside)


def places_of(thumbnails: UInt8Array) -> FloatArray:
    """Cut thumbnails (n, 32, 32, 3) into places (64, n, 51): pixels, and how much they vary."""
    n, side = len(thumbnails), thumbnails.shape[1] // PLACES
    tiles = thumbnails.reshape(n, PLACES, side, PLACES, side, 3).transpose(1, 3, 0, 2, 4, 5)
    pixels = tiles.reshape(PLACES * PLACES, n, side * side, 3).astype(np.float64)
    spread = pixels.std(axis=2)
    return np.concatenate([pixels.reshape(PLACES * PLACES, n, -1), spread], axis=2)


def _inside(seen: FloatArray) -> BoolArray:
    """Return which places the model sees, by the shares (n, 2) of width and height: (8, 8)."""
    edges = np.arange(PLACES + 1) / PLACES
    low, high = 0.5 - seen[..., None] / 2, 0.5 + seen[..., None] / 2
    overlap = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    across, down = np.moveaxis(PLACES * np.maximum(overlap, 0.0), 1, 0)
    return np.asarray(np.einsum("nr,nc->rc", down, across) / len(seen) >= SEEN)


def _areas(places: FloatArray, labels: IntArray, asked: Sequence[int]) -> FloatArray:
    """Area under the ROC curve for every place and asked class, (64, len(asked))."""
    targets = (labels[:, None] == np.asarray(asked)).astype(np.float64)
    outputs = _left_out(places, targets)
    ranks = average_ranks(outputs, axis=1)
    own = targets.sum(axis=0)
    sums = np.einsum("pnk,nk->pk", ranks, targets) - own * (own + 1) / 2
    found: FloatArray = sums / (own * (len(labels) - own))
    return found


def _left_out(places: FloatArray, targets: FloatArray) -> FloatArray:
    """Ridge outputs for every row from the fit without it, at every place: (64, n, k).

    With one fixed alpha for all places; exact by the leverage of each row (Allen 1974).
    """
    n = len(targets)
    centred = places - places.mean(axis=1, keepdims=True)
    centred /= np.maximum(centred.std(axis=1, keepdims=True), 1e-3)
    scatter = centred.transpose(0, 2, 1) @ centred
    width = scatter.shape[1]
    scatter += np.eye(width) * (_STRENGTH * n)
    solved = np.linalg.solve(scatter, centred.transpose(0, 2, 1))
    fitted = centred @ (solved @ (targets - targets.mean(axis=0))) + targets.mean(axis=0)
    leverage = np.einsum("pnd,pdn->pn", centred, solved)[:, :, None] + 1.0 / n
    found: FloatArray = targets - (targets - fitted) / np.maximum(1.0 - leverage, 1e-6)
    return found


def _standing_out(
    tells: FloatArray, asked: Sequence[int], classes: Sequence[str], seen: BoolArray
) -> list[Shortcut]:
    """Keep the best place of each class if it is good and all others are not; join by place."""
    found: dict[tuple[int, bool], list[tuple[str, float, float]]] = {}
    for k, c in enumerate(asked):
        grid = np.where(seen, tells[:, k].reshape(PLACES, PLACES), 0.0)
        best = int(grid.argmax())
        most = float(grid.max())
        mark = grid >= ALSO_TELLS
        border = bool(mark[_BORDER].mean() > 0.5 and not mark[2:-2, 2:-2].any())
        apart = grid[seen & ~_with_neighbours(mark)]
        inside = (
            OUTER <= best // PLACES < PLACES - OUTER and OUTER <= best % PLACES < PLACES - OUTER
        )
        if inside or most < TELLS or len(apart) < LEFT or (mark.sum() > MOST_PLACES and not border):
            continue
        if 1.0 - most <= STANDS_OUT * (1.0 - float(apart.max())):
            place = (0 if border else best, border)
            found.setdefault(place, []).append((classes[c], most, float(apart.max())))
    shortcuts = [
        Shortcut(
            labels=tuple(label for label, _, _ in of),
            row=place // PLACES,
            column=place % PLACES,
            tells=min(most for _, most, _ in of),
            elsewhere=max(elsewhere for _, _, elsewhere in of),
            border=border,
        )
        for (place, border), of in found.items()
    ]
    return sorted(shortcuts, key=lambda one: (-len(one.labels), -one.tells))


def _with_neighbours(mark: BoolArray) -> BoolArray:
    """The marked places and those that touch them."""
    wide = np.pad(mark, 1)
    moved = [wide[i : i + PLACES, j : j + PLACES] for i in range(3) for j in range(3)]
    return np.asarray(np.any(moved, axis=0))
