"""A folder per class, with or without train, val and test above it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from frostline.core.errors import InputError
from frostline.data.catalog import Part
from frostline.data.listing import Listing
from frostline.data.naming import shorten
from frostline.data.sources.class_folders import ClassFolders
from frostline.data.sources.folder_notes import FlatFolder, InnerFolder, odd_endings_hint
from frostline.data.sources.given_folders import Named, given_folders
from frostline.data.sources.left_out import Tally
from frostline.data.sources.odd_endings import odd_endings, told
from frostline.data.sources.part_folders import is_unlabelled, spelled_among
from frostline.data.sources.scanning import Folder, Scan, folder_at
from frostline.data.sources.tables_beside import tables_beside
from frostline.data.sources.wrappers import (
    first_image,
    holder_of_classes,
    holds_only_folders,
    is_flat,
    masks_beside,
    only_folder,
)

LAYOUT = (
    "Expected one sub-folder per class (photos/cat, photos/dog), "
    "or train, val and test folders that each hold one sub-folder per class."
)
_ORDER: dict[Part, int] = {"train": 0, "val": 1, "test": 2}


def list_folder(
    root: Path, *, given: Mapping[Part, str] | None = None, known: Collection[str] | None = None
) -> Listing:
    """List the images below ``root`` by class folder and part; opens no image.

    Raises InputError if the folder is empty, has another layout, or can be read in two ways;
    SettingsError if a given folder does not exist, or is given twice.

    - ``root``: an existing folder.
    - ``given``: sub-folders that are parts, as relative paths with forward slashes; "." is
      ``root``. Beside a given training part, other parts are known by their names, and whatever
      else there is is left out. Without one, the rest is read as if the given folders were not
      there.
    - ``known``: the classes of a model, for images that it is to be judged on: then no training
      part is needed.
    - The result: in natural order of part, class and name.
    """
    return _Reader(root, known).read(given or {})


class _Reader:
    """Decides what the folders of one source mean, and reads them."""

    def __init__(self, root: Path, known: Collection[str] | None) -> None:
        self.source = root
        self.known = known
        self.scan = Scan(root)
        self.listing = Listing()
        self.classes = ClassFolders(self.scan, self.listing)

    @property
    def fits(self) -> bool:
        """Whether a classifier is to be fitted: then settings may settle a doubt."""
        return self.known is None

    def read(self, given: Mapping[Part, str]) -> Listing:
        """List everything."""
        chosen = given_folders(self.scan, self.source, given)
        self.scan.taken |= {one.folder.identity for one in chosen}
        train = next((one.folder for one in chosen if one.part == "train"), None)
        if train is not None:
            named = [*chosen, *self._beside(train, given)]
            self._read_parts(named, within=self.scan.root)
        else:
            base = self._stepped_in(self.scan.root)
            found = self._parts(base)
            if found is not None:
                kept = [one for one in found if one.part not in given]
                self._read_parts([*chosen, *kept], within=base)
            elif chosen or not self.classes.read_parts_inside(base):
                self._check_repeated_inside(base)
                part: Part | None = "train" if chosen else None
                self.classes.read(base, part, settled=not self.fits)
                self._check_one_class(base)
                self._read_parts(chosen, within=None)
        self.classes.finish()
        odd = odd_endings(self.listing.left_out)
        if odd is not None:
            self.listing.notes.append(odd)
        beside = tables_beside(self.listing.left_out)
        if beside is not None:
            self.listing.notes.append(beside)
        if not self.listing.found:
            self._explain_nothing()
        return self.listing

    # ------------------------------------------------------------------ parts

    def _read_parts(self, named: list[Named], *, within: Folder | None) -> None:
        """Read part folders; with ``within``, count what else lies there."""
        # in the order of the parts, so that the classes of training are known to the others
        named = sorted(named, key=lambda one: _ORDER[one.part])
        self.scan.taken |= {one.folder.identity for one in named}
        if within is not None:
            self._count_rest(within, [one.folder for one in named])
        for one in named:
            self.listing.folders.append((one.part, one.folder.name or "."))
            self.scan.taken.discard(one.folder.identity)
            learned = {*(self.known or ()), *(found.class_name for found in self.listing.found)}
            if is_flat(self.scan, one.folder, learned):
                if self.fits and one.part == "train":
                    raise self._refused_train(one.folder)
                self._leave_out(one.folder)
            else:
                base = self._stepped_in(one.folder, learned)
                settled = not self.fits or one.folder == self.scan.root
                self.classes.read(base, one.part, settled=settled)
            self.scan.taken.add(one.folder.identity)

    def _leave_out(self, folder: Folder) -> None:
        """Count the images of a folder that has no class folders, and say so."""
        count = self.scan.count(folder)
        if count:
            self.listing.notes.append(FlatFolder(folder.name or ".", count))
            first = first_image(self.scan, folder)
            self.listing.left_out.add("outside class folders", first, count=count)
        for _, entries in self.scan.below(folder, set()):
            self.listing.left_out.merge(entries.others)

    def _count_rest(self, base: Folder, parts: list[Folder]) -> None:
        """Count what lies at ``base`` or below it and in no part."""
        left_out = self.listing.left_out
        entries = self.scan.entries(base)
        if base in parts:
            return
        left_out.merge(entries.others)
        for file in entries.files:
            left_out.add("outside the parts", file.name)
        for folder in entries.folders:
            around = any(part.name.startswith(f"{folder.name}/") for part in parts)
            flat = {one.folder for one in self.listing.notes if isinstance(one, FlatFolder)}
            count = self.scan.count(folder)
            if not count and not around:
                left_out.add("folder without images", folder.name)
            elif count and folder.name not in flat:
                left_out.add("outside the parts", first_image(self.scan, folder), count=count)

    def _beside(self, train: Folder, given: Mapping[Part, str]) -> list[Named]:
        """Parts beside a given training part that are known by their names."""
        if train.name in ("", "."):
            return []
        around = folder_at(Path(train.path).parent, train.name.rpartition("/")[0])
        folders = self.scan.folders_with_images(around)
        names = spelled_among([one.label for one in folders] + [train.label])
        found = [Named(one, names[one.label]) for one in folders if one.label in names]
        found = [one for one in found if one.part not in given and one.part != "train"]
        self._check_twice(found)
        return found

    def _parts(self, base: Folder) -> list[Named] | None:
        """Return the part folders below ``base``, or None if its sub-folders are classes.

        A class may itself be called "train", so names alone do not decide: parts hold class folders
        and no images of their own.
        """
        folders = self.scan.folders_with_images(base)
        names = spelled_among(folder.label for folder in folders)
        named = [Named(one, names[one.label]) for one in folders if one.label in names]
        rest = [folder for folder in folders if folder.label not in names]
        if not named or (self.known and all(one.label in self.known for one in folders)):
            return None
        flat = [one for one in named if is_flat(self.scan, one.folder, self.known or ())]
        nested = [
            one for one in named if holds_only_folders(self.scan, one.folder) and one not in flat
        ]
        parts = {one.part for one in named}
        if len(parts) == 1:
            if rest and len(nested) < len(named):
                return None
            if len(named) > 1 and self._twice(named):
                # test 1, test 2: classes that happen to bear such names
                return None
        repeated = {one.label for one in rest} & {
            inner.label for one in nested for inner in self.scan.folders_with_images(one.folder)
        }
        # one class among others that happens to bear such a name, unless classes repeat inside
        if rest and (len(named) == 1 or "train" not in parts) and not repeated:
            self._check_alike(nested, rest)
            return None
        if repeated:
            raise self._refused(
                f"has class folders beside {nested[0].folder.label!r}, which holds "
                f"{shorten(sorted(repeated))} too.",
                f"Move them into 'train', or name the parts: --train . {_options(nested[:1])}",
                otherwise="Move them into a part, or out of the source.",
            )
        if len(flat) == len(named):
            raise self._refused_flat(named)
        self._check_train(named, flat)
        unlabelled = [
            one for one in rest if is_unlabelled(one.label) and is_flat(self.scan, one, ())
        ]
        stray = [one.label for one in rest if one not in unlabelled]
        if stray:
            raise self._refused(
                f"has parts ({shorten([one.folder.label for one in named])}), but there are also "
                f"images in {shorten([repr(name) for name in stray])}.",
                "Move these folders into a part, or out of the source; or leave them out by naming "
                f"the parts: {_options(named)}. If all of these are classes: --train .",
                otherwise="Move these folders into a part, or out of the source.",
            )
        self._check_twice(named)
        for folder in unlabelled:
            self._leave_out(folder)
        return named

    def _check_alike(self, nested: list[Named], rest: list[Folder]) -> None:
        """Refuse train/cat beside vaild/cat or extra/cat: another part, or another class."""
        if not nested or self.known:
            return
        part = nested[0]
        inside = {one.label for one in self.scan.folders_with_images(part.folder)}
        for other in rest:
            same = inside & {one.label for one in self.scan.folders_with_images(other)}
            if same:
                as_parts = f"--{part.part} {shlex.quote(part.folder.name)}"
                option = "test" if part.part == "train" else "train"
                raise self._refused(
                    f"has {part.folder.label!r} and {other.label!r}, which hold the same folders "
                    f"({shorten(sorted(same))}).",
                    f"If both are parts, name them, such as {as_parts} --{option} "
                    f"{shlex.quote(other.name)}; if they are the classes, say so with --train .",
                )

    def _check_train(self, named: list[Named], flat: list[Named]) -> None:
        """Make sure that there is something to learn from."""
        if not self.fits:
            return
        train = [one for one in named if one.part == "train"]
        if not train:
            shown = shorten([repr(one.folder.label) for one in named])
            raise self._refused(
                f"has {shown} but no 'train' folder.",
                f"Name the training part: --train FOLDER. {LAYOUT}",
            )
        if all(one in flat for one in train):
            raise self._refused_train(train[0].folder)

    def _refused_train(self, folder: Folder) -> InputError:
        count, where = self.scan.count(folder), folder.name or "."
        return self._refused(
            f"has {count:,} images in {where!r} but no class folders there.", LAYOUT
        )

    def _check_twice(self, named: list[Named]) -> None:
        twice = self._twice(named)
        if twice is not None:
            one, other = twice
            raise self._refused(
                f"has {one.folder.label!r} and {other.folder.label!r}, which may be one "
                f"{one.part!r} part or two.",
                f"Say which it is: {_options([one])}, or {_options([other])}; another part may be "
                "named as well (--train, --val, --test).",
                otherwise="Give one of these folders alone.",
            )

    @staticmethod
    def _twice(named: list[Named]) -> tuple[Named, Named] | None:
        """Two folders of one part whose names may mean two; val and validation mean one."""
        first: dict[Part, Named] = {}
        for one in named:
            other = first.setdefault(one.part, one)
            if other.spelling != one.spelling:
                return other, one
        return None

    def _refused_flat(self, named: list[Named]) -> InputError:
        counts = [f"{one.folder.label} ({self.scan.count(one.folder):,} images)" for one in named]
        train = next((one for one in named if one.part == "train"), named[0]).folder.label
        return self._refused(
            f"has {shorten(counts)}, but no class folders inside.",
            f"If these are parts, sort their images into class folders ({train}/cat, {train}/dog) "
            "or give a table (path,label,split); if they are the classes, say so with --train .",
        )

    def _refused(self, said: str, hint: str, *, otherwise: str = LAYOUT) -> InputError:
        """Return the error; only a fit has settings that settle it."""
        return InputError(f"{self.source} {said}", hint=hint if self.fits else otherwise)

    def _check_repeated_inside(self, base: Folder) -> None:
        """Refuse cat and dog beside old/cat and old/dog: another part, or another class."""
        if not self.fits:
            return
        folders = self.scan.folders_with_images(base)
        labels = {one.label for one in folders}
        for folder in folders:
            inside = {one.label for one in self.scan.folders_with_images(folder)}
            if inside and inside <= labels and holds_only_folders(self.scan, folder):
                name = shlex.quote(folder.name)
                raise self._refused(
                    f"has class folders beside {folder.label!r}, which holds "
                    f"{shorten(sorted(inside))} too.",
                    f"If it is a part: --train . --test {name}, or --val {name}; if it is a class: "
                    "--train .",
                )

    def _check_one_class(self, base: Folder) -> None:
        """Name the inner folders where all images lie in one class: they may be the classes."""
        if not self.fits or len({found.class_name for found in self.listing.found}) != 1:
            return
        folder = next(iter(self.scan.folders_with_images(base)))
        inside = [one.label for one in self.scan.folders_with_images(folder)]
        if len(inside) > 1:
            raise self._refused(
                f"has one class folder, {folder.label!r}; a classifier needs at least two classes.",
                f"If its folders ({shorten(inside)}) are the classes: --train "
                f"{shlex.quote(folder.name)}",
            )

    # ------------------------------------------------------------------ folders around classes

    def _stepped_in(self, base: Folder, learned: Collection[str] = ()) -> Folder:
        """Return ``base``, or the folder in it that alone holds images and holds the classes."""
        inner = holder_of_classes(self.scan, base, learned or self.known)
        if inner is None:
            return base
        folder = base
        while folder != inner:
            entries = self.scan.entries(folder)
            self.listing.left_out.merge(entries.others)
            folder = only_folder(self.scan, folder) or inner
        self.classes.leave_out_masks(masks_beside(self.scan, base))
        self.listing.notes.append(InnerFolder(inner.name))
        return inner

    def _explain_nothing(self) -> None:
        root, listing = self.source, self.listing
        loose = sum(one.count for one in listing.left_out.of("outside class folders"))
        if loose:
            raise InputError(
                f"Folder {root} has {loose} images but no class folders around them.", hint=LAYOUT
            )
        if listing.unreadable:
            first = listing.unreadable[0]
            raise InputError(
                f"No image in {root} can be reached: {first.path}: {first.reason}.", hint=LAYOUT
            )
        odd = odd_endings(listing.left_out)
        hint = LAYOUT if odd is None else odd_endings_hint(odd)
        raise InputError(f"Folder {root} has no images{instead(listing.left_out)}.", hint=hint)


def _options(named: list[Named]) -> str:
    ordered = sorted(named, key=lambda one: _ORDER[one.part])
    return " ".join(f"--{one.part} {shlex.quote(one.folder.name)}" for one in ordered)


def instead(left_out: Tally) -> str:
    """Say what was found in place of images, by file name ending."""
    others = left_out.of("not an image")
    if not others:
        return ""
    shown = ", ".join(
        f"{one.count} {one.ending or 'without ending'}" + (f" ({one.really})" if one.really else "")
        for one in told(others[:3])
    )
    return f", only other files ({shown})"
