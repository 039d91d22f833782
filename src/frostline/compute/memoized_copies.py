"""Copies among the images of a store, looked for once for the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frostline.compute.cache.fact import IMAGES
from frostline.compute.cache.memoize import Memo, memoize
from frostline.data.duplicates.copies import Copies, find_copies
from frostline.data.duplicates.near_duplicates import COMPLETE_UP_TO

if TYPE_CHECKING:
    from frostline.compute.passes import FeatureStore

COPIES = Memo(name="copies", version=1, libraries=IMAGES, result=Copies)


def copies_of(store: FeatureStore) -> Copies:
    """Find near-duplicates and altered copies by thumbnails and the features of the last tap.

    In sets of more than 10,000 images altered copies are not looked for.
    """
    digests, thumbnails = store.catalog.digests, store.thumbnails
    n, last = len(digests), list(store.slices)[-1:]
    features = store.tap(last, np.arange(n)) if n <= COMPLETE_UP_TO else None
    inputs = {"digests": digests, "thumbnails": thumbnails, "features": features}
    return memoize(COPIES, inputs, lambda: find_copies(digests, thumbnails, features))
