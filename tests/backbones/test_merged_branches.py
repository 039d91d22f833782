"""Parallel branches become one convolution where a network is frozen: same taps, less work."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.backbones.to_onnx import to_onnx
from frostline.compute.engines.frozen_part import prefix_part
from frostline.compute.engines.onnx_export import export
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import FloatArray, Preprocessing, UInt8Array
from frostline.onnx_graph.branches import merge_branches, with_merged_branches
from frostline.onnx_graph.network_graph import IMAGES, RESULT, NetworkGraph
from tests.backbones.graph_checks import crops, graph_for, in_torch, run, settled


def convolutions(model: bytes | onnx.ModelProto) -> int:
    read = onnx.load_model_from_string(model) if isinstance(model, bytes) else model
    return sum(node.op_type == "Conv" for node in read.graph.node)


def nodes(model: bytes) -> int:
    return len(onnx.load_model_from_string(model).graph.node)


def written(module: nn.Module, channels: int) -> onnx.ModelProto:
    content = to_onnx(
        module.eval(), torch.zeros(2, channels, 9, 9), source="x", targets=["y"], opset=17
    )
    return onnx.load_model_from_string(content)


def check_same(module: nn.Module, channels: int, merged: onnx.ModelProto) -> None:
    onnx.checker.check_model(merged, full_check=True)
    x = torch.randn(2, channels, 9, 9)
    with torch.no_grad():
        expected = module(x).numpy()
    found = open_session(merged.SerializeToString(), threads=1).run(["y"], {"x": x.numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std(), rtol=1e-5)


class Branches(nn.Module):
    """Adds what some layers make of one map, and the map itself."""

    def __init__(self, *layers: nn.Module, itself: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.itself = itself

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.layers[0](x)
        for layer in self.layers[1:]:
            total = total - layer(x)
        return total + x if self.itself else total


def norm(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    for tensor in (layer.weight, layer.bias, layer.running_mean):
        assert tensor is not None
        nn.init.normal_(tensor)
    assert layer.running_var is not None
    nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


def conv(size: int, *, to: int = 6, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(6, to, size, stride, size // 2, groups=groups)


@pytest.mark.parametrize(
    ("module", "before", "after"),
    [
        (Branches(conv(3), conv(1), norm(6), itself=True), 2, 1),
        (Branches(conv(5, to=8, stride=2), conv(1, to=8, stride=2)), 2, 1),
        (Branches(conv(7, groups=6), conv(3, groups=6), norm(6), itself=True), 2, 1),
        (Branches(conv(3, groups=2), itself=True), 1, 1),
        (nn.Sequential(conv(3), nn.ReLU(), Branches(conv(3), conv(3), itself=True)), 3, 2),
        # several maps, other places of the same one, and what would become more work
        (Branches(nn.Sequential(conv(3), conv(3)), conv(3)), 3, 3),
        (Branches(conv(7, groups=6), conv(1)), 2, 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_what_is_linear_in_one_map_is_one_convolution(
    module: nn.Module, before: int, after: int
) -> None:
    torch.manual_seed(0)
    plain = written(module, 6)
    assert convolutions(plain) == before
    merged = with_merged_branches(plain)
    assert convolutions(merged) == after
    assert (merged is plain) == (len(merged.graph.node) == len(plain.graph.node))
    check_same(module, 6, merged)


#: the others run in the soak
NETWORKS = ("repvgg_a0", "fastvit_t8")


def multi_branch(name: str) -> tuple[Network, NetworkGraph]:
    torch.manual_seed(0)
    network = settled(timm.create_model(name, pretrained=False), 64)
    return network, graph_for(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_network_gives_the_same_taps_in_fewer_steps(name: str) -> None:
    check_merged(name)


def check_merged(name: str) -> None:
    network, graph = multi_branch(name)
    plain = graph.taps(network.taps, network.preprocessing, folded=False)
    merged = graph.taps(network.taps, network.preprocessing)
    simple = timm.utils.reparameterize_model(network.plain())
    fewest = sum(isinstance(layer, nn.Conv2d) for layer in simple.modules())
    assert convolutions(merged) <= fewest
    assert nodes(merged) < nodes(plain)
    assert len(merged) < len(plain)
    check_exact(plain, crops(3, network.preprocessing.size), network.body(network.taps).slices)
    check_rounding(network)


def check_exact(plain: bytes, images: UInt8Array, blocks: Mapping[str, slice]) -> None:
    """Merging itself changes nothing: in double precision the same taps."""
    model = onnx.load_model_from_string(plain)
    tensors = {t.name: wide(numpy_helper.to_array(t)) for t in model.graph.initializer}
    expected = in_double(model, model.graph.node, tensors, images)
    kept, made = merge_branches(model.graph.node, tensors, keep=[RESULT], dtype=np.float64)
    assert len(kept) < len(model.graph.node)
    found = in_double(model, kept, made, images)
    for block in blocks.values():
        assert distance(found[:, block], expected[:, block]) < 1e-10


def check_rounding(network: Network, allowed: float = 1.5) -> None:
    """Single precision is 1e-5 from double precision, or as far as it is without merging.

    How far that is says something of the network: one whose norm layers divide by small spreads
    amplifies what its first layers round, some thousand times.

    ``allowed``: times the larger distance of PyTorch and the graph with nothing merged.
    """
    graph = graph_for(network)
    plain = graph.taps(network.taps, network.preprocessing, folded=False)
    merged = graph.taps(network.taps, network.preprocessing)
    body, images = network.body(network.taps), crops(5, network.preprocessing.size)
    single = in_torch(body, images, network).numpy()
    normalised = to_input(images, network.preprocessing).double()
    with torch.inference_mode():
        exact = copy.deepcopy(body).double().eval()(normalised).numpy()
    own, found = (run(model, images)[0] for model in (plain, merged))
    for block in body.slices.values():
        rounding = max(distance(x[:, block], exact[:, block]) for x in (single, own))
        assert distance(found[:, block], exact[:, block]) <= max(1e-5, allowed * rounding)


def distance(found: FloatArray, expected: FloatArray) -> float:
    """Root mean square of the difference, in standard deviations of the expected values."""
    return float(np.sqrt(((found - expected) ** 2).mean()) / expected.std())


def wide(tensor: FloatArray) -> FloatArray:
    return tensor.astype(np.float64) if tensor.dtype == np.float32 else tensor


def in_double(
    model: onnx.ModelProto,
    nodes: Iterable[onnx.NodeProto],
    tensors: Mapping[str, FloatArray],
    images: UInt8Array,
) -> FloatArray:
    """Run nodes in double precision, which ONNX Runtime has no convolutions for."""
    built = onnx.ModelProto()
    built.CopyFrom(model)
    graph = built.graph
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in tensors.items()
        if name in used
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    for attribute in (a for node in graph.node for a in node.attribute):
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
        if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(attribute.t).astype(np.float64)
            attribute.t.CopyFrom(numpy_helper.from_array(value))
    # its sigmoid tries what overflows, and takes another way
    with np.errstate(all="ignore"):
        found: FloatArray = ReferenceEvaluator(built).run(None, {IMAGES: images})[0]
    assert found.dtype == np.float64
    return found


@pytest.mark.slow
def test_prefixes_are_merged_too_and_the_network_stays_as_it_is(tmp_path: Path) -> None:
    network, _ = multi_branch("repvgg_a0")
    before = network.fingerprint()
    cut = network.feature_cuts[-2].name
    part = prefix_part(network, cut)
    images = crops(3, network.preprocessing.size)
    content = export(part)
    assert part.module is not None
    expected = in_torch(part.module, images, network).numpy()
    np.testing.assert_allclose(run(content, images)[0], expected, atol=1e-3 * expected.std())
    branches = sum(isinstance(layer, nn.Conv2d) for layer in part.module.modules())
    assert convolutions(content) < branches
    assert network.fingerprint() == before == network.weights_id


def test_a_network_without_branches_is_written_as_before() -> None:
    torch.manual_seed(0)
    network = Network.load(
        timm.create_model("test_efficientnet").eval(), preprocessing=Preprocessing(size=32)
    )
    model = onnx.load_model_from_string(export(prefix_part(network, network.last.name)))
    assert with_merged_branches(model) is model
