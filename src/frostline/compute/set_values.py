"""The values of a catalog's special files: measured once for each content, and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frostline.compute.cache.fact import IMAGES, Fact
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.store import Field, ImageStore, keep
from frostline.core.errors import UnreadableImageError
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.image_refs import measure_origin
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.value_ranges import N_NUMBERS, SetValues, Values, rules_for

#: the range of an image's values and what its transparency hides
VALUES = Fact(name="values", version=3, libraries=IMAGES)
#: special files that are measured: enough for a range that one image in a hundred may leave
MOST_MEASURED = 2_000


def stored_values(folder: Path | None = None) -> ImageStore:
    """Return what is kept of single files, in the store or in a folder laid out like it."""
    key = VALUES.key({})
    place = images_folder(key) if folder is None else folder / key
    return ImageStore(place, {"values": Field("float64", (N_NUMBERS,))})


def measure_set(catalog: Catalog, runtime: Runtime, *, kept: Path | None = None) -> SetValues:
    """Measure the files of a catalog that may hold deep values or transparency.

    Plain files cost nothing. A given test part is not looked at. Files that cannot be read are
    left to the pass over all images, which names them.

    ``kept``: where an earlier run kept features beside the store.
    """
    rows = {
        digest: row
        for digest, row in zip(catalog.digests, catalog.rows, strict=True)
        if digest in catalog.special and row.part != "test"
    }
    if not rows:
        return rules_for([])
    # by content, so that the order of a folder changes nothing
    chosen = sorted(rows)[:MOST_MEASURED]
    store = stored_values()
    arrays, found = store.get(chosen, runtime.progress)
    values = arrays["values"]
    if kept is not None:
        of_run, there = stored_values(kept).get(chosen, runtime.progress)
        values[there], found = of_run["values"][there], found | there
    missing = [i for i, there in enumerate(found) if not there]
    if missing:

        def load(i: int) -> Values:
            row = rows[chosen[i]]
            return measure_origin(row.origin, name=row.name, max_pixels=runtime.max_pixels)

        fresh = []
        with runtime.progress.task("measuring values", len(missing)) as bar:
            for i, result in zip(
                missing, read_in_order(missing, load, workers=runtime.workers), strict=True
            ):
                if not isinstance(result, UnreadableImageError):
                    values[i] = result.to_row()
                    found[i] = True
                    fresh.append(i)
                bar.advance()
                runtime.cancel.check()
        keep(store, [chosen[i] for i in fresh], {"values": values[fresh]}, runtime.progress)
    read = [Values.from_row(values[i]) for i in np.flatnonzero(found)]
    return rules_for(read, candidates=len(rows))
