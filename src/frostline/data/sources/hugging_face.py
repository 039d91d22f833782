"""A dataset of the Hugging Face library: an image column and a label column."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.core.files import read_regular
from frostline.data.decoding.image_refs import EncodedImage, ImageRef, PixelImage
from frostline.data.decoding.resource_limits import FILE_BYTES
from frostline.data.listing import Found, Listing
from frostline.data.naming import label_text, shorten
from frostline.data.notes import TakenColumns
from frostline.data.sources.columns import Table, comparable, position_of
from frostline.data.sources.image_weights import read_weights, weighted
from frostline.data.sources.read_targets import read_targets
from frostline.data.sources.target_choice import ANY, TargetChoice, Targets
from frostline.data.sources.target_columns import asked_columns, read_target_columns

#: kinds of columns that may hold labels, when none is a ClassLabel; lists hold several
_PLAIN, _LISTS = ("Value",), ("List", "LargeList", "Sequence")


def is_hugging_face(source: object) -> bool:
    """Whether ``source`` looks like a dataset of that library; nothing is imported to find out."""
    return all(hasattr(source, name) for name in ("features", "column_names", "cast_column"))


def list_hugging_face(
    dataset: Any, *, group_by: str | None = None, choice: TargetChoice = ANY
) -> Listing:
    """List the images of a dataset; reads labels, but no image.

    Raises InputError if it is streamed, has no such columns or several of them, or labels are
    missing; SettingsError if the column ``group_by`` does not exist.

    ``dataset``: with one ``Image`` column, and labels in one ``ClassLabel`` column or in a column
    named ``label``, or by another of the names that tables may give to it. Images are read
    undecoded, so they go through Frostline's own decoder and share what is stored for files of the
    same bytes. ``group_by``: column that holds groups. A column ``weight`` says how
    much images count. ``choice``: what is predicted, and from which columns.
    """
    if not hasattr(dataset, "__len__"):
        raise InputError(
            "A streamed dataset cannot be read twice.", hint="Load it without streaming=True."
        )
    features = dict(dataset.features)
    image = _image_column(features)
    if group_by is not None and group_by not in features:
        raise SettingsError(
            f"There is no column {group_by!r} to group by; the dataset has "
            f"{shorten(list(features), limit=12)}.",
            hint=did_you_mean(group_by, features),
        )
    plain = dataset.with_format(None)
    targets = _targets(plain, features, image, choice)
    groups = [""] * len(dataset)
    if group_by is not None:
        groups = [label_text(value) for value in plain[group_by]]
    named = [name for name in features if comparable(name) in ("weight", "sample_weight")]
    weights = [1.0] * len(dataset)
    if named:
        weights = read_weights("The dataset", list(plain[named[0]]), lambda i: f"row {i}")
    fetch = _fetcher(plain, image, features[image])
    listing = Listing(
        [
            Found(fetch(i), f"image {i}", text, None, groups[i] or None, weights[i], truth)
            for i, (text, truth) in enumerate(targets.entries())
        ],
        notes=targets.notes,
        task=targets.task,
        outputs=targets.outputs,
    )
    return weighted(listing, named[0]) if named else listing


def _targets(plain: Any, features: dict[str, Any], image: str, choice: TargetChoice) -> Targets:
    """Return what the columns that were asked for say, or the one of labels."""
    names = list(features)
    table = Table(
        names=names,
        length=len(plain),
        cells=lambda column: list(plain[names[column]]),
        place=lambda i: f"row {i}",
        flat=lambda column: names[column] != image,
    )
    columns = asked_columns("The dataset", table, choice, {names.index(image): "images"})
    if columns and not (len(columns) == 1 and _class_names(features[names[columns[0]]])):
        return read_target_columns("The dataset", table, columns, choice)
    label = names[columns[0]] if columns else _label_column(features)
    plain_name = _kind(features[label]) == "ClassLabel" or comparable(label) == "label"
    # -1 is how that library marks images without a label
    targets = read_targets(
        list(plain[label]),
        f"The dataset: column {label!r}",
        lambda i: f"row {i}",
        choice=choice,
        column=label,
        classes=_class_names(features[label]),
        ids=True,
    )
    blank = [i for i, text in enumerate(targets.labels) if not text]
    if blank:
        raise InputError(
            f"The dataset has no {label} in {shorten([f'row {i}' for i in blank])}.",
            hint="Leave them out: dataset.filter(...).",
        )
    if not plain_name and not columns:
        targets.notes.insert(0, TakenColumns((("label", label),)))
    return targets


def _class_names(feature: Any) -> list[str] | None:
    """Return the names of classes that numbers of a column stand for, alone or in lists."""
    named = getattr(feature, "names", None) or getattr(
        getattr(feature, "feature", None), "names", None
    )
    return list(named) if named else None


def _image_column(features: dict[str, Any]) -> str:
    found = [name for name, feature in features.items() if _kind(feature) == "Image"]
    cast = "Paths become images by dataset.cast_column('path', datasets.Image())."
    return _only(found, "image", features, hint=cast)


def _label_column(features: dict[str, Any]) -> str:
    found = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    for kinds in () if found else (_PLAIN, _LISTS):
        others = [name for name, feature in features.items() if _kind(feature) in kinds]
        at = position_of("The dataset", [comparable(name) for name in others], "label")
        if at is not None:
            return others[at]
    return _only(found, "label", features, hint="Name it: dataset.rename_column('...', 'label').")


def _only(found: list[str], what: str, features: dict[str, Any], *, hint: str) -> str:
    """Return the one column of a kind; ``hint`` says what to do where there is none."""
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"The dataset has {len(found)} {what} columns: {shorten(found)}.",
            hint="Keep one: dataset.remove_columns([...]).",
        )
    raise InputError(
        f"The dataset has no {what} column; its columns are {_described(features)}.", hint=hint
    )


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _described(features: dict[str, Any]) -> str:
    return shorten([f"{name} ({_kind(feature)})" for name, feature in features.items()], limit=12)


def _fetcher(plain: Any, column: str, feature: Any) -> Callable[[int], ImageRef]:
    """Return what makes a held image of a row's number."""
    lock = threading.Lock()
    images = plain.select_columns([column])
    if getattr(feature, "mode", None):
        # a mode that was asked for is a conversion, which only the library's own decoder does
        return lambda i: PixelImage(lambda: images[i][column], lock)
    undecoded = copy.copy(feature)
    undecoded.decode = False
    images = images.cast_column(column, undecoded)

    def content(i: int) -> bytes:
        with lock:
            cell = images[i][column]
        if cell is None:
            return b""
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        return read_regular(Path(cell["path"]), at_most=FILE_BYTES)

    return lambda i: EncodedImage(lambda: content(i))
