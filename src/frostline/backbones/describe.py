"""Describe a network of PyTorch, so that frozen features of it need PyTorch no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from frostline.backbones.description import NetworkDescription
from frostline.backbones.network import Network
from frostline.backbones.to_onnx import NotExportableError, to_onnx
from frostline.core.cuts import Cut
from frostline.core.onnx_runtime import open_session
from frostline.onnx_graph.network_graph import NORMALISED
from frostline.onnx_graph.norm_points import moments_output, write_norm_points
from frostline.onnx_graph.preprocessing_graph import OPSET


def plain_bytes(module: nn.Module) -> int | None:
    """Return the bytes of a state dict; None if it holds more than NumPy and ONNX have in common.

    That is numbers of single precision, whole numbers and truth values.
    """
    known = {torch.float32, torch.int64, torch.int32, torch.uint8, torch.bool}
    held = 0
    for tensor in module.state_dict().values():
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in known:
            return None
        held += tensor.numel() * tensor.element_size()
    return held


def describe(network: Network) -> NetworkDescription:
    """Return what is known of a network beside its weights."""
    old = network.source_layer()
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
        classifier=None if old is None else old.path,
        classifier_from=0 if old is None else old.start,
        last_map=network.last_map.name if network.last_map.name != network.last.name else "",
        pooling=network.pooling,
        family=network.family,
        notes=tuple(network.notes),
    )


def graph_of(network: Network, *, moments: bool = False) -> bytes:
    """Return the layers up to the last feature map as ONNX without weights.

    Parameters
    ----------
    network : Network
    moments : bool, default=False
        Whether it has outputs for what norm layers read, of whatever kind they are. Without them
        only BatchNorm of maps can be measured.

    Raises
    ------
    EngineError
        If the network has something that ONNX cannot say, or that is no tensor of its state dict.
    """
    size = network.preprocessing.size
    names = [cut.name for cut in network.feature_cuts]
    inputs = network.norm_inputs() if moments else []
    module = network.ends(names, inputs)
    content = to_onnx(
        module,
        torch.zeros(2, 3, size, size),
        source=NORMALISED,
        # the exporter takes no numbers for names, as layers of a Sequential have
        targets=[f"cut/{name}" for name in names] + [moments_output(x.point.name) for x in inputs],
        opset=OPSET,
        weights=False,
    )
    model = onnx.load_model_from_string(content)
    _name_outputs(model, network.feature_cuts)
    if moments:
        write_norm_points(model, [x.point for x in inputs])
    state = {name: t.detach().cpu().numpy() for name, t in module.state_dict().items()}
    _part_equal_tensors(model, state)
    strange = [v.name for v in model.graph.input if v.name not in (NORMALISED, *state)]
    if strange:
        raise NotExportableError(f"{strange[0]} is no tensor of its state dict")
    _fix_sizes(model, state, size)
    _keep_shapes(model)
    written: bytes = model.SerializeToString()
    return written


def _name_outputs(model: onnx.ModelProto, cuts: Sequence[Cut]) -> None:
    """Give the outputs of cuts, which come first, the cuts' own names."""
    graph = model.graph
    others = list(graph.output)[len(cuts) :]
    new = {value.name: cut.name for value, cut in zip(graph.output, cuts, strict=False)}
    for node in graph.node:
        for places in (node.input, node.output):
            for i, name in enumerate(places):
                places[i] = new.get(name, name)
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(cut.name, onnx.TensorProto.FLOAT, ["N", *cut.shape])
        for cut in cuts
    )
    graph.output.extend(others)


def _part_equal_tensors(model: onnx.ModelProto, state: Mapping[str, np.ndarray]) -> None:
    """Let every layer read its own tensors.

    The exporter takes one tensor for all that have the same values, which they may have today
    alone: biases of zeros, and statistics that are estimated anew.
    """
    nodes = [node for node in model.graph.node if node.output[0] not in state]
    read = {name for node in nodes for name in node.input}
    kept = {value.name: value for value in model.graph.input}
    kept |= {
        name: helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(t.dtype), t.shape)
        for name, t in state.items()
        if name in read
    }
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(v for name, v in kept.items() if name in read)


def _fix_sizes(model: onnx.ModelProto, state: Mapping[str, np.ndarray], size: int) -> None:
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
    if not made:
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in made)
    session = open_session(probe.SerializeToString(), threads=1, log_level=4)
    given = {value.name for value in session.get_inputs()}
    tensors = {name: value for name, value in state.items() if name in given}
    # what follows from the batch differs between a batch of one and of two
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


def _keep_shapes(model: onnx.ModelProto) -> None:
    """Keep the shapes of what reaches norm layers: those of maps are measured, others not."""
    read = {n.input[0] for n in model.graph.node if n.op_type == "BatchNormalization"}
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    del model.graph.value_info[:]
    model.graph.value_info.extend(value for value in known if value.name in read)
