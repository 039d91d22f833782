"""Open every network that a run compares, at every size of images."""

from __future__ import annotations

from frostline.backbones.load.image_sizes import made_for_one_size
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, CutError
from frostline.core.plan import Plan
from frostline.core.progress import Progress
from frostline.core.settings import Settings

#: ``best`` also looks at images this much larger than in pretraining (224 becomes 288)
_LARGER = 9 / 7
_STEP = 32


def open_networks(settings: Settings, plan: Plan | None, progress: Progress) -> list[Network]:
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
        network = Network.load(name, weights=settings.weights, size=asked[0] if asked else None)
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
                progress.note(f"{name} does not take images of {size} pixels: {error}")
    return found


def _at(network: Network, name: str, settings: Settings, size: int) -> Network:
    """Return the network at another size, as it would be if that alone had been asked for."""
    if not made_for_one_size(network.module):
        return network.at_size(size)
    # embeddings of positions are resampled once, from those that the weights have
    return Network.load(name, weights=settings.weights, size=size)


def _larger(own: int) -> int:
    return max(own, round(own * _LARGER / _STEP) * _STEP)
