"""Open the images of an earlier run together with more: added, relabelled, some of them removed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from frostline.core.arrays import BoolArray
from frostline.core.errors import InputError, UnreadableImageError, did_you_mean
from frostline.core.files import is_file
from frostline.core.runtime import Runtime
from frostline.core.task import Task
from frostline.data.catalog import Catalog, Part
from frostline.data.decoding.image_refs import digest_of
from frostline.data.listing import Found, Listing
from frostline.data.naming import counted, natural_key, shorten
from frostline.data.sources.grades import order_of
from frostline.data.sources.open_source import Source, list_source, source_name, take_note
from frostline.data.sources.outputs import label_notes, names_in, outputs_of
from frostline.data.sources.read_listing import read_listing
from frostline.data.sources.target_choice import LabelSet, TargetChoice


@dataclass(frozen=True)
class KnownImages:
    """The images of an earlier run, which may be gone.

    - ``source``: what they were read from.
    - ``found``: each with what was said of it by name, and the part that its source gave.
    - ``parts``: what each was used for, by name.
    - ``classes``: names of the outputs, in the run's order.
    - ``digests``: SHA-256 of each one's content, by name.
    - ``special``: digests of those that may hold values of more than 8 bits, or transparency.
    """

    source: str
    task: Task
    classes: tuple[str, ...]
    found: tuple[Found, ...]
    parts: Mapping[str, Part]
    digests: Mapping[str, str]
    special: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Changes:
    """What is to become of the images of a run.

    ``add``: more labelled images, of any kind of source. ``remove``: images by the name that they
    have in the run, classes, or files and folders of them. ``relabel``: a table of images of the
    run with what is true of them. ``resplit``: divide all images anew.
    """

    add: Source | None = None
    remove: tuple[str, ...] = ()
    relabel: Source | None = None
    resplit: bool = False


class ChangesDict(TypedDict, total=False):
    """The same as keywords."""

    add: Source | None
    remove: tuple[str, ...]
    relabel: Source | None
    resplit: bool


@dataclass(frozen=True)
class Union:
    """The images of a run after some changes.

    Attributes
    ----------
    catalog : Catalog
        Those of the run that stay, in their order, then what is new.
    known : bool ndarray of shape (n,)
        True for images that the run had.
    added, removed, relabelled, already : int
        How many images came, went and have another label; how many of the added ones the run had
        already, with the same label.
    """

    catalog: Catalog
    known: BoolArray
    added: int
    removed: int
    relabelled: int
    already: int


def open_union(
    known: KnownImages,
    changes: Changes,
    *,
    group_by: str | None = None,
    choice: TargetChoice,
    runtime: Runtime,
) -> Union:
    """List what a run has after some changes; only what is new is read.

    Raises InputError if something that is to go or to have another label is no image of the run, if
    what is added is no source or of another task, is in the run under another label, or too little
    is left to fit a classifier to.

    ``group_by`` and ``choice``: as the run read its own source.
    """
    kept = _without(known, changes.remove)
    if changes.resplit:
        kept = [replace(found, part=None) for found in kept]
    relabelled = 0
    if changes.relabel is not None:
        kept, relabelled = _relabelled(known, kept, changes.relabel, choice, runtime)
    listing, name = Listing(task=known.task), known.source
    if changes.add is not None:
        name = f"{known.source} + {source_name(changes.add)}"
        # what is new may be one class alone, and one that nobody knows yet
        listing = list_source(changes.add, group_by, runtime.progress, choice, known=frozenset())
        if listing.task != known.task:
            raise InputError(
                f"{source_name(changes.add)} is read as {listing.task}, but the run predicts "
                f"{known.task}.",
                hint="Give a source of the kind that the run was fitted to.",
            )
    whole = _merged(known, kept, listing)
    take_note(whole, changes.add, runtime.progress)
    classes = outputs_of(name, whole)
    for note in label_notes(whole, classes):
        whole.notes.append(note)
        runtime.progress.note(note)
    digests = {found.name: known.digests[found.name] for found in kept}
    catalog = read_listing(name, whole, classes, runtime, on_disk=False, digests=digests)
    is_known = np.array([row.name in digests for row in catalog.rows], dtype=bool)
    kept_digests = frozenset(digests.values())
    catalog = replace(catalog, special=catalog.special | (known.special & kept_digests))
    again = _already(catalog, is_known)
    new = np.flatnonzero(~is_known & ~again)
    catalog, is_known = catalog.only((~again).tolist()), is_known[~again]
    catalog.check()
    return Union(
        catalog,
        is_known,
        added=len(new),
        removed=len(known.found) - len(kept),
        relabelled=relabelled,
        already=int(again.sum()),
    )


def _without(known: KnownImages, remove: Sequence[str]) -> list[Found]:
    """Leave out images that are named, each by its name in the run or by a file of its content."""
    names = {found.name for found in known.found}
    gone: set[str] = set()
    for given in remove:
        named = _named(known, given, names)
        if not named:
            raise InputError(
                f"{given!r} is no image of the run.",
                hint=did_you_mean(given, names)
                or "Give its name in catalog.csv of the run, a file of its content, or a class.",
            )
        gone |= named
    left = [found for found in known.found if found.name not in gone]
    if not left:
        raise InputError(f"All {len(known.found)} images of the run would be removed.")
    return left


def _named(known: KnownImages, given: str, names: set[str]) -> set[str]:
    """Return the names that something given stands for."""
    if given in names:
        return {given}
    path = Path(given).expanduser()
    below = f"{given.rstrip('/')}/"
    inside = {name for name in names if name.startswith(below)}
    # a class is a folder of names nearly always, but below parts or in a table it is none
    inside |= {found.name for found in known.found if found.class_name == given}
    if inside:
        return inside
    if is_file(path):
        return _of_content(known, path)
    if path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if is_file(one)]
        return set().union(*(_of_content(known, one) for one in files))
    return set()


def _of_content(known: KnownImages, path: Path) -> set[str]:
    try:
        digest = digest_of(path, name=str(path))
    except UnreadableImageError:
        return set()
    return {name for name, own in known.digests.items() if own == digest}


def _relabelled(
    known: KnownImages,
    kept: Sequence[Found],
    source: Source,
    choice: TargetChoice,
    runtime: Runtime,
) -> tuple[list[Found], int]:
    """Give images what a table says of them."""
    listing = list_source(source, None, runtime.progress, choice, known=frozenset(known.classes))
    if listing.task != known.task:
        raise InputError(
            f"{source_name(source)} is read as {listing.task}, but the run predicts {known.task}."
        )
    place = {found.name: i for i, found in enumerate(kept)}
    by_digest: dict[str, list[str]] = {}
    for name, digest in known.digests.items():
        by_digest.setdefault(digest, []).append(name)
    found = list(kept)
    changed: set[str] = set()
    for one in listing.found:
        names = [one.name] if one.name in place else []
        if not names and isinstance(one.origin, Path) and is_file(one.origin):
            same = by_digest.get(digest_of(one.origin, name=one.name), [])
            names = [name for name in same if name in place]
        if not names:
            raise InputError(
                f"{source_name(source)}: {one.name!r} is no image of the run.",
                hint=did_you_mean(one.name, place),
            )
        for name in names:
            truth = _in_order(one.truth, listing.outputs, known.classes)
            before = found[place[name]]
            after = replace(before, class_name=one.class_name, truth=truth)
            if after != before:
                changed.add(name)
            found[place[name]] = after
    return found, len(changed)


def _in_order(
    truth: LabelSet | tuple[float, ...] | None, outputs: Sequence[str], wanted: Sequence[str]
) -> LabelSet | tuple[float, ...] | None:
    """Return values in another order of outputs; what is not among them is not known."""
    if not isinstance(truth, tuple) or not outputs:
        return truth
    place = {name: i for i, name in enumerate(outputs)}
    return tuple(truth[place[name]] if name in place else math.nan for name in wanted)


def _merged(known: KnownImages, kept: Sequence[Found], new: Listing) -> Listing:
    """Put images of a run before new ones, under outputs that have room for both."""
    old = list(kept)
    fresh = list(new.found)
    outputs: tuple[str, ...] = ()
    if known.task == "ordinal":
        names = names_in([*old, *fresh])
        outputs = known.classes
        if not names <= set(outputs):
            outputs = new.outputs if names <= set(new.outputs) else order_of(sorted(names), "both")
    elif known.task != "single":
        sets = any(isinstance(one.truth, LabelSet) for one in fresh) or (
            not fresh and known.task == "multilabel"
        )
        if sets:
            # a class that only new images have is one that complete sets of before lack
            old = [replace(one, truth=_as_set(one.truth, known.classes)) for one in old]
        else:
            more = [name for name in new.outputs if name not in known.classes]
            outputs = (*known.classes, *sorted(more, key=natural_key))
            old = [replace(one, truth=_in_order(one.truth, known.classes, outputs)) for one in old]
            fresh = [
                replace(one, truth=_in_order(one.truth, new.outputs, outputs)) for one in fresh
            ]
    return replace(new, found=[*old, *fresh], outputs=outputs)


def _as_set(
    truth: LabelSet | tuple[float, ...] | None, classes: Sequence[str]
) -> LabelSet | tuple[float, ...] | None:
    """Return 1.0, 0.0 and NaN as the names of labels; as they are where only some are unknown."""
    if not isinstance(truth, tuple):
        return truth
    names = frozenset(name for name, value in zip(classes, truth, strict=True) if value == 1.0)
    unknown = sum(map(math.isnan, truth))
    if unknown and unknown + len(names) < len(classes):
        raise InputError(
            "The run knows some labels of an image to be absent, and of others nothing.",
            hint="Add images with a column of 0 and 1 for each label, as the run was fitted to.",
        )
    return LabelSet(names, complete=not unknown)


def _already(catalog: Catalog, known: BoolArray) -> BoolArray:
    """Tell which new images the run has already, under the same label.

    Raises InputError if it has one under another label.
    """
    truth = {
        digest: said
        for digest, said, own in zip(catalog.digests, catalog.said, known.tolist(), strict=True)
        if own
    }
    again = np.zeros(len(catalog), dtype=bool)
    others: list[str] = []
    for i, (digest, said) in enumerate(zip(catalog.digests, catalog.said, strict=True)):
        if known[i] or digest not in truth:
            continue
        again[i] = truth[digest] == said
        if not again[i]:
            others.append(f"{catalog.rows[i].name} ({truth[digest]!r}, now {said!r})")
    if others:
        raise InputError(
            f"{counted(len(others), 'image')} of what is added "
            f"{'is' if len(others) == 1 else 'are'} in the run under another label: "
            f"{shorten(others)}.",
            hint="To correct labels give these images with --relabel.",
        )
    return again
