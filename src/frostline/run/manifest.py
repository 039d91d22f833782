"""The manifest of a run: which images it used, and for what.

It tells images that a model was trained on from others when the model is judged again. It stays in
the run folder: in a published model the digests would tell whose images were in it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from frostline.core.files import UnfitFileError, open_regular, replacing
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.naming import encodable
from frostline.data.splitting.split import Split
from frostline.run.run_folder import MANIFEST, MODEL

Part = Literal["train", "validation", "test"]

COLUMNS = ("path", "digest", "label", "part", "group")
#: columns of runs that need them: what an image counts, its numbers to the last digit, its file
#: where that lies below no one source, and whether values had to be measured to read it
MORE = ("weight", "values", "file", "special")
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


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One image of a run, as its manifest tells it.

    - ``name``: what people see of its path.
    - ``label``: what is true of it, as text.
    - ``group``: blank for a group of its own.
    - ``values``: its numbers, where these are predicted; NaN for unknown.
    - ``file``: where it lay; blank where that follows from the source and the name.
    - ``special``: whether it may hold values of more than 8 bits, or transparency.
    """

    name: str
    digest: str
    label: str
    part: Part
    group: str = ""
    weight: float = 1.0
    values: tuple[float, ...] = ()
    file: str = ""
    special: bool = False


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
    more: dict[str, Callable[[int], str]] = {}
    if catalog.weights is not None:
        more["weight"] = lambda place: repr(catalog.rows[place].weight)
    if catalog.target.link_name == "identity":
        more["values"] = lambda place: " ".join(map(repr, catalog.rows[place].values))
    if not catalog.on_disk:
        more["file"] = lambda place: _file(catalog.rows[place])
    if catalog.special:
        more["special"] = lambda place: str(int(catalog.digests[place] in catalog.special))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *more])
        for place in sorted(part_of):
            row = catalog.rows[place]
            cells = (row.name, catalog.said[place], row.group or "")
            name, label, group = map(encodable, cells)
            line = [name, catalog.digests[place], label, part_of[place], group]
            writer.writerow([*line, *(tell(place) for tell in more.values())])


def _file(row: ImageRow) -> str:
    return "" if row.held is not None else encodable(str(row.path))


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
    rows = read_rows(run)
    if rows is None:
        return None
    for row in rows:
        counts[row.part] += 1
        if rank[row.part] < rank[parts.setdefault(row.digest, row.part)]:
            parts[row.digest] = row.part
    return Manifest(parts, counts["train"])


def read_rows(run: Path) -> list[ManifestRow] | None:
    """Read every row of a run's manifest, in their order; None where it has none, or a damaged one.

    Manifests of 0.1 name no weights: all images count alike in them.
    """
    try:
        with open_regular(run / MANIFEST, at_most=_BYTES) as file:
            return list(_rows(io.TextIOWrapper(file, encoding="utf-8", newline="")))
    except (UnfitFileError, OSError, ValueError, csv.Error):
        return None


def _rows(text: io.TextIOWrapper) -> Iterator[ManifestRow]:
    """Yield each row; ValueError for a table that is no manifest."""
    parts: dict[str, Part] = {part: part for part in get_args(Part)}
    rows = csv.reader(text)
    columns = tuple(next(rows, ()))
    more = columns[len(COLUMNS) :]
    if columns[: len(COLUMNS)] != COLUMNS or not set(more) <= set(MORE):
        raise ValueError("other columns")
    for row in rows:
        if len(row) != len(columns) or row[3] not in parts:
            raise ValueError("a damaged row")
        told = dict(zip(more, row[len(COLUMNS) :], strict=True))
        name, digest, label, part, group = row[: len(COLUMNS)]
        yield ManifestRow(
            *(name, digest, label, parts[part], group),
            weight=float(told.get("weight", 1.0)),
            values=tuple(map(float, told.get("values", "").split())),
            file=told.get("file", ""),
            special=told.get("special") == "1",
        )
