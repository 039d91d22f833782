"""A folder as timm saves it for the Hugging Face hub: ``config.json`` and a file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
from pydantic import ValidationError

from frostline.backbones.load.found import LoadedNetwork, example_images
from frostline.backbones.load.timm_source import from_timm
from frostline.backbones.load.weights_file import weights_in_folder
from frostline.core.errors import BackboneError, did_you_mean
from frostline.core.files import JSON_BYTES, MissingFileError, UnfitFileError, is_file, read_regular
from frostline.core.preprocessing import Preprocessing, resize_of

CONFIG = "config.json"
#: arguments of a network that leave its layers as they are, or belong to its old classifier
_HARMLESS = (
    "num_classes",
    "in_chans",
    "img_size",
    "global_pool",
    "drop_rate",
    "drop_path_rate",
    "pretrained",
)
_INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")


def is_timm_folder(folder: Path) -> bool:
    """Whether a folder has the file that describes a network of timm."""
    return is_file(folder / CONFIG)


def from_timm_folder(folder: Path, *, weights: Path | None, size: int | None) -> LoadedNetwork:
    """Build the network that ``config.json`` names, with the weights beside it.

    Raises BackboneError if the folder is no such folder, or its files do not belong together.

    ``weights``: must be None: the folder has its own. ``size``: of the square images that it will
    get, in pixels. The result: under the architecture's own name, so that a model made of it needs
    no folder.
    """
    if weights is not None:
        raise BackboneError(f"{folder} has its own weights; weights= cannot be given with it.")
    config = _config(folder)
    architecture = _architecture(folder, config)
    about = config.get("pretrained_cfg", config)
    about = about if isinstance(about, Mapping) else {}
    arguments = config.get("model_args")
    shaping = [k for k in arguments if k not in _HARMLESS] if isinstance(arguments, Mapping) else []
    own = _side(about)
    found = from_timm(
        architecture,
        weights=weights_in_folder(folder),
        pretrained=False,
        size=size if size is not None else own,
    )
    notes = [f"{folder}: {architecture}, by its {CONFIG}.", *found.notes]
    if shaping:
        named = ", ".join(map(str, shaping[:4]))
        notes.append(f"{folder}: arguments in its {CONFIG} were not used: {named}.")
    preprocessing = _preprocessing(folder, about, found.preprocessing)
    return replace(
        found,
        preprocessing=preprocessing,
        example=example_images(preprocessing.size),
        licence=str(about.get("license") or "unknown (own weights file)"),
        notes=tuple(notes),
    )


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(read_regular(path, at_most=JSON_BYTES))
    except MissingFileError:
        raise BackboneError(
            f"{folder} is no folder of timm: it has no {CONFIG}.",
            hint="timm.models.save_for_hf(model, FOLDER) writes one.",
        ) from None
    except UnfitFileError as error:
        raise BackboneError(f"{path} cannot be read: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise BackboneError(f"{path} is damaged: {error}.") from None
    if not isinstance(config, Mapping):
        raise BackboneError(f"{path} describes no network.")
    return config


def _architecture(folder: Path, config: Mapping[str, Any]) -> str:
    name = config.get("architecture")
    if isinstance(name, str) and timm.is_model(name) and "." not in name:
        return name
    if isinstance(name, str):
        raise BackboneError(
            f"{folder / CONFIG} names the architecture {name!r}, which timm {timm.__version__} "
            "does not know.",
            hint=did_you_mean(name, timm.list_models()),
        )
    kind = config.get("model_type")
    if kind is not None:
        raise BackboneError(
            f"{folder} is a model of Hugging Face's transformers (of type {kind!r}), not of timm.",
            hint="timm has most such networks under names of its own: 'frostline models' lists "
            "them.",
        )
    raise BackboneError(
        f"{folder / CONFIG} does not say which network it describes: it has no 'architecture'.",
        hint="Give the architecture as the network and the file of weights as its weights.",
    )


def _side(about: Mapping[str, Any]) -> int | None:
    shape = about.get("input_size")
    if isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) for n in shape):
        return int(shape[-1])
    return None


def _preprocessing(folder: Path, about: Mapping[str, Any], usual: Preprocessing) -> Preprocessing:
    """Read how images are prepared for these weights; what is not said is as usual."""
    said = {k: about[k] for k in ("mean", "std", "crop_pct") if about.get(k) is not None}
    if about.get("interpolation") in _INTERPOLATIONS:
        said["interpolation"] = about["interpolation"]
    if "crop_mode" in about:
        said["resize"] = resize_of(about["crop_mode"])
    try:
        return Preprocessing.model_validate({**usual.model_dump(), **said})
    except ValidationError as error:
        where = error.errors()[0]
        field = ".".join(map(str, where["loc"]))
        raise BackboneError(
            f"{folder / CONFIG} says how images are prepared, but {field} is out of range: "
            f"{where['msg']}."
        ) from None
