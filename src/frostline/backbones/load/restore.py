"""Rebuild the PyTorch module of a saved model, to train it further or look inside."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from frostline.backbones.heads.classifiers import BlendClassifier, TapsClassifier, build_classifier
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.weights_file import read_weights
from frostline.backbones.network import Network
from frostline.core.actions import Blend, Single, TapsHead
from frostline.core.errors import BackboneError, RunFolderError
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import WEIGHTS, checked_file, find_model_folder, load_card


def restore_module(folder: str | Path) -> nn.Module:
    """Return the module that was saved: normalised images (N, 3, S, S) to logits (N, C).

    The pretrained weights are not needed: every weight comes from the model folder. Logits are
    before the temperature of the card.

    Parameters
    ----------
    folder : str or Path
        A run folder or a model folder.

    Returns
    -------
    Module
        In eval mode, on the CPU.

    Raises
    ------
    RunFolderError
        If there is no model, its weights are damaged, or they do not fit what the card says.
    BackboneError
        If this installation does not know the backbone.
    """
    found = find_model_folder(Path(folder))
    card = load_card(found)
    path = checked_file(found, WEIGHTS, card.fingerprints.weights)
    weights = read_weights(path)
    first: Exception | None = None
    # the size of the images decides where small ones end a network
    for size in (card.preprocessing.size, None):
        try:
            module = _empty_module(card, size)
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


def _empty_module(card: ModelCard, size: int | None) -> nn.Module:
    """Build the module that the card describes, with weights yet to be loaded."""
    action = card.action
    if not isinstance(action, Blend):
        return _empty_member(action, card, size)
    members = [_empty_member(member, card, size) for member in action.members]
    return BlendClassifier(members, [1.0] * len(members))


def _empty_member(action: Single, card: ModelCard, size: int | None) -> nn.Module:
    # a network of its own for each: members of a blend have different weights
    found = load_source(card.backbone, pretrained=False, folders=False, size=size)
    network = Network(found.name, found)
    if isinstance(action, TapsHead):
        return TapsClassifier(network, list(action.taps), n_classes=len(card.classes))
    return build_classifier(
        network,
        keep_to=action.keep_to,
        n_classes=len(card.classes),
        new_block=action.new_block,
    )
