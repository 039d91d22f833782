"""What a model will predict of a source: classes, labels or columns, and what rows say of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from frostline.core.errors import InputError, SettingsError
from frostline.core.task import Task
from frostline.data.listing import Found, Listing
from frostline.data.naming import natural_key, shorten
from frostline.data.notes import GradesInOrder, Note, NothingKnown, OneSidedLabels, RareLabels
from frostline.data.sources.class_names import spelling_hint, unknown_class_hint
from frostline.data.sources.grades import order_of
from frostline.data.sources.target_choice import LabelSet


def outputs_of(source: str, listing: Listing) -> tuple[str, ...]:
    """Return the names of what is predicted, in their order.

    Classes and labels are those of the training part; no other part may add one. Raises InputError
    if one does.
    """
    if listing.outputs and listing.task != "ordinal":
        return listing.outputs
    learn = names_in(listing.found, (None, "train"))
    for part in ("val", "test"):
        extra = names_in(listing.found, (part,)) - learn
        if extra:
            names = sorted(extra, key=natural_key)
            raise InputError(
                f"{source}: {shorten([repr(name) for name in names])} in {part!r} "
                "has no images in the training part.",
                hint=spelling_hint(names, learn, known="There is")
                or "Every class needs training images.",
            )
    if listing.outputs:
        return tuple(name for name in listing.outputs if name in learn)
    return tuple(sorted(learn, key=natural_key))


def check_known(source: str, listing: Listing, classes: Sequence[str]) -> None:
    """Make sure that a model knows what images are labelled.

    Raises InputError if it does not.
    """
    unknown = (set(listing.outputs) or names_in(listing.found)) - set(classes)
    if not unknown:
        return
    names = sorted(unknown, key=natural_key)
    one, many = _WORDS[listing.task]
    raise InputError(
        f"The model does not know the {many if len(names) > 1 else one} "
        f"{shorten([repr(n) for n in names])} of {source}.",
        hint=unknown_class_hint(names, classes),
    )


_WORDS: dict[Task, tuple[str, str]] = {
    "single": ("class", "classes"),
    "multilabel": ("label", "labels"),
    "ordinal": ("grade", "grades"),
    "regression": ("column", "columns"),
}


def names_in(found: Iterable[Found], parts: Sequence[str | None] | None = None) -> set[str]:
    """Return the classes or labels that images of some parts have by name; of all for None."""
    names: set[str] = set()
    for one in found:
        if parts is None or one.part in parts:
            if isinstance(one.truth, LabelSet):
                names |= one.truth.names
            elif one.truth is None:
                names.add(one.class_name)
    return names


def name_counts(listing: Listing) -> Counter[str]:
    """Return how many images have each class or label, by name."""
    counts: Counter[str] = Counter()
    for one in listing.found:
        if isinstance(one.truth, LabelSet):
            counts.update(one.truth.names)
        elif one.truth is None:
            counts[one.class_name] += 1
    return counts


class Values:
    """What rows say of every output, as numbers; rows that say the same share them."""

    def __init__(self, listing: Listing, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._of_set: dict[LabelSet, tuple[float, ...]] = {}
        # a source may name its columns in another order than a model does, or lack some
        names = {name: i for i, name in enumerate(listing.outputs)}
        self._places = [names.get(name) for name in classes]
        self._plain = not listing.outputs or self._places == list(range(len(listing.outputs)))

    def of(self, found: Found) -> tuple[float, ...]:
        """Return 1.0, 0.0 and NaN for labels, or numbers; nothing for a class."""
        truth = found.truth
        if truth is None:
            return ()
        if isinstance(truth, LabelSet):
            own = self._of_set.get(truth)
            if own is None:
                other = 0.0 if truth.complete else math.nan
                own = tuple(1.0 if name in truth.names else other for name in self._classes)
                self._of_set[truth] = own
            return own
        if self._plain:
            return truth
        return tuple(math.nan if at is None else truth[at] for at in self._places)


def without_unknown(listing: Listing, source: object) -> list[Note]:
    """Leave out images of which nothing is known, and say how many.

    ``source``: what was read; blank cells of pandas may have meant none of the labels.
    """
    kept = [one for one in listing.found if not _is_unknown(one)]
    left = len(listing.found) - len(kept)
    if not left:
        return []
    if not kept:
        raise InputError(
            "Nothing is known of any image: every label or number is missing.",
            hint="Is it the column that is meant? Another one is named by --target.",
        )
    listing.found = kept
    return [NothingKnown(left, listing.task == "multilabel" and _of_pandas(source))]


def label_notes(listing: Listing, classes: Sequence[str]) -> list[Note]:
    """Return which labels no training image has, or none lacks, and which a single one has."""
    if listing.task != "multilabel":
        return []
    values = Values(listing, classes)
    has, lacks = Counter[int](), Counter[int]()
    learn = [one for one in listing.found if one.part in (None, "train")]
    for own, n in Counter(map(values.of, learn)).items():
        for i, value in enumerate(own):
            if value == 1.0:
                has[i] += n
            elif value == 0.0:
                lacks[i] += n
    notes: list[Note] = []
    for side, had in ((has, False), (lacks, True)):
        names = tuple(name for i, name in enumerate(classes) if not side[i])
        if names and len(names) < len(classes):
            notes.append(OneSidedLabels(names, had))
    rare = tuple(name for i, name in enumerate(classes) if has[i] == 1)
    if rare:
        notes.append(RareLabels(rare, len(classes)))
    return notes


def graded(listing: Listing, source: str) -> Listing:
    """Return the classes of folders as grades.

    Raises InputError where their names have no evident order.
    """
    listing.task = "ordinal"
    listing.outputs = order_of(sorted(names_in(listing.found)), source)
    listing.notes.append(GradesInOrder(listing.outputs))
    return listing


def refuse_folder(task: str, source: str) -> SettingsError:
    """Return the error of a folder, whose names of folders say one class."""
    return SettingsError(
        f"task={task!r} needs a table or labels in Python, but {source} is a folder of classes.",
        hint="Give a table with the columns path and labels, or path and a column of numbers.",
    )


def _of_pandas(source: object) -> bool:
    if isinstance(source, Mapping):
        return any(map(_of_pandas, source.values()))
    if isinstance(source, tuple):
        return any(map(_of_pandas, source))
    return type(source).__module__.partition(".")[0] == "pandas"


def _is_unknown(one: Found) -> bool:
    if one.truth is None:
        return False
    if isinstance(one.truth, LabelSet):
        return one.truth.unknown
    return all(map(math.isnan, one.truth))
