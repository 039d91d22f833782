"""Masks beside images: pictures that mark something in others, and are no images of a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from frostline.data.sources.part_folders import is_neutral
from frostline.data.sources.scanning import Entries, File, Folder, Scan

#: names of folders of masks, in lower case and without anything but letters
_NAMES = frozenset(
    (
        *("mask", "annotation", "annotations", "label", "labels", "segmentation", "segmentations"),
        *("gt", "groundtruth", "groundtruths", "trimap", "trimaps", "heatmap", "heatmaps"),
        *("contour", "contours"),
    )
)
_NO_LETTER = re.compile(r"[\W\d_]+")
#: what masks add to the name of their image: scan_mask.png, scan_mask_1.png
_SUFFIX = re.compile(
    r"[ _-](?:mask|segmentation|seg|gt|ground[ _-]?truth|label)(?:[ _-]?\d+)?$", re.IGNORECASE
)


def mask_folders(scan: Scan, entries: Entries, *, loose: bool = True) -> list[Folder]:
    """Return those sub-folders that hold masks of the images beside them.

    Their names say so, and at least half of their files are called like an image beside them:
    directly there (with ``loose``), or in a folder that is called images or alike.
    """
    named = [folder for folder in entries.folders if is_mask_name(folder.label)]
    if not named:
        return []
    images = set(_stems(entries.files)) if loose else set()
    for folder in entries.folders:
        if is_neutral(folder.label):
            images |= set(_stems(_files(scan, folder)))
    return [folder for folder in named if images and _mark(_stems(_files(scan, folder)), images)]


def is_mask_name(name: str) -> bool:
    """Whether a folder's name says that it holds masks."""
    letters = _NO_LETTER.sub("", name.lower())
    return letters in _NAMES or letters.endswith("masks")


def called_like_masks(files: Sequence[File]) -> list[File]:
    """Return the files whose names are those of other files in their folder, and a mask's ending.

    In ``scan.png`` and ``scan_mask.png`` that is the second.
    """
    suspects = [(file, stem) for file in files if _SUFFIX.search(stem := file.stem)]
    if not suspects:
        return []
    stems = {file.stem for file in files}
    return [file for file, stem in suspects if _SUFFIX.sub("", stem) in stems]


def _mark(masks: list[str], images: set[str]) -> bool:
    like = sum(stem in images or _SUFFIX.sub("", stem) in images for stem in masks)
    return bool(masks) and 2 * like >= len(masks)


def _files(scan: Scan, folder: Folder) -> list[File]:
    return [file for _, entries in scan.below(folder, set()) for file in entries.files]


def _stems(files: Iterable[File]) -> list[str]:
    return [file.stem for file in files]
