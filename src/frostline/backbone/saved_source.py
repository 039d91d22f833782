"""A network that was trained before: the backbone inside of a saved model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostline.backbone.sources import Source, example_images
from frostline.backbone.weights import read_weights
from frostline.errors import BackboneError
from frostline.preprocessing import Preprocessing

_CARD = "model.json"
_WEIGHTS = "weights.safetensors"

#: where the saved module keeps the backbone, by kind of action
_HOME = {"taps_head": "body.graph."}
_OTHER_HOME = "kept."

Load = Callable[[str, Path | None, bool], Source]


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
    home = next((f for f in (folder / "model", folder) if (f / _CARD).is_file()), None)
    if home is None:
        raise BackboneError(
            f"{folder} is no model folder: it has no {_CARD}.",
            hint="Give the folder that 'frostline fit -o' wrote, or the name of a network.",
        )
    path = home / _CARD
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        backbone, action = str(card["backbone"]), dict(card["action"])
        digest = str(card["fingerprints"]["weights"])
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
        first = ""
        if action["kind"] == "blend":
            # of several classifiers the one that led
            action, first = dict(action["members"][0]), "members.0."
        kind = str(action["kind"])
        keep_to = str(action["taps"][-1]) if kind == "taps_head" else action["keep_to"]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BackboneError(
            f"{path} is damaged or of another version ({type(error).__name__}: {error})."
        ) from error
    if hashlib.sha256((home / _WEIGHTS).read_bytes()).hexdigest() != digest:
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
    source = load(backbone, None, False)
    unknown = source.net.load_state_dict(saved, strict=False).unexpected_keys
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
