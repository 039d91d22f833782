"""Open a folder or a table of labelled images as a catalog."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frostline.errors import InputError, SettingsError, UnreadableImageError, did_you_mean
from frostline.images.catalog import Catalog, ImageRow, Unreadable
from frostline.images.decode import EXTENSIONS, os_reason
from frostline.images.folders import LAYOUT, list_folder
from frostline.images.listing import Found, Listing
from frostline.images.naming import natural_key, some
from frostline.images.reading import read_in_order
from frostline.images.tables import list_table
from frostline.progress import NullProgress, Progress
from frostline.settings import available_cores

_TABLES = (".csv", ".tsv", ".parquet")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


def open_source(
    source: str | Path, *, group_by: str | None = None, progress: Progress | None = None
) -> Catalog:
    """List the labelled images of a folder or table, and read each file once for its digest.

    Parameters
    ----------
    source : str or Path
        A folder with one sub-folder per class (with or without train, val and test above them),
        or a ``.csv``, ``.tsv`` or ``.parquet`` table.
    group_by : str or None, default=None
        Images of one group are never split apart. For a table a column name; for a folder a
        regular expression, searched in the relative path, whose first group (or whole match) is
        the group's name.
    progress : Progress or None, default=None

    Returns
    -------
    Catalog
        Checked: at least two classes, each with at least two images to learn from. Nothing has
        been decoded yet.

    Raises
    ------
    InputError
        If the source does not exist, has another layout, or is too small.
    SettingsError
        If ``group_by`` is no valid regular expression or names no column.
    """
    progress = progress or NullProgress()
    listing = _list(Path(source), group_by, progress, need_train=True)
    classes = _classes(str(source), listing)
    catalog = _catalog(str(source), listing, classes, progress)
    catalog.check()
    return catalog


def open_for_evaluation(
    source: str | Path,
    classes: Sequence[str],
    *,
    group_by: str | None = None,
    progress: Progress | None = None,
) -> Catalog:
    """List labelled images for a model that knows ``classes`` already.

    Parameters
    ----------
    source : str or Path
        As for :func:`open_source`; a training part is not needed.
    classes : sequence of str
        The model's classes; labels become positions in it. Some may be absent from the source.

    Raises
    ------
    InputError
        If the source has a class that the model does not know, or no readable image.
    """
    progress = progress or NullProgress()
    listing = _list(Path(source), group_by, progress, need_train=False)
    known = set(classes)
    unknown = sorted({f.class_name for f in listing.found} - known, key=natural_key)
    if unknown:
        many = "classes" if len(unknown) > 1 else "class"
        raise InputError(
            f"The model does not know the {many} {some([repr(n) for n in unknown])} of {source}.",
            hint=did_you_mean(unknown[0], classes)
            or f"It knows {some([repr(n) for n in classes], limit=12)}.",
        )
    catalog = _catalog(str(source), listing, tuple(classes), progress)
    if not len(catalog):
        first = catalog.unreadable[0]
        raise InputError(f"No readable image in {source}: {first.path}: {first.reason}.")
    return catalog


def _list(path: Path, group_by: str | None, progress: Progress, *, need_train: bool) -> Listing:
    given, path = path, path.expanduser().absolute()
    if path.is_dir():
        # compile first: a wrong setting should not have to wait for a long listing
        pattern = _compiled(group_by)
        listing = list_folder(path, need_train=need_train)
        return listing if pattern is None else _grouped(listing, pattern, progress)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix in _TABLES:
            listing = list_table(path, group_by=group_by)
            if need_train and all(found.part in ("val", "test") for found in listing.found):
                raise InputError(f"Table {given} has no training rows (split 'train').")
            return listing
        if suffix in EXTENSIONS:
            raise InputError(f"{given} is a single image.", hint=LAYOUT)
        if suffix in _ARCHIVES:
            raise InputError(f"{given} is an archive.", hint="Unpack it, then name the folder.")
        raise InputError(f"{given} is neither a folder nor a table ({', '.join(_TABLES)}).")
    raise InputError(f"{given} does not exist.", hint=_similar_beside(path))


def _similar_beside(path: Path) -> str:
    try:
        return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""


def _compiled(group_by: str | None) -> re.Pattern[str] | None:
    if group_by is None:
        return None
    try:
        return re.compile(group_by)
    except re.error as error:
        raise SettingsError(
            f"group_by={group_by!r} is no regular expression: {error}.",
            hint="For a folder it is searched in each relative path, for instance 'patient(\\d+)'.",
        ) from None


def _grouped(listing: Listing, pattern: re.Pattern[str], progress: Progress) -> Listing:
    found = [replace(item, group=_group(item.name, pattern)) for item in listing.found]
    alone = sum(item.group is None for item in found)
    if alone == len(found):
        raise InputError(
            f"group_by={pattern.pattern!r} matches none of {alone:,} paths, "
            f"the first of which is {found[0].name!r}."
        )
    if alone:
        progress.note(
            f"group_by matches {len(found) - alone:,} of {len(found):,} images; "
            "each of the others is a group of its own."
        )
    return Listing(found, listing.ignored, listing.unreadable)


def _group(name: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(name)
    if match is None:
        return None
    # an empty name would tie together images that have nothing in common
    return (match.group(1) if pattern.groups else match.group()) or None


def _classes(source: str, listing: Listing) -> tuple[str, ...]:
    """Classes of the training part, in natural order; no other part may add one."""
    learn = {f.class_name for f in listing.found if f.part in (None, "train")}
    for part in ("val", "test"):
        extra = {f.class_name for f in listing.found if f.part == part} - learn
        if extra:
            names = sorted(extra, key=natural_key)
            raise InputError(
                f"{source}: {some([repr(name) for name in names])} in {part!r} "
                "has no images in the training part.",
                hint=did_you_mean(names[0], learn) or "Every class needs training images.",
            )
    return tuple(sorted(learn, key=natural_key))


def _catalog(
    source: str, listing: Listing, classes: tuple[str, ...], progress: Progress
) -> Catalog:
    """Read every file once, for its digest, and leave out what cannot be read."""
    position = {name: label for label, name in enumerate(classes)}
    rows: list[ImageRow] = []
    digests: list[str] = []
    unreadable = list(listing.unreadable)
    with progress.task("Reading files", len(listing.found)) as task:
        results = read_in_order(listing.found, _digest, workers=min(8, available_cores()))
        for found, result in zip(listing.found, results, strict=True):
            if isinstance(result, UnreadableImageError):
                unreadable.append(Unreadable(found.name, result.reason))
            else:
                label = position[found.class_name]
                rows.append(ImageRow(found.path, found.name, label, found.part, found.group))
                digests.append(result)
            task.advance()
    return Catalog(
        source=source,
        classes=classes,
        rows=tuple(rows),
        digests=tuple(digests),
        ignored=dict(sorted(listing.ignored.items())),
        unreadable=tuple(unreadable),
    )


def _digest(found: Found) -> str:
    try:
        with found.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            size = stream.tell()
    except OSError as error:
        raise UnreadableImageError(found.name, os_reason(error)) from None
    if size == 0:
        raise UnreadableImageError(found.name, "empty file")
    return digest.hexdigest()
