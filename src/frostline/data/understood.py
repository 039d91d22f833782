"""What was made of a source: its parts with images and classes, and what was left out."""

from __future__ import annotations

from collections import Counter

import numpy as np

from frostline.core.audit_record import LeftOutEntries, PartName, PartRead, SourceRead
from frostline.data.catalog import Catalog


def source_read(catalog: Catalog) -> SourceRead:
    """Count the readable images of a catalog, and what its source holds besides."""
    images = Counter(catalog.parts)
    classes = {part: _classes(catalog, part) for part in images}
    parts: tuple[PartName | None, ...] = ("train", "val", "test", None)
    return SourceRead(
        classes=len(catalog.classes),
        parts=tuple(
            PartRead(
                part=part,
                folders=tuple(name for own, name in catalog.folders if own == part),
                images=images[part],
                classes=classes[part],
            )
            for part in parts
            if images[part]
        ),
        left_out=tuple(
            LeftOutEntries(
                kind=one.kind,
                count=one.count,
                example=one.example,
                ending=one.ending,
                really=one.really,
            )
            for one in catalog.left_out
        ),
    )


def _classes(catalog: Catalog, part: PartName | None) -> int:
    """Count the classes or labels that images of a part have."""
    own = [i for i, one in enumerate(catalog.parts) if one == part]
    return int(np.count_nonzero(catalog.target.counts(catalog.truth[own])))
