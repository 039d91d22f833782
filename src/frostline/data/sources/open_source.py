"""Open labelled images as a catalog, wherever they are: folders, tables, datasets, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.core.files import os_reason
from frostline.core.progress import TypedProgress
from frostline.core.runtime import Runtime
from frostline.core.task import Task
from frostline.data.catalog import Catalog, Part
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.listing import Listing
from frostline.data.naming import encodable, shorten, visible
from frostline.data.notes import Note
from frostline.data.sources.class_names import (
    class_notes,
    lacking,
    respelled_folders,
)
from frostline.data.sources.data_frames import is_frame, list_frame
from frostline.data.sources.folders import LAYOUT, list_folder
from frostline.data.sources.hugging_face import is_hugging_face, list_hugging_face
from frostline.data.sources.in_memory import is_pair, list_pair
from frostline.data.sources.outputs import (
    check_known,
    graded,
    label_notes,
    name_counts,
    outputs_of,
    refuse_folder,
    without_unknown,
)
from frostline.data.sources.part_folders import PART_NAMES, differently_spelled, part_of
from frostline.data.sources.path_groups import compiled, grouped
from frostline.data.sources.read_listing import read_listing
from frostline.data.sources.tables import JSON_LINES, list_table
from frostline.data.sources.target_choice import ANY, TargetChoice, refuse_columns
from frostline.data.sources.torch_datasets import is_torch_dataset, list_items

_TABLES = (".csv", ".tsv", *JSON_LINES, ".parquet")
#: how other files become a source
_CONVERSIONS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "Save it as 'CSV UTF-8'."),
    **dict.fromkeys((".txt", ".tab", ".dat"), "If it is a table, call it .csv or .tsv."),
    **dict.fromkeys(
        (".json", ".feather", ".arrow", ".pkl", ".pickle", ".h5", ".hdf5"),
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
    choice: TargetChoice = ANY,
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
    choice : TargetChoice, default=ANY
        What is predicted, from which columns, and what stands between labels.
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
    listing = list_source(source, group_by, progress, choice, folders=folders)
    take_note(listing, source, progress)
    name = source_name(source)
    classes = outputs_of(name, listing)
    notes = [*lacking(listing, classes, judged=False), *label_notes(listing, classes)]
    _add_notes(listing, notes, progress)
    catalog = read_listing(name, listing, classes, runtime, on_disk=isinstance(source, str | Path))
    catalog.check()
    return catalog


def open_for_evaluation(
    source: Source,
    classes: Sequence[str],
    *,
    group_by: str | None = None,
    task: Task = "single",
    runtime: Runtime | None = None,
) -> Catalog:
    """List labelled images for a model that knows ``classes`` already.

    Raises InputError if the source has a class that the model does not know, or no readable image.

    ``source``: as for :func:`open_source`; a training part is not needed. ``classes``: the model's
    classes, or names of its other outputs; labels become positions in it. Some may be absent from
    the source. ``task``: what the model predicts.
    """
    runtime = runtime or Runtime()
    progress = runtime.progress
    choice = TargetChoice(task, known=tuple(classes))
    listing = list_source(source, group_by, progress, choice, known=frozenset(classes))
    take_note(listing, source, progress)
    name = source_name(source)
    check_known(name, listing, classes)
    _add_notes(listing, lacking(listing, classes, judged=True), progress)
    catalog = read_listing(
        name, listing, tuple(classes), runtime, on_disk=isinstance(source, str | Path)
    )
    if not len(catalog):
        first = catalog.unreadable[0]
        raise InputError(f"No readable image in {name}: {first.path}: {first.reason}.")
    return catalog


def list_source(
    source: Source,
    group_by: str | None,
    progress: TypedProgress,
    choice: TargetChoice,
    *,
    folders: Mapping[Part, str] | None = None,
    known: Set[str] | None = None,
) -> Listing:
    """List a source; with the classes that are ``known`` to a model, it needs no training part.

    Raises what :func:`open_source` does of its layout.
    """
    if isinstance(source, str | Path):
        return _list_path(Path(source), group_by, progress, choice, folders=folders, known=known)
    if folders:
        raise _no_folder(source_name(source), folders)
    if isinstance(source, Mapping):
        listing = _list_parts(source, group_by, progress, choice)
    else:
        listing = _list_object(source, group_by, choice)
    if known is None:
        _need_train(listing, source_name(source))
    return listing


def _no_folder(name: str, folders: Mapping[Part, str]) -> SettingsError:
    part, folder = next(iter(folders.items()))
    return SettingsError(
        f"{part}={folder!r} names a sub-folder, but {name} is no folder.",
        hint="Give a table a column 'split'; in Python, give a dict by part.",
    )


def _list_object(source: Source, group_by: str | None, choice: TargetChoice) -> Listing:
    for known, list_it, _ in _OBJECTS:
        if known(source):
            return list_it(source, group_by=group_by, choice=choice)
    raise InputError(f"A {type(source).__name__} is no source of images.", hint=_SOURCES)


def _list_parts(
    sources: Mapping[Any, Any],
    group_by: str | None,
    progress: TypedProgress,
    choice: TargetChoice,
) -> Listing:
    """List several sources, each of which is one part."""
    whole = Listing()
    twice = differently_spelled(map(str, sources))
    if twice is not None:
        raise InputError(
            f"{twice[0]!r} and {twice[1]!r} may be one part or two.",
            hint="Use train, val and test.",
        )
    parts = [_part(str(key)) for key in sources]

    def listed(choice: TargetChoice) -> list[Listing]:
        each = sources.values()
        return [list_source(one, group_by, progress, choice, known=frozenset()) for one in each]

    read = listed(choice)
    first = read[parts.index("train") if "train" in parts else 0]
    if any(own.task != first.task for own in read):
        # a part may happen to have one label an image: what is learned says what they are
        read = listed(replace(choice, task=first.task))
    whole.task, whole.outputs = first.task, first.outputs
    for key, part, own in zip(map(str, sources), parts, read, strict=True):
        if any(found.part is not None for found in own.found):
            raise InputError(f"What is given as {key!r} has parts of its own.")
        if own.outputs != whole.outputs and own.task != "ordinal":
            raise InputError(
                f"What is given as {key!r} has the outputs {shorten(own.outputs)}; expected "
                f"{shorten(whole.outputs)}, as in training."
            )
        whole.found += [
            replace(found, part=part, name=f"{key}/{found.name}") for found in own.found
        ]
        whole.left_out.merge(own.left_out)
        whole.notes += own.notes
        whole.unreadable += [replace(u, path=f"{key}/{u.path}") for u in own.unreadable]
    return whole


def _part(key: str) -> Part:
    part = part_of(key)
    if part is None:
        raise InputError(
            f"A part cannot be called {key!r}; use train, val or test.",
            hint=did_you_mean(key.lower(), PART_NAMES)
            or "For a dict of columns give pandas.DataFrame(columns).",
        )
    return part


def take_note(listing: Listing, source: Source, progress: TypedProgress) -> None:
    """Say what was understood of a source, and what its names of classes look like."""
    listing.tell_names_apart()
    taken, listing.notes = listing.notes, []
    names = class_notes(name_counts(listing), several=listing.task == "multilabel")
    _add_notes(listing, [*taken, *names, *without_unknown(listing, source)], progress)


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
    choice: TargetChoice,
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
        if choice.task in ("multilabel", "regression"):
            raise refuse_folder(choice.task, str(given))
        refuse_columns(choice, f"{given} is a folder")
        listing = list_folder(path, given=folders, known=known)
        listing.notes += respelled_folders(path, listing.found)
        if choice.task == "ordinal":
            listing = listing if choice.known else graded(listing, str(given))
        return listing if pattern is None else grouped(listing, pattern, progress)
    if folders and path.is_file():
        raise _no_folder(str(given), folders)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix in _TABLES:
            listing = list_table(path, group_by=group_by, choice=choice)
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
