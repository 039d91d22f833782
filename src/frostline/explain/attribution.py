"""Where in an image a class found its evidence: the head's own sum, spread out over space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.heads.classifier import Classifier, Maps, SingleClassifier
from frostline.core.arrays import FloatArray
from frostline.core.cuts import Layout
from frostline.core.errors import InputError
from frostline.explain.drawing import UInt8Array

#: side of a heat map
GRID = 28

#: colour of what spoke for a class, and its share where it spoke most
_GLOW = (255, 112, 0)
_STRENGTH = 0.85


@dataclass(frozen=True)
class Attribution:
    """Heat maps of some images, each for one class.

    - ``heat``, shape (n, 28, 28): in units of the logit; positive where a place spoke for the
      class.
    - ``complete``: True if every map adds up to what the image adds to the class's logit (less the
      mean logit of all classes, which changes no probability), which is that logit without its
      bias. For a blend these are the means over members of their logits divided by their
      temperatures.
    - ``note``: how it was found, when the usual way was closed; empty otherwise.
    """

    heat: FloatArray
    complete: bool
    note: str = ""


def attribute(
    module: Classifier, images: torch.Tensor, targets: npt.ArrayLike, *, cells: int = 6
) -> Attribution:
    """Say which places of some images spoke for a class of each.

    The head is linear in the mean and the spread of every channel over space, and both grow in
    proportion with the map. So activation times gradient, summed over channels, adds up exactly
    to the logit without its bias (Euler's theorem; HiResCAM, Draelos and Carin 2020). Grad-CAM
    averages the gradient over space first; that of the spread averages to zero, so half of the
    head would stay unseen. A head on several taps sums over them; a blend takes the mean of its
    members' maps, each divided by its member's temperature.

    Tokens and vectors have no such place in space; there, parts of the image are covered one by one
    (:func:`occlude`). Raises InputError if there is not one class for each image.

    ``images``, shape (n, 3, size, size): normalised. ``targets``, shape (n,): the class to speak
    for, of each image. ``cells``: cells a side where parts are covered.
    """
    classes = _classes(targets, len(images))
    if not module.in_space:
        return occlude(module, images, targets, cells=cells)
    heats = []
    with eval_mode(module):
        for member, temperature in module.averaged:
            with torch.no_grad():
                maps = member.feature_maps(images)
            heats.append(attribute_maps(member, maps, classes).heat / temperature)
    return Attribution(np.mean(heats, axis=0), complete=True)


def attribute_maps(module: SingleClassifier, maps: Maps, targets: npt.ArrayLike) -> Attribution:
    """As :func:`attribute`, for maps that are known already.

    ``module``: in eval mode, with maps in space. ``maps``: at its cuts. ``targets``: shape (n,).
    """
    classes = _classes(targets, len(maps[0]))
    with torch.no_grad():
        behind = module.behind_new_block(maps)
    leaves = [one.detach().requires_grad_() for one in behind]
    with torch.enable_grad():
        gradients = torch.autograd.grad(_centred(module.read(leaves), classes).sum(), leaves)
    heat = torch.zeros(len(classes), GRID, GRID, dtype=torch.float64)
    for one, gradient, layout in zip(leaves, gradients, module.layouts, strict=True):
        product = (one.detach() * gradient).double()
        heat += _on_grid(product.sum(dim=_channel(layout)))
    return Attribution(heat.numpy(), complete=True)


def occlude(
    module: nn.Module, images: torch.Tensor, targets: npt.ArrayLike, *, cells: int = 6
) -> Attribution:
    """Cover one part of each image after the other with the image's mean colour.

    The heat of a cell is what the class's logit (less the mean of all) loses by it
    (Zeiler and Fergus 2014). It takes ``cells ** 2 + 1`` runs for each image.

    ``images``: shape (n, 3, size, size). ``targets``: shape (n,).
    """
    classes = _classes(targets, len(images))
    edges = [
        np.linspace(0, side, cells + 1).round().astype(int).tolist() for side in images.shape[2:]
    ]
    lost = torch.zeros(len(images), cells, cells, dtype=torch.float64)
    with eval_mode(module), torch.no_grad():
        for i, image in enumerate(images):
            covered = image.repeat(cells * cells + 1, 1, 1, 1)
            mean = image.mean(dim=(1, 2))[:, None, None]
            for place in range(cells * cells):
                row, column = divmod(place, cells)
                high = slice(edges[0][row], edges[0][row + 1])
                wide = slice(edges[1][column], edges[1][column + 1])
                covered[place, :, high, wide] = mean
            said = _centred(module(covered), classes[i].expand(len(covered))).double()
            lost[i] = (said[-1] - said[:-1]).reshape(cells, cells)
    heat = functional.interpolate(lost[:, None], size=(GRID, GRID), mode="bilinear")[:, 0]
    return Attribution(
        heat.numpy(), complete=False, note="Heat: what covering a part of the image takes away."
    )


def draw_heat(pixels: UInt8Array, heat: FloatArray, *, side: int) -> Image.Image:
    """Draw a heat map over its image in grey: orange where it spoke for the class.

    Only what lies above the image's own mean is drawn, at the image's own full contrast.

    ``pixels``, shape (size, size, 3): the prepared image. ``heat``: shape (h, w). ``side``: of the
    picture, in pixels.
    """
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
    grey = np.asarray(small.convert("L"), dtype=np.float64)[..., None]
    wide = Image.fromarray((heat - heat.mean()).astype(np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    above = np.asarray(wide, dtype=np.float64)
    most = float(above.max())
    share = np.clip(above / most, 0, 1)[..., None] if most > 0 else np.zeros((side, side, 1))
    mixed = grey + _STRENGTH * share * (np.array(_GLOW) - grey)
    return Image.fromarray(mixed.round().astype(np.uint8))


def _classes(targets: npt.ArrayLike, n: int) -> torch.Tensor:
    classes = torch.from_numpy(np.asarray(targets, dtype=np.int64))
    if classes.shape != (n,):
        raise InputError(f"There are {n} images, but classes of shape {tuple(classes.shape)}.")
    return classes


def _centred(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Logits of the classes, less the mean over all: what moves all alike says nothing."""
    return logits.gather(1, classes[:, None])[:, 0] - logits.mean(dim=1)


def _channel(layout: Layout) -> int:
    return 1 if layout == "NCHW" else -1


def _on_grid(values: torch.Tensor) -> torch.Tensor:
    """Bring maps (n, h, w) to (n, GRID, GRID) and keep their sums."""
    height, width = values.shape[1:]
    fine = height >= GRID and width >= GRID
    if fine:
        spread = functional.adaptive_avg_pool2d(values[:, None], GRID)[:, 0]
    else:
        spread = functional.interpolate(values[:, None], size=(GRID, GRID), mode="bilinear")[:, 0]
    spread = spread * (height * width / GRID**2)
    missing = values.sum(dim=(1, 2)) - spread.sum(dim=(1, 2))
    return spread + missing[:, None, None] / GRID**2
