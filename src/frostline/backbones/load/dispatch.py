"""Where networks come from: one way in for names, files, folders and modules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frostline.backbones.load.found import LoadedNetwork, at_size, checked_batch, example_images
from frostline.backbones.load.network_names import called
from frostline.backbones.load.saved_source import from_model_folder, has_model
from frostline.backbones.load.surgery import adapt_input
from frostline.backbones.load.timm_folder import from_timm_folder, is_timm_folder
from frostline.backbones.load.timm_source import from_timm, preprocessing_of
from frostline.backbones.load.torchvision_source import from_torchvision
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing

_WEIGHT_ENDINGS = (
    ".safetensors",
    ".pth",
    ".pt",
    ".bin",
    ".ckpt",
    ".tar",
    ".npz",
    ".pkl",
    ".h5",
    ".keras",
    ".onnx",
)


def load_source(
    source: str | Path | nn.Module,
    *,
    example: torch.Tensor | None = None,
    weights: Path | None = None,
    pretrained: bool = True,
    input_channels: int = 3,
    preprocessing: Preprocessing | None = None,
    folders: bool = True,
    size: int | None = None,
) -> LoadedNetwork:
    """Find a network; see :meth:`frostline.Network.load`.

    Without ``folders`` a name is one of a library, even where a folder is called so: for names that
    come out of a file. ``size`` is the side of the square images that it will get; a network that
    was found by name is brought to it, a module is taken as it is. Raises BackboneError if the name
    is unknown (with a guess), or its weights cannot be had or do not fit.
    """
    if isinstance(source, nn.Module):
        if weights is not None:
            raise BackboneError(
                "weights= belongs to a named architecture, but a module was given.",
                hint="Load the weights into the module first.",
            )
        found = _from_module(source, example, preprocessing)
    elif isinstance(source, str | Path):
        find = _from_name if folders else _from_library
        found = find(source, weights, pretrained, size)
        if preprocessing is not None:
            found = replace(
                found, preprocessing=preprocessing, example=example_images(preprocessing.size)
            )
        if example is not None:
            found = replace(found, example=checked_batch(example))
    else:
        raise BackboneError(
            f"A network is a name, a folder or a torch.nn.Module, not {source!r}.",
            hint="Did you give a class? Make an instance of it.",
        )
    if input_channels != 3:
        channels = adapt_input(found.net, input_channels, example=found.example)
        note = f"{', '.join(channels)} adapted to {input_channels} input channels"
        height, width = map(int, found.example.shape[-2:])
        found = replace(
            found,
            example=example_images(height, channels=input_channels, width=width),
            notes=(*found.notes, note),
        )
    return found


def _from_name(
    source: str | Path, weights: Path | None, pretrained: bool, size: int | None
) -> LoadedNetwork:
    folder = Path(source)
    if isinstance(source, Path) or folder.is_dir():
        return _from_folder(folder, weights, size)
    if folder.suffix.lower() in _WEIGHT_ENDINGS and folder.is_file():
        raise _no_network(folder)
    return _from_library(source, weights, pretrained, size, folders=True)


def _from_folder(folder: Path, weights: Path | None, size: int | None) -> LoadedNetwork:
    if folder.is_file():
        raise _no_network(folder)
    # a folder made for a hub has both cards, and weights under timm's names alone
    if is_timm_folder(folder) and not has_model(folder):
        return from_timm_folder(folder, weights=weights, size=size)
    # a saved network names an architecture, never another folder
    found = from_model_folder(folder, weights=weights, load=_from_library)
    return found if size is None else at_size(found, size)


def _no_network(file: Path) -> BackboneError:
    return BackboneError(
        f"{file} is a file; weights alone do not say which network they belong to.",
        hint="Name the architecture and give the file as its weights.",
    )


def _from_library(
    source: str | Path,
    weights: Path | None,
    pretrained: bool,
    size: int | None = None,
    *,
    folders: bool = False,
) -> LoadedNetwork:
    found = called(str(source))
    if found.folder is not None:
        if not folders:
            raise BackboneError(f"{source!r} is a folder, not the name of a network.")
        return from_timm_folder(found.folder, weights=weights, size=size)
    if found.name.startswith("torchvision:"):
        return from_torchvision(found.name, weights=weights, pretrained=pretrained, size=size)
    return from_timm(found.name, weights=weights, pretrained=pretrained, size=size)


def _from_module(
    net: nn.Module, example: torch.Tensor | None, preprocessing: Preprocessing | None
) -> LoadedNetwork:
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    found = preprocessing
    shape = tuple(config.get("input_size") or ())
    if found is None and shape[:1] == (3,) and shape[1] == shape[2]:
        found = preprocessing_of(net)
    if example is None and len(shape) == 3:
        side = shape[1] if preprocessing is None else preprocessing.size
        example = example_images(side, channels=shape[0], width=None if preprocessing else shape[2])
    if example is None:
        if found is None:
            raise BackboneError(
                f"How large are the images that this {type(net).__name__} takes?",
                hint="Give an example batch: Network.load(module, example=images).",
            )
        example = example_images(found.size)
    if found is None or found.size != example.shape[-1]:
        side = int(min(max(example.shape[-1], 16), 2048))
        found = (found or Preprocessing()).model_copy(update={"size": side})
    return LoadedNetwork(
        name=str(config.get("architecture") or type(net).__name__),
        net=net,
        preprocessing=found,
        licence=str(config.get("license") or "unknown"),
        example=checked_batch(example),
    )
