"""The manifest of a run: which images it used, and for what.

It tells images that a model was trained on from others when the model is judged again. It stays in
the run folder: in a published model the digests would tell whose images were in it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from frostline.core.files import UnfitFileError, open_regular, replacing
from frostline.data.catalog import Catalog
from frostline.data.naming import encodable
from frostline.data.splitting.split import Split
from frostline.run.run_folder import MANIFEST, MODEL

Part = Literal["train", "validation", "test"]

COLUMNS = ("path", "digest", "label", "part", "group")
#: a line for each of ten million images
_BYTES = 2**32


@dataclass(frozen=True)
class Manifest:
    """What the images of a run were used for.

    ``parts``: by the digest of an image's content. What lies in several parts counts where it
    taught most: the training part, then the validation part. ``n_train``: rows of the training
    part, copies included.
    """

    parts: dict[str, Part]
    n_train: int

    @property
    def has_test(self) -> bool:
        """Whether images were kept for the run's own test."""
        return "test" in self.parts.values()


def write_manifest(path: Path, catalog: Catalog, split: Split) -> None:
    """Write a row for every image that a run used, in the order of its catalog.

    Raises RunFolderError if the file cannot be written.

    ``split``: for cross-validation every image is a training image: all of them taught the final
    model.
    """
    part_of: dict[int, Part] = {}
    part_of |= dict.fromkeys(map(int, split.test), "test")
    part_of |= dict.fromkeys(map(int, split.validation), "validation")
    part_of |= dict.fromkeys(map(int, split.train), "train")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for place in sorted(part_of):
            row = catalog.rows[place]
            cells = (row.name, catalog.said[place], row.group or "")
            name, label, group = map(encodable, cells)
            writer.writerow([name, catalog.digests[place], label, part_of[place], group])


def manifest_of(model: Path, *, n_train: int) -> Manifest | None:
    """Return the manifest of the run that a model folder lies in; None where that is unknown.

    ``model``: a model folder, or an exported file, which belongs to no run. ``n_train``: what the
    model says of itself: a folder that was moved may lie beside the manifest of another run.
    """
    # a link, or the name '.', may hide what the folder is called
    folder = model.resolve()
    if folder.name != MODEL or not folder.is_dir():
        return None
    found = read_manifest(folder.parent)
    return found if found is not None and found.n_train == n_train else None


def read_manifest(run: Path) -> Manifest | None:
    """Read the manifest of a run folder; None if it has none, or one that is damaged."""
    parts: dict[str, Part] = {}
    counts: Counter[Part] = Counter()
    rank = {part: place for place, part in enumerate(get_args(Part))}
    try:
        with open_regular(run / MANIFEST, at_most=_BYTES) as file:
            for digest, part in _rows(io.TextIOWrapper(file, encoding="utf-8", newline="")):
                counts[part] += 1
                if rank[part] < rank[parts.setdefault(digest, part)]:
                    parts[digest] = part
    except (UnfitFileError, OSError, ValueError, csv.Error):
        return None
    return Manifest(parts, counts["train"])


def _rows(text: io.TextIOWrapper) -> Iterator[tuple[str, Part]]:
    """Yield digest and part of each row; ValueError for a table that is no manifest."""
    parts: dict[str, Part] = {part: part for part in get_args(Part)}
    rows = csv.reader(text)
    if tuple(next(rows, ())) != COLUMNS:
        raise ValueError("other columns")
    for row in rows:
        if len(row) != len(COLUMNS) or row[3] not in parts:
            raise ValueError("a damaged row")
        yield row[1], parts[row[3]]
