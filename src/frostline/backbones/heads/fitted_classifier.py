"""The one interface of every classifier that a fit hands over, whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.backbones.tensor_digests import fingerprint_of
from frostline.core.actions import Action
from frostline.core.arrays import FloatArray
from frostline.core.cuts import Layout
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.stats.inputs import linear_outputs
from frostline.stats.kernel_part import KernelPart
from frostline.stats.selection import Features

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Floating = npt.NDArray[np.floating]

#: what names of kept layers begin with among the tensors: under a head on one cut, or on several
OF_CUT, OF_TAPS = "kept.", "body.graph."
#: what comes before that for members of a blend, by their number
OF_MEMBER = "members.{}."
#: the head's own tensors
HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"
#: and those of a kernel beside it, by the names of their fields
HEAD_KERNEL = "head.kernel."


@dataclass(frozen=True)
class Outputs:
    """What a classifier gives for n images.

    ``logits``: shape (n, C). ``head_input``, shape (n, d): what the head of the frozen leader reads
    of them; None where nobody asked.
    """

    logits: Floating
    head_input: Floating | None = None


class FittedClassifier(ABC):
    """Images to logits of shape (n, C), in a form that can be run, written out and looked into.

    - ``shareable``: whether several threads may do so at a time. Modules of PyTorch switch modes
      while they are looked into.
    """

    shareable: bool = False

    @property
    @abstractmethod
    def averaged(self) -> Sequence[tuple[SingleFittedClassifier, float]]:
        """Whose probabilities are averaged, each with its temperature; a single one is alone."""

    @property
    def shares(self) -> Sequence[float]:
        """How much each of those averaged counts; adds up to 1."""
        return [1.0 / len(self.averaged)] * len(self.averaged)

    @property
    @abstractmethod
    def tensor_prefix(self) -> str:
        """What names of the leader's kept layers begin with among the tensors."""

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Return every parameter and buffer by its name, as the module of PyTorch calls them."""

    @abstractmethod
    def run(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        """Return logits (n, C) of batches of prepared images (n, size, size, 3)."""

    @abstractmethod
    def reference(
        self, images: UInt8Array, preprocessing: Preprocessing, *, head_input: bool = False
    ) -> Outputs:
        """Return what an exported file has to give, computed apart from :meth:`onnx_body`.

        ``head_input``: whether what the head reads is wanted as well.
        """

    @abstractmethod
    def onnx_body(
        self, size: int, *, source: str, logits: str, head_input: str | None = None
    ) -> onnx.ModelProto:
        """Return the graph from normalised images (n, 3, size, size) to logits.

        Raises EngineError if ONNX lacks an operation, or the graph is too large for one file.

        ``source`` and ``logits``: names of its input and its output. ``head_input``: name of a
        second output, what the head of the frozen leader reads; None for none.
        """

    @property
    def leader(self) -> SingleFittedClassifier:
        """The first of those averaged, which led the race: pictures show its layers."""
        return self.averaged[0][0]

    @property
    def frozen_leader(self) -> SingleFittedClassifier:
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

        ``names``: of tensors of this classifier.
        """
        prefix = self.tensor_prefix
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}

    def fingerprint(self, names: Iterable[str] | None = None) -> str:
        """Return one SHA-256 over names and contents of tensors; of all of them for None."""
        tensors = self.tensors()
        wanted = set(tensors if names is None else names)
        return fingerprint_of({name: one for name, one in tensors.items() if name in wanted})


class SingleFittedClassifier(FittedClassifier):
    """Kept layers of one network, and one head on what passes at some of its cuts.

    The head is linear, or a linear one with a kernel beside it.

    - ``cuts``: where the head reads, by depth.
    - ``layouts``: of what is pooled.
    - ``frozen``: whether all kept layers are those of the network it was made from.
    - ``new_block``: whether new layers lie below the pooling.
    - ``blocks``: which columns of the head's input belong to which cut; None if they are all of
      one.
    """

    cuts: tuple[str, ...]
    layouts: tuple[Layout, ...]
    frozen: bool = False
    new_block: bool = False
    blocks: list[slice] | None = None

    @property
    def averaged(self) -> Sequence[tuple[SingleFittedClassifier, float]]:
        return ((self, 1.0),)

    @abstractmethod
    def head_weights(self) -> tuple[FloatArray, FloatArray]:
        """Return the linear head: its weight (C, d) and its bias (C,), float64."""

    def head_kernel(self) -> KernelPart | None:
        """Return what the head adds to its linear outputs; None if it is linear."""
        return None

    def kept_tensors(self) -> dict[str, Array]:
        """Return the tensors of the kept layers, by their names in the network."""
        prefix, tensors = self.tensor_prefix, self.tensors()
        return {n.removeprefix(prefix): one for n, one in tensors.items() if n.startswith(prefix)}

    @abstractmethod
    def head_inputs(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        """Return what the head reads (n, d) of batches of prepared images (n, size, size, 3)."""

    def logits(self, features: Features) -> FloatArray:
        """Return logits (n, C) for what the head reads (n, d), computed in float64."""
        weight, bias = self.head_weights()
        outputs = linear_outputs(features, weight.T, bias)
        kernel = self.head_kernel()
        return outputs if kernel is None else outputs + kernel.outputs(features)


def tensor_prefix(action: Action) -> str:
    """Return the ``tensor_prefix`` of the classifier that an action gives, without building it."""
    own = OF_TAPS if action.leader.closed_form else OF_CUT
    return OF_MEMBER.format(0) + own if action.members else own
