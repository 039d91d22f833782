"""Read class folders: every sub-folder is a class, and its images lie in it at any depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from frostline.core.errors import InputError
from frostline.data.catalog import Part, Unreadable
from frostline.data.listing import Found, Listing
from frostline.data.naming import shorten
from frostline.data.sources.folder_notes import (
    LikeMasks,
    Masks,
    OnlyFolders,
    PartsInside,
    SameFolders,
)
from frostline.data.sources.masks import called_like_masks, mask_folders
from frostline.data.sources.part_folders import Spelling, spelled_among
from frostline.data.sources.scanning import Entries, File, Folder, Scan

#: inner folders that a note names
_NAMED = 5


class ClassFolders:
    """Reads class folders of one scan into one listing."""

    def __init__(self, scan: Scan, listing: Listing) -> None:
        self.scan = scan
        self.listing = listing
        self._masks = 0
        self._first_masks = ""
        self._like_masks: list[File] = []

    def read(self, base: Folder, part: Part | None, *, settled: bool = False) -> None:
        """Take every sub-folder of ``base`` for a class.

        With ``settled``, somebody said that it is one: a doubt is not mentioned.
        """
        entries = self._opened(base)
        self.leave_out_masks(mask_folders(self.scan, entries, loose=False))
        folders = self.scan.entries(base).folders
        for file in entries.files:
            if not file.broken:
                self.listing.left_out.add("outside class folders", file.name)
        for folder in folders:
            files = self._images(folder, base)
            if not files:
                self.listing.left_out.add("folder without images", folder.name)
            self._add(files, folder.label, part)
        if not settled and part in (None, "train"):
            self._note_depth(folders)

    def read_parts_inside(self, base: Folder) -> bool:
        """Read classes that each hold parts, such as cat/train and cat/test; False if they do not.

        No class may hold images beside its parts, and there must be a training part and another.
        """
        inside: dict[Folder, dict[Folder, Spelling]] = {}
        for folder in self.scan.folders_with_images(base):
            inner = self.scan.folders_with_images(folder)
            spelled = spelled_among(one.label for one in inner)
            if self.scan.entries(folder).files or not inner or len(spelled) < len(inner):
                return False
            inside[folder] = {one: spelled[one.label] for one in inner}
        parts = {spelling.part for inner in inside.values() for spelling in inner.values()}
        if len(inside) < 2 or "train" not in parts or len(parts) < 2:
            return False
        self._check_inside(inside)
        for file in self._opened(base).files:
            self.listing.left_out.add("outside class folders", file.name)
        for folder, named in inside.items():
            self._opened(folder)
            for one, spelling in named.items():
                self._add(self._images(one, base), folder.label, spelling.part)
        first = next(iter(inside.values()))
        self.listing.notes.append(PartsInside(tuple(one.name for one in first)))
        return True

    def _check_inside(self, inside: Mapping[Folder, Mapping[Folder, Spelling]]) -> None:
        """Refuse parts that hold folders of their own, such as fold1/train/cat."""
        outer, inner = next(iter(inside.items()))
        names = [one.name for part in inner for one in self.scan.folders_with_images(part)]
        if not names or any(self.scan.entries(part).files for part in inner):
            return
        shown = shorten([folder.label for folder in inside])
        raise InputError(
            f"Each of {shown} has parts that hold folders ({shorten(names, limit=3)}): they may be "
            "several sets of images, or classes.",
            hint=f"Give the folder of one set, such as {outer.name}, or a table "
            "(path,label,split).",
        )

    def leave_out_masks(self, folders: Sequence[Folder]) -> None:
        """Count masks, and pass over them from now on."""
        for folder in folders:
            count = self.scan.count(folder)
            self._first_masks = self._first_masks or folder.name
            self._masks += count
            self.listing.left_out.add("mask of another image", folder.name, count=count)
            self.scan.taken.add(folder.identity)

    def finish(self) -> None:
        """Note what concerns the classes of all parts together."""
        if self._masks:
            self.listing.notes.append(Masks(self._masks, self._first_masks))
        if self._like_masks:
            self.listing.notes.append(LikeMasks(len(self._like_masks), self._like_masks[0].name))

    def _opened(self, folder: Folder) -> Entries:
        """Return what lies in a folder that is read, and count what is left out of it."""
        entries = self.scan.entries(folder)
        self.listing.left_out.merge(entries.others)
        if entries.error:
            reason = f"folder: {entries.error}"
            self.listing.unreadable.append(Unreadable(folder.name or folder.path, reason))
        return entries

    def _images(self, top: Folder, base: Folder) -> list[File]:
        """Every image below ``top``; broken ones are named."""
        images: list[File] = []
        seen = {self.scan.root.identity, base.identity}
        for folder, entries in self.scan.below(top, seen, links=self.listing.left_out):
            self._opened(folder)
            self.leave_out_masks(mask_folders(self.scan, entries))
            self._like_masks += called_like_masks(entries.files)
            for file in entries.files:
                if file.broken:
                    self.listing.unreadable.append(Unreadable(file.name, file.broken))
                else:
                    images.append(file)
        return images

    def _add(self, files: Sequence[File], class_name: str, part: Part | None) -> None:
        found = self.listing.found
        found += [Found(Path(file.path), file.name, class_name, part) for file in files]

    def _note_depth(self, folders: Sequence[Folder]) -> None:
        """Say so if no class holds an image directly: the inner folders may be meant."""
        inside: dict[str, list[Folder]] = {}
        for folder in folders:
            if self.scan.entries(folder).files:
                return
            if inner := self.scan.folders_with_images(folder):
                inside[folder.label] = inner
        labels = [{one.label for one in inner} for inner in inside.values()]
        if len(labels) < 2:
            return
        same = set.intersection(*labels)
        if same == set.union(*labels):
            if len(same) > 1:
                names = tuple(one.label for one in next(iter(inside.values())))
                self.listing.notes.append(SameFolders(tuple(inside), names))
            return
        names = tuple(one.name for inner in inside.values() for one in inner)
        self.listing.notes.append(OnlyFolders(names[:_NAMED], len(names)))
