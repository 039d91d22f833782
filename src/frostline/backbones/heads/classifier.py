"""Every classifier that is a module of PyTorch, however it is put together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from frostline.backbones.fingerprints import fingerprint as fingerprint_of_module
from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.heads.fitted_classifier import (
    Array,
    FittedClassifier,
    Floating,
    Outputs,
    SingleFittedClassifier,
)
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.backbones.run_module import run_module, to_input
from frostline.backbones.to_onnx import to_onnx
from frostline.core.arrays import FloatArray
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.onnx_graph.preprocessing_graph import OPSET

if TYPE_CHECKING:
    import onnx

Maps = Sequence[torch.Tensor]


class Classifier(nn.Module, FittedClassifier):
    """Normalised images (n, 3, size, size) to logits (n, n_outputs)."""

    @property
    @abstractmethod
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        """Whose probabilities are averaged, each with its temperature; a single one is alone."""

    @property
    def leader(self) -> SingleClassifier:
        return self.averaged[0][0]

    @property
    def frozen_leader(self) -> SingleClassifier:
        return next((one for one, _ in self.averaged if one.frozen), self.leader)

    def tensors(self) -> dict[str, Array]:
        state = self.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def fingerprint(self, names: Iterable[str] | None = None) -> str:
        return fingerprint_of_module(self, names)

    def run(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        return run_module(self, batches, preprocessing)

    def reference(
        self, images: UInt8Array, preprocessing: Preprocessing, *, head_input: bool = False
    ) -> Outputs:
        watched = self._watched(head_input)
        with torch.inference_mode(), eval_mode(watched):
            batch = to_input(images, preprocessing, device=self._device(), channels_last=False)
            found = watched(batch)
        logits, seen = found if head_input else (found, None)
        return Outputs(
            logits.float().cpu().numpy(), None if seen is None else seen.float().cpu().numpy()
        )

    def onnx_body(
        self, size: int, *, source: str, logits: str, head_input: str | None = None
    ) -> onnx.ModelProto:
        import onnx

        from frostline.onnx_graph.branches import with_merged_branches

        targets = [logits] if head_input is None else [logits, head_input]
        example = torch.zeros(2, 3, size, size, device=self._device())
        watched = self._watched(head_input is not None)
        content = to_onnx(watched, example, source=source, targets=targets, opset=OPSET)
        return with_merged_branches(onnx.load_model_from_string(content))

    def _watched(self, head_input: bool) -> nn.Module:
        return WithHeadInput(self, self.frozen_leader.head) if head_input else self

    def _device(self) -> torch.device | None:
        return next((tensor.device for tensor in self.state_dict().values()), None)


class SingleClassifier(Classifier, SingleFittedClassifier):
    """A single classifier as a module: see :class:`SingleFittedClassifier`.

    ``read(behind_new_block(feature_maps(images)))`` are the logits. ``head``: the linear layer.
    """

    head: nn.Linear

    @property
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        return ((self, 1.0),)

    @property
    @abstractmethod
    def kept_layers(self) -> nn.Module:
        """Images to what passes at the cut, or at each of several."""

    def head_weights(self) -> tuple[FloatArray, FloatArray]:
        weight, bias = self.head.weight.detach(), self.head.bias.detach()
        return weight.cpu().double().numpy(), bias.cpu().double().numpy()

    def head_inputs(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        return run_module(self, batches, preprocessing, function=self.head_input)

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
