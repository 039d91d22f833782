"""What the files of images tell: read once for each content, and kept."""

from __future__ import annotations

import numpy as np

from frostline.compute.cache.fact import IMAGES, Fact
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.store import Field, ImageStore, keep
from frostline.core.errors import UnreadableImageError
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.file_facts import (
    N_BYTES,
    N_NUMBERS,
    FileFacts,
    file_facts_of_origin,
)
from frostline.data.decoding.read_ahead import read_in_order

#: format, size, camera and compression by a file's header
FILE_FACTS = Fact(name="file facts", version=1, libraries=IMAGES)
_FIELDS = {"numbers": Field("float64", (N_NUMBERS,)), "text": Field("uint8", (N_BYTES,))}


def file_facts(catalog: Catalog, rows: list[int], runtime: Runtime) -> list[FileFacts | None]:
    """Return the facts of some images, in the order of ``rows``; None where no file tells any.

    No two of the rows show the same content. What the store has needs no file.
    """
    digests = [catalog.digests[row] for row in rows]
    store = ImageStore(images_folder(FILE_FACTS.key({})), _FIELDS)
    arrays, found = store.get(digests, runtime.progress)
    missing = [i for i, there in enumerate(found) if not there and catalog.rows[rows[i]].is_there]

    def load(i: int) -> FileFacts | None:
        row = catalog.rows[rows[i]]
        return file_facts_of_origin(row.origin, name=row.name, max_pixels=runtime.max_pixels)

    fresh = []
    # headers alone: threads would cost more than they save
    for i, one in zip(missing, read_in_order(missing, load, workers=0), strict=True):
        if one is not None and not isinstance(one, UnreadableImageError):
            arrays["numbers"][i], arrays["text"][i] = one.to_row()
            fresh.append(i)
    runtime.cancel.check()
    if fresh:
        chosen = {name: values[np.array(fresh)] for name, values in arrays.items()}
        keep(store, [digests[i] for i in fresh], chosen, runtime.progress)
    return [
        FileFacts.from_row(numbers, text)
        for numbers, text in zip(arrays["numbers"], arrays["text"], strict=True)
    ]
