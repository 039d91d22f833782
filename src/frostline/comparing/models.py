"""What tells two models apart beside their answers: size, speed, reading, operating points."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from frostline.comparing.judged import Judged
from frostline.comparing.sides import Side
from frostline.core.comparison_record import CardDifference, ComparedModel
from frostline.core.errors import UnreadableImageError
from frostline.data.decoding.image_refs import ImageRef
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import ONNX

#: images by which speed is measured, and how often
_TIMED, _ROUNDS = 64, 3
#: outputs whose thresholds are named
_NAMED = 20


def compared_model(side: Side, speed: float | None) -> ComparedModel:
    """Describe one of the models. ``speed``: images a second, if measured."""
    card = side.card
    return ComparedModel(
        name=side.name,
        backbone=card.backbone,
        input_size=card.preprocessing.size,
        n_train=card.n_train,
        outputs=len(card.classes),
        bytes=_size(side.model),
        images_a_second=speed,
    )


def speeds(a: Side, b: Side, judged: Judged) -> tuple[float | None, float | None]:
    """Measure how many images a second each model answers here, decoding included.

    Both take turns on the same images, and the fastest of three rounds counts. None where no image
    can be read.
    """
    images = [origin for origin in judged.origins if origin is not None][:_TIMED]
    if not images:
        return None, None
    best = [0.0, 0.0]
    for _ in range(_ROUNDS):
        for place, side in enumerate((a, b)):
            started = time.perf_counter()
            answered = _answered(side.model, images)
            best[place] = max(best[place], answered / (time.perf_counter() - started))
    return best[0] or None, best[1] or None


def card_differences(a: ModelCard, b: ModelCard) -> Iterator[CardDifference]:
    """Yield what the cards say differently of how images are read and how answers follow."""
    for name, of in _FACTS.items():
        first, second = of(a), of(b)
        if first != second:
            yield CardDifference(name=name, a=first, b=second)
    if a.rule.thresholds and b.rule.thresholds:
        yield from _thresholds(a, b)


def _thresholds(a: ModelCard, b: ModelCard) -> Iterator[CardDifference]:
    theirs = dict(zip(b.classes, b.rule.thresholds, strict=True))
    for name, own in list(zip(a.classes, a.rule.thresholds, strict=True))[:_NAMED]:
        if name in theirs and f"{own:.3g}" != f"{theirs[name]:.3g}":
            yield CardDifference(
                name=f"threshold of {name}", a=f"{own:.3g}", b=f"{theirs[name]:.3g}"
            )


def _reading(card: ModelCard) -> str:
    found = card.preprocessing.model_dump(mode="json")["reading"]
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _rule(card: ModelCard) -> str:
    rule = card.rule
    if rule.costs:
        return "lowest expected cost"
    if rule.thresholds:
        return "a threshold for each label"
    factors = ", ".join(f"{factor:.3g}" for factor in rule.factors[:_NAMED])
    return f"probabilities by factors: {factors}" if factors else "the likeliest"


#: what a card says, by what it is called
_FACTS: dict[str, Callable[[ModelCard], str]] = {
    "input size": lambda card: f"{card.preprocessing.size} px",
    "resizing": lambda card: f"{card.preprocessing.resize}, {card.preprocessing.crop_pct:g}",
    "interpolation": lambda card: card.preprocessing.interpolation,
    "reading rules": _reading,
    "metric": lambda card: card.metric,
    "answers": _rule,
    "temperature": lambda card: f"{card.temperature:.3g}",
    "bound on wrong answers": lambda card: (
        "none" if card.at_most_wrong is None else f"{card.at_most_wrong:g}"
    ),
    "prediction sets": lambda card: (
        "yes" if card.sets or card.intervals or any(card.label_sets) else "no"
    ),
    "tells unknown images": lambda card: "no" if card.familiar is None else "yes",
}


def _answered(model: Model, images: Sequence[Path | ImageRef]) -> int:
    found = model.predict_each(images)
    return sum(not isinstance(one, UnreadableImageError) for one in found)


def _size(model: Model) -> int:
    """Return the bytes that answer: of the ONNX file."""
    path = model.folder / ONNX if model.folder.is_dir() else model.folder
    try:
        return path.stat().st_size
    except OSError:
        return 0
