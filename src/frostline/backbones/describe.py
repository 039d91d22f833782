"""Describe a network of PyTorch, so that frozen features of it need PyTorch no more."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from frostline.backbones.description import NetworkDescription
from frostline.backbones.network import Network
from frostline.backbones.to_onnx import to_onnx
from frostline.core.onnx_runtime import open_session
from frostline.onnx_graph.network_graph import NORMALISED
from frostline.onnx_graph.preprocessing_graph import OPSET


def describe(network: Network) -> NetworkDescription:
    """Return what is known of a network beside its weights."""
    return NetworkDescription(
        name=network.name,
        licence=network.licence,
        preprocessing=network.preprocessing,
        weights_id=network.weights_id,
        cuts=tuple(cut.plain() for cut in network.cuts),
        inner_cuts=tuple(cut.plain() for cut in network.all_cuts),
        last=network.last.name,
        taps=tuple(network.taps),
        shapes={n: tuple(t.shape) for n, t in network.module.state_dict().items()},
        features=tuple(network.tensor_names()),
        scopes=network.scopes(),
        stages=tuple(network.stages()),
        norms=tuple(network.all_norm_layers()),
        filters=network.first_filters(),
        classifier=network.source_layer(),
        notes=tuple(network.notes),
    )


def graph_of(network: Network) -> bytes:
    """Return the layers up to the last feature map as ONNX without weights.

    Raises
    ------
    EngineError
        If the network has an operation that ONNX lacks.
    """
    size = network.preprocessing.size
    names = [cut.name for cut in network.feature_cuts]
    module = network.ends(names)
    content = to_onnx(
        module,
        torch.zeros(2, 3, size, size),
        source=NORMALISED,
        targets=names,
        opset=OPSET,
        weights=False,
    )
    model = onnx.load_model_from_string(content)
    state = {name: t.detach().cpu().numpy() for name, t in module.state_dict().items()}
    _fix_sizes(model, state, size)
    written: bytes = model.SerializeToString()
    return written


def _fix_sizes(model: onnx.ModelProto, state: dict[str, np.ndarray], size: int) -> None:
    """Turn whole numbers that do not follow from the batch into constants.

    Sides of padding, worked out anew for every image, keep engines from merging it into the
    convolution that it belongs to.
    """
    known = onnx.shape_inference.infer_shapes(model)
    whole = {
        value.name
        for value in known.graph.value_info
        if value.type.tensor_type.elem_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    }
    made = [name for node in model.graph.node for name in node.output if name in whole]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in made)
    session = open_session(probe.SerializeToString(), threads=1, log_level=4)
    given = {value.name for value in session.get_inputs()}
    tensors = {name: value for name, value in state.items() if name in given}
    found = [
        session.run(made, {NORMALISED: np.zeros((n, 3, size, size), np.float32), **tensors})
        for n in (1, 2)
    ]
    fixed = {
        name: one
        for name, one, two in zip(made, *found, strict=True)
        if one.shape == two.shape and np.array_equal(one, two)
    }
    nodes = []
    for node in model.graph.node:
        if set(node.output) <= fixed.keys():
            continue
        nodes.append(node)
    wanted = {name for node in nodes for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in fixed.items()
        if name in wanted
    )
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept[::-1])
