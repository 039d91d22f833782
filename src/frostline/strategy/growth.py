"""What a short first rung cannot show: how far an option still is from its full training.

An option that starts from a random head has hardly begun after a quarter of its epochs on two
thirds of the images; a head in closed form is nearly done. In the study of decisions the way from
the probability that an option gave to the true class in the first rung to its accuracy after full
training was alike over target sets, in logits, for options of one kind at one size; so that much
is added before options are compared with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from frostline.core.actions import Action, LayerTraining

Kind = Literal["head", "gentle", "cut", "firm", "full"]
#: per kind, for less than 10, less than 50 and more training images in the median class
Growth = Mapping[Kind, tuple[float, float, float]]

KINDS: tuple[Kind, ...] = ("head", "gentle", "cut", "firm", "full")
BORDERS = (10.0, 50.0)

#: medians over the study's target sets, in logits (benchmarks/results/decision.json)
FITTED_GROWTH: Growth = {
    "head": (1.14, 0.82, 0.63),
    "gentle": (0.98, 1.07, 1.27),
    "cut": (1.53, 1.38, 1.25),
    "firm": (1.22, 1.73, 1.34),
    "full": (2.04, 2.09, 1.42),
}

#: a probability is not taken to be nearer to 0 or 1 than this
_EDGE = 0.02


def kind_of_action(action: Action) -> Kind:
    """Return how much an option has yet to learn, by its kind."""
    return action.dispatch(head=lambda _: "head", layers=_kind_of_training, blend=lambda _: "head")


def _kind_of_training(action: LayerTraining) -> Kind:
    if action.cut is not None or action.new_block:
        return "cut"
    if action.head_init == "random":
        return "full"
    return "firm" if action.trains_all and action.recipe.layer_decay == 1.0 else "gentle"


def bucket(per_class: float) -> int:
    """Return the position of a size in a row of factors."""
    return sum(per_class >= border for border in BORDERS)


def extrapolate(
    sure: float, action: Action, per_class: float, growth: Growth = FITTED_GROWTH
) -> float:
    """Return the accuracy that an option promises after the first rung, in (0, 1).

    ``sure``: mean probability that it gave to the true class in the first rung. ``per_class``:
    training images in the median class.
    """
    promised = logit(sure) + growth[kind_of_action(action)][bucket(per_class)]
    return 1.0 / (1.0 + math.exp(-promised))


def logit(share: float) -> float:
    """Return log(p / (1 - p)), with p kept off 0 and 1."""
    kept = min(max(share, _EDGE), 1.0 - _EDGE)
    return math.log(kept / (1.0 - kept))
