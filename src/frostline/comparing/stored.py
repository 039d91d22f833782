"""Two runs on the images that both judged, from what their folders keep; nothing is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostline.comparing.belonging import copies_among, joined
from frostline.comparing.judged import (
    Judged,
    Sureness,
    as_outputs,
    known_to_both,
    outputs_of,
    some_of,
    truth_as_outputs,
)
from frostline.comparing.sides import Side
from frostline.core.arrays import BoolArray, Truth
from frostline.core.comparison_record import (
    AnswersOnly,
    ImagesNotFound,
    LabelsDiffer,
    OtherOutputs,
    OutOfFold,
    TrainedOnOthersTest,
    Which,
)
from frostline.core.errors import InputError, RunFolderError, UnreadableImageError
from frostline.core.files import is_file
from frostline.data.decoding.image_refs import digest_of
from frostline.data.naming import encodable
from frostline.data.sources.other_columns import other_columns
from frostline.run.predictions import StoredPredictions, read_predictions
from frostline.run.run_folder import NUMBERS, PREDICTIONS
from frostline.stats.score_contributions import Answered

_GIVE_SOURCE = "Give labelled images that neither was trained on: --on SOURCE."


@dataclass(frozen=True)
class _Kept:
    """What one run kept, with the digest of every image; empty where that is not known."""

    side: Side
    stored: StoredPredictions
    digests: tuple[str, ...]
    truth: Truth
    answered: Answered

    @property
    def first(self) -> dict[str, int]:
        """The first row of every content."""
        found: dict[str, int] = {}
        for row, digest in enumerate(self.digests):
            if digest:
                found.setdefault(digest, row)
        return found


def shared_of(a: Side, b: Side) -> Judged:
    """Return the images that two runs judged, and neither of their models was trained on.

    Raises RunFolderError if one is no finished run or its predictions are damaged; InputError if
    they judged no image in common, or predict different things.
    """
    kept = _kept(a), _kept(b)
    target, outputs = outputs_of(a.card.target, a.card.classes, b.card.classes)
    rows_a, rows_b = kept[0].first, kept[1].first
    in_training = {
        digest
        for judge, model in (kept, kept[::-1])
        if not _cross_validated(model)
        for digest in _taught(judge, model.side)
    }
    shared = [digest for digest in rows_a if digest in rows_b and digest not in in_training]
    if not shared:
        raise InputError(
            f"{a.name} and {b.name} judged no image in common{_because(*kept)}.",
            hint=_GIVE_SOURCE,
        )
    places = [np.array([rows[d] for d in shared], dtype=np.int64) for rows in (rows_a, rows_b)]
    truths = [
        truth_as_outputs(one.truth[rows], one.side.card.classes, outputs)
        for one, rows in zip(kept, places, strict=True)
    ]
    said = [
        as_outputs(some_of(one.answered, rows), one.side.card.classes, outputs)
        for one, rows in zip(kept, places, strict=True)
    ]
    names = tuple(kept[0].stored.paths[rows_a[digest]] for digest in shared)
    origins = tuple(
        _place(a, kept[0].stored.paths[rows_a[digest]])
        or _place(b, kept[1].stored.paths[rows_b[digest]])
        for digest in shared
    )
    columns = other_columns(a.source or b.source, known=outputs)
    judged = Judged(
        target=target,
        outputs=outputs,
        names=names,
        digests=tuple(shared),
        origins=origins,
        truth=truths[0],
        groups=joined(shared, [*a.belonging(), *b.belonging()]),
        a=said[0],
        b=said[1],
        sure_a=_sure(kept[0], places[0].tolist()),
        sure_b=_sure(kept[1], places[1].tolist()),
        columns=columns,
        caveats=tuple(_caveats(*kept)),
        counts=(len(shared), len(rows_a), len(rows_b)),
    )
    return _agreed(judged, truths, a, b)


def _agreed(judged: Judged, truths: Sequence[Truth], a: Side, b: Side) -> Judged:
    """Leave out images that the runs were told different things of, or whose class one lacks."""
    first, second = truths
    same = (first == second) | ((first != first) & (second != second))
    told: BoolArray = same if same.ndim == 1 else same.all(axis=1)
    names, others = a.card.classes, b.card.classes
    both = known_to_both(judged.truth, names, others, judged.outputs)
    caveats = list(judged.caveats)
    if not told.all():
        caveats.append(LabelsDiffer(images=int((~told).sum())))
    if set(names) != set(others):
        caveats.append(
            OtherOutputs(
                only_a=tuple(name for name in names if name not in set(others)),
                only_b=tuple(name for name in others if name not in set(names)),
                images=int((told & ~both).sum()),
            )
        )
    found = judged.only(told & both)
    if not len(found):
        raise InputError(
            f"No image that {a.name} and {b.name} both judged has one label in both runs, of a "
            "class that both know.",
            hint=_GIVE_SOURCE,
        )
    missing = sum(origin is None for origin in found.origins)
    if missing:
        caveats.append(ImagesNotFound(images=missing, of=len(found)))
    return replace(found, caveats=tuple(caveats))


def _kept(side: Side) -> _Kept:
    if side.run is None:
        raise RunFolderError(
            f"{side.name} is a model without its run, so what it was judged on is not known.",
            hint="Give the folder that 'frostline fit -o' wrote, or labelled images: --on SOURCE.",
        )
    stored = read_predictions(side.run / PREDICTIONS, side.run / NUMBERS)
    card = side.card
    truth = card.target.read(stored.labels, card.classes)
    numbers = stored.numbers
    if numbers is not None and numbers.shape[1] != len(card.classes):
        numbers = None
    answered = Answered(card.target.read(stored.answers, card.classes), numbers)
    _check(side, truth, answered.decided)
    return _Kept(side, stored, _digests(side, stored.paths), truth, answered)


def _check(side: Side, truth: Truth, decided: Truth) -> None:
    unknown = (truth < 0) | (decided < 0) if truth.ndim == 1 else np.isnan(decided).any(axis=1)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0]) + 2
        raise RunFolderError(
            f"{PREDICTIONS} of {side.name} names a class that its model does not know, "
            f"in line {row}.",
            hint="Run 'frostline fit' again to make it anew.",
        )


def _digests(side: Side, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the digest of every image that was judged; runs of older versions kept none."""
    if side.rows:
        known = {row.name: row.digest for row in side.rows}
        return tuple(known.get(encodable(path), "") for path in paths)
    return tuple(_digest(_place(side, path), path) for path in paths)


def _digest(place: Path | None, name: str) -> str:
    if place is None:
        return ""
    try:
        return digest_of(place, name=name)
    except UnreadableImageError:
        return ""


def _place(side: Side, name: str) -> Path | None:
    """Return where an image of a run lies, if it is still there."""
    if (told := side.files.get(encodable(name))) is not None:
        return told if is_file(told) else None
    if side.source is None:
        return None
    folder = side.source if side.source.is_dir() else side.source.parent
    path = folder / name
    return path if is_file(path) else None


def _sure(kept: _Kept, rows: Sequence[int]) -> Sureness:
    return tuple(kept.stored.confidence[row] for row in rows)


def _because(a: _Kept, b: _Kept) -> str:
    """Say why nothing is shared, where that is known."""
    for kept in (a, b):
        if not any(kept.digests):
            return f": {kept.side.name} does not tell which images those were"
    for one, other in ((a, b), (b, a)):
        n = len(_taught(one, other.side))
        if n:
            return (
                f": {n:,} of the {len(one.first):,} images that judged {one.side.name} taught "
                f"{other.side.name}"
            )
    return ""


def _taught(kept: _Kept, other: Side) -> list[str]:
    """Return which images that judged one run taught the other model, themselves or copies."""
    if other.manifest is None:
        return []
    trained_on = {d for d, part in other.manifest.parts.items() if part != "test"}
    copies = copies_among(list(kept.first), [*kept.side.copies(), *other.copies()])
    return [d for d in kept.first if d in trained_on or copies.get(d, set()) & trained_on]


def _caveats(a: _Kept, b: _Kept) -> Iterator[TrainedOnOthersTest | OutOfFold | AnswersOnly]:
    sides: tuple[tuple[Which, _Kept, _Kept], ...] = (("b", a, b), ("a", b, a))
    for which, judge, model in sides:
        if _cross_validated(model):
            # whatever it judged, it judged out of fold
            continue
        n = len(_taught(judge, model.side))
        if n:
            yield TrainedOnOthersTest(model=which, images=n, of=len(judge.first))
    both: tuple[tuple[Which, _Kept], ...] = (("a", a), ("b", b))
    if folds := tuple(which for which, kept in both if _cross_validated(kept)):
        yield OutOfFold(models=folds)
    if bare := tuple(which for which, kept in both if kept.answered.prediction is None):
        yield AnswersOnly(models=bare)


def _cross_validated(kept: _Kept) -> bool:
    return kept.side.card.test.method == "cross-validation"
