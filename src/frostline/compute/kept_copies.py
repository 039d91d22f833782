"""Copies among the images of a store, looked for once for the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import frostline.data
from frostline.compute.cache.fits import code_of, content_of, kept
from frostline.compute.cache.locations import key_of
from frostline.compute.cache.store import Arrays
from frostline.compute.passes import FeatureStore
from frostline.data.duplicates.copies import Copies, Groups, find_copies
from frostline.data.duplicates.near_duplicates import COMPLETE_UP_TO

_KINDS = ("near", "altered")


def copies_of(store: FeatureStore) -> Copies:
    """Find near-duplicates and altered copies by thumbnails and the features of the last tap.

    In sets of more than 10,000 images altered copies are not looked for.
    """
    digests, thumbnails = store.catalog.digests, store.thumbnails
    n, last = len(digests), list(store.slices)[-1:]
    features = store.tap(last, np.arange(n)) if n <= COMPLETE_UP_TO else None
    seen = [thumbnails] if features is None else [thumbnails, features]
    key = key_of("copies", content_of(*seen), *digests, code_of(frostline.data))
    return kept(
        key,
        lambda: find_copies(digests, thumbnails, features),
        pack=_arrays,
        unpack=lambda arrays: _copies(arrays, n),
    )


def _arrays(copies: Copies) -> Arrays:
    arrays: Arrays = {"complete": np.array([int(copies.complete)])}
    for kind in _KINDS:
        groups: Groups = getattr(copies, kind)
        members = [member for group in groups for member in group]
        arrays[f"{kind}/members"] = np.array(members, dtype=np.int64)
        arrays[f"{kind}/sizes"] = np.array([len(group) for group in groups], dtype=np.int64)
    return arrays


def _copies(arrays: Arrays, n: int) -> Copies:
    near, altered = (_groups(arrays[f"{k}/members"], arrays[f"{k}/sizes"], n) for k in _KINDS)
    return Copies(near, altered, bool(arrays["complete"][0]))


def _groups(members: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], n: int) -> Groups:
    if sizes.sum() != len(members) or np.any((members < 0) | (members >= n)):
        raise ValueError("groups of other images")
    return [group.tolist() for group in np.split(members, np.cumsum(sizes)[:-1]) if len(group)]
