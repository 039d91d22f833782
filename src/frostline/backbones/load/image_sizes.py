"""Networks that are made for one image size, brought to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from frostline.core.errors import BackboneError

# what networks raise where a size does not suit them
_UNSUITED = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, ArithmeticError)

#: patches as large as this go well with sizes that are odd multiples of them
_LARGE_PATCH = 28

#: loads weights into a network, and says what was done to them
Load = Callable[[nn.Module], tuple[str, ...]]


def resizable(net: nn.Module) -> bool:
    """Whether a network can be brought to another size with its weights in it."""
    return callable(getattr(net, "set_input_size", None))


def made_for_one_size(net: nn.Module) -> bool:
    """Whether a network has another form for every size of images."""
    config = getattr(net, "pretrained_cfg", None) or {}
    return bool(config.get("fixed_input_size")) or hasattr(net, "image_size") or resizable(net)


def take_size(net: nn.Module, size: int, *, name: str) -> None:
    """Bring a network that knows its image size to squares of ``size`` pixels, in place.

    Embeddings of positions are resampled once, here, rather than for every image: so the network
    can be written as ONNX. Networks that take any size as they are stay untouched. Raises
    BackboneError if the network has no form for that size; says which it has.
    """
    resize: Any = getattr(net, "set_input_size", None)
    if not callable(resize) or side_of(net) == size:
        return
    try:
        resize(img_size=(size, size))
    except _UNSUITED as error:
        raise unsuited(net, size, name=name, why=error) from error
    patch = _patch_of(net)
    if patch and size % patch:
        raise unsuited(net, size, name=name, why=None)


def unsuited(net: nn.Module, size: int, *, name: str, why: Exception | None) -> BackboneError:
    """Say that a network does not take a size, and which it takes."""
    own, patch = side_of(net), _patch_of(net)
    if why is not None:
        said = next(iter(str(why).splitlines()), type(why).__name__).rstrip(".")
    else:
        said = f"it cuts them into squares of {patch} pixels"
    if resizable(net) and patch:
        step = patch if patch >= _LARGE_PATCH else 2 * patch
        near = max(step, round(size / step) * step)
        hint = f"Use --input-size {near}, or another multiple of {step}."
    else:
        hint = f"Use --input-size {own}, or leave it out." if own else "Leave --input-size out."
    return BackboneError(f"{name} does not take images of {size} pixels: {said}.", hint=hint)


def built_at(
    build: Callable[[int | None], nn.Module],
    load: Load,
    size: int,
    *,
    move: Callable[[nn.Module, nn.Module], tuple[str, ...]],
) -> tuple[nn.Module, tuple[str, ...]]:
    """Build a network whose form depends on the size, and give it its weights.

    Where it has no form for ``size`` it keeps its own: some take other images all the same, and
    the others say so when they meet one.

    ``build``: makes the network for a size, or for its own. ``load``: gives it weights. ``move``:
    takes weights from the network of its own size to the one of ``size``.
    """
    try:
        net = build(size)
    except _UNSUITED:
        own = build(None)
        return own, load(own)
    try:
        # weights that were trained at this very size need no change
        return net, load(net)
    except BackboneError:
        own = build(None)
        notes = load(own)
    try:
        return net, (*notes, *move(own, net))
    except BackboneError:
        return own, notes


def side_of(net: nn.Module) -> int | None:
    """Return the side of the square images that a network is made for now, if it says so."""
    patches = getattr(net, "patch_embed", None)
    for found in (
        getattr(patches, "img_size", None),
        (getattr(net, "_traits", None) or {}).get("img_size"),
        (getattr(net, "pretrained_cfg", None) or {}).get("input_size"),
        getattr(net, "image_size", None),
    ):
        if isinstance(found, int):
            return found
        if found:
            return int(found[-1])
    return None


def _patch_of(net: nn.Module) -> int | None:
    found = getattr(getattr(net, "patch_embed", None), "patch_size", None)
    if isinstance(found, int):
        return found
    return int(found[0]) if found else None
