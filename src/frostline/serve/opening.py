"""Open the model of a folder that may be replaced in the same moment: all of it, or none."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from frostline.core.errors import FrostlineError, RunFolderError
from frostline.core.files import checksum
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import load_card

#: how often a folder is looked at that changes meanwhile, and how long between, in seconds
_TRIES, _PAUSE = 4, 0.25


def fingerprint_of(card: ModelCard) -> str:
    """Return what tells a model from any other: the checksum of its card, which binds its files."""
    return card.checksum or checksum(card.model_dump(mode="json"))


def warm_up(model: Model) -> None:
    """Open the graph of a model and run it once, so that the first request is as fast as any.

    Raises EngineError if ONNX Runtime cannot run the model.
    """
    size = model.card.preprocessing.size
    model.predict_prepared([np.zeros((size, size, 3), dtype=np.uint8)])


def open_whole(folder: Path, load: Callable[[], Model], *, tries: int = _TRIES) -> Model:
    """Return the model of a folder, loaded and warmed up, with card and graph of one moment.

    Between the card and the graph another run may take the folder's place, so the card is read
    again when all is open, and anything that goes wrong is tried again for a second.

    Raises what ``load`` does; EngineError if ONNX Runtime cannot run the model; RunFolderError if
    the folder changes all the time.
    """
    for left in reversed(range(tries)):
        try:
            model = load()
            warm_up(model)
            if model.folder.is_file() or _same(load_card(folder), model.card):
                return model
        except FrostlineError:
            if not left:
                raise
        if left:
            time.sleep(_PAUSE)
    raise RunFolderError(f"The model in {folder} changes all the time.", hint="Try again.")


def _same(one: ModelCard, other: ModelCard) -> bool:
    return fingerprint_of(one) == fingerprint_of(other)
