"""Ways of telling a change of the camera from one of the content, at their best threshold each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.watching.sets import WatchedSet
from frostline.stats.drift import DepthReference, DriftReference

Array = npt.NDArray[np.floating]
Tables = list[npt.NDArray[np.float32]]

#: scores of a depth
_SCORES = 3
#: what one image counts at most, in standard deviations
_MOST = 5.0


def profiles(reference: DriftReference, left_out: Tables, changed: Tables) -> dict[str, Array]:
    """Return the distance at every depth, without what chance shows, by the way it is measured."""
    new, known = reference.scores(changed), reference.left_out.astype(np.float64)
    gaps = _gaps(new, known).reshape(-1, _SCORES)
    chance = 1.0 / len(new) + 1.0 / len(known)
    along = np.array(
        [
            _gaps(_along(depth, x), _along(depth, y)).mean()
            for depth, x, y in zip(reference.depths, changed, left_out, strict=True)
        ]
    )

    def beyond(squared: Array) -> Array:
        return np.asarray(np.sqrt(np.maximum(squared - chance, 0.0)))

    scores, directions = beyond(gaps.mean(axis=1)), beyond(along)
    return {
        "distance and both levels": scores,
        "distance alone": beyond(gaps[:, 0]),
        "means along principal directions": directions,
        "geometric mean of the first and the third": np.sqrt(scores * directions),
    }


def judged(ratios: dict[str, list[tuple[float, bool]]]) -> dict[str, Any]:
    """Return the best threshold of every way, and how many of both kinds it puts right.

    ``ratios``: early against late distances of every stream, with whether it is the camera.
    """
    found = {}
    for way, pairs in ratios.items():
        values = np.array([value for value, _ in pairs])
        camera = np.array([kind for _, kind in pairs])
        best = max(np.arange(0.3, 2.0, 0.01), key=lambda t: _right(values, camera, t)[2])
        right = _right(values, camera, best)
        found[way] = {"threshold": float(best.round(2)), "camera": right[0], "content": right[1]}
    return found


#: how early and late depths are compared
COMPARED: dict[str, Callable[[Array], float]] = {
    "halves": lambda e: _ratio(e[: (len(e) + 1) // 2], e[(len(e) + 1) // 2 :]),
    "two first, two last": lambda e: _ratio(e[:2], e[-2:]),
}


def _ratio(early: Array, late: Array) -> float:
    return float(early.mean() / max(float(late.mean()), 1e-9))


def _right(values: Array, camera: npt.NDArray[np.bool_], at: float) -> tuple[float, float, float]:
    early = values >= at
    shares = float(early[camera].mean()), float((~early)[~camera].mean())
    return (*shares, sum(shares))


def _gaps(new: Array, known: Array) -> Array:
    """Squared differences of means, in standard deviations of what is known."""
    centre, spread = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-9)
    a, b = (np.clip((one - centre) / spread, -_MOST, _MOST) for one in (new, known))
    return np.asarray(np.square(a.mean(axis=0) - b.mean(axis=0)))


def _along(depth: DepthReference, values: npt.NDArray[np.float32]) -> Array:
    return np.asarray(depth.standardised(values) @ depth.axes.astype(np.float64))


def columns_of(one: WatchedSet, rows: npt.NDArray[np.float32], depths: int) -> Tables:
    """Return the features of the depths that are watched."""
    names = list(one.blocks)
    chosen = sorted({round(at) for at in np.linspace(0, len(names) - 1, depths)})
    return [rows[:, one.blocks[names[place]]] for place in chosen]
