"""Open every network that a run compares, at every size of images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.backbones.described import Origin, described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.zoo import names_here
from frostline.compute.kept_networks import keep_network, recall_network
from frostline.core.errors import BackboneError, CutError, ImageSizeError
from frostline.core.extras import require_extra
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import AUTO, Settings
from frostline.fitting.memory import NoRoomError, check_room_to_open
from frostline.fitting.usual_size import FEW_PIXELS, pretraining_size, runs_smaller
from frostline.wording.evidence import refused_size_sentence, size_sentences

if TYPE_CHECKING:
    from frostline.backbones.network import Network

#: ``best`` also looks at images this much larger than in pretraining (224 becomes 288)
_LARGER = 9 / 7
_STEP, _MOST = 32, 2048


@dataclass(frozen=True)
class Opened:
    """Networks that are there, and those that are not: name, size in pixels (0: its own), why."""

    networks: list[FrozenNetwork]
    left_out: list[tuple[str, int, str]] = field(default_factory=list)


def open_networks(settings: Settings, plan: Plan | None, runtime: Runtime) -> Opened:
    """Load every network that was named, at every input size that was asked for.

    A given plan settles the size, unless sizes are asked for. Of several sizes those that a network
    does not take are left out, with a note. With sizes left to us, a network of large images runs
    at smaller ones on a processor, see :func:`open_at_usual_size`. Every name is read before the
    first network is loaded or downloaded. Raises BackboneError or CutError if a network cannot be
    found, takes none of the sizes that were asked for, or has no room in memory; of several the
    last are left out, and of those that "auto" found all that cannot be used.
    """
    planned = plan is not None and plan.backbone in settings.backbones
    names = (plan.backbone,) if plan is not None and planned else settings.backbones
    found_here = names == (AUTO,)
    if found_here:
        # a plan of another run names what "auto" found there
        names = _on_this_machine(runtime) if plan is None else (plan.backbone,)
    _check_names(names)
    opened = Opened([])
    for name in names:
        try:
            check_room_to_open(name)
            opened.networks.extend(_open_named(name, settings, plan, runtime))
        except (BackboneError, CutError) as error:
            if len(names) == 1 or not (found_here or isinstance(error, NoRoomError)):
                raise
            opened.left_out.append((name, 0, str(error)))
            runtime.progress.note(f"{name} is left out: {error}")
    if not opened.networks:
        raise BackboneError(f"None of {len(names)} networks can be used: {opened.left_out[0][2]}")
    return opened


def _on_this_machine(runtime: Runtime) -> tuple[str, ...]:
    names = tuple(names_here())
    if not names:
        raise BackboneError(
            "No network is on this machine.", hint=f"Name one: backbone={Settings.backbone!r}."
        )
    if len(names) > 1:
        runtime.progress.note(f"{len(names)} networks are on this machine: {', '.join(names)}.")
    return names


def _check_names(names: Sequence[str]) -> None:
    """Refuse a name that nobody knows before anything is downloaded for another."""
    others = [name for name in names if name not in BUNDLED and not Path(name).is_dir()]
    if len(names) < 2 or not others:
        return
    require_extra("train", f"backbone={','.join(names)!r}")
    from frostline.backbones.load.network_names import called

    for name in others:
        called(name)


def _open_named(
    name: str, settings: Settings, plan: Plan | None, runtime: Runtime
) -> list[FrozenNetwork]:
    """Open one network at every size that is compared."""
    asked = settings.input_sizes
    if not asked and plan is not None and plan.input_size:
        asked = (plan.input_size,)
    origin = Origin(name, settings.weights)
    if asked:
        return _at_sizes(origin, asked, runtime)
    network = open_at_usual_size(origin, runtime)
    own = network.preprocessing.size
    larger = _larger(own) if settings.effort == "best" and plan is None else own
    if larger == own:
        return [network]
    second = _nearest(origin, larger, runtime, beside=network, among=range(own + 1, _MOST + 1))
    return [network] if second is None else [network, second]


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
    found: FrozenNetwork | None = None
    refused: Exception | None = None
    try:
        found = _at(beside, replace(origin, size=size), runtime)
        # patches that do not fill the image leave an edge unread
        patch = found.family.patch or 1
        others: tuple[int, ...] = () if size % patch == 0 else _multiples(patch, size)
    except (ImageSizeError, CutError) as error:
        others = error.sizes if isinstance(error, ImageSizeError) else ()
        refused = error
    near = sorted(set(others) & set(among), key=lambda other: abs(other - size))
    for other in near[:1]:
        with suppress(ImageSizeError, CutError):
            return _at(beside, replace(origin, size=other), runtime)
    if refused is not None:
        runtime.progress.note(f"{origin.name} does not take images of {size} pixels: {refused}")
    return found


def _multiples(patch: int, size: int) -> tuple[int, int]:
    """Return the multiples of ``patch`` below and above a size."""
    below = size // patch * patch
    return below, below + patch


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
