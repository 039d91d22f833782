"""What a plan does to every layer of a network, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from frostline.backbones.network import Network
from frostline.core.errors import PlanError
from frostline.core.plan import (
    Action,
    Adapters,
    Blend,
    FullTraining,
    Plan,
    SuffixTraining,
    TapsHead,
)
from frostline.training.low_rank import adaptable_layers


@dataclass(frozen=True)
class Layers:
    """Which layers an action removes, freezes, trains and adds, by name."""

    cut: str | None
    removed: list[str]
    frozen: list[str]
    trained: list[str]
    new: list[str]

    @classmethod
    def of(cls, network: Network, action: Action) -> Layers:
        """Work out the layers from the network's cuts.

        Raises
        ------
        CutError, PlanError
            If a layer does not exist or lies on the wrong side.
        """
        if isinstance(action, Blend):
            return cls._of_all([cls.of(network, member) for member in action.members])
        if isinstance(action, TapsHead):
            top = max((network.cut(name) for name in action.taps), key=lambda c: c.position)
            freeze_to: str | None = top.name
        else:
            top = network.last if action.keep_to is None else network.cut(action.keep_to)
            freeze_to = action.freeze_to if isinstance(action, SuffixTraining) else None
            over = 0 if freeze_to is None else network.cut(freeze_to).position - top.position
            # new layers may sit on a network that is frozen all the way up
            if freeze_to is not None and (over > 0 or (over == 0 and not action.new_block)):
                raise PlanError(
                    f"freeze_to={freeze_to!r} must lie below the last kept layer {top.name!r}."
                )
        whole = top.position == network.last.position
        if freeze_to is None:
            frozen, trained = [], network.layers(to=top.name)
        elif freeze_to == top.name:
            frozen, trained = network.layers(to=top.name), []
        else:
            frozen = network.layers(to=freeze_to)
            trained = network.layers(after=freeze_to, to=top.name)
        if isinstance(action, FullTraining) and action.part == "norms":
            frozen, trained = trained, network.norm_layers(to=top.name)
        elif isinstance(action, FullTraining) and isinstance(action.part, Adapters):
            frozen, trained = trained, adaptable_layers(network.prefix(top.name))
        block = not isinstance(action, TapsHead) and action.new_block
        return cls(
            cut=None if whole else top.name,
            removed=[] if whole else network.layers(after=top.name),
            frozen=frozen,
            trained=trained,
            new=["new", "head"] if block else ["head"],
        )

    @classmethod
    def _of_all(cls, members: Sequence[Layers]) -> Layers:
        """What holds for an average: frozen or removed is what no member trains or keeps."""
        trained = _in_any(m.trained for m in members)
        frozen = [n for n in _in_any(m.frozen for m in members) if n not in trained]
        removed = [n for n in members[0].removed if all(n in m.removed for m in members)]
        cut = next((m.cut for m in members if m.removed == removed), None)
        return cls(cut, removed, frozen, trained, _in_any(m.new for m in members))


def _in_any(lists: Iterable[list[str]]) -> list[str]:
    """Every name that some list has, once, in order."""
    return list(dict.fromkeys(name for names in lists for name in names))


def redescribe(plan: Plan, network: Network) -> Plan:
    """Bring the layer lists of an edited plan in line with its action.

    Raises
    ------
    PlanError
        If the plan was made for another network.
    CutError
        If it names a layer that does not exist.
    """
    if plan.backbone != network.name:
        raise PlanError(
            f"The plan was made for the backbone {plan.backbone!r}, not {network.name!r}.",
            hint=f"Add --backbone {plan.backbone}.",
        )
    layers = Layers.of(network, plan.action)
    return plan.model_copy(
        update={
            "cut": layers.cut,
            "removed": layers.removed,
            "frozen": layers.frozen,
            "trained": layers.trained,
            "new": layers.new,
            "explanation": [*plan.explanation, "This plan was given, not decided."],
        }
    )
