"""8 bits for networks of attention: the products, not what runs past them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.backbones.network import Network
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import Preprocessing
from frostline.exporting.int8 import PRODUCTS, RECIPES, Recipe, quantise, recipes_for
from frostline.exporting.model_onnx import export_onnx
from frostline.exporting.sensitivity import most_sensitive, relative_error
from frostline.onnx_graph.prepared import on_canvas

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx.ModelProto, Preprocessing]:
    """A transformer with a few channels many times larger than the rest, as trained ones have."""
    torch.manual_seed(0)
    own = Network.load("test_vit", pretrained=False)
    positions: Any = own.module.pos_embed
    with torch.no_grad():
        positions[..., :3] += torch.tensor([40.0, -40.0, 20.0])
    state = {name: value.numpy() for name, value in own.module.state_dict().items()}
    network = DescribedNetwork(describe(own), graph_of(own), state)
    cut, random = network.last, np.random.default_rng(0)
    weight = random.normal(size=(4, cut.pooled_width)) / np.sqrt(cut.pooled_width)
    head = LinearOnTaps(network, [cut.name], weight, np.zeros(4))
    path = tmp_path_factory.mktemp("vit") / "m.onnx"
    export_onnx(head, network.preprocessing, 0.5, path, classes=list("abcd"))
    return onnx.load(path), network.preprocessing


@pytest.fixture(scope="module")
def images(exported: tuple[onnx.ModelProto, Preprocessing]) -> Any:
    side, random = exported[1].size, np.random.default_rng(1)
    coarse = random.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    return coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def test_the_residual_stream_keeps_its_precision(
    exported: tuple[onnx.ModelProto, Preprocessing], images: Any
) -> None:
    model, preprocessing = exported

    def probabilities(of: onnx.ModelProto) -> Any:
        session = open_session(of.SerializeToString(), threads=1)
        canvas = on_canvas(images[16:], preprocessing)
        return session.run(["probabilities"], {"image": canvas})[0]

    def loss(recipe: Recipe) -> tuple[float, onnx.ModelProto]:
        small = quantise(model, images[:16], preprocessing, recipe)
        return float(np.abs(probabilities(small) - probabilities(model)).mean()), small

    everything, _ = loss(RECIPES[1])
    products, small = loss(PRODUCTS)
    assert products < everything / 3
    assert small.ByteSize() < 0.4 * model.ByteSize()
    made = {name: node.op_type for node in small.graph.node for name in node.output}
    sums = [node for node in small.graph.node if node.op_type in ("Add", "LayerNormalization")]
    assert not any(made.get(node.input[0]) == "DequantizeLinear" for node in sums)
    weights = [made.get(node.input[1]) for node in small.graph.node if node.op_type == "MatMul"]
    # 6 blocks with 4 products of weights each: an eighth of them computes in float32
    assert weights.count("DequantizeLinear") == 21
    assert sum(node.name.endswith("/int8/Mul") for node in small.graph.node) == 3


def test_networks_of_attention_are_not_tried_with_sums_of_8_bits(
    exported: tuple[onnx.ModelProto, Preprocessing], make_run: Callable[[str], Run]
) -> None:
    assert list(recipes_for(exported[0])) == [PRODUCTS, RECIPES[-1]]
    for kind in ("full", "blend"):
        of_convolutions = onnx.load(Path(make_run(kind).folder) / "model" / "model.onnx")
        assert recipes_for(of_convolutions) == RECIPES


def test_the_most_sensitive_product_is_the_one_with_a_channel_apart() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(32, 16)).astype(np.float32)
    rows = random.normal(size=(200, 32)).astype(np.float32)
    apart = rows.copy()
    apart[:, 3] *= 200
    calm = relative_error(rows, matrix)
    assert 0 < calm < 0.02
    # the large channel rules the result: without its weight the error shows
    matrix[3] = 0
    assert relative_error(apart, matrix) > 20 * relative_error(rows, matrix)
    assert relative_error(np.zeros((2, 32), np.float32), matrix) == 0
    nothing = onnx.helper.make_graph([], "none", [], [])
    assert most_sensitive(onnx.helper.make_model(nothing), rows, {"x"}, 0.5) == set()
