"""From a frozen network to the one of PyTorch with the same weights, once something must train."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError

# loading takes a second or more, and what trains is asked for often
_LOADED: WeakKeyDictionary[FrozenNetwork, Network] = WeakKeyDictionary()


def trainable(network: FrozenNetwork) -> Network:
    """Return the network of PyTorch with the same weights; a network of PyTorch is its own.

    Raises
    ------
    BackboneError
        If PyTorch reads other weights than the frozen network has.
    """
    if isinstance(network, Network):
        return network
    found = _LOADED.get(network)
    if found is None:
        found = _LOADED[network] = _load(network)
    found.read_by(network.preprocessing.reading)
    return found


def _load(network: FrozenNetwork) -> Network:
    loaded = Network.load(network.name)
    if loaded.weights_id != network.weights_id:
        # norm statistics may have been re-estimated since
        loaded = loaded.with_tensors(network.tensors())
    if loaded.weights_id != network.weights_id:
        raise BackboneError(
            f"PyTorch reads other weights of {network.name!r} than its description has.",
            hint="Reinstall frostline: pip install --force-reinstall frostline",
        )
    return loaded
