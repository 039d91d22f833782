"""Put kept, frozen and new layers together, in the modes that a plan asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from frostline.backbones.fingerprints import fingerprints
from frostline.backbones.freeze.eval_mode import is_locked
from frostline.backbones.freeze.freezing import freeze, frozen_names, lock_norms_in_eval
from frostline.backbones.freeze.param_groups import param_groups
from frostline.backbones.heads.classifiers import CutClassifier, build_classifier
from frostline.backbones.layer_kinds import is_norm
from frostline.backbones.network import Network
from frostline.compute.engines.torch_runtime import Compute
from frostline.core.actions import LayerTraining
from frostline.core.errors import PlanError
from frostline.core.rng import keyed_number
from frostline.training.loaders import SMALLEST_NORM_BATCH
from frostline.training.low_rank import add_adapters, merge_adapters

# share of each new batch in the running statistics
_NORM_MOMENTUM = 0.1


class TrainableSuffix(nn.Module):
    """The part of a classifier that runs on stored activations; it shares all weights.

    ``kept``: kept layers between the activations and the new layers; None when there are none.
    """

    def __init__(self, kept: nn.Module | None, classifier: CutClassifier) -> None:
        super().__init__()
        self.kept = kept
        self.new = classifier.new
        self._classify = classifier.classify

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits for activations."""
        return self._classify(self.last_kept(x))

    def last_kept(self, x: torch.Tensor) -> torch.Tensor:
        """Activations at the last kept layer."""
        return x if self.kept is None else self.kept(x)


def reset_parameters(module: nn.Module) -> None:
    """Draw all weights anew, as the layers themselves do when they are built.

    Raises PlanError if a layer with weights of its own does not know how.
    """
    for name, layer in module.named_modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
        elif next(layer.parameters(recurse=False), None) is not None:
            raise PlanError(
                f"Layer {name!r} ({type(layer).__name__}) cannot be drawn anew, so the network "
                "cannot start from random weights.",
                hint="Set start to pretrained.",
            )


def _train_only_norms(classifier: CutClassifier) -> None:
    """Leave the weights of all kept layers but the norm layers as they are."""
    affine = {
        parameter
        for layer in classifier.kept.modules()
        if is_norm(layer)
        for parameter in layer.parameters(recurse=False)
    }
    for parameter in classifier.kept.parameters():
        if parameter not in affine:
            parameter.requires_grad_(False)


@dataclass(frozen=True)
class Assembly:
    """A classifier on its own copy of the network, frozen as planned.

    - ``network``: the copy; the classifier shares its weights.
    - ``classifier``: image to logits.
    - ``keep_to``: name of the last kept cut.
    - ``freeze_to``: name of the last frozen cut.
    - ``between``: kept layers above ``freeze_to``; None when everything kept is frozen.
    - ``fingerprints``: of everything frozen, by tensor name, before anything ran.
    - ``norms_learn``: whether norm layers above the frozen part update their statistics.
    """

    network: Network
    classifier: CutClassifier
    keep_to: str
    freeze_to: str | None
    between: nn.Module | None
    fingerprints: dict[str, str]
    norms_learn: bool

    @property
    def frozen(self) -> list[str]:
        """Tensors that must stay bit-identical."""
        return list(self.fingerprints)

    @property
    def new(self) -> list[str]:
        """Tensors that were added."""
        return [n for n in self.classifier.state_dict() if not n.startswith("kept.")]

    @property
    def trained(self) -> list[str]:
        """Pretrained tensors that may change."""
        rest = {*self.frozen, *self.new}
        return [name for name in self.classifier.state_dict() if name not in rest]

    def changing(self) -> dict[str, torch.Tensor]:
        """Everything that may change, by name; the live tensors."""
        state = self.classifier.state_dict()
        return {name: state[name] for name in (*self.trained, *self.new)}

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Copy saved tensors into the live ones of :meth:`changing`."""
        with torch.no_grad():
            for name, live in self.changing().items():
                live.copy_(tensors[name])

    def merged(self) -> Assembly:
        """Put adapters into the weights that they sit on: a plain network, adapted weights trained.

        Call it last, and once: what was frozen below an adapter moves here.
        """
        merge_adapters(self.classifier)
        left = self.classifier.state_dict()
        return replace(self, fingerprints={n: d for n, d in self.fingerprints.items() if n in left})

    def groups_above(self, action: LayerTraining, cut: str) -> list[dict[str, Any]]:
        """Optimiser groups of what is trainable after ``cut``, at the rates it has anyway."""
        below = {f"kept.{name}" for name in self.network.prefix(cut).state_dict()}
        found = []
        for group in self.groups(action):
            pairs = zip(group["param_names"], group["params"], strict=True)
            above = [(name, parameter) for name, parameter in pairs if name not in below]
            if above:
                names, parameters = zip(*above, strict=True)
                found.append({**group, "param_names": list(names), "params": list(parameters)})
        return found

    def new_groups(self, action: LayerTraining) -> list[dict[str, Any]]:
        """Optimiser groups of the new layers alone."""
        return [g for g in self.groups(action) if g["name"].split(" ")[0] == "head"]

    def groups(self, action: LayerTraining) -> list[dict[str, Any]]:
        """Optimiser groups of everything trainable, the rate falling once a stage."""
        stages = self._stages()
        depth = {layer: i for i, layers in enumerate(stages) for layer in layers}
        recipe = action.recipe
        groups = param_groups(
            self.classifier,
            stages=list(depth),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            head_lr=recipe.head_learning_rate,
        )
        for group in groups:
            layer = group["name"].removesuffix(" (no decay)")
            if layer in depth:
                # one step a stage, although a stage may have several layers at its top level
                group["lr"] *= recipe.layer_decay ** (len(stages) - 1 - depth[layer])
        return groups

    def _stages(self) -> list[list[str]]:
        """Trainable kept layers, stage by stage from the input."""
        if self.between is None:
            return []
        first = -1 if self.freeze_to is None else self.network.cut(self.freeze_to).position
        last = self.network.cut(self.keep_to).position
        ends = [
            cut.name for cut in self.network.cuts if first < cut.position < last and cut.stage_end
        ]
        borders = [self.freeze_to, *ends, self.keep_to]
        return [
            [f"kept.{layer}" for layer in self.network.layers(after, to)]
            for after, to in pairwise(borders)
        ]


def assemble(
    action: LayerTraining, source: Network, *, n_outputs: int, seed: int, compute: Compute
) -> Assembly:
    """Build the classifier of ``action`` on a copy of ``source``.

    Raises PlanError if ``freeze_to`` lies above ``keep_to``; CutError if a cut does not exist.
    """
    network = source.copy()
    if action.from_scratch:
        torch.manual_seed(keyed_number("random start", seed))
        reset_parameters(network.module)
    keep = network.last if action.keep_to is None else network.cut(action.keep_to)
    freeze_to = None if action.frozen_to is None else network.cut(action.frozen_to)
    if freeze_to is not None and freeze_to.position > keep.position:
        raise PlanError(
            f"The plan freezes up to {freeze_to.name!r}, but keeps layers only up to "
            f"{keep.name!r}.",
            hint="Give a freeze_to that is kept.",
        )
    # before any part is made: parts keep their own reference to buffers outside of layers
    network.feature_module.to(compute.device)
    network.feature_module.to(memory_format=torch.channels_last)
    torch.manual_seed(keyed_number("new layers", seed))
    classifier = build_classifier(
        network, keep_to=keep.name, n_outputs=n_outputs, new_block=action.new_block
    )
    classifier.to(compute.device)
    classifier.requires_grad_(True)
    between: nn.Module | None = classifier.kept
    still: set[str] = set()
    if freeze_to is not None:
        prefix = network.prefix(freeze_to.name)
        freeze(prefix)
        still = {f"kept.{name}" for name in prefix.state_dict()}
        above = freeze_to.position < keep.position
        between = network.suffix(freeze_to.name, keep.name) if above else None
    if action.norms_only:
        _train_only_norms(classifier)
    elif action.adapters is not None:
        add_adapters(classifier.kept, action.adapters, seed=seed)
    norms_learn = (
        action.recipe.norm_mode == "train" and action.recipe.batch_size >= SMALLEST_NORM_BATCH
    )
    if norms_learn:
        for layer in classifier.modules():
            if isinstance(layer, nn.BatchNorm2d) and not is_locked(layer):
                layer.momentum = _NORM_MOMENTUM
    else:
        lock_norms_in_eval(classifier)
    still |= {name for name in frozen_names(classifier) if name.startswith("kept.")}
    return Assembly(
        network=network,
        classifier=classifier.eval(),
        keep_to=keep.name,
        freeze_to=None if freeze_to is None else freeze_to.name,
        between=between,
        fingerprints={n: d for n, d in fingerprints(classifier).items() if n in still},
        norms_learn=norms_learn,
    )
