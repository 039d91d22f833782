"""Open every network that a run compares, at every size of images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.backbones.described import Origin, described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.compute.kept_networks import keep_network, recall_network
from frostline.core.errors import CutError, ImageSizeError
from frostline.core.extras import require_extra
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.fitting.usual_size import FEW_PIXELS, pretraining_size, runs_smaller
from frostline.wording.evidence import refused_size_sentence, size_sentences

if TYPE_CHECKING:
    from frostline.backbones.network import Network

#: ``best`` also looks at images this much larger than in pretraining (224 becomes 288)
_LARGER = 9 / 7
_STEP, _MOST = 32, 2048


def open_networks(settings: Settings, plan: Plan | None, runtime: Runtime) -> list[FrozenNetwork]:
    """Load every network that was named, at every input size that was asked for.

    A given plan settles the size, unless sizes are asked for. Of several sizes those that a network
    does not take are left out, with a note. With sizes left to us, a network of large images runs
    at smaller ones on a processor, see :func:`open_at_usual_size`. Raises BackboneError or CutError
    if a network cannot be found, or takes none of the sizes that were asked for.
    """
    found: list[FrozenNetwork] = []
    planned = plan is not None and plan.backbone in settings.backbones
    for name in (plan.backbone,) if plan is not None and planned else settings.backbones:
        asked = settings.input_sizes
        if not asked and plan is not None and plan.input_size:
            asked = (plan.input_size,)
        if asked:
            found += _at_sizes(Origin(name, settings.weights), asked, runtime)
            continue
        origin = Origin(name, settings.weights)
        network = open_at_usual_size(origin, runtime)
        found.append(network)
        own = network.preprocessing.size
        larger = _larger(own) if settings.effort == "best" and plan is None else own
        if larger != own:
            second = _nearest(
                origin, larger, runtime, beside=network, among=range(own + 1, _MOST + 1)
            )
            found += [] if second is None else [second]
    return found


def _nearest(
    origin: Origin,
    size: int,
    runtime: Runtime,
    *,
    among: range,
    beside: FrozenNetwork | None = None,
) -> FrozenNetwork | None:
    """Open a network at a size that nobody asked for, or near it; None where it takes none.

    ``among``: other sizes that would do. ``beside``: the network at its usual size.
    """
    try:
        return _at(beside, replace(origin, size=size), runtime)
    except (ImageSizeError, CutError) as error:
        others = error.sizes if isinstance(error, ImageSizeError) else ()
        near = sorted(set(others) & set(among), key=lambda other: abs(other - size))
        for other in near[:1]:
            with suppress(ImageSizeError, CutError):
                return _at(beside, replace(origin, size=other), runtime)
        runtime.progress.note(f"{origin.name} does not take images of {size} pixels: {error}")
        return None


def _at_sizes(origin: Origin, sizes: Sequence[int], runtime: Runtime) -> list[FrozenNetwork]:
    """Open a network at all of some sizes that it takes."""
    found: list[FrozenNetwork] = []
    refused: list[ImageSizeError] = []
    for size in sizes:
        this = replace(origin, size=size)
        try:
            # opening a network takes a second or more, so none is opened where nobody wants it
            one = _at(found[0] if found else None, this, runtime)
        except ImageSizeError as error:
            refused.append(error)
        else:
            found.append(one)
    if not found:
        raise refused[0]
    for one_refused in refused:
        runtime.progress.note(refused_size_sentence(one_refused))
    return found


def open_at_usual_size(origin: Origin, runtime: Runtime) -> FrozenNetwork:
    """Open a network at the size that it runs at where nobody asked for another.

    That is its own; on a processor, where large images take long, 224 pixels or the nearest size
    that it takes. Bundled networks, and those that are trained already, stay at their own.
    """
    if origin.name in BUNDLED:
        return open_network(origin.name, runtime, weights=origin.weights)
    own = pretraining_size(origin.name)
    plain = None if own is not None else open_network(origin.name, runtime, weights=origin.weights)
    if plain is not None:
        own = plain.preprocessing.size
    if own is None or not (_on_cpu(runtime) and runs_smaller(origin.name, own)):
        return plain or open_network(origin.name, runtime, weights=origin.weights)
    network = _nearest(origin, FEW_PIXELS, runtime, among=range(own))
    if network is None:
        return plain or open_network(origin.name, runtime, weights=origin.weights)
    network.pretraining_size = own
    said = size_sentences(network.name, network.preprocessing.size, own)
    network.notes = (*network.notes, *said)
    return network


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


def _at(network: FrozenNetwork | None, origin: Origin, runtime: Runtime) -> FrozenNetwork:
    """Return the network at another size, as it would be if that alone had been asked for.

    ``network``: it at any size, if it is open.
    """
    if network is None:
        return open_network(origin.name, runtime, weights=origin.weights, size=origin.size)
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
