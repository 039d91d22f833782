"""Whether networks fit into memory: counted before they start, told, and shrunk if need be."""

from __future__ import annotations

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.zoo import measured
from frostline.compute.memory_need import memory_need
from frostline.core.batches import images_of_a_call
from frostline.core.errors import BackboneError
from frostline.core.machine import available_memory_bytes
from frostline.core.runtime import Runtime

GB = 10**9
#: share of what is free that a pass may take; the rest is for what was not counted
_SHARE = 0.8
#: copies of its weights that opening a network takes: the file as it is read, the network, and both
#: of what is kept of it
_OPENING_COPIES = 4
_FLOAT = 4
#: images that a lane of an engine has in the network at once, at most, where nothing limits them
_USUALLY_AT_ONCE = 8
#: bundled networks of images up to this side need less than anything else that a run does
_SMALL_SIDE = 384


class NoRoomError(BackboneError):
    """A network does not fit into memory."""


def check_room_to_open(name: str) -> None:
    """Refuse a network whose weights alone do not fit into memory, before they are read.

    Raises NoRoomError with both numbers. Networks of unknown size are let through.
    """
    room = available_memory_bytes()
    try:
        parameters = measured(name).parameters
    except BackboneError:
        return
    needed = _OPENING_COPIES * _FLOAT * parameters
    if room is not None and needed > room:
        raise NoRoomError(
            f"{name} has {parameters / 1e6:,.0f} M parameters: opening it takes about "
            f"{needed / GB:,.1f} GB of memory, and {room / GB:,.1f} GB are free.",
            hint="Take a smaller network: 'frostline models --sort parameters' lists them.",
        )


def images_at_once(network: FrozenNetwork, n_images: int, runtime: Runtime) -> int | None:
    """Return how many images may be in a network at a time; None where nothing limits them.

    A smaller number than usual is told. Raises NoRoomError if not even one fits.
    """
    name, size = network.name, network.preprocessing.size
    if runtime.device != "cpu" or (name in BUNDLED and size <= _SMALL_SIDE):
        return None
    room = available_memory_bytes()
    if room is None:
        return None
    need = memory_need(network, n_images)
    fitting = need.images_within(round(_SHARE * room))
    if fitting >= images_of_a_call(_USUALLY_AT_ONCE, size) * runtime.threads:
        return None
    if fitting < 1:
        raise NoRoomError(
            f"{name} at {size} px needs about {need.total() / GB:,.1f} GB of memory for one image "
            f"at a time and the features of {n_images:,}, and {room / GB:,.1f} GB are free.",
            hint="Take smaller images (--input-size) or a smaller network.",
        )
    runtime.progress.note(
        f"{name} at {size} px takes {need.image / GB:,.2f} GB of memory for every image that is in "
        f"it, and {room / GB:,.1f} GB are free: {fitting} at a time."
    )
    return fitting
