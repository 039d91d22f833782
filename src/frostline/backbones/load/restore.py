"""Rebuild the PyTorch module of a saved model, to train it further or look inside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.classifiers import empty_classifier
from frostline.backbones.heads.fitted_classifier import tensor_prefix
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.merged_form import take_form_of
from frostline.backbones.load.weights_file import read_weights
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, RunFolderError
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import WEIGHTS, checked_file, find_model_folder, load_card


def restore_module(folder: str | Path) -> Classifier:
    """Return the module that was saved: normalised images (N, 3, S, S) to logits (N, C).

    The pretrained weights are not needed: every weight comes from the model folder. Logits are
    before the temperature of the card. Raises RunFolderError if there is no model, its weights are
    damaged, or they do not fit what the card says; BackboneError if this installation does not know
    the backbone.

    ``folder``: a run folder or a model folder. The result: in eval mode, on the CPU.
    """
    found = find_model_folder(Path(folder))
    card = load_card(found)
    path = checked_file(found, WEIGHTS, card.fingerprints.weights)
    weights = read_weights(path)
    start = tensor_prefix(card.action)
    names = [name.removeprefix(start) for name in weights if name.startswith(start)]
    first: Exception | None = None
    # the size of the images decides where small ones end a network
    for size in (card.preprocessing.size, None):
        try:
            module = empty_classifier(
                card.action,
                partial(_network, card, size, names),
                n_outputs=len(card.classes),
                link=card.target.link_name,
            )
            module.load_state_dict(weights, strict=True)
            return module.eval()
        except (RuntimeError, BackboneError) as error:
            first = first or error
    if isinstance(first, BackboneError):
        raise first
    raise RunFolderError(
        f"The weights in {path} do not fit the network that {found / 'model.json'} names: "
        f"{' '.join(str(first).split())[:200]}",
        hint="It was probably written by another version of timm or Frostline.",
    ) from first


def _network(card: ModelCard, size: int | None, names: Sequence[str]) -> Network:
    found = load_source(card.backbone, pretrained=False, folders=False, size=size)
    take_form_of(found.net, names)
    return Network(found.name, found, pooling=card.pooling)
