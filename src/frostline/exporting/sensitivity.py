"""Which layers of a network lose most when they compute with 8 bits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from frostline.core.machine import available_cores
from frostline.core.onnx_runtime import open_session

Floating = npt.NDArray[np.floating[Any]]

#: images that are looked at, one at a time
_LOOKED = 4
#: values of a layer's input that are looked at, for each image
_ROWS = 256
_STEPS = 255


def most_sensitive(
    network: onnx.ModelProto, values: Floating, names: Collection[str], share: float
) -> set[str]:
    """Return the matrix products whose results 8 bits change most.

    What matters is the error of a product relative to its result, with the range of all of its
    input: a few channels of large values leave the others no steps. Layers that are no products of
    a matrix of weights are not looked at.

    ``values``, shape (n, ...): what the network reads. ``names``: layers to choose from. ``share``:
    of them, in [0, 1], rounded up.
    """
    weights = {one.name: one for one in network.graph.initializer}
    layers = {
        node.name: node
        for node in network.graph.node
        if node.name in names and node.op_type == "MatMul" and node.input[1] in weights
    }
    if not layers:
        return set()
    inputs = {name: node.input[0] for name, node in layers.items()}
    matrices = {
        name: numpy_helper.to_array(weights[node.input[1]]) for name, node in layers.items()
    }
    session = open_session(
        _giving(network, set(inputs.values())).SerializeToString(), threads=available_cores()
    )
    asked = sorted(set(inputs.values()))
    lost = dict.fromkeys(layers, 0.0)
    for one in values[:_LOOKED]:
        found = dict(
            zip(asked, session.run(asked, {network.graph.input[0].name: one[None]}), strict=True)
        )
        for name in layers:
            lost[name] += relative_error(found[inputs[name]], matrices[name])
    ranked = sorted(lost, key=lambda name: (-lost[name], name))
    return set(ranked[: -int(-share * len(ranked) // 1)])


def relative_error(given: Floating, matrix: Floating) -> float:
    """Return the error of ``given @ matrix`` in 8-bit steps, relative to it; root mean squares."""
    rows = given.reshape(-1, given.shape[-1])
    low, high = min(float(rows.min()), 0.0), max(float(rows.max()), 0.0)
    step = (high - low) / _STEPS or 1.0
    rows = rows[:: max(1, len(rows) // _ROWS)]
    off = np.rint(rows / step) * step - rows
    scale = np.abs(matrix).max(axis=-2, keepdims=True) / (_STEPS // 2)
    scale = np.where(scale > 0, scale, 1.0)
    coarse = np.rint(matrix / scale) * scale
    exact = rows @ matrix
    error = (rows + off) @ coarse - exact
    size = float(np.square(exact).mean())
    return float(np.sqrt(np.square(error).mean() / size)) if size else 0.0


def _giving(network: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Return the network with some tensors as its outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(network)
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in sorted(names)
    )
    return model
