"""Labels of any kind as text, one for every image; several for one image are refused."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable, shorten
from frostline.data.notes import ListsOfOne, Note, OneHotLabels, Respelled

#: letters of a text that is looked at as a list
_LONGEST_LIST = 10_000
#: how NumPy prints a row of numbers
_PRINTED = re.compile(r"\[[\d.\s+-]+\]")

#: what to call the place of a label, given its position
Place = Callable[[int], str]

#: how names of classes become missing values
LOST_NAMES = (
    "If a class is called NA, None, null or nan, pandas reads it as missing: use "
    "read_csv(..., keep_default_na=False)."
)
#: what to do where images have several labels
SEVERAL = "For several labels an image: --task multilabel, or task='multilabel' in Python."


def read_labels(
    values: Sequence[Any], place: Place, *, classes: Sequence[Any] | None = None
) -> tuple[list[str], list[Note]]:
    """Return labels as text, and what should be said about them; missing ones are blank.

    Raises InputError for several labels of one image, and for what is no label.

    ``values``: text, numbers, bytes, truth values; arrays, tensors or lists of one of these; or
    vectors of 0 with a single 1, whose place is the class. Anything may be missing. ``place``:
    names the place of a label in messages: ``"row 3"``. ``classes``: names of the classes, where
    numbers are positions among them; a negative one is missing.
    """
    plain = [value if isinstance(value, str) else _plain(value) for value in values]
    notes: list[Note] = []
    plain = _unlisted(plain, notes)
    if any(isinstance(value, (list, tuple)) for value in plain):
        plain = _marked(plain, place, notes)
    texts = [text_of_label(value, place, i, classes) for i, value in enumerate(plain)]
    notes += _respelled(plain, texts)
    return texts, notes


def _plain(value: Any) -> Any:
    """Return a value without the arrays and lists around it; several stay a list."""
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        value = value.tolist()
    if isinstance(value, (set, frozenset)):
        value = list(value)
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = _plain(value[0])
    return None if isinstance(value, (list, tuple)) and not value else value


def _unlisted(values: list[Any], notes: list[Note]) -> list[Any]:
    """Read text such as ``"['cat']"`` as the list that it is."""
    found = {
        value: parsed_list(value)
        for value in {v for v in values if isinstance(v, str) and v.strip()[:1] in ("[", "(")}
    }
    lists = {value: _plain(inner) for value, inner in found.items() if inner is not None}
    if not lists:
        return values
    read = [lists.get(value, value) if isinstance(value, str) else value for value in values]
    single = [v for v in values if isinstance(v, str) and v in lists]
    single = [v for v in single if not isinstance(lists[v], (list, tuple))]
    if single:
        notes.append(ListsOfOne(len(single), single[0], label_text(lists[single[0]])))
    return read


def parsed_list(text: str) -> list[Any] | tuple[Any, ...] | None:
    """Return the list that a text is, or None where it is none."""
    text = text.strip()
    if len(text) > _LONGEST_LIST or text[-1] not in "])":
        return None
    if _PRINTED.fullmatch(text):
        text = f"[{','.join(text[1:-1].split())}]"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        # "(0, 10)" may as well be the name of an interval
        return None
    return value if isinstance(value, (list, tuple)) else None


def _marked(values: list[Any], place: Place, notes: list[Note]) -> list[Any]:
    """Return the places of the single 1 in vectors; refuse any other lists."""
    at, first = next((i, v) for i, v in enumerate(values) if isinstance(v, (list, tuple)))
    width = len(first)
    if not all(_is_vector(value, width) for value in values if value is not None):
        items = [label_text(item) for item in first]
        raise InputError(
            f"{place(at)} has {width} labels: {shorten(items)}; expected one.", hint=SEVERAL
        )
    for i, value in enumerate(values):
        if value is not None and (value.count(1) != 1 or value.count(0) != width - 1):
            _refuse_vector(place(i), value)
    notes.append(OneHotLabels(width))
    return [None if value is None else value.index(1) for value in values]


def _is_vector(value: Any, width: int) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == width
        and all(isinstance(number, (int, float)) for number in value)
    )


def _refuse_vector(place: str, value: Sequence[float]) -> None:
    ones = value.count(1)
    if ones + value.count(0) == len(value):
        raise InputError(
            f"The label of {place} marks {ones} of {len(value)} classes.", hint=SEVERAL
        )
    raise InputError(
        f"The label of {place} is a vector of {len(value)} numbers, not a class.",
        hint="Give the class itself, such as labels.argmax(axis=1).",
    )


def text_of_label(value: Any, place: Place, i: int, classes: Sequence[Any] | None) -> str:
    """Return one label as text; blank where it is missing.

    Raises InputError for what is no label. ``value``, ``place``, ``classes``: as for
    :func:`read_labels`; ``i``: the position of the label.
    """
    if isinstance(value, str):
        return printable(value.strip())
    kind: Any = type(value)
    nameless = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    if nameless or isinstance(value, (Mapping, Image.Image)):
        raise InputError(
            f"The label of {place(i)} is a {type(value).__name__}; expected text or a number."
        )
    if isinstance(value, (int, float)) and classes is not None and value == value:
        return _class_name(value, place(i), classes)
    return printable(label_text(value))


def _class_name(number: float, place: str, classes: Sequence[Any]) -> str:
    if number < 0:
        return ""
    if int(number) != number or number >= len(classes):
        raise InputError(
            f"{place} has the class number {number:g}, but there are {len(classes)} classes."
        )
    name = classes[int(number)]
    # ImageNet names each class by several words
    return printable(", ".join(map(str, name)) if isinstance(name, tuple) else str(name))


def _respelled(values: Sequence[Any], texts: Sequence[str]) -> list[Note]:
    """Return classes whose labels differ by spaces at the ends or by composed accents."""
    changed = {t for v, t in zip(values, texts, strict=True) if isinstance(v, str) and v != t}
    if not changed:
        return []
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value, text in zip(values, texts, strict=True):
        if text in changed and isinstance(value, str):
            spellings[text][value] += 1
    groups = [
        tuple(found.most_common())
        for text, found in sorted(spellings.items())
        if text and len(found) > 1
    ]
    return [Respelled(tuple(groups))] if groups else []
