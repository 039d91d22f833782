"""Weights that do not fit a network: what they may be instead, as far as it shows cheaply."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping

import torch

from frostline.backbones.load.weight_names import common_prefix
from frostline.backbones.load.zoo import with_parameters

#: names that other libraries give to the same layers
_DIALECTS = (
    ("embeddings.patch_embeddings.", "Hugging Face's transformers"),
    ("embedder.embedder.", "Hugging Face's transformers"),
    (".resnetv", "MXNet"),
    ("/kernel", "JAX or TensorFlow"),
    ("img_encoder.", "a multimodal network"),
)
#: what timm calls a convolution that stands for several branches and their norm layers
_MERGED = "reparam_conv."
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_CLASSIFIERS = ("fc", "head", "classifier")
_CLASSES = 1000
_SHOWN = 3
_DEFAULT = "Give the architecture that these weights were trained with as the backbone."


def advice(
    state: Mapping[str, torch.Tensor], *, architecture: str, classifier: tuple[str, ...]
) -> str:
    """Return one hint for weights that are not those of ``architecture``."""
    for piece, library in _DIALECTS:
        if any(piece in name for name in state):
            return (
                f"The names are those of {library}. timm has most such networks under names of "
                "its own: 'frostline models' lists them."
            )
    if any(_MERGED in name for name in state):
        return (
            "The weights are those of a network whose branches were merged for inference "
            "(reparameterised). They are read under the names of timm's reparameterize_model; "
            f"{_DEFAULT[0].lower()}{_DEFAULT[1:]}"
        )
    said = []
    shared = common_prefix(state)
    if shared:
        said.append(f"Every name begins with {shared!r}.")
    alike = _alike(state, classifier)
    if alike and architecture not in alike:
        near = difflib.get_close_matches(architecture, alike, n=_SHOWN, cutoff=0.0)
        names = " or ".join(near)
        said.append(f"By the number of its parameters it may be {names}: give that as backbone.")
    else:
        said.append(_DEFAULT)
    return " ".join(said)


def _alike(state: Mapping[str, torch.Tensor], classifier: tuple[str, ...]) -> list[str]:
    """Name architectures of as many parameters; the old classifier counts as one of ImageNet's."""
    total = 0
    for name, tensor in state.items():
        if name.rpartition(".")[2] in _BUFFERS:
            continue
        shape = list(tensor.shape)
        layer = name.rpartition(".")[0]
        if shape and (layer in classifier or layer.rpartition(".")[2] in _CLASSIFIERS):
            shape[0] = _CLASSES
        total += math.prod(shape)
    return with_parameters(total)
