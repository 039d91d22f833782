"""The one interface of every classifier that is trained here, however it is put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import nn

from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.frozen_network import Array
from frostline.core.actions import Action
from frostline.core.arrays import FloatArray
from frostline.core.cuts import Layout

Maps = Sequence[torch.Tensor]

#: what names of kept layers begin with in the state dict: under a head on one cut, or on several
OF_CUT, OF_TAPS = "kept.", "body.graph."
#: what comes before that for members of a blend, by their number
OF_MEMBER = "members.{}."


class Classifier(nn.Module, ABC):
    """Normalised images (n, 3, size, size) to logits (n, n_outputs)."""

    @property
    @abstractmethod
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        """Whose probabilities are averaged, each with its temperature; a single one is alone."""

    @property
    @abstractmethod
    def tensor_prefix(self) -> str:
        """What names of the leader's kept layers begin with in the state dict."""

    @property
    def leader(self) -> SingleClassifier:
        """The first of those averaged, which led the race: pictures show its layers."""
        return self.averaged[0][0]

    @property
    def frozen_leader(self) -> SingleClassifier:
        """The first whose kept layers are all frozen, if any, else the leader.

        What is out of distribution is told by its head's input: stored features give that.
        """
        return next((one for one, _ in self.averaged if one.frozen), self.leader)

    @property
    def in_space(self) -> bool:
        """Whether every head reads maps with values side by side in space."""
        layouts = [layout for one, _ in self.averaged for layout in one.layouts]
        return all(layout in ("NCHW", "NHWC") for layout in layouts)

    def network_names(self, names: Collection[str]) -> set[str]:
        """Return those of some tensors that are the leader's kept ones, as its network calls them.

        ``names``: names in the state dict of this classifier.
        """
        prefix = self.tensor_prefix
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}

    def fingerprint(self, names: Iterable[str] | None = None) -> str:
        """Return the SHA-256 of all tensors, or of those of some names in the state dict."""
        return fingerprint(self, names)


class SingleClassifier(Classifier):
    """Kept layers of one network, and one linear head on what passes at some of its cuts.

    ``read(behind_new_block(feature_maps(images)))`` are the logits.

    - ``head``: pooled activations to one logit a class.
    - ``cuts``: where the head reads, by depth.
    - ``layouts``: of what is pooled.
    - ``frozen``: whether all kept layers are those of the network it was made from.
    - ``new_block``: whether new layers lie below the pooling.
    - ``blocks``: which columns of the head's input belong to which cut; None if they are all of
      one.
    """

    head: nn.Linear
    cuts: tuple[str, ...]
    layouts: tuple[Layout, ...]
    frozen: bool = False
    new_block: bool = False
    blocks: list[slice] | None = None

    @property
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        return ((self, 1.0),)

    @property
    @abstractmethod
    def kept_layers(self) -> nn.Module:
        """Images to what passes at the cut, or at each of several."""

    def kept_tensors(self) -> Mapping[str, Array]:
        """Return the tensors of the kept layers, by their names in the network."""
        return {
            name: value.detach().float().numpy() if value.is_floating_point() else value.numpy()
            for name, value in self.kept_layers.state_dict().items()
        }

    def head_weights(self) -> tuple[FloatArray, FloatArray]:
        """Return the head: its weight (C, d) and its bias (C,), float64."""
        weight, bias = self.head.weight.detach(), self.head.bias.detach()
        return weight.cpu().double().numpy(), bias.cpu().double().numpy()

    def feature_maps(self, x: torch.Tensor) -> Maps:
        """Return what passes at the cuts for normalised images (n, 3, size, size)."""
        found = self.kept_layers(x)
        return (found,) if isinstance(found, torch.Tensor) else tuple(found)

    def behind_new_block(self, maps: Maps) -> Maps:
        """Return what the new block makes of the maps; the same if there is none."""
        return maps

    @abstractmethod
    def pool(self, maps: Maps) -> torch.Tensor:
        """Return the input of the head (n, d) from maps behind the new block."""

    def read(self, maps: Maps) -> torch.Tensor:
        """Return logits from maps behind the new block."""
        logits: torch.Tensor = self.head(self.pool(maps))
        return logits

    def head_input(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head reads (n, d) of normalised images (n, 3, size, size)."""
        return self.pool(self.behind_new_block(self.feature_maps(x)))


def tensor_prefix(action: Action) -> str:
    """Return :attr:`Classifier.tensor_prefix` of what an action gives, without building it."""
    own = OF_TAPS if action.leader.closed_form else OF_CUT
    return OF_MEMBER.format(0) + own if action.members else own
