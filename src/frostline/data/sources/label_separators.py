"""What stands between the labels of one image, found out from all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from frostline.core.errors import InputError, SettingsError
from frostline.data.naming import shorten

#: between labels of a list, and hardly ever inside a name
STRONG = ("|", ";")
#: between labels too, but common inside names: "wolf, grey", "salt & pepper", "polar bear"
WEAK = (",", "+", "&", "/", " ")


def found_separator(texts: Iterable[str], title: str, *, sure: bool) -> str | None:
    """Return what stands between labels, or None where each text is one.

    A sign that names may hold as well is one where more than half of the texts with it consist of
    labels that other texts have too. Raises InputError where two signs may be meant.

    ``texts``: of the images; each counts once. ``title``: what to call the column in messages.
    ``sure``: whether it is known that images may have several labels; then a comma needs no proof.
    """
    distinct = set(texts)
    strong = [sign for sign in STRONG if any(sign in text for text in distinct)]
    if len(strong) > 1:
        examples = [next(text for text in sorted(distinct) if sign in text) for sign in strong]
        raise InputError(
            f"{title} has labels with {' and with '.join(map(repr, strong))} in them: "
            f"{shorten([repr(text) for text in examples])}. Either may stand between labels.",
            hint=f"Say which does: --label-separator {strong[0]!r}, or label_separator= in Python.",
        )
    if strong:
        return strong[0]
    for sign in WEAK:
        if _is_proven(distinct, sign):
            return sign
    return "," if sure and any("," in text for text in distinct) else None


def check_separator(texts: Iterable[str], separator: str, title: str) -> None:
    """Refuse a separator that no text has, where another one seems to be meant.

    Raises SettingsError.
    """
    distinct = set(texts)
    if any(separator in text for text in distinct):
        return
    other = next(
        (s for s in STRONG if any(s in text for text in distinct)),
        next((s for s in WEAK if _is_proven(distinct, s)), None),
    )
    if other is not None:
        example = next(text for text in sorted(distinct) if other in text)
        raise SettingsError(
            f"label_separator={separator!r} is in no label of {title}; {example!r} has {other!r}.",
            hint=f"Use {other!r}, or leave it out.",
        )


def split_labels(text: str, separator: str | None) -> list[str]:
    """Return the labels of a text, without the space around them; blank ones are none."""
    pieces = [text] if separator is None else text.split(separator)
    return [piece for piece in map(str.strip, pieces) if piece]


def _is_proven(texts: set[str], sign: str) -> bool:
    """Whether most texts with a sign consist of labels that other texts have as well."""
    split = {text: set(split_labels(text, sign)) for text in texts}
    several = [pieces for pieces in split.values() if len(pieces) > 1]
    uses = Counter(piece for pieces in split.values() for piece in pieces)
    listed = sum(all(uses[piece] > 1 for piece in pieces) for pieces in several)
    # one text of two words, such as "white rice" beside "white" and "rice", proves nothing
    return listed > len(several) / 2 and (sign != " " or listed > 1)
