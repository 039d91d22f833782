"""Open labelled images as a catalog, wherever they are: folders, tables, datasets, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError, SettingsError, UnreadableImageError, did_you_mean
from frostline.core.files import os_reason
from frostline.core.machine import available_cores
from frostline.core.progress import TypedProgress
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow, Part, Unreadable
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.decoding.image_refs import Content, ImageRef, content_of
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.value_ranges import may_be_special
from frostline.data.listing import Found, Listing
from frostline.data.naming import encodable, natural_key, shorten, visible
from frostline.data.notes import Note
from frostline.data.sources.class_names import (
    class_notes,
    lacking,
    respelled_folders,
    spelling_hint,
    unknown_class_hint,
)
from frostline.data.sources.data_frames import is_frame, list_frame
from frostline.data.sources.folders import LAYOUT, list_folder
from frostline.data.sources.hugging_face import is_hugging_face, list_hugging_face
from frostline.data.sources.in_memory import is_pair, list_pair
from frostline.data.sources.odd_endings import told
from frostline.data.sources.part_folders import PART_NAMES, differently_spelled, part_of
from frostline.data.sources.path_groups import compiled, grouped
from frostline.data.sources.tables import list_table
from frostline.data.sources.torch_datasets import is_torch_dataset, list_items

_TABLES = (".csv", ".tsv", ".parquet")
#: how other files become a source
_CONVERSIONS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "Save it as 'CSV UTF-8'."),
    **dict.fromkeys((".txt", ".tab", ".dat"), "If it is a table, call it .csv or .tsv."),
    **dict.fromkeys(
        (".json", ".jsonl", ".ndjson", ".feather", ".arrow", ".pkl", ".pickle", ".h5", ".hdf5"),
        "Read it in Python, and give frostline.fit a DataFrame with the columns path and label.",
    ),
    **dict.fromkeys(
        (".npy", ".npz", ".mat"), "Load it in Python, and give frostline.fit (images, labels)."
    ),
}
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")

#: whatever :func:`open_source` takes: there are too many kinds, most of optional libraries
Source = object

#: objects that hold labelled images: how to tell them, how to list them, what their rows are
_OBJECTS: tuple[tuple[Callable[[object], bool], Callable[..., Listing], str], ...] = (
    (is_pair, list_pair, "images"),
    (is_hugging_face, list_hugging_face, "rows"),
    (is_frame, list_frame, "rows"),
    (is_torch_dataset, list_items, "images"),
)
_SOURCES = (
    "Give a folder, a table, a DataFrame, a dataset of Hugging Face or torchvision, (images, "
    "labels), or a dict of these by part: {'train': ..., 'test': ...}."
)


def source_name(source: Source) -> str:
    """Return what to call a source in messages and reports; a path as it was given."""
    if isinstance(source, str | Path):
        return visible(encodable(str(source)))
    if isinstance(source, Mapping):
        return ", ".join(f"{part}: {source_name(value)}" for part, value in source.items())
    of, size = source, getattr(source, "__len__", None)
    if is_pair(source) and isinstance(source, tuple):
        of = source[0]
        size = getattr(of, "__len__", None)
    unit = next((unit for known, _, unit in _OBJECTS if known(source)), "items")
    count = "" if size is None else f" of {size():,} {unit}"
    return f"{type(of).__name__}{count}"


def source_identity(source: Source) -> str:
    """Return what stands for a source when a run is resumed: for a path, the absolute one."""
    if isinstance(source, str | Path):
        return str(Path(source).resolve())
    return source_name(source)


def open_source(
    source: Source,
    *,
    group_by: str | None = None,
    folders: Mapping[Part, str] | None = None,
    runtime: Runtime | None = None,
) -> Catalog:
    """List the labelled images of a source, and read each once for its digest.

    Raises InputError if the source does not exist, has another layout, or is too small;
    SettingsError if ``group_by`` is no valid regular expression or names no column, or ``folders``
    names no sub-folder.

    Parameters
    ----------
    source : path, DataFrame, dataset, (images, labels) or dict
        A folder with one sub-folder per class (with or without train, val and test above them);
        a ``.csv``, ``.tsv`` or ``.parquet`` table; a DataFrame of pandas or polars with the same
        columns; a dataset of Hugging Face or torchvision; images and labels in memory, perhaps
        with groups. Or a dict of such sources by part: train, val, test.
    group_by : str or None, default=None
        Images of one group are never split apart. For a table, DataFrame or Hugging Face dataset
        a column name; for a folder a regular expression, searched in the relative path, whose
        first group (or whole match) is the group's name.
    folders : mapping of part to str or None, default=None
        For a folder: sub-folders that are its parts, whatever they are called.
    runtime : Runtime or None, default=None
        Who is told, and who may end it early.

    Returns
    -------
    Catalog
        Checked: at least two classes, each with at least two images to learn from. Nothing has
        been decoded yet.
    """
    runtime = runtime or Runtime()
    progress = runtime.progress
    listing = _list(source, group_by, progress, folders=folders)
    _take_note(listing, progress)
    name = source_name(source)
    classes = _classes(name, listing)
    _add_notes(listing, lacking(listing.found, classes, judged=False), progress)
    catalog = _catalog(name, listing, classes, runtime, on_disk=isinstance(source, str | Path))
    catalog.check()
    return catalog


def open_for_evaluation(
    source: Source,
    classes: Sequence[str],
    *,
    group_by: str | None = None,
    runtime: Runtime | None = None,
) -> Catalog:
    """List labelled images for a model that knows ``classes`` already.

    Raises InputError if the source has a class that the model does not know, or no readable image.

    ``source``: as for :func:`open_source`; a training part is not needed. ``classes``: the model's
    classes; labels become positions in it. Some may be absent from the source.
    """
    runtime = runtime or Runtime()
    progress = runtime.progress
    listing = _list(source, group_by, progress, known=frozenset(classes))
    _take_note(listing, progress)
    name = source_name(source)
    known = set(classes)
    unknown = sorted({f.class_name for f in listing.found} - known, key=natural_key)
    if unknown:
        many = "classes" if len(unknown) > 1 else "class"
        raise InputError(
            f"The model does not know the {many} {shorten([repr(n) for n in unknown])} of {name}.",
            hint=unknown_class_hint(unknown, classes),
        )
    _add_notes(listing, lacking(listing.found, classes, judged=True), progress)
    catalog = _catalog(
        name, listing, tuple(classes), runtime, on_disk=isinstance(source, str | Path)
    )
    if not len(catalog):
        first = catalog.unreadable[0]
        raise InputError(f"No readable image in {name}: {first.path}: {first.reason}.")
    return catalog


def _list(
    source: Source,
    group_by: str | None,
    progress: TypedProgress,
    *,
    folders: Mapping[Part, str] | None = None,
    known: Set[str] | None = None,
) -> Listing:
    """List a source; with the classes that are ``known`` to a model, it needs no training part."""
    if isinstance(source, str | Path):
        return _list_path(Path(source), group_by, progress, folders=folders, known=known)
    if folders:
        raise _no_folder(source_name(source), folders)
    if isinstance(source, Mapping):
        listing = _list_parts(source, group_by, progress)
    else:
        listing = _list_object(source, group_by)
    if known is None:
        _need_train(listing, source_name(source))
    return listing


def _no_folder(name: str, folders: Mapping[Part, str]) -> SettingsError:
    part, folder = next(iter(folders.items()))
    return SettingsError(
        f"{part}={folder!r} names a sub-folder, but {name} is no folder.",
        hint="Give a table a column 'split'; in Python, give a dict by part.",
    )


def _list_object(source: Source, group_by: str | None) -> Listing:
    for known, list_it, _ in _OBJECTS:
        if known(source):
            return list_it(source, group_by=group_by)
    raise InputError(f"A {type(source).__name__} is no source of images.", hint=_SOURCES)


def _list_parts(
    sources: Mapping[Any, Any], group_by: str | None, progress: TypedProgress
) -> Listing:
    """List several sources, each of which is one part."""
    whole = Listing()
    twice = differently_spelled(map(str, sources))
    if twice is not None:
        raise InputError(
            f"{twice[0]!r} and {twice[1]!r} may be one part or two.",
            hint="Use train, val and test.",
        )
    for key, source in sources.items():
        part = part_of(str(key))
        if part is None:
            raise InputError(
                f"A part cannot be called {str(key)!r}; use train, val or test.",
                hint=did_you_mean(str(key).lower(), PART_NAMES)
                or "For a dict of columns give pandas.DataFrame(columns).",
            )
        own = _list(source, group_by, progress, known=frozenset())
        if any(found.part is not None for found in own.found):
            raise InputError(f"What is given as {str(key)!r} has parts of its own.")
        whole.found += [
            replace(found, part=part, name=f"{key}/{found.name}") for found in own.found
        ]
        whole.left_out.merge(own.left_out)
        whole.notes += own.notes
        whole.unreadable += [replace(u, path=f"{key}/{u.path}") for u in own.unreadable]
    return whole


def _take_note(listing: Listing, progress: TypedProgress) -> None:
    """Say what was understood of a source, and what its names of classes look like."""
    listing.tell_names_apart()
    taken, listing.notes = listing.notes, []
    names = class_notes(Counter(found.class_name for found in listing.found))
    _add_notes(listing, [*taken, *names], progress)


def _add_notes(listing: Listing, notes: list[Note], progress: TypedProgress) -> None:
    listing.notes += notes
    for note in notes:
        progress.note(note)


def _need_train(listing: Listing, name: str) -> None:
    if not any(found.part in (None, "train") for found in listing.found):
        raise InputError(f"{name} has no training images.", hint="Name a part 'train'.")


def _list_path(
    path: Path,
    group_by: str | None,
    progress: TypedProgress,
    *,
    folders: Mapping[Part, str] | None,
    known: Set[str] | None,
) -> Listing:
    given = path
    try:
        path = path.expanduser().absolute()
        is_folder = path.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: a home that nobody has
        reason = os_reason(error) if isinstance(error, OSError) else str(error).rstrip(".")
        raise InputError(f"{given} cannot be read: {reason}.") from None
    if is_folder:
        # compile first: a wrong setting should not have to wait for a long listing
        pattern = compiled(group_by)
        listing = list_folder(path, given=folders, known=known)
        listing.notes += respelled_folders(path, listing.found)
        return listing if pattern is None else grouped(listing, pattern, progress)
    if folders and path.is_file():
        raise _no_folder(str(given), folders)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix in _TABLES:
            listing = list_table(path, group_by=group_by)
            if known is None and all(found.part in ("val", "test") for found in listing.found):
                raise InputError(f"Table {given} has no training rows (split 'train').")
            return listing
        if suffix in EXTENSIONS:
            raise InputError(f"{given} is a single image.", hint=LAYOUT)
        if suffix in _ARCHIVES:
            raise InputError(f"{given} is an archive.", hint="Unpack it, then name the folder.")
        raise InputError(
            f"{given} is neither a folder nor a table ({', '.join(_TABLES)}).",
            hint=_CONVERSIONS.get(suffix, ""),
        )
    raise InputError(f"{given} does not exist.", hint=_similar_beside(path))


def _similar_beside(path: Path) -> str:
    try:
        return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""


def _classes(source: str, listing: Listing) -> tuple[str, ...]:
    """Classes of the training part, in natural order; no other part may add one."""
    learn = {f.class_name for f in listing.found if f.part in (None, "train")}
    for part in ("val", "test"):
        extra = {f.class_name for f in listing.found if f.part == part} - learn
        if extra:
            names = sorted(extra, key=natural_key)
            raise InputError(
                f"{source}: {shorten([repr(name) for name in names])} in {part!r} "
                "has no images in the training part.",
                hint=spelling_hint(names, learn, known="There is")
                or "Every class needs training images.",
            )
    return tuple(sorted(learn, key=natural_key))


def _catalog(
    source: str, listing: Listing, classes: tuple[str, ...], runtime: Runtime, *, on_disk: bool
) -> Catalog:
    """Read every image once, for its digest, and leave out what cannot be read."""
    position = {name: label for label, name in enumerate(classes)}
    rows: list[ImageRow] = []
    digests: list[str] = []
    special: set[str] = set()
    unreadable = list(listing.unreadable)
    with runtime.progress.task("Reading files", len(listing.found)) as task:
        results = read_in_order(listing.found, _content, workers=min(8, available_cores()))
        for found, result in zip(listing.found, results, strict=True):
            if isinstance(result, UnreadableImageError):
                unreadable.append(Unreadable(found.name, result.reason))
            else:
                label = position[found.class_name]
                held = found.origin if isinstance(found.origin, ImageRef) else None
                path = Path(found.name) if isinstance(found.origin, ImageRef) else found.origin
                group, weight = found.group, found.weight
                rows.append(ImageRow(path, found.name, label, found.part, group, held, weight))
                digests.append(result.digest)
                if may_be_special(result.head):
                    special.add(result.digest)
            task.advance()
            runtime.cancel.check()
    return Catalog(
        source=source,
        classes=classes,
        rows=tuple(rows),
        digests=tuple(digests),
        left_out=tuple(told(listing.left_out)),
        folders=tuple(listing.folders),
        unreadable=tuple(unreadable),
        on_disk=on_disk,
        notes=tuple(listing.notes),
        special=frozenset(special),
    )


def _content(found: Found) -> Content:
    return content_of(found.origin, name=found.name)
