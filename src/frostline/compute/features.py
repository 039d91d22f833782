"""What one pass over all images found: the table that everything else is decided from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import IntArray
from frostline.core.preprocessing import FloatArray, Preprocessing, UInt8Array
from frostline.data.catalog import Catalog
from frostline.data.unseen import PictureFacts
from frostline.stats.selection import Selection


@dataclass(frozen=True, eq=False)
class Features:
    """What a frozen network says about the readable images of a catalog.

    Attributes
    ----------
    network : str
        Its name.
    weights_id : str
        Stands for its weights.
    catalog : Catalog
        Readable images only; ``catalog.unreadable`` names the others.
    values : ndarray of shape (m, D), float32
        Pooled activations at the network's taps, side by side, of every different image.
    index : ndarray of shape (n,), int64
        The row of ``values`` that belongs to each image; below 0 for one that was left out.
    slices : mapping of str to slice
        The columns of each tap, by depth.
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8
    facts : PictureFacts
        Size, pages and blankness of every image.
    key : str
        Stands for weights, preprocessing, taps and precision: equal keys mean equal taps and, with
        the same ``numerics_id``, equal moments.
    """

    network: str
    weights_id: str
    preprocessing: Preprocessing
    catalog: Catalog
    values: FloatArray
    index: IntArray
    slices: Mapping[str, slice]
    thumbnails: UInt8Array
    facts: PictureFacts
    key: str

    @property
    def taps(self) -> FloatArray:
        """Pooled activations of every image, (n, D), float32; not a copy if all differ."""
        if np.array_equal(self.index, np.arange(len(self.values))):
            return self.values
        return np.asarray(self.table(list(self.slices), np.arange(len(self.index))))

    def table(self, names: Sequence[str], rows: IntArray) -> Selection:
        """Return the columns of some taps, in the order of ``names``, without copying them."""
        index = self.index[np.asarray(rows, dtype=np.int64)]
        return Selection(self.values, index, [self.slices[name] for name in names])

    def tap(self, names: Sequence[str], rows: IntArray) -> FloatArray:
        """Return a copy of the columns of some taps: (len(rows), d), float32."""
        return np.asarray(self.table(names, rows))
