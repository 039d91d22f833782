"""Occlusion sensitivity: how the evidence for a class changes where an image is blurred.

A window slides over the image; under it the image is blurred beyond recognition (Zeiler and Fergus
2014; blur instead of grey as in Fong and Vedaldi 2017, so that no new edge appears). What the
class loses in log-odds, or a predicted number loses, averaged over all windows that cover a pixel,
is the pixel's heat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from frostline.core.arrays import FloatArray
from frostline.core.preprocessing import UInt8Array

Array = FloatArray

#: places of the window along each side
CELLS = 12

# as shares of the image's side: half the window, and the soft rim that keeps edges from appearing
_HALF, _RIM, _BLUR = 0.11, 0.06, 0.12
# probabilities are float32: beyond this, log-odds are rounding
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Occlusion:
    """All variants of one image with one place blurred, and what their scores mean.

    ``image``: shape (size, size, 3). ``cells``: the window takes ``cells * cells`` places.
    """

    image: UInt8Array
    cells: int = CELLS

    def variants(self) -> Iterator[UInt8Array]:
        """Yield the image with each place blurred, row by row: ``cells**2`` arrays like it."""
        sharp = self.image.astype(np.float64)
        picture = Image.fromarray(self.image)
        radius = _BLUR * len(self.image)
        change = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))) - sharp
        windows = [(weights, _support(weights)) for weights in self._windows()]
        for vertical, rows in windows:
            for horizontal, columns in windows:
                mask = np.outer(vertical[rows], horizontal[columns])[:, :, None]
                blended = sharp[rows, columns] + mask * change[rows, columns]
                variant = self.image.copy()
                variant[rows, columns] = np.rint(blended).astype(np.uint8)
                yield variant

    def heat(self, whole: float, covered: npt.ArrayLike) -> Array:
        """Return what each pixel contributes to a class.

        ``whole``: probability of the class for the image itself. ``covered``, shape (cells**2,):
        its probability for each of :meth:`variants`. The result, shape (size, size): log-odds that
        the class loses when the pixel's surroundings are blurred; below zero where they speak
        against the class.
        """
        return self._spread(log_odds(whole) - log_odds(covered))

    def difference(self, whole: float, covered: npt.ArrayLike) -> Array:
        """Return the same of a predicted number: how much lower it is, in its own unit."""
        return self._spread(whole - np.asarray(covered, dtype=np.float64))

    def _spread(self, lost: Array) -> Array:
        loss = lost.reshape(self.cells, self.cells)
        windows = self._windows()
        reach = windows.sum(axis=0)
        heat: Array = windows.T @ loss @ windows / np.outer(reach, reach)
        return heat

    def _windows(self) -> Array:
        """Weights of each place along one side: shape (cells, size), from 0 to 1."""
        size = len(self.image)
        centres = (np.arange(self.cells) + 0.5) * size / self.cells
        distance = np.abs(np.arange(size) + 0.5 - centres[:, None])
        weights: Array = np.clip((_HALF * size - distance) / (_RIM * size) + 0.5, 0.0, 1.0)
        return weights


def _support(weights: Array) -> slice:
    """From the first to the last place that is not zero."""
    places = np.flatnonzero(weights)
    return slice(int(places[0]), int(places[-1]) + 1)


def log_odds(probability: npt.ArrayLike) -> Array:
    """Return ``log(p / (1 - p))``, with ``p`` kept a little away from 0 and 1."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _SMALLEST, 1.0 - _SMALLEST)
    return np.log(p) - np.log1p(-p)
