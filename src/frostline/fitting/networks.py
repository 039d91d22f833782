"""Open every network that a run compares, at every size of images."""

from __future__ import annotations

from pathlib import Path

from frostline.backbones.described import described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.core.errors import BackboneError, CutError
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings

#: ``best`` also looks at images this much larger than in pretraining (224 becomes 288)
_LARGER = 9 / 7
_STEP = 32


def open_networks(settings: Settings, plan: Plan | None, runtime: Runtime) -> list[FrozenNetwork]:
    """Load every network that was named, at every input size that was asked for.

    A given plan settles the size, unless sizes are asked for. With sizes left to us, a network that
    takes only its own is kept at that, with a note. Raises BackboneError or CutError if a network
    cannot be found, or does not accept a size that was asked for.
    """
    found = []
    planned = plan is not None and plan.backbone in settings.backbones
    for name in (plan.backbone,) if plan is not None and planned else settings.backbones:
        asked = settings.input_sizes
        if not asked and plan is not None and plan.input_size:
            asked = (plan.input_size,)
        # opening a network takes a second or more, so none is opened at a size that nobody wants
        network = open_network(
            name, runtime, weights=settings.weights, size=asked[0] if asked else None
        )
        found.append(network)
        own = network.preprocessing.size
        larger = _larger(own) if settings.effort == "best" and plan is None and not asked else own
        for size in asked[1:] or (larger,):
            if size == own:
                continue
            try:
                found.append(_at(network, name, settings, size))
            except (BackboneError, CutError) as error:
                if asked:
                    raise
                runtime.progress.note(f"{name} does not take images of {size} pixels: {error}")
    return found


def open_network(
    name: str, runtime: Runtime, *, weights: Path | None = None, size: int | None = None
) -> FrozenNetwork:
    """Open a network: a bundled one as it is without PyTorch, any other in PyTorch.

    On a graphics processor, and in half precision, PyTorch runs bundled networks as well.
    """
    on_cpu = runtime.device == "cpu" and runtime.precision == "fp32"
    if name in BUNDLED and weights is None and on_cpu:
        network = described(name)
        if size in (None, network.preprocessing.size):
            return network
    from frostline.backbones.network import Network

    return Network.load(name, weights=weights, size=size)


def _at(network: FrozenNetwork, name: str, settings: Settings, size: int) -> FrozenNetwork:
    """Return the network at another size, as it would be if that alone had been asked for."""
    from frostline.backbones.load.image_sizes import made_for_one_size
    from frostline.backbones.network import Network
    from frostline.backbones.trainable import trainable

    loaded = trainable(network)
    if not made_for_one_size(loaded.module):
        return loaded.at_size(size)
    # embeddings of positions are resampled once, from those that the weights have
    return Network.load(name, weights=settings.weights, size=size)


def _larger(own: int) -> int:
    return max(own, round(own * _LARGER / _STEP) * _STEP)
