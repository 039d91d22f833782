"""Names of classes that are hard to tell apart, or that list several classes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from frostline.core.errors import did_you_mean
from frostline.data.listing import Found, Listing
from frostline.data.naming import natural_key, printable, shorten
from frostline.data.notes import Combinations, LacksClasses, Lookalikes, Note, Respelled
from frostline.data.sources.target_choice import LabelSet

#: between labels of a list, and hardly ever inside the name of one class
_STRONG = ("|", ";")
#: between labels too, but common inside names: "wolf, grey", "salt & pepper", "polar bear"
_WEAK = (",", "+", "&", "/", " ")
#: spaces and what stands for them, but for the minus sign of a number
_GAPS = re.compile(r"(?<=[^\d])[\s_-]+|[\s_-]+(?=[^\d\s_-])|^\s+|\s+$")
_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
#: digits that decimals keep apart
_DIGITS = 24


def class_notes(counts: Mapping[str, int], *, several: bool = False) -> list[Note]:
    """Return what should be said about the names of classes.

    ``counts``: images of every class. ``several``: whether images have several, so that a name is
    no list of others.
    """
    notes: list[Note] = []
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in counts:
        alike[likeness(name)].append(name)
    groups = [sorted(names, key=natural_key) for names in alike.values() if len(names) > 1]
    if groups:
        shown = (tuple((name, counts[name]) for name in names) for names in groups)
        notes.append(Lookalikes(tuple(sorted(shown, key=lambda group: natural_key(group[0][0])))))
    combined = [] if several else combinations(counts)
    if combined:
        notes.append(Combinations(tuple(combined), sum(counts[name] for name in combined)))
    return notes


def lacking(listing: Listing, classes: Sequence[str], *, judged: bool) -> list[Note]:
    """Return which classes have no image: in a validation or test part, or to judge a model on."""
    seen: defaultdict[str | None, set[str]] = defaultdict(set)
    for image in listing.found:
        truth = image.truth
        part = None if judged else image.part
        if truth is None:
            seen[part].add(image.class_name)
        elif isinstance(truth, LabelSet):
            seen[part] |= truth.names
        elif listing.task == "multilabel":
            names = zip(listing.outputs, truth, strict=True)
            seen[part] |= {name for name, value in names if value == 1.0}
    notes: list[Note] = []
    for part in (None,) if judged else ("val", "test"):
        missing = tuple(name for name in classes if name not in seen[part])
        if seen[part] and missing:
            notes.append(LacksClasses(part, missing, len(classes)))
    return notes


def respelled_folders(root: Path, found: Iterable[Found]) -> list[Note]:
    """Return classes of several folders whose names compose accented letters in another way."""
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image in found:
        if not image.class_name.isascii() and isinstance(image.origin, Path):
            parts = image.origin.parts[len(root.parts) :]
            written = next((part for part in parts if printable(part) == image.class_name), None)
            if written is not None:
                spellings[image.class_name][written] += 1
    groups = [
        tuple(written.most_common()) for _, written in sorted(spellings.items()) if len(written) > 1
    ]
    return [Respelled(tuple(groups))] if groups else []


def likeness(name: str) -> str:
    """Return a text that is the same for names which a reader would take for one."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    number = text.strip()
    if _NUMBER.fullmatch(number) and len(number) <= _DIGITS:
        return f"number {Decimal(number).normalize()}"
    return _ZEROS.sub("", _GAPS.sub("", text))


def combinations(names: Iterable[str]) -> list[str]:
    """Return the names that seem to list several classes, in natural order.

    ``"a|b"`` does beside ``"a"`` or ``"a|c"``; a name that merely holds such a sign does not.
    Signs that names of single classes often hold must join nothing but names of other classes.
    """
    known = set(names)
    found: set[str] = set()
    for sign in (*_STRONG, *_WEAK):
        split = {name: _pieces(name, sign) for name in known if sign in name}
        split = {name: pieces for name, pieces in split.items() if len(pieces) > 1}
        uses = Counter(piece for pieces in split.values() for piece in pieces)
        if sign in _WEAK:
            listed = {name for name, pieces in split.items() if pieces <= known}
        else:
            listed = {
                name
                for name, pieces in split.items()
                if any(piece in known or uses[piece] > 1 for piece in pieces)
            }
        # one name of two words, such as "white rice" beside "white" and "rice", is no list
        if sign != " " or len(listed) > 1:
            found |= listed
    return sorted(found, key=natural_key)


def _pieces(name: str, sign: str) -> set[str]:
    return {piece.strip() for piece in name.split(sign)} - {""}


def unknown_class_hint(unknown: Sequence[str], classes: Sequence[str]) -> str:
    """Return what may have become of classes that a model does not know."""
    return spelling_hint(unknown, classes, known="It knows") or (
        f"It knows {shorten([repr(name) for name in classes], limit=12)}."
    )


def spelling_hint(unknown: Sequence[str], classes: Iterable[str], *, known: str) -> str:
    """Return which class is meant by names that are none, if one looks alike; else nothing."""
    classes = list(classes)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[likeness(name)].append(name)
    for name in unknown:
        for other in alike.get(likeness(name), ()):
            if _is_number(name) and _is_number(other):
                return (
                    f"{known} {other!r}. Zeros get lost where labels are read as numbers: in "
                    "pandas use read_csv(..., dtype=str), in a spreadsheet format them as text."
                )
            return f"{known} {other!r}, which differs only by case, spaces or signs."
    return did_you_mean(unknown[0], classes)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None
