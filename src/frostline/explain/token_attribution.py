"""Where in an image a class found its evidence, for heads that read tokens or vectors.

Behind a few layers a token stands for the whole image as much as for its own patch, and a class
token or a pooled vector for no place at all: what a head reads of them says nothing about places.
So it is followed back to the last map before, with attention weights, scales of norm layers and
slopes of activations held as they were for this image. That leaves the network linear, and each
place with its exact share (Ali et al. 2022, XAI for transformers: better explanations through
conservative propagation). It takes one run and one way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.heads.fitted_classifier import SingleFittedClassifier
from frostline.core.arrays import FloatArray
from frostline.core.cuts import PLAIN, Cut, TokenReading, tap_columns
from frostline.core.errors import EngineError
from frostline.core.preprocessing import UInt8Array
from frostline.explain.attribution import (
    Attribution,
    against_mean,
    attribute_maps,
    checked_classes,
    on_grid,
)
from frostline.explain.sight import Array, graph_with
from frostline.explain.tokens import normalised
from frostline.onnx_graph.network_graph import IMAGES
from frostline.onnx_graph.pullback import Linearized, Pullback

#: what pooling adds to a variance, so that its root has a slope everywhere
_TINY = 1e-12
_IN_SPACE = ("NCHW", "NHWC")
_NOTE = "Heat: each place's share in the answer, with attention held as it was."


class TokenAttribution:
    """Heat maps of one head on a network, without PyTorch; maps that it reads count as they are.

    ``network``: has a graph. ``classifier``: kept layers of the network with a linear head on what
    passes at some of its cuts. ``alone``: as for
    :func:`frostline.explain.attribution.attribute_maps`.

    Raises EngineError if the graph has an operator that gradients cannot be carried through, or the
    head is not linear.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        classifier: SingleFittedClassifier,
        *,
        threads: int,
        alone: bool = False,
    ) -> None:
        if classifier.head_kernel() is not None:
            raise EngineError("Its head compares images by a kernel, which is not followed back.")
        self._alone = alone
        cuts = [network.cut(name) for name in classifier.cuts]
        self._columns = tap_columns(cuts)
        self._maps = [cut for cut in cuts if cut.layout in _IN_SPACE]
        self._placeless = [cut for cut in cuts if cut.layout not in _IN_SPACE]
        self._weight, _ = classifier.head_weights()
        graph = graph_with(network, classifier.kept_tensors())
        names = [cut.name for cut in cuts]
        model = onnx.load_model_from_string(graph.maps(names, network.preprocessing))
        ends = [cut.name for cut in self._placeless]
        side = network.preprocessing.size
        blank = np.zeros((1, side, side, 3), dtype=np.uint8)
        for start in _last_maps(model.graph.node, ends):
            self._start = start
            self._pullback = Pullback(
                model, start, ends, also=[cut.name for cut in self._maps], threads=threads
            )
            if self._pullback.run({IMAGES: blank}).values[start][0, 0].size > 1:
                return
        raise EngineError("The network has no map that all of an image passes through.")

    def __call__(self, pixels: UInt8Array, classes: npt.ArrayLike) -> Attribution:
        """Say which places of some images spoke for a class of each.

        ``pixels``, shape (n, size, size, 3): prepared images. ``classes``, shape (n,): the class to
        speak for, of each image.
        """
        said = checked_classes(classes, len(pixels)).tolist()
        # one at a time: all that is held of an image may take hundreds of megabytes
        heat = [self._of_one(image, one) for image, one in zip(pixels, said, strict=True)]
        return Attribution(np.stack(heat), complete=False, note=_NOTE)

    def _of_one(self, image: UInt8Array, said: int) -> FloatArray:
        held = self._pullback.run({IMAGES: image[None]})
        heat = on_grid(self._followed_back(held, said)[None])[0]
        if self._maps:
            maps = [held.values[cut.name] for cut in self._maps]
            columns = np.concatenate(
                [self._weight[:, self._columns[cut.name]] for cut in self._maps], axis=1
            )
            layouts = [cut.layout for cut in self._maps]
            heat = heat + attribute_maps(maps, layouts, columns, [said], alone=self._alone).heat[0]
        return np.asarray(heat)

    def _followed_back(self, held: Linearized, said: int) -> FloatArray:
        weight = against_mean(self._weight, alone=self._alone)[said]
        seeds = {
            cut.name: pooling_gradient(held.values[cut.name], cut, weight[self._columns[cut.name]])
            for cut in self._placeless
        }
        places = held.values[self._start][0].astype(np.float64)
        # what all places have in common is no reason to look at one of them
        own = places - places.mean(axis=(1, 2), keepdims=True)
        return np.asarray((own * held.gradient(seeds)[0]).sum(axis=0))


def pooling_gradient(passing: Array, cut: Cut, weight: FloatArray) -> Array:
    """Return the gradient of a linear head on what is pooled at a cut, in the shape of that.

    ``passing``, shape (1, ...): tokens or a vector. ``weight``: of what is pooled there.
    """
    if cut.layout == "NC":
        return weight[None].astype(np.float32)
    reading = cut.tokens or TokenReading(PLAIN)
    tokens, size = normalised(passing[0].astype(np.float64), reading)
    patches = tokens[reading.prefix_tokens :]
    centred = patches - patches.mean(axis=0)
    gradient = np.zeros_like(tokens)
    behind = gradient[reading.prefix_tokens :]
    for part, of_part in zip(reading.parts, np.split(weight, len(reading.parts)), strict=True):
        if part == "class":
            gradient[: reading.class_tokens] += of_part / reading.class_tokens
        elif part == "mean":
            behind += of_part / len(patches)
        else:
            spread = np.sqrt(np.square(centred).mean(axis=0) + _TINY)
            behind += of_part * centred / spread / len(patches)
    gradient /= size
    if reading.norm == "layer":
        gradient -= gradient.mean(axis=-1, keepdims=True)
    return np.asarray(gradient[None].astype(np.float32))


def _last_maps(nodes: Sequence[onnx.NodeProto], ends: Sequence[str]) -> Iterator[str]:
    """Name convolutions that all of an image passes through, before any attention, the last first.

    Their maps have the true grid of the patches, whatever tokens join them later.
    """
    first = next((i for i, node in enumerate(nodes) if node.op_type == "Softmax"), len(nodes))
    for node in reversed(nodes[:first]):
        if node.op_type == "Conv" and not _reaches(nodes, ends, around=node.output[0]):
            yield node.output[0]


def _reaches(nodes: Iterable[onnx.NodeProto], ends: Sequence[str], *, around: str) -> bool:
    """Whether the image reaches any of the ends another way than through one tensor."""
    live = {IMAGES}
    for node in nodes:
        if node.op_type != "Shape" and around not in node.output and live.intersection(node.input):
            live.update(node.output)
    return not live.isdisjoint(ends)
