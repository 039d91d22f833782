"""The model card: all that is known about a model except its weights, as ``model.json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from frostline.plan import Action
from frostline.preprocessing import Preprocessing


class Fingerprints(BaseModel):
    """SHA-256, as hex digits, of what belongs to a model; empty where there is nothing.

    Attributes
    ----------
    weights, onnx : str
        Of the files ``weights.safetensors`` and ``model.onnx``; set when they are written.
    frozen : str
        Of the frozen parameters and buffers, taken after training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = ""
    onnx: str = ""
    frozen: str = ""


class ModelCard(BaseModel):
    """What a model is, where it comes from and how its images must be prepared.

    Attributes
    ----------
    format_version : int
        Of this file; other versions are refused.
    frostline : str
        Version that wrote the model.
    classes : tuple of str
        In the order of the output columns.
    preprocessing : Preprocessing
        From any RGB image to the network's input.
    backbone : str
        Name of the pretrained network.
    weights_licence : str
        Of the pretrained weights; what was trained from them inherits its terms.
    cut : str or None
        Deepest kept layer; None when nothing was removed.
    taps : tuple of str
        Layers whose pooled activations feed the head, by depth; empty for other heads.
    action : plan.Action
        The part of the plan that was carried out.
    temperature : float
        Logits are divided by it before the softmax; 1 when not calibrated.
    fingerprints : Fingerprints
    n_train : int
        Images that the weights were fitted on.
    test : dict
        Summary of the held-out scores (accuracy, its interval, method and so on).
    source : str
        What the model was trained on, as the user named it.
    created : str or None
        ISO 8601 time; information only, never part of a result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    frostline: str
    classes: tuple[str, ...] = Field(min_length=2)
    preprocessing: Preprocessing
    backbone: str
    weights_licence: str
    cut: str | None = None
    taps: tuple[str, ...] = ()
    action: Action
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    fingerprints: Fingerprints = Fingerprints()
    n_train: int = Field(ge=0)
    test: dict[str, Any] = {}
    source: str = ""
    created: str | None = None

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("two classes have the same name")
        return value

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"
