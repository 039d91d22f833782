"""A network that was trained before: the backbone inside of a saved model folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostline.backbones.fingerprints import versioned
from frostline.backbones.load.dispatch import Source, example_images
from frostline.backbones.load.weights_file import read_weights
from frostline.core.errors import BackboneError
from frostline.core.files import (
    CHECKSUM,
    JSON_BYTES,
    WEIGHTS_BYTES,
    UnfitFileError,
    agrees,
    digest_regular,
    is_file,
    read_regular,
)
from frostline.core.preprocessing import Preprocessing

_CARD = "model.json"
_WEIGHTS = "weights.safetensors"

#: of model cards, from the oldest that is read to the newest
FORMATS = (1, 2, 3, 4)
#: where the saved module keeps the backbone, by kind of action
_HOME = {"taps_head": "body.graph."}
_OTHER_HOME = "kept."

Load = Callable[[str, Path | None, bool, int | None], Source]


def model_home(folder: Path) -> Path | None:
    """Return the folder with the card of a model: a model folder, or that of a run."""
    return next((f for f in (folder / "model", folder) if is_file(f / _CARD)), None)


def has_model(folder: Path) -> bool:
    """Whether a folder holds a model as a run writes it: its card, and its weights beside it."""
    home = model_home(folder)
    return home is not None and is_file(home / _WEIGHTS)


def from_model_folder(folder: Path, *, weights: Path | None, load: Load) -> Source:
    """Take the backbone out of a model folder (or of a run folder that has one).

    Parameters
    ----------
    folder : Path
    weights : Path or None
        Must be None: the folder has its own.
    load : callable
        Builds the named architecture.

    Raises
    ------
    BackboneError
        If the folder is no model, or its files do not belong together.
    """
    if weights is not None:
        raise BackboneError(f"{folder} has its own weights; weights= cannot be given with it.")
    home = model_home(folder)
    if home is None:
        raise BackboneError(
            f"{folder} is no model folder: it has no {_CARD}.",
            hint="Give the folder that 'frostline fit -o' wrote, or the name of a network.",
        )
    path = home / _CARD
    try:
        content = read_regular(path, at_most=JSON_BYTES)
    except UnfitFileError as error:
        raise BackboneError(f"{path} cannot be read: {error}.") from None
    try:
        card: dict[str, Any] = json.loads(content)
        _check_format(path, card)
        if not agrees(card):
            raise BackboneError(
                f"{path} is damaged: its values are not those that it was written with.",
                hint=f"If you changed it on purpose, remove the line {CHECKSUM!r}.",
            )
        backbone, action = str(card["backbone"]), dict(card["action"])
        expected = str(card["fingerprints"]["weights"])
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
        first = ""
        if action["kind"] == "blend":
            # of several classifiers the one that led
            action, first = dict(action["members"][0]), "members.0."
        kind = str(action["kind"])
        keep_to = str(action["taps"][-1]) if kind == "taps_head" else action["keep_to"]
    except BackboneError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise BackboneError(
            f"{path} is damaged or of another version ({type(error).__name__}: {error})."
        ) from error
    try:
        digest = digest_regular(home / _WEIGHTS, at_most=WEIGHTS_BYTES).hexdigest
    except UnfitFileError as error:
        raise BackboneError(f"{home / _WEIGHTS} cannot be read: {error}.") from None
    if digest != expected:
        raise BackboneError(
            f"{home / _WEIGHTS} is not the file that {path} describes.",
            hint="It was changed or copied in part; take the folder from its origin again.",
        )
    start = first + _HOME.get(kind, _OTHER_HOME)
    saved = {
        name.removeprefix(start): tensor
        for name, tensor in read_weights(home / _WEIGHTS).items()
        if name.startswith(start)
    }
    source = load(backbone, None, False, preprocessing.size)
    try:
        unknown = source.net.load_state_dict(
            versioned(source.net, saved), strict=False
        ).unexpected_keys
    except RuntimeError as error:
        raise BackboneError(
            f"{home / _WEIGHTS} does not fit {backbone}: {' '.join(str(error).split())[:200]}",
            hint="It was probably written by another version of timm or torchvision.",
        ) from error
    if unknown or not saved:
        raise BackboneError(
            f"{home / _WEIGHTS} does not fit {backbone}: {len(unknown)} unknown tensors "
            f"(first: {unknown[0] if unknown else 'none found'}).",
            hint="It was probably written by another version of timm or torchvision.",
        )
    return replace(
        source,
        preprocessing=preprocessing,
        licence=str(card.get("weights_licence") or "unknown"),
        example=example_images(preprocessing.size),
        notes=(f"{backbone}, trained further in {folder}",),
        keep_to=None if keep_to is None else str(keep_to),
        loaded=frozenset(saved),
    )


def _check_format(path: Path, card: dict[str, Any]) -> None:
    found = card["format_version"]
    if isinstance(found, int) and found not in FORMATS:
        newer = found > FORMATS[-1]
        raise BackboneError(
            f"{path} was written by Frostline {card.get('frostline', 'unknown')} in format "
            f"{found}; this one reads formats {FORMATS[0]} to {FORMATS[-1]}.",
            hint="Update Frostline." if newer else "Fit again to make the model anew.",
        )
