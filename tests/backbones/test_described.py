"""Bundled networks without PyTorch: what their descriptions say is what PyTorch finds."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from frostline.backbones import description
from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork, described, in_order
from frostline.backbones.description import NetworkDescription, imagenet_classes, shipped
from frostline.backbones.frozen_network import Array
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.core.errors import BackboneError, CutError
from frostline.core.reading_rules import ReadingRules
from tools.network_descriptions import class_names

EVERY = [
    pytest.param(name, marks=() if name == "efficientnet_lite0" else pytest.mark.slow)
    for name in BUNDLED
]
Pair = tuple[Network, DescribedNetwork]
#: of a description, what may be missing in files of earlier versions
OPTIONAL = {
    "format",
    "filters",
    "classifier",
    "classifier_from",
    "notes",
    "last_map",
    "pooling",
    "family",
}


@pytest.fixture(scope="module", params=EVERY)
def pair(request: pytest.FixtureRequest) -> Pair:
    """The same network in PyTorch and without it."""
    return Network.load(request.param), described(request.param)


def test_what_is_known_of_a_network_is_what_pytorch_finds(pair: Pair) -> None:
    network, known = pair
    assert known.weights_id == network.weights_id
    for what in ("name", "licence", "notes", "preprocessing", "macs"):
        assert getattr(known, what) == getattr(network, what), what
    assert tuple(known.taps) == tuple(network.taps)
    assert known.last == network.last.plain()
    assert list(known.cuts) == [cut.plain() for cut in network.cuts]
    assert list(known.feature_cuts) == [cut.plain() for cut in network.feature_cuts]
    for cut in network.all_cuts:
        for name in (cut.name, *cut.aliases):
            assert known.cut(name) == network.cut(name).plain()
    inner = [cut.name for cut in network.all_cuts[::7]]
    assert known.summary(inner=inner) == network.summary(inner=inner)
    assert known.first_filters() == network.first_filters() == "conv_stem.weight"
    for one in pair:
        with pytest.raises(CutError, match=r"blocks\.99"):
            one.cut("blocks.99")


def test_layers_between_any_two_cuts_are_the_same(pair: Pair) -> None:
    network, known = pair
    # all of one network; of the others, which are alike, the ends of stages
    every = known.name == "efficientnet_lite0"
    ends = [None, *((cut.name for cut in network.cuts) if every else network.taps)]
    inner = [cut.name for cut in network.all_cuts]
    for after, to in (*itertools.product(ends, ends), *zip(inner, inner[3:], strict=False)):
        assert known.layers(after, to) == network.layers(after, to)
        assert known.parameter_names(after, to) == network.parameter_names(after, to)
    for to in (*ends, *inner[::5]):
        assert known.norm_layers(to) == network.norm_layers(to)
    assert known.norm_layers()


def test_tensors_and_the_old_classifier_are_bit_equal(pair: Pair) -> None:
    network, known = pair
    ours, theirs = known.tensors(), network.tensors()
    assert list(ours) == list(theirs) == list(known.tensor_names())
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype
        np.testing.assert_array_equal(ours[name], value)
    mine, old = known.source_classifier(), network.source_classifier()
    assert mine is not None
    assert old is not None
    assert mine.names == old.names
    for one, two in ((mine.weight, old.weight), (mine.bias, old.bias)):
        assert one.dtype == two.dtype == np.float64
        assert one.flags.c_contiguous == two.flags.c_contiguous, "products would round otherwise"
        np.testing.assert_array_equal(one, two)


def same_graph(one: bytes, two: bytes) -> bool:
    """Whether two graphs compute the same by the same names, whoever wrote them."""
    return _plain(one) == _plain(two)


def _plain(content: bytes) -> list[object]:
    graph = onnx.load_model_from_string(content).graph
    nodes = [
        (n.op_type, *n.input, "->", *n.output, *sorted(map(str, n.attribute))) for n in graph.node
    ]
    constants = sorted((c.name, numpy_helper.to_array(c).tolist()) for c in graph.initializer)
    return [nodes, constants, [v.name for v in graph.output], sorted(v.name for v in graph.input)]


def test_descriptions_are_not_stale(pair: Pair) -> None:
    network, known = pair
    text = (Path(description.__file__).parent / "descriptions" / f"{known.name}.json").read_text()
    remedy = "run: python -m tools.network_descriptions"
    assert json.loads(describe(network).to_json()) == json.loads(text), remedy
    assert same_graph(graph_of(network), shipped(known.name)[1]), remedy
    assert class_names().splitlines() == list(imagenet_classes()), remedy


def test_every_tensor_of_the_graph_is_one_of_the_network(pair: Pair) -> None:
    _, known = pair
    graph = onnx.load_model_from_string(shipped(known.name)[1]).graph
    own = {constant.name for constant in graph.initializer}
    inputs = {value.name for value in graph.input} - own
    assert inputs - set(known.tensors()) == {"normalised"}
    assert [value.name for value in graph.output] == [cut.name for cut in known.feature_cuts]


@pytest.fixture(scope="module")
def lite0() -> DescribedNetwork:
    return described("efficientnet_lite0")


def test_a_description_survives_json(lite0: DescribedNetwork) -> None:
    found = shipped(lite0.name)[0]
    again = NetworkDescription.from_json(found.to_json())
    assert again == found
    assert list(again.shapes) == list(found.shapes)


def test_damaged_descriptions_are_refused() -> None:
    good = json.loads(shipped("efficientnet_lite0")[0].to_json())
    with pytest.raises(BackboneError, match="format 99"):
        NetworkDescription.from_json(json.dumps({**good, "format": 99}))
    for what in good:
        if what not in OPTIONAL:
            with pytest.raises(BackboneError, match=what):
                NetworkDescription.from_json(
                    json.dumps({k: v for k, v in good.items() if k != what})
                )
    for text in ("", "[]", "null", json.dumps(good)[:-100], json.dumps({**good, "cuts": [1]})):
        with pytest.raises(BackboneError, match="damaged"):
            NetworkDescription.from_json(text)
    with pytest.raises(BackboneError, match="Reinstall frostline"):
        shipped("resnet50")


def test_other_weights_in_the_package_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundled = BUNDLED["efficientnet_lite0"]
    state = torch.load(bundled.weights_file(), weights_only=True)
    first = next(iter(state))
    state[first] = state[first] + 1
    torch.save(state, tmp_path / "w.pth")
    with monkeypatch.context() as patch:
        patch.setattr(type(bundled), "weights_file", lambda _: tmp_path / "w.pth")
        with pytest.raises(BackboneError, match="other weights"):
            described("efficientnet_lite0")
    with pytest.raises(BackboneError, match="PyTorch reads other weights"):
        trainable(_of(bundled.name, state))


def _of(name: str, state: dict[str, torch.Tensor]) -> DescribedNetwork:
    found, graph = shipped(name)
    arrays = {key: value.numpy() for key, value in state.items()}
    return DescribedNetwork(found, graph, in_order(arrays, found.shapes, what="w.pth"))


def test_weights_are_matched_by_order_and_shape(lite0: DescribedNetwork) -> None:
    shapes = {"a.weight": (2, 3), "a.bias": (2,)}
    found: dict[str, Array] = {"x": np.ones((2, 3)), "y": np.zeros(2)}
    assert list(in_order(found, shapes, what="w")) == ["a.weight", "a.bias"]
    with pytest.raises(BackboneError, match="w has 1 tensors, the network 2"):
        in_order({"x": np.ones((2, 3))}, shapes, what="w")
    with pytest.raises(BackboneError, match=r"y has shape \(2,\), but a\.weight needs \(2, 3\)"):
        in_order(dict(reversed(found.items())), shapes, what="w")


def test_reading_rules_are_part_of_the_preprocessing(lite0: DescribedNetwork) -> None:
    network = described(lite0.name)
    rules = ReadingRules(fourth_band="ignored")
    network.read_by(rules)
    assert network.preprocessing.reading == rules
    assert network.with_tensors({}).preprocessing == network.preprocessing
    assert trainable(network).preprocessing == network.preprocessing
    assert lite0.preprocessing.reading == ReadingRules()


# --- what trains -----------------------------------------------------------------------------


def test_what_trains_has_the_same_weights_and_is_loaded_once(lite0: DescribedNetwork) -> None:
    loaded = trainable(lite0)
    assert loaded.weights_id == lite0.weights_id
    assert trainable(lite0) is loaded
    assert trainable(loaded) is loaded
    np.testing.assert_array_equal(
        loaded.module.get_parameter("classifier.weight").detach().numpy(),
        lite0._state["classifier.weight"],
    )


def test_statistics_are_carried_over(lite0: DescribedNetwork) -> None:
    layers = lite0.norm_layers()
    rng = np.random.default_rng(0)
    statistics = {
        path: (
            rng.normal(size=lite0.tensors()[f"{path}.running_mean"].shape).astype(np.float32),
            rng.uniform(1, 2, size=lite0.tensors()[f"{path}.running_var"].shape).astype(np.float32),
        )
        for path in layers
    }
    changed = lite0.with_statistics(statistics, 3)
    in_torch = trainable(lite0).with_statistics(statistics, 3)
    assert changed.weights_id != lite0.weights_id
    assert changed.weights_id == in_torch.weights_id
    assert trainable(changed).weights_id == changed.weights_id
    assert trainable(lite0).weights_id == lite0.weights_id, "the first one stays as it was"
    mean = changed.tensors()[f"{layers[3]}.running_mean"]
    np.testing.assert_array_equal(mean, statistics[layers[3]][0])
    assert changed.tensors()[f"{layers[3]}.num_batches_tracked"] == 3
    before, after = lite0.source_classifier(), changed.source_classifier()
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.weight, after.weight)


def test_tensors_that_do_not_exist_or_fit_are_refused(lite0: DescribedNetwork) -> None:
    for network in (lite0, trainable(lite0)):
        with pytest.raises(BackboneError, match=r"no tensor 'classifier\.weight' up to"):
            network.with_tensors({"classifier.weight": np.ones((1000, 1280))})
        with pytest.raises(BackboneError, match=r"conv_stem.weight .* has shape .*, not \(3,\)"):
            network.with_tensors({"conv_stem.weight": np.ones(3)})
        # values of another type become those of the tensor
        changed = network.with_tensors({"bn1.bias": np.arange(32)})
        assert changed.tensors()["bn1.bias"].dtype == np.float32
        assert changed.tensors()["bn1.bias"][31] == 31
