"""Put two trained parts of a network together again."""

from __future__ import annotations

from torch import nn

from frostline.core.errors import BackboneError


def merge(plain: nn.Module, prefix: nn.Module, suffix: nn.Module, *, name: str) -> nn.Module:
    """Load the tensors of two parts into a plain copy of their network, and return it.

    Raises BackboneError if the two do not have every tensor, or disagree on one that both have.
    """
    state = dict(prefix.state_dict())
    for key, tensor in suffix.state_dict().items():
        if key in state and not state[key].equal(tensor):
            raise BackboneError(
                f"Prefix and suffix disagree on {key!r}, which both sides of the cut use.",
                hint="Train such a tensor on one side only, or split and train one network.",
            )
        state[key] = tensor
    # the module's own dictionary carries the version that some libraries look for
    complete = plain.state_dict()
    missing = [key for key in complete if key not in state]
    if missing or len(state) > len(complete):
        raise BackboneError(
            f"The parts do not make up {name}: {len(missing)} tensors missing"
            f"{f' (first: {missing[0]})' if missing else ''}.",
            hint="Give both parts of one split of this network.",
        )
    complete.update(state)
    plain.load_state_dict(complete)
    return plain
