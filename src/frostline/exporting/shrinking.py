"""Find the 8-bit form of a network that loses little, and measure what it loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from frostline.core.arrays import BoolArray, Truth
from frostline.core.errors import InputError
from frostline.core.machine import available_cores
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import UInt8Array
from frostline.exporting.agreement import differences, same_answers
from frostline.exporting.exported import Loss
from frostline.exporting.int8 import Recipe, is_quantised, layers_in_float, quantise, recipes_for
from frostline.exporting.origin import Origin
from frostline.exporting.samples import Samples, labelled
from frostline.model.model import Probabilities
from frostline.model_format.card import ModelCard
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.session import INPUT, told_by

if TYPE_CHECKING:
    import onnx

#: images that set ranges, at most, and the fewest that are divided between setting and judging
_CALIBRATED, _ENOUGH = 128, 40
#: a recipe is taken when at most this share of images changes its answer, and so much accuracy goes
_CHANGED, _LOST = 0.02, 0.005
#: beyond this share of changed answers, a file is worth nothing
_WORTHLESS = 0.2
_BATCH = 16


@dataclass(frozen=True)
class _Judges:
    """The images that judge every form, and what the float32 file says of them, shape (n, k)."""

    card: ModelCard
    before: Probabilities
    truth: Truth
    learned: BoolArray | None
    calibrated_on: int
    apart: bool


@dataclass(frozen=True)
class _Tried:
    model: onnx.ModelProto
    loss: Loss

    @property
    def changed(self) -> float:
        return 1 - self.loss.same_class / self.loss.judged_on

    @property
    def lost(self) -> float:
        before, after = self.loss.accuracy_before, self.loss.accuracy
        return 0.0 if before is None or after is None else before - after


def shrink(
    origin: Origin, graph: onnx.ModelProto, samples: Samples | None
) -> tuple[onnx.ModelProto, Loss]:
    """Return the fastest 8-bit form that loses little, or else the one that loses least.

    Raises InputError if the model is 8 bits wide already, there is no real image, or every form
    changes the answer for more than a fifth of the images.

    ``graph``: its ONNX model. ``samples``: real images; from 40 on, those that set the ranges are
    others than those that judge.
    """
    if is_quantised(graph):
        raise InputError(
            f"{origin.given} is 8 bits wide already.", hint="Give the run, or a float32 export."
        )
    if samples is None:
        raise InputError(
            f"The images that {origin.given} was judged on are not where they were; 8 bits need "
            "images to set the range of every layer.",
            hint="Name a folder of such images: --images FOLDER.",
        )
    first = min(_CALIBRATED, len(samples) // 2) if len(samples) >= _ENOUGH else len(samples)
    apart = len(samples) >= _ENOUGH
    judging = slice(first, None) if apart else slice(None)
    images = samples.prepared[judging]
    judges = _Judges(
        card=origin.model.card,
        before=_probabilities(origin, graph, images),
        truth=samples.truth[judging],
        learned=None if samples.learned is None else samples.learned[judging],
        calibrated_on=first,
        apart=apart,
    )
    tried: list[_Tried] = []
    for recipe in recipes_for(graph):
        smaller = quantise(graph, samples.prepared[:first], origin.model.card.preprocessing, recipe)
        after = _probabilities(origin, smaller, images)
        loss = _loss(recipe, graph, smaller, judges, after)
        tried.append(_Tried(smaller, loss))
        if tried[-1].changed <= max(_CHANGED, 1 / len(images)) and tried[-1].lost <= _LOST:
            break
    best = min(tried, key=lambda t: (round(t.lost, 3), t.changed))
    if best.changed > _WORTHLESS:
        raise InputError(
            f"With 8 bits {best.changed:.0%} of {len(images)} images change their answer: this "
            "network does not bear it. Nothing was written.",
            hint="Export it without --quantize.",
        )
    return best.model, best.loss


def _loss(
    recipe: Recipe,
    graph: onnx.ModelProto,
    smaller: onnx.ModelProto,
    judges: _Judges,
    after: Probabilities,
) -> Loss:
    """Compare two files on the same images.

    Accuracy is counted only on images that the model surely did not learn from: the others it
    knows by heart, in 8 bits as well.
    """
    in_float, layers = layers_in_float(smaller)
    before, truth, learned = judges.before, judges.truth, judges.learned
    difference = differences(before, after, judges.card)
    known = labelled(truth)
    fresh = known & (False if learned is None else ~learned)
    some, accuracy = bool(fresh.any()), judges.card.target.accuracy
    return Loss(
        recipe=recipe.name,
        layers_in_float=in_float,
        layers=layers,
        calibrated_on=judges.calibrated_on,
        judged_on=len(truth),
        apart=judges.apart,
        same_class=int(same_answers(before, after, judges.card).sum()),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        labelled=int(known.sum()),
        learned_from=None if learned is None else int(learned.sum()),
        tested_on=int(fresh.sum()),
        accuracy_before=accuracy(before[fresh], truth[fresh]) if some else None,
        accuracy=accuracy(after[fresh], truth[fresh]) if some else None,
        bytes_before=graph.ByteSize(),
    )


def _probabilities(origin: Origin, model: onnx.ModelProto, images: UInt8Array) -> Probabilities:
    session = open_session(model.SerializeToString(), threads=available_cores())
    canvas = origin.model.card.preprocessing
    first = told_by(session)
    parts = [
        session.run([first], {INPUT: on_canvas(images[i : i + _BATCH], canvas)})[0]
        for i in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)
