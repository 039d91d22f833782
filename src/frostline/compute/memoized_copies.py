"""Copies among the images of a catalog, looked for once for the same images."""

from __future__ import annotations

import numpy as np

from frostline.compute.cache.fact import IMAGES
from frostline.compute.cache.memoize import Memo, memoize
from frostline.compute.features import Features
from frostline.data.duplicates.copies import Copies, find_copies
from frostline.data.duplicates.near_duplicates import COMPLETE_UP_TO

COPIES = Memo(name="copies", version=1, libraries=IMAGES, result=Copies)


def copies_of(features: Features, *, threads: int = 1) -> Copies:
    """Find near-duplicates and altered copies by thumbnails and the features of the last tap.

    In sets of more than 10,000 images altered copies are not looked for. ``threads``: how many of
    the searches run at a time.
    """
    digests, thumbnails = features.catalog.digests, features.thumbnails
    n, last = len(digests), list(features.slices)[-1:]
    taps = features.tap(last, np.arange(n)) if n <= COMPLETE_UP_TO else None
    inputs = {"digests": digests, "thumbnails": thumbnails, "features": taps}
    return memoize(COPIES, inputs, lambda: find_copies(digests, thumbnails, taps, threads=threads))
