"""The model folder: weights, ONNX, everything prediction needs."""

from frostline.artifact.card import Fingerprints, ModelCard
from frostline.artifact.inputs import ImageLike
from frostline.artifact.model import Model, Prediction
from frostline.artifact.model_folder import find_model_folder, load_card, save_model

__all__ = [
    "Fingerprints",
    "ImageLike",
    "Model",
    "ModelCard",
    "Prediction",
    "find_model_folder",
    "load_card",
    "save_model",
]
