"""A torchvision dataset, or any other whose items are (image, class number)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from frostline.core.errors import InputError, SettingsError
from frostline.data.decoding.image_refs import ImageRef, PixelImage
from frostline.data.listing import Found, Listing
from frostline.data.naming import printable, shorten
from frostline.data.sources.read_targets import read_targets
from frostline.data.sources.target_choice import ANY, TargetChoice, refuse_columns

#: loaders of torchvision that read a file as it is
_PLAIN_LOADERS = ("default_loader", "pil_loader")


def is_torch_dataset(source: object) -> bool:
    """Whether ``source`` has numbered items and is no plain sequence."""
    return (
        hasattr(source, "__getitem__")
        and hasattr(source, "__len__")
        and not isinstance(source, (str, bytes, Sequence, np.ndarray))
        and not hasattr(source, "keys")
    )


def list_items(dataset: Any, *, group_by: str | None = None, choice: TargetChoice = ANY) -> Listing:
    """List the images of a dataset.

    Raises InputError if it is empty or its items are something else, such as tensors; SettingsError
    if ``group_by`` is given.

    - ``dataset``: items are (Pillow image or uint8 array, label); a label is a number or text,
      perhaps in an array or tensor of one, or a vector with a single 1. Names of numbered classes
      come from ``classes``; without it classes are called by their number. Files of an
      ``ImageFolder`` without transforms are read by Frostline's own decoder.
    - ``group_by``: not possible here. ``choice``: what is predicted.
    """
    if group_by is not None:
        raise SettingsError(
            f"groups={group_by!r} needs a table or paths, but a {type(dataset).__name__} was "
            "given.",
            hint="Use a DataFrame with the columns path, label and group.",
        )
    refuse_columns(choice, f"a {type(dataset).__name__} was given")
    if len(dataset) == 0:
        raise InputError(f"The {type(dataset).__name__} is empty.")
    base, numbers = _unwrapped(dataset)
    classes = getattr(base, "classes", None)
    files = _files(base)
    if files is not None:
        return _listing(
            [Path(files[n][0]).absolute() for n in numbers],
            [files[n][0] for n in numbers],
            [files[n][1] for n in numbers],
            classes,
            choice,
        )
    _check_item(dataset)
    lock = threading.Lock()
    labels = _labels(base, numbers)
    if labels is None:
        labels = [_item(dataset, i)[1] for i in range(len(dataset))]
    images = [_held(dataset, i, lock) for i in range(len(dataset))]
    return _listing(images, [f"image {i}" for i in range(len(images))], labels, classes, choice)


def _held(dataset: Any, i: int, lock: threading.Lock) -> ImageRef:
    # a dataset may keep a file open or count something, so one thread at a time asks it
    return PixelImage(lambda: _item(dataset, i)[0], lock)


def _listing(
    images: Sequence[Path | ImageRef],
    names: Sequence[str],
    labels: Sequence[Any],
    classes: Sequence[Any] | None,
    choice: TargetChoice,
) -> Listing:
    targets = read_targets(labels, "The labels", lambda i: names[i], choice=choice, classes=classes)
    entries = targets.entries()
    blank = [
        name
        for name, (text, truth) in zip(names, entries, strict=True)
        if not text and truth is None
    ]
    if blank:
        raise InputError(
            f"No label for {shorten(blank)}.",
            hint="Leave them out: torch.utils.data.Subset(dataset, positions).",
        )
    return Listing(
        [
            Found(image, printable(name), text, truth=truth)
            for image, name, (text, truth) in zip(images, names, entries, strict=True)
        ],
        notes=targets.notes,
        task=targets.task,
        outputs=targets.outputs,
    )


def _unwrapped(dataset: Any) -> tuple[Any, list[int]]:
    """Return the dataset below any subsets, and which of its items are meant."""
    numbers = list(range(len(dataset)))
    while hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        numbers = [int(dataset.indices[n]) for n in numbers]
        dataset = dataset.dataset
    return dataset, numbers


def _untouched(base: Any) -> bool:
    return all(
        getattr(base, name, None) is None
        for name in ("transform", "target_transform", "transforms")
    )


def _files(base: Any) -> list[tuple[str, int]] | None:
    """Return files and class numbers of a folder dataset that reads files as they are."""
    samples = getattr(base, "samples", None)
    loader = getattr(getattr(base, "loader", None), "__name__", "")
    if not isinstance(samples, list) or loader not in _PLAIN_LOADERS or not _untouched(base):
        return None
    return [(str(path), int(label)) for path, label in samples]


def _labels(base: Any, numbers: list[int]) -> list[Any] | None:
    """Return class numbers without reading an image, where the dataset lists them."""
    targets = getattr(base, "targets", None)
    if targets is None or getattr(base, "target_transform", None) is not None:
        return None
    listed = targets.tolist() if hasattr(targets, "tolist") else list(targets)
    return [listed[n] for n in numbers] if len(listed) == len(base) else None


def _item(dataset: Any, i: int) -> tuple[Any, Any]:
    item = dataset[i]
    return item[0], item[1]


def _check_item(dataset: Any) -> None:
    item, kind = dataset[0], type(dataset).__name__
    expected = "expected (Pillow image, class number)"
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) < 2:
        raise InputError(f"Items of the {kind} are {type(item).__name__}; {expected}.")
    image, label = item[0], item[1]
    if not isinstance(image, (Image.Image, np.ndarray)):
        raise InputError(
            f"Items of the {kind} are ({type(image).__name__}, {type(label).__name__}); "
            f"{expected}.",
            hint="Give the dataset without a transform that makes tensors: Frostline resizes and "
            "normalises by what belongs to the network.",
        )
