"""What the names of parts mean: one reading for folders, cells of tables and keys of dicts."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from frostline.data.catalog import Part

#: words that name a part, and the word that each is another form of. Hugging Face's datasets read
#: dev as validation and eval as test, and so does this.
_WORDS: dict[str, tuple[Part, str]] = {
    **dict.fromkeys(("train", "training", "trn"), ("train", "train")),
    **dict.fromkeys(("trainval", "trainvalid"), ("train", "trainval")),
    **dict.fromkeys(("val", "valid", "validation"), ("val", "val")),
    **dict.fromkeys(("dev", "devel", "development"), ("val", "dev")),
    **dict.fromkeys(("test", "testing", "tst"), ("test", "test")),
    **dict.fromkeys(("eval", "evaluation"), ("test", "eval")),
    **dict.fromkeys(("holdout", "heldout"), ("test", "holdout")),
}
#: words beside them that add nothing: training_set, train_images, TRAIN-DATA
_NEUTRAL = frozenset(
    (
        *("set", "sets", "data", "dataset", "datasets", "files", "sample", "samples", "subset"),
        *("image", "images", "img", "imgs", "pic", "pics", "picture", "pictures", "photo"),
        *("photos", "folder", "folders", "dir", "part", "split", "splits", "raw", "resized"),
        *("cropped", "original", "originals", "processed", "final", "labeled", "labelled"),
        *("jpg", "jpeg", "png", "rgb"),
    )
)
#: words for what has no labels: nobody learns from it, nobody is judged by it
_UNLABELLED = frozenset(
    (
        *("pred", "predict", "prediction", "predictions", "inference", "submission"),
        *("unlabeled", "unlabelled", "unsup", "unsupervised"),
    )
)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: the plainest names, for hints
PART_NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a name says which part it is: the part, the word, and what stands beside the word.

    Two names of one part with another word or another rest (eval and test, train1 and train2) need
    not mean the same.
    """

    part: Part
    word: str
    rest: tuple[str, ...]


def part_of(name: str) -> Part | None:
    """Return the part that a name means, or None: Training, test_set and DEV are understood."""
    spelling = spelled(name)
    return None if spelling is None else spelling.part


@lru_cache(4096)
def spelled(name: str) -> Spelling | None:
    """Return how a name says which part it is; None for names of anything else."""
    spelling = _with_any_rest(name)
    if spelling is None or not all(word.isdigit() for word in spelling.rest):
        return None
    return spelling


def spelled_among(names: Iterable[str]) -> dict[str, Spelling]:
    """Return which of several folders that lie side by side are parts.

    Beside the names that :func:`spelled` knows, these are those that differ in nothing but the
    part, one of which is a training part: seg_train and seg_test, dogs-train and dogs-val.
    """
    known: dict[str, Spelling] = {}
    alike: dict[tuple[str, ...], dict[str, Spelling]] = defaultdict(dict)
    for name in names:
        if (clear := spelled(name)) is not None:
            known[name] = clear
        elif (guess := _with_any_rest(name)) is not None:
            alike[tuple(word for word in guess.rest if not word.isdigit())][name] = guess
    for group in alike.values():
        parts = {spelling.part for spelling in group.values()}
        if "train" in parts and len(parts) > 1:
            known |= group
    return known


def differently_spelled(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that are one part in words that may mean two, or None."""
    first: dict[Part, tuple[str, Spelling]] = {}
    for name in names:
        spelling = spelled(name)
        if spelling is None:
            continue
        other, known = first.setdefault(spelling.part, (name, spelling))
        if known != spelling:
            return other, name
    return None


def is_unlabelled(name: str) -> bool:
    """Whether a name says that what it holds has no labels, such as seg_pred or unlabeled."""
    return any(word in _UNLABELLED for word in _words(name))


def is_neutral(name: str) -> bool:
    """Whether a name says nothing but that there are images, such as images or data."""
    words = _words(name)
    return bool(words) and all(word in _NEUTRAL or word.isdigit() for word in words)


def _with_any_rest(name: str) -> Spelling | None:
    words = [word for word in _words(name) if word not in _NEUTRAL]
    named = [word for word in words if word in _WORDS]
    rest = tuple(word for word in words if word not in _WORDS)
    meanings = list(dict.fromkeys(_WORDS[word] for word in named))
    if [part for part, _ in meanings] == ["train", "val"]:
        return Spelling("train", "trainval", rest)
    if not meanings and rest[-2:] in (("hold", "out"), ("held", "out")):
        return Spelling("test", "holdout", rest[:-2])
    return Spelling(*meanings[0], rest) if len(meanings) == 1 else None


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case: test_set, TestSet and testset are test, set."""
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", name)):
        lower = word.lower()
        if lower in _WORDS or lower in _NEUTRAL or word.isdigit():
            found.append(lower)
        elif glued := _unglued(lower):
            found += glued
        else:
            found += [piece.lower() for piece in _CAMEL.findall(word)] or [lower]
    return found


def _unglued(word: str) -> list[str]:
    """Return the two words of trainset or testimages; none of other words."""
    for end in range(3, len(word) - 2):
        if word[:end] in _WORDS and word[end:] in _NEUTRAL:
            return [word[:end], word[end:]]
    return []
