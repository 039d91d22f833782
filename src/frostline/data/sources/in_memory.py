"""Images and labels that lie in memory: arrays, Pillow images, paths, bytes, and lists of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.errors import InputError, SettingsError
from frostline.data.decoding.conversion import check_pixels
from frostline.data.decoding.image_refs import EncodedImage, ImageRef, PixelImage
from frostline.data.listing import Found, Listing
from frostline.data.naming import label_text, printable, shorten
from frostline.data.sources.data_frames import order_in
from frostline.data.sources.image_weights import read_weights, weighted
from frostline.data.sources.labels import LOST_NAMES
from frostline.data.sources.read_targets import read_targets
from frostline.data.sources.target_choice import ANY, TargetChoice, refuse_columns

#: lowest and highest value of a picture, which become 0 and 255
Range = tuple[float, float]

_ACCEPTED = (
    "Give an array (n, H, W, 3) or (n, H, W) of uint8, or a list of paths, Pillow images or "
    "such arrays."
)


def is_pair(source: object) -> bool:
    """Whether ``source`` is (images, labels), perhaps with groups, perhaps with weights as well."""
    return isinstance(source, tuple) and len(source) in (2, 3, 4)


def list_pair(
    source: tuple[Any, ...], *, group_by: str | None = None, choice: TargetChoice = ANY
) -> Listing:
    """List images that come with their labels.

    Raises InputError if the lengths differ, a label is missing, or something is no image;
    SettingsError if ``group_by`` is given: there are no columns or paths to look in.

    ``source``: ``images`` as for :func:`images_of`; labels and groups one each, of any kind that
    has a text, or labels as vectors with a single 1; lists of several, or numbers, or a DataFrame
    with a column for each label or number where ``choice`` says which it is; and how much each
    image counts. Groups and weights may be None. ``choice``: what is predicted.
    """
    if group_by is not None:
        raise SettingsError(
            f"groups={group_by!r} needs a table or paths, but images and labels were given.",
            hint="Give the groups themselves: (images, labels, groups).",
        )
    images = images_of(source[0])
    labels, columns = _columns_of(source[1], choice)
    given = _listed(labels, len(images), "labels")
    refuse_columns(choice, "images and labels were given")
    targets = read_targets(
        given,
        "The labels",
        lambda i: f"image {i}",
        choice=choice,
        classes=columns,
        order=order_in(labels),
    )
    _, _, given_groups, given_weights = (*source, None, None)[:4]
    groups = texts(given_groups, len(images), "groups")
    weights = None
    if given_weights is not None:
        cells = _listed(given_weights, len(images), "weights")
        weights = read_weights("The weights", cells, lambda i: f"image {i}")
    blank = [i for i, label in enumerate(targets.labels) if not label]
    if blank:
        lost = any(isinstance(given[i], float) for i in blank)
        raise InputError(
            f"No label for {shorten([f'image {i}' for i in blank])}.",
            hint=LOST_NAMES if lost else "Leave these images out, or give their labels.",
        )
    names = _unique(images)
    each = [1.0] * len(images) if weights is None else weights
    listing = Listing(
        [
            Found(image, name, label, None, group or None, weight, truth)
            for image, name, (label, truth), group, weight in zip(
                images, names, targets.entries(), groups, each, strict=True
            )
        ],
        notes=targets.notes,
        task=targets.task,
        outputs=targets.outputs,
    )
    return listing if weights is None else weighted(listing, "weight")


def _columns_of(labels: Any, choice: TargetChoice) -> tuple[Any, list[str] | None]:
    """Return the rows of a table of labels or numbers, and what its columns are called."""
    if choice.task not in ("multilabel", "regression") or not hasattr(labels, "columns"):
        return labels, None
    return labels.to_numpy().tolist(), [printable(str(name)) for name in labels.columns]


def texts(values: Any, n: int, what: str) -> list[str]:
    """Return ``n`` labels or groups as text; missing ones are blank.

    Raises InputError if there is another number of them.
    """
    if values is None:
        return [""] * n
    return [label_text(value) for value in _listed(values, n, what)]


def _listed(values: Any, n: int, what: str) -> list[Any]:
    """Return ``n`` values one by one; refuse what has no order or is one value."""
    kind = type(values).__name__
    if isinstance(values, (str, bytes)):
        raise InputError(f"The {what} are one {kind}; expected one for every image.")
    if isinstance(values, (Mapping, Set)) or hasattr(values, "columns"):
        raise InputError(
            f"The {what} are a {kind}; expected one for every image, in their order.",
            hint=f"Give a list, or one column of it, such as frame[{what[:-1]!r}].",
        )
    listed = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(listed, Iterable):
        raise InputError(f"The {what} are a {kind}; expected one for every image.")
    found = list(listed)
    if len(found) != n:
        raise InputError(f"There are {n:,} images, but {len(found):,} {what}.")
    return found


def images_of(
    images: Any, *, pixel_range: Range | None = None, clip: bool = False
) -> list[Path | ImageRef]:
    """Return images one by one, unread; refuse whatever would have to be guessed.

    Raises InputError for anything else; the message says how to convert it.

    Parameters
    ----------
    images : array or sequence
        An array of shape (n, H, W, 3), (n, H, W, 1) or (n, H, W): uint8, or any numbers with a
        ``pixel_range``. Or a sequence (list, tuple, array of objects or text, pandas Series) whose
        items are paths, bytes of image files, Pillow images, or arrays of one image each, of any
        size.
    pixel_range : (float, float) or None, default=None
        What is black and what is white in arrays, such as (0, 1): every array is scaled from it
        to 0 to 255. None: arrays hold 8-bit values already.
    clip : bool, default=False
        Whether values beyond the range are clipped instead of refused.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        return _rows(images, pixel_range, clip=clip)
    lock = threading.Lock()
    found: list[Path | ImageRef] = []
    for i, item in enumerate(_items(images)):
        name = f"image {i}"
        if isinstance(item, np.ndarray):
            pixels = as_pixels(item, pixel_range, name=name, clip=clip)
            check_pixels(pixels.dtype, pixels.shape, name=name)
            found.append(_held(pixels))
        else:
            found.append(_one(item, name, lock))
    return found


def range_of(images: Any) -> Range:
    """Return the lowest and the highest value of arrays of images.

    Raises InputError if there is no array, or it holds anything but finite numbers.
    """
    whole = isinstance(images, np.ndarray) and images.dtype.kind not in "OUS"
    lows, highs = [], []
    for i, array in enumerate([images] if whole else _items(images)):
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"pixel_range='fit' needs arrays, but image {i} is a {type(array).__name__}."
            )
        _check_numbers(array, name="images")
        lows.append(float(array.min()))
        highs.append(float(array.max()))
    if not lows:
        raise InputError("There is no image to take pixel_range from.")
    low, high = min(lows), max(highs)
    return (low, high) if low < high else (low, low + 1.0)


def as_pixels(
    array: npt.NDArray[Any], pixel_range: Range | None, *, name: str, clip: bool = False
) -> npt.NDArray[np.uint8]:
    """Return numbers as 8-bit values, whatever the shape.

    Raises InputError.

    ``pixel_range``: what becomes 0 and 255; None: the array must be uint8 already. ``name``: what
    to call it in errors. ``clip``: whether values beyond the range are clipped instead of refused.
    """
    if pixel_range is None:
        if array.dtype != np.uint8:
            raise InputError(_not_pixels(array, name), hint=_conversion(array))
        return array
    _check_numbers(array, name=name)
    low, high = float(array.min()), float(array.max())
    if not clip and (low < pixel_range[0] or high > pixel_range[1]):
        raise InputError(
            f"{name}: values from {low:g} to {high:g} lie outside pixel_range={pixel_range}.",
            hint="Name the range that the values can have, or clip them.",
        )
    return _scaled(array, pixel_range)


def _items(images: Any) -> Sequence[Any]:
    kind = type(images).__name__
    if isinstance(images, (str, Path, bytes, Image.Image)):
        raise InputError(f"One {kind} instead of several images.", hint="Give a list: [image].")
    if isinstance(images, Iterator):
        raise InputError(
            f"A {kind} can be read only once, but images are read when they are needed.",
            hint="Give a list: list(images).",
        )
    if _is_tensor(images):
        raise InputError(f"A {kind} is no array of images.", hint=_FROM_TENSOR)
    if isinstance(images, np.ndarray) and images.ndim != 1:
        raise InputError(
            f"An array of {images.dtype} and shape {images.shape} holds no images.", hint=_ACCEPTED
        )
    if hasattr(images, "iloc") and hasattr(images, "columns"):
        raise InputError(
            f"A {kind} is a table, not a sequence of images.",
            hint="Give its column of paths, such as frame['path'].",
        )
    for way in ("to_list", "tolist"):
        # a Series and an array of objects, without importing what they come from
        if hasattr(images, way):
            listed: list[Any] = getattr(images, way)()
            return listed
    if isinstance(images, Sequence):
        return images
    raise InputError(f"A {kind} is no sequence of images.", hint=_ACCEPTED)


def _one(item: Any, name: str, lock: threading.Lock) -> Path | ImageRef:
    if isinstance(item, (str, Path)):
        return Path(item).expanduser().absolute()
    if isinstance(item, ImageRef):
        return item
    if isinstance(item, bytes):
        return EncodedImage(lambda: item)
    if isinstance(item, Image.Image):
        # Pillow reads a file when it is first looked at, which two threads must not do at once
        return PixelImage(lambda: item, lock)
    hint = _FROM_TENSOR if _is_tensor(item) else _ACCEPTED
    raise InputError(f"{name} is a {type(item).__name__}, not an image.", hint=hint)


def _held(pixels: npt.NDArray[np.uint8]) -> ImageRef:
    return PixelImage(lambda: pixels)


def _rows(
    images: npt.NDArray[Any], pixel_range: Range | None, *, clip: bool
) -> list[Path | ImageRef]:
    """Return the images of one array; all have its shape and type, so they are checked at once."""
    if images.ndim == 2:
        raise InputError(
            f"An array of shape {images.shape} is a table of numbers, not images.",
            hint="Give (n, H, W, 3) or (n, H, W): images.reshape(len(images), H, W).",
        )
    if images.ndim == 3 and images.shape[2] in (3, 4):
        raise InputError(
            f"An array of shape {images.shape} is one image, or many that are "
            f"{images.shape[2]} pixels wide.",
            hint="For one image give image[None].",
        )
    if images.ndim not in (3, 4):
        raise InputError(f"An array of shape {images.shape} holds no images.", hint=_ACCEPTED)
    if not len(images):
        raise InputError(f"An array of shape {images.shape} holds no image.")
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise InputError(
            f"An array of shape {images.shape} has its channels first; expected (n, H, W, 3).",
            hint="Give images.transpose(0, 2, 3, 1).",
        )
    check_pixels(np.dtype(np.uint8), images.shape[1:], name="Each image")
    pixels = as_pixels(images, pixel_range, name="images", clip=clip)
    return [_held(image) for image in pixels]


def _scaled(array: npt.NDArray[Any], pixel_range: Range) -> npt.NDArray[np.uint8]:
    """Scale a range to 0 to 255, image by image, so that memory stays small."""
    low, high = pixel_range
    out = np.empty(array.shape, dtype=np.uint8)
    for place, values in zip(out, array, strict=True):
        scaled = (np.asarray(values, dtype=np.float64) - low) * (255.0 / (high - low))
        place[...] = np.clip(np.rint(scaled), 0, 255)
    return out


def check_range(pixel_range: Any) -> Range:
    """Return a range of pixel values, made sure that it is one.

    Raises SettingsError.
    """
    try:
        low, high = (float(value) for value in pixel_range)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise SettingsError(
            f"pixel_range cannot be {pixel_range!r}: expected two numbers, what is black and what "
            "is white, such as (0, 1)."
        )
    return low, high


def _check_numbers(array: npt.NDArray[Any], *, name: str) -> None:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name}: an array of {array.dtype} holds no pixel values.")
    if array.size == 0 or array.ndim == 0:
        raise InputError(f"{name}: an array of shape {array.shape}, without any pixel.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name}: there are NaN or infinite values.", hint="Replace them first.")


def _not_pixels(array: npt.NDArray[Any], name: str) -> str:
    found = f"{name}: an array of {array.dtype}"
    if array.dtype.kind not in "biuf" or not array.size:
        return f"{found}, not of uint8."
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return f"{found} with NaN or infinite values; expected uint8."
    return (
        f"{found} with values from {array.min():g} to {array.max():g}; expected uint8, since "
        "what is black and what is white must not be guessed."
    )


def _conversion(images: npt.NDArray[Any]) -> str:
    """Return the exact conversion of arrays of other types."""
    if images.dtype.kind not in "biuf" or not images.size:
        return _ACCEPTED
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        return "Replace them, then convert to uint8."
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return "If 1 is white: (255 * images).round().astype('uint8'), or pixel_range=(0, 1)."
    if low >= 0 and high <= 255:
        return "If 255 is white: images.round().astype('uint8'), or pixel_range=(0, 255)."
    return "Scale them to 0 to 255 first, or name their range by pixel_range=(low, high)."


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "torch"


_FROM_TENSOR = (
    "Give arrays: (n, C, H, W) in [0, 1] becomes "
    "(255 * x).round().byte().permute(0, 2, 3, 1).numpy()."
)


def _unique(images: Sequence[Path | ImageRef]) -> list[str]:
    """Name files by their path and others by their place; what comes twice by both."""
    names = [
        printable(str(image)) if isinstance(image, Path) else f"image {i}"
        for i, image in enumerate(images)
    ]
    if len(set(names)) == len(names):
        return names
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if seen.setdefault(name, i) != i:
            names[i] = f"{name} (image {i})"
    return names
