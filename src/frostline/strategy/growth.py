"""What a race cannot show: how much of its error an option loses by its full training.

An option that starts from a random head has hardly begun after a quarter of its epochs on two
thirds of the images; a head in closed form is nearly done. In the study of decisions the ratio of
the error after full training to that in the race was alike over target sets for options of one
kind at one size, so the race's errors are multiplied by it before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from frostline.plan import Action, FullTraining, TapsHead

Kind = Literal["head", "gentle", "cut", "firm", "full"]
#: per kind, for less than 10, less than 50 and more training images in the median class
Factors = Mapping[Kind, tuple[float, float, float]]

KINDS: tuple[Kind, ...] = ("head", "gentle", "cut", "firm", "full")
BORDERS = (10.0, 50.0)

#: an option that ran for at least this share of its epochs is measured as in a final
LONG = 0.5


@dataclass(frozen=True)
class Growth:
    """Shares of the error that full training leaves, after a heat and after a final."""

    heat: Factors
    final: Factors


#: medians over the study's target sets (benchmarks/results/decision.json)
FITTED_GROWTH = Growth(
    heat={
        "head": (0.86, 0.89, 0.88),
        "gentle": (0.82, 0.81, 0.54),
        "cut": (0.74, 0.75, 0.55),
        "firm": (0.76, 0.30, 0.25),
        "full": (0.56, 0.29, 0.36),
    },
    final={
        "head": (0.86, 0.89, 0.88),
        "gentle": (0.85, 0.85, 0.85),
        "cut": (0.80, 0.80, 0.80),
        "firm": (0.70, 0.60, 0.60),
        "full": (0.70, 0.60, 0.60),
    },
)


def kind_of_action(action: Action) -> Kind:
    """Return how much an option has yet to learn, by its kind."""
    if isinstance(action, TapsHead):
        return "head"
    if action.keep_to is not None or action.new_block:
        return "cut"
    if action.head_init == "random":
        return "full"
    hot = isinstance(action, FullTraining) and action.recipe.layer_decay == 1.0
    return "firm" if hot and getattr(action, "part", "all") == "all" else "gentle"


def bucket(per_class: float) -> int:
    """Return the position of a size in a row of factors."""
    return sum(per_class >= border for border in BORDERS)


def share_left(
    action: Action, per_class: float, growth: Growth = FITTED_GROWTH, *, share: float = 1.0
) -> float:
    """Return the share of its error that an option is expected to keep, about 0 to 1.

    Parameters
    ----------
    action : Action
    per_class : float
        Training images in the median class.
    growth : Growth
    share : float in (0, 1], default=1
        Share of its epochs that the option ran for.
    """
    factors = growth.final if share >= LONG else growth.heat
    return factors[kind_of_action(action)][bucket(per_class)]
