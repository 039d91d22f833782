"""Features that a run keeps in its own folder, so that it can go on without store and images."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.compute.cache.array_file import Arrays
from frostline.compute.cache.store import SHARD_ROWS, ImageStore
from frostline.compute.features import Features
from frostline.compute.partition import taps_fields
from frostline.compute.set_values import stored_values
from frostline.compute.taps_pass import taps_key
from frostline.core.run_record import KeptFeatures
from frostline.core.runtime import Runtime

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork

#: bytes; features of more are not kept
MOST_BYTES = 2 * 10**9


def keep_features(
    folder: Path, network: FrozenNetwork, features: Features, runtime: Runtime
) -> KeptFeatures:
    """Write what a later run needs of the images of this one; say how much that is.

    What lay in the folder goes, so that it holds these images and no others. Nothing is written of
    more than ``MOST_BYTES``. Raises StoreError if the folder cannot be written.

    ``folder``: laid out like the store. ``features``: of ``network``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    fields = taps_fields(features.values.shape[1])
    # images of equal content are kept once; by content, so that the order of a folder is all one
    place = {digest: row for row, digest in enumerate(features.catalog.digests)}
    digests = sorted(place)
    size = sum(field.bytes for field in fields.values()) * len(digests)
    if size > MOST_BYTES:
        return KeptFeatures(images=0, bytes=size, left_out="too large")
    facts = features.facts
    store = ImageStore(folder / taps_key(network, runtime.precision), fields)
    for start in range(0, len(digests), SHARD_ROWS):
        some = digests[start : start + SHARD_ROWS]
        rows = np.array([place[digest] for digest in some], dtype=np.int64)
        arrays: Arrays = {
            "taps": features.values[features.index[rows]],
            "thumbnail": features.thumbnails[rows],
            "size": facts.sizes[rows],
            "pages": facts.pages[rows],
            "blank": facts.blank[rows],
        }
        store.add(some, arrays)
    _keep_values(folder, sorted(features.catalog.special & place.keys()))
    return KeptFeatures(images=len(digests), bytes=size)


def _keep_values(folder: Path, special: Sequence[str]) -> None:
    """Keep what was measured of files that may hold deep values or transparency."""
    if special:
        arrays, found = stored_values().get(special)
        known = np.flatnonzero(found).tolist()
        stored_values(folder).add([special[i] for i in known], {"values": arrays["values"][known]})
