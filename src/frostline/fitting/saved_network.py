"""The network in a model folder, without PyTorch where its layers are known here."""

from __future__ import annotations

from pathlib import Path

from frostline.backbones.described import DescribedNetwork, Origin, described
from frostline.backbones.heads.fitted_classifier import tensor_prefix
from frostline.backbones.load.bundled import BUNDLED
from frostline.compute.kept_networks import recall_network
from frostline.core.files import is_file
from frostline.model_format.model_folder import WEIGHTS, checked_file, load_card, model_home
from frostline.wording.metrics import metric_sentences


def saved_network(folder: Path) -> DescribedNetwork | None:
    """Return the network that a run's folder or a model folder holds, up to where it was kept.

    None where it takes PyTorch: the folder holds no model of ours, or the network is neither a
    bundled one nor one that was opened here at this size before. Raises RunFolderError if the
    model's files are damaged.
    """
    home = model_home(folder)
    if home is None or not is_file(home / WEIGHTS):
        return None
    card = load_card(home)
    known = _known(card.backbone, card.preprocessing.size)
    if known is None:
        return None
    # only this reads tensors
    from safetensors.numpy import load_file

    path = checked_file(home, WEIGHTS, card.fingerprints.weights)
    start = tensor_prefix(card.action)
    tensors = {
        name.removeprefix(start): tensor
        for name, tensor in load_file(path).items()
        if name.startswith(start)
    }
    end = known.last.name if card.action.cut is None else card.action.cut
    if not set(known.parameter_names(to=end)) <= tensors.keys() <= set(known.tensor_names()):
        return None
    return known.trained_further(
        tensors,
        last=end,
        preprocessing=card.preprocessing,
        licence=card.weights_licence or "unknown",
        notes=(
            f"{card.backbone}, trained further in {folder}",
            *metric_sentences(card.metric),
        ),
        origin=Origin(str(folder)),
    )


def _known(name: str, size: int) -> DescribedNetwork | None:
    """Return a network of this name and size of images, whatever its weights are."""
    if name in BUNDLED:
        network = described(name)
        if network.preprocessing.size == size:
            return network
    return recall_network(Origin(name, None, size))
