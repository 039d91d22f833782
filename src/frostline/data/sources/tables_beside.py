"""Tables of labels that lie in a folder of images, where the names of folders are the labels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from frostline.data.naming import natural_key
from frostline.data.sources.folder_notes import TablesBeside
from frostline.data.sources.left_out import LeftOut

#: endings of tables that can be given in place of the folder, and of other lists of labels
_TABLES = (".csv", ".tsv", ".parquet")
_LISTS = (".json", ".jsonl", ".txt", ".xml", ".xlsx", ".xls", ".ods")
#: what such files are called, after and before other words: train_labels, _annotations.coco
_NAME = re.compile(
    r"(^|[\W_])(metadata|labels?|classes|annotations?|ground_?truth|train|training|trainlabels|"
    r"val|valid|validation|test|split|splits|data|dataset|index)($|[\W_\d])",
    re.IGNORECASE,
)


def tables_beside(left_out: Iterable[LeftOut]) -> TablesBeside | None:
    """Return the files among what was left out that are called like tables of labels."""
    found: list[tuple[str, bool]] = []
    for one in left_out:
        if one.kind == "not an image" and one.ending in (*_TABLES, *_LISTS):
            readable = one.ending in _TABLES
            found += [(name, readable) for name, _ in one.files if _is_called_so(name)]
    if not found:
        return None
    # those that can be given come first: the remedy is about them
    found.sort(key=lambda pair: (not pair[1], natural_key(pair[0])))
    readable = found[0][1]
    return TablesBeside(tuple(name for name, fits in found if fits == readable), readable)


def _is_called_so(name: str) -> bool:
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return _NAME.search(stem) is not None
