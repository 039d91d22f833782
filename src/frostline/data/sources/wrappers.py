"""Folders around classes: wrappers to step into, and folders that hold no classes at all."""

from __future__ import annotations

from collections.abc import Collection

from frostline.data.sources.masks import is_mask_name, mask_folders
from frostline.data.sources.part_folders import is_neutral, spelled, spelled_among
from frostline.data.sources.scanning import Folder, Scan


def holder_of_classes(scan: Scan, base: Folder, learned: Collection[str] | None) -> Folder | None:
    """Return the folder to step into: all images lie in it, and so do folders that divide them.

    With ``learned``, classes that are known, it must hold one of them and be none itself.
    """
    if learned is not None and not learned:
        # a part that was given by itself: nobody knows its classes yet
        return None
    folder, seen = only_folder(scan, base), {base.identity}
    while folder is not None and folder.identity not in seen:
        seen.add(folder.identity)
        if scan.entries(folder).files and not learned:
            return None
        inside = [one.label for one in scan.folders_with_images(folder)]
        if learned and folder.label in learned:
            return None
        if learned:
            if any(name in learned for name in inside) or spelled_among(inside):
                return folder
        elif len(inside) > 1 or any(map(spelled, inside)):
            return folder
        folder = only_folder(scan, folder)
    return None


def only_folder(scan: Scan, folder: Folder) -> Folder | None:
    """Return the one sub-folder that holds all images of a folder, if it is no part."""
    entries = scan.entries(folder)
    masks = masks_beside(scan, folder)
    inner = [one for one in scan.folders_with_images(folder) if one not in masks]
    if entries.files or len(inner) != 1 or spelled(inner[0].label):
        return None
    return inner[0]


def masks_beside(scan: Scan, folder: Folder) -> list[Folder]:
    """Sub-folders that repeat the class folders of one called images, as masks/cat does."""
    inner = scan.folders_with_images(folder)
    named = [one for one in inner if is_mask_name(one.label)]
    rest = [one for one in inner if one not in named]
    if not named or len(rest) != 1 or not is_neutral(rest[0].label):
        return []
    names = {one.label for one in scan.folders_with_images(rest[0])}
    for one in named:
        if not names & {inside.label for inside in scan.folders_with_images(one)}:
            return []
    return named


def is_flat(scan: Scan, folder: Folder, learned: Collection[str]) -> bool:
    """Whether a folder has images and no class folders, or just one that is called images."""
    entries = scan.entries(folder)
    masks = mask_folders(scan, entries)
    inner = [one for one in scan.folders_with_images(folder) if one not in masks]
    files = entries.files
    if not inner:
        return bool(files)
    only = inner[0]
    if len(inner) > 1 or files or only.label in learned:
        return False
    # wrapped again under its own name, or under one that says nothing
    return (is_neutral(only.label) or only.label == folder.label) and is_flat(scan, only, learned)


def holds_only_folders(scan: Scan, folder: Folder) -> bool:
    """Whether a folder holds folders of images, and none itself."""
    inner = scan.folders_with_images(folder)
    return bool(inner) and not scan.entries(folder).files


def first_image(scan: Scan, folder: Folder) -> str:
    every = scan.below(folder, set())
    return next((f.name for _, entries in every for f in entries.files), folder.name)
