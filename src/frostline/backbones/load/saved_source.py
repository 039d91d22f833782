"""A network that was trained before: the backbone inside of a saved model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from frostline.backbones.fingerprints import versioned
from frostline.backbones.heads.fitted_classifier import tensor_prefix
from frostline.backbones.load.found import LoadedNetwork, example_images
from frostline.backbones.load.merged_form import take_form_of
from frostline.backbones.load.weights_file import read_weights
from frostline.core.errors import BackboneError, RunFolderError
from frostline.core.files import is_file
from frostline.model_format.model_folder import CARD, WEIGHTS, checked_file, load_card, model_home

Load = Callable[[str, Path | None, bool, int | None], LoadedNetwork]


def has_model(folder: Path) -> bool:
    """Whether a folder holds a model as a run writes it: its card, and its weights beside it."""
    home = model_home(folder)
    return home is not None and is_file(home / WEIGHTS)


def from_model_folder(folder: Path, *, weights: Path | None, load: Load) -> LoadedNetwork:
    """Take the backbone out of a model folder (or of a run folder that has one).

    Raises BackboneError if the folder is no model, or its files do not belong together.

    ``weights``: must be None: the folder has its own. ``load``: builds the named architecture.
    """
    if weights is not None:
        raise BackboneError(f"{folder} has its own weights; weights= cannot be given with it.")
    home = model_home(folder)
    if home is None:
        raise BackboneError(
            f"{folder} is no model folder: it has no {CARD}.",
            hint="Give the folder that 'frostline fit -o' wrote, or the name of a network.",
        )
    try:
        card = load_card(home)
        path = checked_file(home, WEIGHTS, card.fingerprints.weights)
    except RunFolderError as error:
        raise BackboneError(error.message, hint=error.hint) from error
    start = tensor_prefix(card.action)
    saved = {
        name.removeprefix(start): tensor
        for name, tensor in read_weights(path).items()
        if name.startswith(start)
    }
    source = load(card.backbone, None, False, card.preprocessing.size)
    take_form_of(source.net, saved)
    try:
        unknown = source.net.load_state_dict(
            versioned(source.net, saved), strict=False
        ).unexpected_keys
    except RuntimeError as error:
        raise BackboneError(
            f"{path} does not fit {card.backbone}: {' '.join(str(error).split())[:200]}",
            hint="It was probably written by another version of timm or torchvision.",
        ) from error
    if unknown or not saved:
        raise BackboneError(
            f"{path} does not fit {card.backbone}: {len(unknown)} unknown tensors "
            f"(first: {unknown[0] if unknown else 'none found'}).",
            hint="It was probably written by another version of timm or torchvision.",
        )
    return replace(
        source,
        preprocessing=card.preprocessing,
        licence=card.weights_licence or "unknown",
        example=example_images(card.preprocessing.size),
        notes=(f"{card.backbone}, trained further in {folder}",),
        keep_to=card.action.cut,
        loaded=frozenset(saved),
    )
