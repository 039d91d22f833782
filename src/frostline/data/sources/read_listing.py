"""Read every image that a source lists once, for its digest: the listing becomes a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from frostline.core.errors import UnreadableImageError
from frostline.core.machine import available_cores
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow, Unreadable
from frostline.data.decoding.image_refs import Content, ImageRef, content_of
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.value_ranges import may_be_special
from frostline.data.listing import Found, Listing
from frostline.data.sources.odd_endings import told
from frostline.data.sources.outputs import Values


def read_listing(
    source: str,
    listing: Listing,
    classes: tuple[str, ...],
    runtime: Runtime,
    *,
    on_disk: bool,
    digests: Mapping[str, str] | None = None,
) -> Catalog:
    """Read every image once, for its digest, and leave out what cannot be read.

    ``digests``: by name, of images that are known already; these are not read.
    """
    position = {name: label for label, name in enumerate(classes)}
    values = Values(listing, classes)
    known = digests or {}
    rows: list[ImageRow] = []
    seen: list[str] = []
    special: set[str] = set()
    unreadable = list(listing.unreadable)
    new = [found for found in listing.found if found.name not in known]
    with runtime.progress.task("Reading files", len(new)) as task:
        results = iter(read_in_order(new, _content, workers=min(8, available_cores())))
        for found in listing.found:
            if found.name in known:
                digest = known[found.name]
            else:
                result = next(results)
                task.advance()
                runtime.cancel.check()
                if isinstance(result, UnreadableImageError):
                    unreadable.append(Unreadable(found.name, result.reason))
                    continue
                digest = result.digest
                if may_be_special(result.head):
                    special.add(digest)
            label = -1 if found.truth is not None else position[found.class_name]
            held = found.origin if isinstance(found.origin, ImageRef) else None
            path = Path(found.name) if isinstance(found.origin, ImageRef) else found.origin
            group, weight = found.group, found.weight
            rows.append(
                ImageRow(path, found.name, label, found.part, group, held, weight, values.of(found))
            )
            seen.append(digest)
    return Catalog(
        source=source,
        classes=classes,
        rows=tuple(rows),
        digests=tuple(seen),
        left_out=tuple(told(listing.left_out)),
        folders=tuple(listing.folders),
        unreadable=tuple(unreadable),
        on_disk=on_disk,
        notes=tuple(listing.notes),
        special=frozenset(special),
        task=listing.task,
    )


def _content(found: Found) -> Content:
    return content_of(found.origin, name=found.name)
