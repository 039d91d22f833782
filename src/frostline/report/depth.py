"""The layers by depth: what happens to each, and where the frost line runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from frostline.plan import EvidenceSummary, FullTraining, Plan, ProbeEvidence, TapsHead


@dataclass(frozen=True)
class Layer:
    """One layer with its fate: frozen, trained, norms (only its norm layers train), new, removed.

    ``read`` says that the new head reads its activations.
    """

    name: str
    fate: str
    read: bool = False


@dataclass(frozen=True)
class Depths:
    """The layers of a plan, first to last: those of the old network, and the new ones.

    Attributes
    ----------
    old : tuple of Layer
        Frozen, then trained, then removed.
    new : tuple of Layer
    scattered : bool
        Whether only norm layers train, at every depth: then no line divides frozen and trained.
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
    action = plan.action
    scattered = isinstance(action, FullTraining) and action.part == "norms"
    taps = action.taps if isinstance(action, TapsHead) else []
    fates = ("frozen", "removed") if scattered else ("frozen", "trained", "removed")
    old = []
    for fate in fates:
        for name in getattr(plan, fate):
            holds = scattered and fate == "frozen" and _holds(name, plan.trained)
            old.append(Layer(name, "norms" if holds else fate, _holds(name, taps)))
    return Depths(
        old=tuple(old),
        new=tuple(Layer(name, "new") for name in plan.new),
        scattered=scattered,
    )


def _holds(layer: str, names: Sequence[str]) -> bool:
    return any(name == layer or name.startswith(f"{layer}.") for name in names)


def probe_at(evidence: EvidenceSummary, tap: str) -> ProbeEvidence:
    """Return the probe of one depth; that of all depths where an edited plan names none."""
    return next((probe for probe in evidence.probes if probe.tap == tap), evidence.all_taps)
