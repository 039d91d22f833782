"""What tells a model from any other, and its first run."""

from __future__ import annotations

import numpy as np

from frostline.core.files import checksum
from frostline.model.model import Model
from frostline.model_format.card import ModelCard


def fingerprint_of(card: ModelCard) -> str:
    """Return what tells a model from any other: the checksum of its card, which binds its files."""
    return card.checksum or checksum(card.model_dump(mode="json"))


def warm_up(model: Model) -> None:
    """Open the graph of a model and run it once, so that the first request is as fast as any.

    Raises EngineError if ONNX Runtime cannot run the model.
    """
    size = model.card.preprocessing.size
    model.predict_prepared([np.zeros((size, size, 3), dtype=np.uint8)])
