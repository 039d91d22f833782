"""From a frozen network to the one of PyTorch with the same weights, once something must train."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from frostline.backbones.described import DescribedNetwork, Origin
from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError

_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
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
    # how files are read and made square may have been settled since
    found.preprocessing = network.preprocessing
    return found


def already_loaded(network: FrozenNetwork, loaded: Network) -> None:
    """Take a network of PyTorch, which has the same weights, for what trains."""
    _LOADED[network] = loaded


def _load(network: FrozenNetwork) -> Network:
    origin = network.origin if isinstance(network, DescribedNetwork) else Origin(network.name)
    loaded = Network.load(origin.name, weights=origin.weights, size=origin.size)
    if loaded.weights_id == network.weights_id:
        return loaded
    own, wanted = loaded.tensors(), network.tensors()
    changed = {name: value for name, value in wanted.items() if not _same(own.get(name), value)}
    # norm statistics may have been re-estimated; weights are never other ones
    if own.keys() != wanted.keys() or not all(name.endswith(_STATISTICS) for name in changed):
        raise BackboneError(
            f"PyTorch reads other weights of {network.name!r} than its description has.",
            hint="They changed on this machine; start again, or reinstall frostline.",
        )
    return loaded.with_tensors(changed)


def _same(one: Array | None, two: Array) -> bool:
    return one is not None and one.shape == two.shape and one.tobytes() == two.tobytes()
