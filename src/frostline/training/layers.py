"""What a plan does to every layer of a network, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.actions import Action, Single
from frostline.core.errors import PlanError
from frostline.core.plan import Plan
from frostline.core.reasons import Given


@dataclass(frozen=True)
class Layers:
    """Which layers an action removes, freezes, trains and adds, by name."""

    cut: str | None
    removed: list[str]
    frozen: list[str]
    trained: list[str]
    new: list[str]

    @classmethod
    def of(cls, network: FrozenNetwork, action: Action) -> Layers:
        """Work out the layers from the network's cuts.

        Raises CutError or PlanError if a layer does not exist or lies on the wrong side.
        """
        return action.dispatch(
            head=lambda one: cls._of_one(network, one),
            layers=lambda one: cls._of_one(network, one),
            blend=lambda all_: cls._of_all([cls._of_one(network, one) for one in all_.members]),
        )

    @classmethod
    def _of_one(cls, network: FrozenNetwork, action: Single) -> Layers:
        top = network.last if action.cut is None else network.cut(action.cut)
        top = max([network.cut(name) for name in action.taps] or [top], key=lambda c: c.position)
        freeze_to = top.name if action.closed_form else action.frozen_to
        if action.frozen_to is not None:
            over = network.cut(action.frozen_to).position - top.position
            # new layers may sit on a network that is frozen all the way up
            if over > 0 or (over == 0 and not action.new_block):
                raise PlanError(
                    f"freeze_to={freeze_to!r} must lie below the last kept layer {top.name!r}."
                )
        later = action.frozen_later
        if later is not None and network.cut(later.freeze_to).position >= top.position:
            raise PlanError(
                f"freeze_later: {later.freeze_to!r} must lie below the last kept layer "
                f"{top.name!r}."
            )
        whole = top.position == network.last.position
        if freeze_to is None:
            frozen, trained = [], network.layers(to=top.name)
        elif freeze_to == top.name:
            frozen, trained = network.layers(to=top.name), []
        else:
            frozen = network.layers(to=freeze_to)
            trained = network.layers(after=freeze_to, to=top.name)
        if action.norms_only:
            frozen, trained = trained, network.norm_layers(to=top.name)
        elif action.adapters is not None:
            frozen, trained = trained, _adaptable(network, top.name)
        return cls(
            cut=None if whole else top.name,
            removed=[] if whole else network.layers(after=top.name),
            frozen=frozen,
            trained=trained,
            new=["new", "head"] if action.new_block else ["head"],
        )

    @classmethod
    def _of_all(cls, members: Sequence[Layers]) -> Layers:
        """What holds for an average: frozen or removed is what no member trains or keeps."""
        trained = _in_any(m.trained for m in members)
        frozen = [n for n in _in_any(m.frozen for m in members) if n not in trained]
        removed = [n for n in members[0].removed if all(n in m.removed for m in members)]
        cut = next((m.cut for m in members if m.removed == removed), None)
        return cls(cut, removed, frozen, trained, _in_any(m.new for m in members))


def _adaptable(network: FrozenNetwork, cut: str) -> list[str]:
    from frostline.backbones.trainable import trainable
    from frostline.training.low_rank import adaptable_layers

    return adaptable_layers(trainable(network).prefix(cut))


def _in_any(lists: Iterable[list[str]]) -> list[str]:
    """Every name that some list has, once, in order."""
    return list(dict.fromkeys(name for names in lists for name in names))


def with_layers(plan: Plan, network: FrozenNetwork) -> Plan:
    """Name in a plan the layers that its action removes, freezes, trains and adds.

    Raises CutError or PlanError if a layer does not exist or lies on the wrong side.
    """
    layers = Layers.of(network, plan.action)
    return plan.model_copy(
        update={field.name: getattr(layers, field.name) for field in fields(layers)}
    )


def redescribe(plan: Plan, network: FrozenNetwork) -> Plan:
    """Bring the layer lists of an edited plan in line with its action.

    Raises PlanError if the plan was made for another network; CutError if it names a layer that
    does not exist.
    """
    if plan.backbone != network.name:
        raise PlanError(
            f"The plan was made for the backbone {plan.backbone!r}, not {network.name!r}.",
            hint=f"Add --backbone {plan.backbone}.",
        )
    found = with_layers(plan, network)
    return found.model_copy(update={"reasons": [*plan.reasons, Given()]})
