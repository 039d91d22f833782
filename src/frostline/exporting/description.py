"""What goes with weights, so that people can use them without Frostline: a small JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline._version import __version__
from frostline.core.preprocessing import Preprocessing
from frostline.model_format.card import ModelCard
from frostline.targets.links import Link

if TYPE_CHECKING:
    from frostline.exporting.pytorch.state import Plain


_INPUT = (
    "float32 (n, 3, {size}, {size}), RGB: {resized} ({interpolation}, antialiased), "
    "the centre {size} x {size} kept{padded}, then (value / 255 - mean) / std"
)
#: code behind the outputs of a network, and what the result is called there
_LINKED: dict[Link, tuple[str, str]] = {
    "softmax": ("probabilities", ".softmax(dim=1)"),
    "sigmoid": ("probabilities", ".sigmoid()"),
    "identity": ("values", ""),
}
_OUTPUT: dict[Link, str] = {
    "softmax": "logits (n, classes); their softmax are the calibrated probabilities",
    "sigmoid": "logits (n, labels); their sigmoids are the calibrated probabilities of each",
    "identity": "the numbers (n, columns)",
}
_ANSWER = "import numpy as np\n\nanswer = (probabilities {sign} np.array({numbers})).{best}(axis=1)"


def resized_words(preprocessing: Preprocessing) -> str:
    """Say which side is resized to how many pixels."""
    side = {"crop": "the shorter side", "squash": "both sides", "pad": "the longer side"}
    return f"{side[preprocessing.resize]} resized to {preprocessing.resize_to}"


def padded_words(preprocessing: Preprocessing) -> str:
    """Say how what is missing to a square is filled, where something is."""
    red, green, blue = preprocessing.fill
    filled = f", what is missing filled with RGB {red}, {green}, {blue} on both sides alike"
    return filled if preprocessing.resize == "pad" else ""


def describe(card: ModelCard, *, form: str, how: str, plain: Plain | None = None) -> dict[str, Any]:
    """Return what a PyTorch user must know, as JSON types.

    ``form``: ``classifier``, ``features`` or ``program``. ``how``: code that loads the file.
    ``plain``: for weights of a library's network.
    """
    preprocessing = card.preprocessing
    return {
        "frostline": __version__,
        "form": form,
        "library": None if plain is None else plain.architecture.library,
        "architecture": card.backbone if plain is None else plain.architecture.name,
        "classes": list(card.classes),
        "preprocessing": {**preprocessing.model_dump(), "resize_to": preprocessing.resize_to},
        "input": _INPUT.format(
            size=preprocessing.size,
            resized=resized_words(preprocessing),
            padded=padded_words(preprocessing),
            interpolation=preprocessing.interpolation,
        ),
        "task": card.task,
        "output": _OUTPUT[card.target.link_name],
        "load": how,
        **_answer(card),
        **_sets(card),
        "weights_licence": card.weights_licence,
        "test": card.test.to_json(),
    }


def _answer(card: ModelCard) -> dict[str, Any]:
    """How a class follows where that is not the likeliest one."""
    code = answering(card)
    return {"metric": card.metric, "answer": code} if code else {}


def _sets(card: ModelCard) -> dict[str, Any]:
    """Which classes an image may be of, or numbers it may have, where the model tells."""
    if card.intervals is not None:
        level = f"{100 * card.intervals.level:.0f}"
        reach = [None if np.isnan(radius) else radius for radius in card.intervals.reach.tolist()]
        return {f"interval_{level}": f"outputs -/+ {reach}"}
    if any(card.label_sets):
        absent, present = zip(
            *((None, None) if one is None else one.thresholds for one in card.label_sets),
            strict=True,
        )
        may = f"absent: 1 - probabilities >= {list(absent)}; present: probabilities >= "
        return {"set_95": f"{may}{list(present)}; and what is answered; None: too few images"}
    if card.sets is None:
        return {}
    least = list(card.sets.thresholds)
    return {"set_95": f"probabilities >= {least}, and the class that is answered"}


def answering(card: ModelCard) -> str:
    """Return code that finds the class for probabilities (n, classes); empty for the likeliest.

    Of several labels it finds which an image has, as truth values (n, labels).
    """
    rule = card.rule
    if card.target.link_name == "sigmoid":
        least = list(rule.thresholds) or [0.5] * len(card.classes)
        return f"import numpy as np\n\nanswer = probabilities >= np.array({least})"
    if rule.costs:
        costs = [list(row) for row in rule.costs]
        return _ANSWER.format(sign="@", numbers=costs, best="argmin")
    if rule.factors:
        return _ANSWER.format(sign="*", numbers=list(rule.factors), best="argmax")
    return ""


def as_json(description: dict[str, Any]) -> str:
    """Return a description as JSON."""
    return json.dumps(description, indent=1, ensure_ascii=False)


def loading(plain: Plain, file: str, card: ModelCard) -> str:
    """Return code that loads the weights from ``file`` without Frostline."""
    told, link = _LINKED[card.target.link_name]
    n_outputs = len(card.classes)
    library = plain.architecture.library
    if plain.form == "classifier":
        return (
            f"import {library}\n"
            "from safetensors.torch import load_file\n\n"
            f"model = {plain.architecture.code(n_outputs)}\n"
            f'model.load_state_dict(load_file("{file}"))\n'
            "model.eval()\n"
            f"{told} = model(images){link}"
        )
    return (
        f"import torch, {library}\n"
        "from safetensors.torch import load_file\n\n"
        f'state = load_file("{file}")\n'
        'weight, bias = state.pop("head.weight"), state.pop("head.bias")\n'
        f"model = {plain.architecture.code(0)}\n"
        "model.load_state_dict(state)\n"
        "model.eval()\n"
        "maps = model(images).flatten(2)\n"
        "features = torch.cat([maps.mean(2), maps.std(2, correction=0)], dim=1)\n"
        f"{told} = (features @ weight.T + bias){link}"
    )


def running(file: str, card: ModelCard) -> str:
    """Return code that runs a program without Frostline."""
    told, link = _LINKED[card.target.link_name]
    return (
        "import torch\n\n"
        f'model = torch.export.load("{file}").module()\n'
        f"{told} = model(images){link}"
    )
