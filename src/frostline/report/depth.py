"""The layers by depth: what happens to each, and where the frost line runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from frostline.core.plan import EvidenceSummary, Plan


@dataclass(frozen=True)
class Layer:
    """One layer with its fate: frozen, inner (only parts within it train), trained, new, removed.

    ``read`` says that the new head reads its activations.
    """

    name: str
    fate: str
    read: bool = False


@dataclass(frozen=True)
class Depths:
    """The layers of a plan, first to last: those of the old network, and the new ones.

    ``old``: as an image meets them; what was removed comes last. ``scattered``: whether parts train
    within frozen layers, such as norm layers or adapters: then no line divides frozen and trained.
    """

    old: tuple[Layer, ...]
    new: tuple[Layer, ...]
    scattered: bool

    @cached_property
    def line(self) -> int:
        """How many of the old layers lie above the frost line."""
        return 0 if self.scattered else sum(layer.fate == "frozen" for layer in self.old)

    def place(self, name: str) -> int | None:
        """Return the position of the old layer that is ``name`` or holds it."""
        return next((i for i, layer in enumerate(self.old) if _holds(layer.name, [name])), None)

    def fate(self, name: str) -> str:
        """Return the fate of a layer or of what holds it; empty for an unknown one."""
        place = self.place(name)
        return "" if place is None else self.old[place].fate

    def above_line(self, names: Sequence[str]) -> int | None:
        """Return how many of ``names``, given by depth, lie above the line; None if unknown."""
        places = [self.place(name) for name in names]
        if self.scattered or not names or None in places:
            return None
        return sum(place is not None and place < self.line for place in places)


def depths(plan: Plan) -> Depths:
    """Put the layers of a plan in the order in which an image meets them."""
    fates = {name: _fate(name, plan.trained) for name in plan.frozen}
    within = [*plan.frozen, *plan.trained]
    own = [name for name in plan.trained if not any(_inside(name, other) for other in within)]
    fates |= {name: "trained" for name in own if name not in fates}
    scattered = any(fates[name] != "frozen" for name in plan.frozen)
    names = list(fates)
    if plan.action.members:
        names = _by_depth(plan.frozen, plan.evidence) + _by_depth(
            names[len(plan.frozen) :], plan.evidence
        )
    old = [Layer(name, fates[name], _holds(name, plan.action.taps)) for name in names]
    return Depths(
        old=(*old, *(Layer(name, "removed") for name in plan.removed)),
        new=tuple(Layer(name, "new") for name in plan.new),
        scattered=scattered,
    )


def _fate(frozen: str, trained: Sequence[str]) -> str:
    if frozen in trained:
        return "trained"
    return "inner" if any(_inside(name, frozen) for name in trained) else "frozen"


def _by_depth(names: Sequence[str], evidence: EvidenceSummary | None) -> list[str]:
    """Order layers by where their norm layers lie; an average lists them member by member."""
    marks = [] if evidence is None else [layer.layer for layer in evidence.shift.layers]
    keys = []
    after = float(len(marks))
    for name in reversed(names):
        # a layer without a norm layer belongs before the one that follows it
        found = [i for i, mark in enumerate(marks) if _holds(name, [mark])]
        after = float(found[0]) if found else after - 0.01
        keys.append((after, name))
    keys.reverse()
    return [name for _, name in sorted(keys, key=lambda pair: pair[0])]


def _inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _holds(layer: str, names: Sequence[str]) -> bool:
    return any(name == layer or _inside(name, layer) for name in names)
