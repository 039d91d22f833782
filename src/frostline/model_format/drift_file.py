"""What training images gave at several depths, as a small file beside a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from frostline.core.audit_record import Count
from frostline.core.errors import RunFolderError
from frostline.core.files import replacing, sha256_of, system_errors
from frostline.core.json_record import JsonRecord
from frostline.core.watched_depth import WatchedDepth
from frostline.stats.drift import DriftReference

DRIFT = "drift.safetensors"
#: the entry of the file's metadata that says what its arrays are
_KEY = "frostline"


class TrainedOutput(JsonRecord):
    """A class or label with its share among training images, or a number with its mean.

    ``spread``: standard deviation over training images.
    """

    name: str
    mean: float
    spread: float


class DriftFacts(JsonRecord):
    """What a reference for drift rests on.

    Attributes
    ----------
    depths : tuple of WatchedDepth
    onnx : str
        SHA-256 of the ``model.onnx`` that it belongs to.
    n_fitted, n_left_out : int
        Images that it describes, and others that new ones are compared with.
    left_out : {"not trained on", "trained on"}
        Whether the layers never learned from those others; where all images taught, alarms come
        too easily.
    outputs : tuple of TrainedOutput
    n_train : int
        Images that ``outputs`` were counted in.
    """

    depths: tuple[WatchedDepth, ...]
    onnx: str
    n_fitted: Count
    n_left_out: Count
    left_out: Literal["not trained on", "trained on"] = "not trained on"
    outputs: tuple[TrainedOutput, ...] = ()
    n_train: Count = 0


@dataclass(frozen=True)
class DriftCard:
    """What travels with a model so that a stream of images can be compared with its training."""

    facts: DriftFacts
    reference: DriftReference


def save_drift_card(path: Path, card: DriftCard) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    values = {name: np.ascontiguousarray(v) for name, v in card.reference.arrays().items()}
    with replacing(path) as temporary, system_errors():
        save_file(values, temporary, metadata={_KEY: card.facts.model_dump_json()})


def read_drift_card(path: Path, onnx: Path) -> DriftCard:
    """Read the file again.

    Raises RunFolderError if there is none, it is damaged, or it belongs to another ``model.onnx``.
    """
    from safetensors import SafetensorError, safe_open

    again = "Run 'frostline fit' again to make it."
    if not path.is_file():
        raise RunFolderError(
            f"{path.parent} has no {DRIFT}: it was made by an older release, by an estimator, or "
            "from fewer than 10 images (groups count once).",
            hint="Run 'frostline fit' again: features that are stored are not computed again.",
        )
    try:
        with safe_open(path, framework="numpy") as opened:
            facts = DriftFacts.model_validate_json((opened.metadata() or {}).get(_KEY, ""))
            names = list(opened.keys())
            reference = DriftReference.of_arrays({n: opened.get_tensor(n) for n in names})
        _check(facts, reference)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise RunFolderError(f"{path} is damaged.", hint=again) from error
    if facts.onnx != sha256_of(onnx):
        raise RunFolderError(f"{path} belongs to another model than {onnx}.", hint=again)
    return DriftCard(facts, reference)


def _check(facts: DriftFacts, reference: DriftReference) -> None:
    """Raise ValueError where what the file says and what it holds differ."""
    widths = [depth.width for depth in reference.depths]
    arrays = reference.arrays().values()
    if widths != [depth.width for depth in facts.depths] or not widths:
        raise ValueError("other depths")
    if not all(np.isfinite(values).all() for values in arrays):
        raise ValueError("not finite")
    if reference.left_out.shape != (facts.n_left_out, reference.n_scores):
        raise ValueError("other images")
