"""What a frozen pass will need of memory, before it starts: counted, not measured."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.cuts import tap_columns

#: copies of the weights that opening an engine makes: the model as it is written and read, and the
#: engine's own, which it also packs for its kernels; 2 to 4.3 were measured
_ENGINE_COPIES = 5
#: what an engine takes beyond the activations themselves: scratch memory of operators, and gaps
_SCRATCH = 1.5
#: of activations that no graph tells: maps that a block holds at once, in those at its end
_MAPS_IN_A_BLOCK = 8
_FLOAT, _HALF = 4, 2


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a pass needs beside what the process has already.

    ``weights``: of the engine. ``image``: activations of one image, attention included.
    ``features``: of all images.
    """

    weights: int
    image: int
    features: int

    def total(self, images: int = 1) -> int:
        """Return the bytes of a pass that has so many images in the network at once."""
        return self.weights + self.features + images * self.image

    def images_within(self, room: int) -> int:
        """Return how many images fit at once; 0 where not even one does."""
        left = room - self.weights - self.features
        return max(0, left // max(1, self.image))


def memory_need(network: FrozenNetwork, n_images: int) -> MemoryNeed:
    """Return what a pass over ``n_images`` different images needs.

    Depends on the network's shapes alone, so it is the same on every machine.
    """
    columns = tap_columns(map(network.cut, network.taps))
    width = max(column.stop for column in columns.values())
    size = network.preprocessing.size
    graph = network.graph_without_weights()
    if graph is None:
        image = max(cut.bytes_per_image for cut in network.cuts) * (_FLOAT // _HALF)
        image *= _MAPS_IN_A_BLOCK
    else:
        from frostline.onnx_graph.activations import activation_bytes

        image = round(_SCRATCH * activation_bytes(graph.content, size, network.last.name))
    return MemoryNeed(
        weights=_ENGINE_COPIES * _FLOAT * network.last.parameters_before,
        image=image + 3 * _FLOAT * size**2,
        features=n_images * width * _FLOAT,
    )
