"""Open every network that a run compares, at every size of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frostline.backbones.described import Origin, described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.compute.kept_networks import keep_network, recall_network
from frostline.core.errors import BackboneError, CutError
from frostline.core.extras import require_extra
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings

if TYPE_CHECKING:
    from frostline.backbones.network import Network

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
                found.append(_at(network, Origin(name, settings.weights, size), runtime))
            except (BackboneError, CutError) as error:
                if asked:
                    raise
                runtime.progress.note(f"{name} does not take images of {size} pixels: {error}")
    return found


def open_network(
    name: str, runtime: Runtime, *, weights: Path | None = None, size: int | None = None
) -> FrozenNetwork:
    """Open a network without PyTorch: a bundled one, or one that PyTorch opened before.

    Any other is opened in PyTorch, and kept for the next time. On a graphics processor, and in half
    precision, PyTorch runs all networks itself.
    """
    origin = Origin(name, weights, size)
    if not _on_cpu(runtime):
        return _loaded(origin, runtime)
    if name in BUNDLED and weights is None:
        network = described(name)
        if size in (None, network.preprocessing.size):
            return network
    return recall_network(origin) or keep_network(
        _loaded(origin, runtime), origin, threads=runtime.threads
    )


def _on_cpu(runtime: Runtime) -> bool:
    return runtime.device == "cpu" and runtime.precision == "fp32"


def _loaded(origin: Origin, runtime: Runtime) -> Network:
    require_extra("train", f"backbone={origin.name!r}")
    from frostline.backbones.load.hub_weights import at_hand
    from frostline.backbones.network import Network

    with at_hand(
        origin.name,
        pretrained=origin.weights is None,
        progress=runtime.progress,
        cancel=runtime.cancel,
    ):
        return Network.load(origin.name, weights=origin.weights, size=origin.size)


def _at(network: FrozenNetwork, origin: Origin, runtime: Runtime) -> FrozenNetwork:
    """Return the network at another size, as it would be if that alone had been asked for."""
    kept = recall_network(origin) if _on_cpu(runtime) else None
    if kept is not None:
        return kept
    from frostline.backbones.load.image_sizes import made_for_one_size
    from frostline.backbones.trainable import trainable

    loaded = trainable(network)
    # embeddings of positions are resampled once, from those that the weights have
    anew = made_for_one_size(loaded.module)
    found = _loaded(origin, runtime) if anew or origin.size is None else loaded.at_size(origin.size)
    return keep_network(found, origin, threads=runtime.threads) if _on_cpu(runtime) else found


def _larger(own: int) -> int:
    return max(own, round(own * _LARGER / _STEP) * _STEP)
