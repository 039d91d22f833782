"""Networks that are made for one image size, brought to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import nn

from frostline.backbones.families import patch_of
from frostline.backbones.fingerprints import classifier_names, within
from frostline.backbones.load.position_embeddings import is_of_places
from frostline.core.errors import BackboneError, ImageSizeError

# what networks raise where a size does not suit them
_UNSUITED = (
    *(RuntimeError, ValueError, TypeError, AssertionError, AttributeError, ArithmeticError),
    LookupError,
)

#: stages that halve a map four or five times go well with multiples of it
_STEP = 32
#: how many sizes on either side of one are tried
_TRIED = 4
_MOST = 2048

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
    can be written as ONNX. Networks that take any size as they are stay untouched. A size that is
    no multiple of the patches is taken as timm takes it: see :func:`unread_edge`. Raises
    ImageSizeError if the network has no form for that size; says which it has.
    """
    resize: Any = getattr(net, "set_input_size", None)
    if not callable(resize) or side_of(net) == size:
        return
    try:
        resize(img_size=(size, size))
    except _UNSUITED as error:
        raise unsuited(net, size, name=name) from error


def unread_edge(net: nn.Module, size: int) -> int:
    """Return how many pixels at the right and the lower edge no patch of a network covers.

    0 where patches cover everything, or the network adds what is missing to the last ones.
    """
    patches = getattr(net, "patch_embed", None)
    cutting: Any = getattr(patches, "proj", None) or getattr(net, "conv_proj", None)
    if not isinstance(cutting, nn.Conv2d) or getattr(patches, "dynamic_img_pad", False):
        return 0
    if any(cutting.padding) or isinstance(cutting.padding, str):
        return 0
    return (size - cutting.kernel_size[0]) % cutting.stride[0]


def edge_sentences(net: nn.Module, size: int, *, name: str) -> tuple[str, ...]:
    """Say what is not read of images of ``size`` pixels, and which sizes are read whole."""
    edge, patch = unread_edge(net, size), patch_of(net)
    if not edge or not patch:
        return ()
    return (
        f"{name} cuts images of {size} px into squares of {patch}: the last {edge} pixels at the "
        f"right and the lower edge are not read. --input-size {size - edge} or "
        f"{size - edge + patch} is read whole.",
    )


def unsuited(net: nn.Module, size: int, *, name: str) -> ImageSizeError:
    """Say that a network does not take a size, and the nearest ones that it takes."""
    own, patch = side_of(net), patch_of(net)
    if patch and size % patch:
        said = f"it cuts them into squares of {patch} pixels"
    else:
        said = "its layers are made for others"
    near = _sizes_near(net, size)
    if near:
        hint = f"Use --input-size {' or '.join(map(str, near))}."
    else:
        hint = f"Use --input-size {own}, or leave it out." if own else "Leave --input-size out."
    return ImageSizeError(
        f"{name} does not take images of {size} pixels: {said}.", hint=hint, sizes=near
    )


def _sizes_near(net: nn.Module, size: int) -> tuple[int, ...]:
    """Return the nearest size below and above that a network runs at, each where there is one."""
    patch = patch_of(net) or _STEP // 2
    steps = {patch, _STEP} if patch < _STEP else {patch}
    around = {step * (size // step + k) for step in steps for k in range(-_TRIED, _TRIED + 1)}
    around = {n for n in around if n % (patch_of(net) or 1) == 0}
    found = []
    for side in (
        sorted((n for n in around if 0 < n < size), reverse=True),
        sorted(n for n in around if size < n <= _MOST),
    ):
        found += [n for n in side[:_TRIED] if _runs_at(net, n)][:1]
    return tuple(found)


def _runs_at(net: nn.Module, size: int) -> bool:
    """Try a size on a network that has shapes but no numbers."""
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    architecture = str(config.get("architecture") or "")
    if not timm.is_model(architecture):
        # of torchvision, or nobody's: the size of its patches is all that is known
        return bool(patch_of(net))
    try:
        with torch.device("meta"), torch.no_grad():
            other = _made_at(architecture, size).eval()
            other(torch.zeros(1, 3, size, size))
    except _UNSUITED:
        return False
    # only embeddings of positions can be brought to it
    own = net.state_dict()
    changed = (n for n, t in other.state_dict().items() if n in own and t.shape != own[n].shape)
    classifier = classifier_names(net)
    return all(is_of_places(name) or within(name, classifier) for name in changed)


def _made_at(architecture: str, size: int) -> nn.Module:
    other: nn.Module = timm.create_model(architecture, pretrained=False)
    resize: Any = getattr(other, "set_input_size", None)
    if callable(resize):
        resize(img_size=(size, size))
    elif made_for_one_size(other):
        other = timm.create_model(architecture, pretrained=False, img_size=size)
    return other


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
        with torch.no_grad():
            # some are built for any size, and run at few
            net.eval()(torch.zeros(1, 3, size, size))
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
