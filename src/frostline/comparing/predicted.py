"""Two models on labelled images that both predict now."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from frostline.comparing.belonging import copies_among, joined
from frostline.comparing.judged import (
    Judged,
    Sureness,
    as_outputs,
    known_to_both,
    outputs_of,
    truth_as_outputs,
)
from frostline.comparing.sides import Side
from frostline.core.arrays import BoolArray, FloatArray, Truth
from frostline.core.audit_record import UnreadableImage
from frostline.core.comparison_record import (
    ComparisonCaveat,
    LeftOutAsTaught,
    OtherOutputs,
    TrainingUnknown,
    Which,
)
from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import Source, open_for_evaluation, source_name
from frostline.data.sources.other_columns import other_columns
from frostline.model.prediction import Prediction
from frostline.stats.score_contributions import Answered


@dataclass(frozen=True)
class _Said:
    """What a model said of the images that it could read, and of which it could not."""

    rows: dict[int, Prediction]
    reasons: dict[int, str]


def predicted_on(a: Side, b: Side, source: Source, runtime: Runtime) -> Judged:
    """Let both models predict labelled images that neither was trained on.

    Raises InputError if the source has no labels that both know, no image can be read, or every
    image taught one of the models.
    """
    target, outputs = outputs_of(a.card.target, a.card.classes, b.card.classes)
    every = tuple(dict.fromkeys([*a.card.classes, *b.card.classes]))
    name = source_name(source)
    catalog = open_for_evaluation(source, every, task=a.card.task, runtime=runtime)
    unreadable = [UnreadableImage(path=one.path, reason=one.reason) for one in catalog.unreadable]
    caveats: list[ComparisonCaveat] = list(_what_is_known(a, b))
    catalog, left_out = _strangers(catalog, a, b, name)
    caveats += [] if left_out is None else [left_out]
    truth = truth_as_outputs(catalog.truth, every, outputs)
    both = known_to_both(truth, a.card.classes, b.card.classes, outputs)
    if set(a.card.classes) != set(b.card.classes):
        caveats.append(_other_outputs(a, b, int((~both).sum())))
    if not both.any():
        raise InputError(f"No image of {name} is of a class that both models know.")
    catalog = catalog.only(both.tolist())
    said = _said(a, catalog, runtime), _said(b, catalog, runtime)
    reasons = said[0].reasons | said[1].reasons
    unreadable += [
        UnreadableImage(path=catalog.rows[i].name, reason=reasons[i]) for i in sorted(reasons)
    ]
    read = [i for i in range(len(catalog)) if i not in reasons]
    if not read:
        raise InputError(f"No image of {name} could be read by both models.")
    answered = _answered(a, said[0], read, outputs), _answered(b, said[1], read, outputs)
    wanted = set(read)
    catalog = catalog.only([i in wanted for i in range(len(catalog))])
    return Judged(
        target=target,
        outputs=outputs,
        names=tuple(row.name for row in catalog.rows),
        digests=catalog.digests,
        origins=tuple(row.origin for row in catalog.rows),
        truth=truth_as_outputs(catalog.truth, every, outputs),
        groups=joined(catalog.digests, [*_groups_of(catalog), *a.belonging(), *b.belonging()]),
        a=answered[0],
        b=answered[1],
        sure_a=_sure(said[0], read),
        sure_b=_sure(said[1], read),
        columns=other_columns(source, known=every),
        unreadable=tuple(unreadable),
        caveats=tuple(caveats),
        source=name,
    )


def _said(side: Side, catalog: Catalog, runtime: Runtime) -> _Said:
    rows: dict[int, Prediction] = {}
    reasons: dict[int, str] = {}
    images = [row.origin for row in catalog.rows]
    with runtime.progress.task("classifying", len(images)) as bar:
        for i, result in enumerate(side.model.predict_each(images)):
            if isinstance(result, UnreadableImageError):
                reasons[i] = result.reason
            else:
                rows[i] = result
            bar.advance()
            runtime.cancel.check()
    return _Said(rows, reasons)


def _answered(side: Side, said: _Said, read: list[int], outputs: tuple[str, ...]) -> Answered:
    numbers: FloatArray = np.stack([said.rows[i].probabilities for i in read])
    decided: Truth = side.card.decide(numbers)
    return as_outputs(Answered(decided, numbers), side.card.classes, outputs)


def _sure(said: _Said, read: list[int]) -> Sureness:
    found = [said.rows[i].confidence for i in read]
    return tuple(None if math.isnan(one) else one for one in found)


def _groups_of(catalog: Catalog) -> Iterator[tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row, digest in zip(catalog.rows, catalog.digests, strict=True):
        if row.group is not None:
            found.setdefault(row.group, []).append(digest)
    yield from map(tuple, found.values())


def _strangers(
    catalog: Catalog, a: Side, b: Side, name: str
) -> tuple[Catalog, LeftOutAsTaught | None]:
    """Leave out images that taught either model, themselves or as copies that a run knows of."""
    exact: list[BoolArray] = []
    near: list[BoolArray] = []
    copies = copies_among(catalog.digests, [*a.copies(), *b.copies()])
    for side in (a, b):
        parts = {} if side.manifest is None else side.manifest.parts
        trained_on = {digest for digest, part in parts.items() if part != "test"}
        exact.append(np.array([d in trained_on for d in catalog.digests], dtype=bool))
        near.append(
            np.array([bool(copies.get(d, set()) & trained_on) for d in catalog.digests], dtype=bool)
        )
    in_training = [one | other for one, other in zip(exact, near, strict=True)]
    either = in_training[0] | in_training[1]
    if not either.any():
        return catalog, None
    if either.all():
        raise InputError(
            f"Every image of {name} taught one of the models, so no comparison on them would be "
            f"honest: {int(in_training[0].sum()):,} taught {a.name}, "
            f"{int(in_training[1].sum()):,} {b.name}.",
            hint="Give other images.",
        )
    found = LeftOutAsTaught(
        a=int(in_training[0].sum()),
        b=int(in_training[1].sum()),
        images=int(either.sum()),
        copies=int((either & ~(exact[0] | exact[1])).sum()),
    )
    return catalog.only((~either).tolist()), found


def _other_outputs(a: Side, b: Side, images: int) -> OtherOutputs:
    names, others = a.card.classes, b.card.classes
    return OtherOutputs(
        only_a=tuple(name for name in names if name not in set(others)),
        only_b=tuple(name for name in others if name not in set(names)),
        images=images,
    )


def _what_is_known(a: Side, b: Side) -> Iterator[TrainingUnknown]:
    both: tuple[tuple[Which, Side], ...] = (("a", a), ("b", b))
    unknown = tuple(which for which, side in both if side.manifest is None)
    if unknown:
        yield TrainingUnknown(models=unknown)
