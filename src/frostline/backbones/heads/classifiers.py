"""The classifiers that plans ask for: a head on one cut, on several, or an average of such."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.heads.classifier import Classifier, Maps, SingleClassifier
from frostline.backbones.heads.fitted_classifier import OF_CUT, OF_MEMBER, OF_TAPS
from frostline.backbones.heads.linear import new_linear, set_linear
from frostline.backbones.heads.linear_with_kernel import LinearWithKernel
from frostline.backbones.heads.new_blocks import new_layers
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.core.actions import Action, Blend, LayerTraining, TapsHead
from frostline.core.cuts import Cut, pooled_width, without_norm
from frostline.stats.kernel_part import KernelPart
from frostline.targets.links import Link


class CutClassifier(SingleClassifier):
    """Kept layers, perhaps a new block, pooling (mean and spread) and a new linear head.

    ``kept``: image to the activations at the cut. ``new``: new layers of :func:`new_layers`, or
    Identity.
    """

    tensor_prefix = OF_CUT

    def __init__(
        self, kept: nn.Module, cut: Cut, *, n_outputs: int, new_block: bool = False
    ) -> None:
        super().__init__()
        self.kept = kept
        self.cuts = (cut.name,)
        self.layouts = (cut.layout,)
        self._tokens = cut.tokens
        self.new_block = new_block
        channels = cut.channels
        self.new: nn.Module = nn.Identity()
        if new_block:
            self.new, channels = new_layers(cut)
            # new layers have a scale of their own
            self._tokens = without_norm(cut.tokens)
        self.head = new_linear(pooled_width(channels, cut.layout, self._tokens), n_outputs)

    @property
    def kept_layers(self) -> nn.Module:
        return self.kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_outputs) for normalised images (n, 3, size, size)."""
        return self.classify(self.kept(x))

    def classify(self, activations: torch.Tensor) -> torch.Tensor:
        """Logits for activations at the last kept layer."""
        return self.read(self.behind_new_block((activations,)))

    def behind_new_block(self, maps: Maps) -> Maps:
        return (self.new(maps[0]),)

    def pool(self, maps: Maps) -> torch.Tensor:
        return pooled(maps[0], self.layouts[0], self._tokens)


class TapsClassifier(SingleClassifier):
    """Pooled taps and one head on all of them; the network below stays as it is.

    ``kernel``: whether the head adds a kernel to its linear outputs.
    """

    tensor_prefix = OF_TAPS
    frozen = True

    def __init__(
        self, network: Network, taps: list[str], *, n_outputs: int, kernel: bool = False
    ) -> None:
        super().__init__()
        self.body = network.body(taps)
        self.cuts = tuple(self.body.slices)
        self.layouts = self.body.layouts
        self.blocks = list(self.body.slices.values())
        of_kind = LinearWithKernel if kernel else nn.Linear
        self.head = of_kind(self.body.width, n_outputs)

    @property
    def kept_layers(self) -> nn.Module:
        return self.body.graph

    def head_kernel(self) -> KernelPart | None:
        return self.head.part() if isinstance(self.head, LinearWithKernel) else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_outputs) for normalised images (n, 3, size, size)."""
        logits: torch.Tensor = self.head(self.body(x))
        return logits

    def pool(self, maps: Maps) -> torch.Tensor:
        return self.body.pool(maps)


class BlendClassifier(Classifier):
    """The mean of several classifiers' calibrated probabilities, as logits.

    ``temperatures``: the logits of each member are divided by its own before they become
    probabilities. ``weights``: of each member, adding up to 1; None where all count alike.
    ``link``: what makes predictions of logits; those of the mean are given.
    """

    def __init__(
        self,
        members: Sequence[SingleClassifier],
        temperatures: Sequence[float],
        weights: Sequence[float] | None = None,
        *,
        link: Link = "softmax",
    ) -> None:
        super().__init__()
        self._link = link
        self.members = nn.ModuleList(members)
        self._weights = None if weights is None else tuple(weights)
        self.temperatures: torch.Tensor
        self.register_buffer("temperatures", torch.tensor(temperatures, dtype=torch.float32))

    @property
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        members = cast(Sequence[SingleClassifier], self.members)
        return tuple(zip(members, self.temperatures.tolist(), strict=True))

    @property
    def shares(self) -> Sequence[float]:
        return super().shares if self._weights is None else self._weights

    @property
    def tensor_prefix(self) -> str:
        return OF_MEMBER.format(0) + self.leader.tensor_prefix

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, C): those of the mean predictions."""
        each = [member(x) / self.temperatures[i] for i, member in enumerate(self.members)]
        if self._link == "identity":
            shares = self.shares
            return torch.stack([o * s for o, s in zip(each, shares, strict=True)]).sum(dim=0)
        if self._link == "sigmoid":
            log_sigmoid = nn.functional.logsigmoid
            present = self._log_mean([log_sigmoid(one) for one in each])
            return present - self._log_mean([log_sigmoid(-one) for one in each])
        return self._log_mean([torch.log_softmax(one, dim=-1) for one in each])

    def _log_mean(self, each: list[torch.Tensor]) -> torch.Tensor:
        """Return the logarithm of the mean of what these are logarithms of."""
        # a mean of probabilities, kept apart from log(0)
        if self._weights is not None:
            each = [one + math.log(share) for one, share in zip(each, self._weights, strict=True)]
            return torch.logsumexp(torch.stack(each), dim=0)
        return torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each))


def taps_classifier(
    network: FrozenNetwork,
    taps: Sequence[str],
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    kernel: KernelPart | None = None,
) -> TapsClassifier:
    """Put a head that was solved for on pooled taps; in eval mode.

    ``weight``, shape (C, d), and ``bias``, shape (C,): on the taps side by side, by depth.
    ``kernel``: on the same, None for none.
    """
    weight, bias = np.asarray(weight), np.asarray(bias)
    module = TapsClassifier(
        trainable(network), list(taps), n_outputs=len(bias), kernel=kernel is not None
    )
    set_linear(module.head, weight.T, bias)
    if kernel is not None and isinstance(module.head, LinearWithKernel):
        module.head.set_part(kernel)
    return module.eval()


def build_classifier(
    network: Network, *, keep_to: str | None, n_outputs: int, new_block: bool
) -> CutClassifier:
    """Put a new classifier on ``network``, kept up to ``keep_to`` (None keeps every layer)."""
    cut = network.last if keep_to is None else network.cut(keep_to)
    return CutClassifier(network.prefix(cut.name), cut, n_outputs=n_outputs, new_block=new_block)


def empty_classifier(
    action: Action, load: Callable[[], Network], *, n_outputs: int, link: Link = "softmax"
) -> Classifier:
    """Build what an action gives, with weights yet to be loaded.

    ``load``: gives a network of its own to each member of a blend. ``link``: what makes predictions
    of its logits.
    """

    def taps(action: TapsHead) -> Classifier:
        return TapsClassifier(load(), action.taps, n_outputs=n_outputs, kernel=action.kernel)

    def cut(action: LayerTraining) -> Classifier:
        return build_classifier(
            load(), keep_to=action.cut, n_outputs=n_outputs, new_block=action.new_block
        )

    def blend(action: Blend) -> Classifier:
        members = [empty_classifier(one, load, n_outputs=n_outputs) for one in action.members]
        temperatures = [1.0] * len(members)
        leaders = [member.leader for member in members]
        return BlendClassifier(leaders, temperatures, action.weights, link=link)

    return action.dispatch(head=taps, layers=cut, blend=blend)
