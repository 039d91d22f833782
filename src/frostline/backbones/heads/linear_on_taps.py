"""A head on pooled taps of a frozen network, without PyTorch: linear, or with a kernel beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.heads.fitted_classifier import (
    HEAD_BIAS,
    HEAD_KERNEL,
    HEAD_WEIGHT,
    OF_TAPS,
    Array,
    Floating,
    Outputs,
    SingleFittedClassifier,
)
from frostline.core.arrays import FloatArray
from frostline.core.cuts import tap_columns
from frostline.core.errors import BackboneError, EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.stats.kernel_part import KernelPart

if TYPE_CHECKING:
    import onnx

    from frostline.onnx_graph.network_graph import NetworkGraph


class LinearOnTaps(SingleFittedClassifier):
    """Pooled taps and one linear head on all of them; ONNX Runtime runs the network below.

    The head may add a kernel to its linear outputs.

    It has the tensors of :class:`~frostline.backbones.heads.classifiers.TapsClassifier`, name by
    name, so that either reads what the other wrote.

    ``network``: one with a graph of its own. ``taps``: cuts of it, in any order. ``weight``, shape
    (C, d), and ``bias``, shape (C,): of the head, on the pooled taps side by side by depth.
    ``kernel``: on the same, None for none. ``threads``: that compute the network below.
    """

    tensor_prefix = OF_TAPS
    frozen = True
    shareable = True

    def __init__(
        self,
        network: FrozenNetwork,
        taps: Sequence[str],
        weight: Array,
        bias: Array,
        *,
        kernel: KernelPart | None = None,
        threads: int = 1,
    ) -> None:
        cuts = sorted(map(network.cut, taps), key=lambda cut: cut.position)
        columns = tap_columns(cuts)
        width = sum(cut.pooled_width for cut in cuts)
        if weight.shape != (len(bias), width):
            raise BackboneError(
                f"A head on {', '.join(columns)} reads {width} values; its weight is of shape "
                f"{weight.shape} and its bias of shape {bias.shape}."
            )
        self.network = network
        self.threads = threads
        self.cuts = tuple(columns)
        self.layouts = tuple(cut.layout for cut in cuts)
        self.blocks = list(columns.values())
        self.weight = np.ascontiguousarray(weight, dtype=np.float32)
        self.bias = np.ascontiguousarray(bias, dtype=np.float32)
        self.kernel = (
            None
            if kernel is None
            else {
                name: np.ascontiguousarray(one, dtype=np.float32)
                for name, one in kernel.tensors().items()
            }
        )

    def tensors(self) -> dict[str, Array]:
        """Return every parameter and buffer by its name, as the module of PyTorch calls them."""
        of_network = self.network.tensors()
        below = set(self.network.parameter_names(to=self.cuts[-1]))
        # tokens and positions belong to no layer
        below |= self._graph.tensor_names(self.cuts)
        kept = {OF_TAPS + name: value for name, value in of_network.items() if name in below}
        beside = {HEAD_KERNEL + name: one for name, one in (self.kernel or {}).items()}
        return {**kept, HEAD_WEIGHT: self.weight, HEAD_BIAS: self.bias, **beside}

    def head_weights(self) -> tuple[FloatArray, FloatArray]:
        return self.weight.astype(np.float64), self.bias.astype(np.float64)

    def head_kernel(self) -> KernelPart | None:
        return None if self.kernel is None else KernelPart.of_tensors(self.kernel)

    def run(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        """Return logits (n, C) of batches of prepared images (n, size, size, 3)."""
        return self.logits(self.head_inputs(batches, preprocessing))

    def head_inputs(self, batches: Iterable[UInt8Array], preprocessing: Preprocessing) -> Floating:
        """Return what the head reads (n, d) of batches of prepared images (n, size, size, 3)."""
        return self._taps(batches, preprocessing, plain=False)

    def reference(
        self, images: UInt8Array, preprocessing: Preprocessing, *, head_input: bool = False
    ) -> Outputs:
        """Return what an exported file has to give: from the graph as it is, nothing merged.

        ``head_input``: whether what the head reads is wanted as well.
        """
        features = self._taps([images], preprocessing, plain=True)
        return Outputs(self.logits(features), features if head_input else None)

    def onnx_body(
        self, size: int, *, source: str, logits: str, head_input: str | None = None
    ) -> onnx.ModelProto:
        """Return the graph from normalised images (n, 3, size, size) to logits.

        ``source`` and ``logits``: names of its input and its output. ``head_input``: name of what
        the head reads, which is an output as well.
        """
        del size
        outputs = logits, head_input or f"{logits}/head_input"
        return self._graph.head(
            self.cuts,
            self.weight,
            self.bias,
            outputs=outputs,
            source=source,
            kernel=self.head_kernel(),
        )

    @property
    def _graph(self) -> NetworkGraph:
        graph = self.network.graph_without_weights()
        if graph is None:
            raise BackboneError(f"{self.network.name} has no graph of its own.")
        return graph

    def _taps(
        self, batches: Iterable[UInt8Array], preprocessing: Preprocessing, *, plain: bool
    ) -> Floating:
        """Return pooled taps (n, d); ``plain``: from the graph with every layer as it was."""
        from frostline.onnx_graph.network_graph import IMAGES, RESULT

        # the session has a copy of the model, which may be hundreds of megabytes
        session = open_session(
            self._graph.taps(self.cuts, preprocessing, folded=not plain),
            threads=self.threads,
            optimized=not plain,
        )
        try:
            found = [session.run([RESULT], {IMAGES: images})[0] for images in batches]
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        width = self.weight.shape[1]
        return np.concatenate(found) if found else np.zeros((0, width), dtype=np.float32)


def head_on_taps(
    network: FrozenNetwork,
    taps: Sequence[str],
    weight: Array,
    bias: Array,
    *,
    kernel: KernelPart | None = None,
    threads: int = 1,
) -> SingleFittedClassifier:
    """Put a head that was solved for on pooled taps; with PyTorch only if the network needs it.

    Takes what :class:`LinearOnTaps` does.
    """
    if network.graph_without_weights() is not None:
        return LinearOnTaps(network, taps, weight, bias, kernel=kernel, threads=threads)
    from frostline.backbones.heads.classifiers import taps_classifier

    return taps_classifier(network, taps, weight, bias, kernel)
