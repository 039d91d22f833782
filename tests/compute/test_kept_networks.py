"""Networks that PyTorch opened once: found again without it, and only where they are the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from frostline.backbones import describe
from frostline.backbones.described import DescribedNetwork, Origin
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.compute import kept_networks
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.engines.torch_engine import TorchEngine
from frostline.compute.kept_networks import KEPT, is_kept, keep_network, recall_network
from frostline.core.errors import BackboneError
from frostline.core.runtime import Runtime
from frostline.fitting.networks import open_network

pytestmark = pytest.mark.usefixtures("cache")
NAME, SIZE = "test_efficientnet", 64


@pytest.fixture
def weights(tiny_network: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(Path(tiny_network["weights"]).read_bytes())
    return path


@pytest.fixture
def origin(weights: Path) -> Origin:
    return Origin(NAME, weights, SIZE)


def loaded(origin: Origin) -> Network:
    return Network.load(origin.name, weights=origin.weights, size=origin.size)


def opened(origin: Origin) -> FrozenNetwork:
    return open_network(origin.name, Runtime(), weights=origin.weights, size=origin.size)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What PyTorch was asked to load since."""
    asked: list[object] = []
    load = Network.load.__func__  # type: ignore[attr-defined]

    def note(cls: type[Network], source: Any, /, **options: Any) -> Network:
        asked.append(source)
        found: Network = load(cls, source, **options)
        return found

    monkeypatch.setattr(Network, "load", classmethod(note))
    return asked


def test_the_second_time_pytorch_loads_nothing(origin: Origin, loads: list[object]) -> None:
    assert not is_kept(origin)
    first = opened(origin)
    assert isinstance(first, DescribedNetwork)
    assert loads == [NAME]
    trainable(first)
    assert loads == [NAME], "what was just loaded trains"
    second = opened(origin)
    assert loads == [NAME]
    assert isinstance(second, DescribedNetwork)
    network = loaded(origin)
    for known in (first, second):
        assert known.weights_id == network.weights_id
        assert known.summary() == network.summary()
        assert known.notes == network.notes
        assert known.licence == network.licence
        assert known.preprocessing == network.preprocessing
        assert known.source_classifier() is None
        assert known.layers("blocks.2") == network.layers("blocks.2")
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    expected = TorchEngine(taps_part(network, network.taps), threads=1).run(images)
    part = taps_part(second, second.taps)
    assert part.module is None
    assert part.graph is not None
    found = OnnxEngine(part.graph.model(), threads=1).run(images)
    assert np.abs(found - expected).max() < 1e-3 * expected.std()


def test_no_torch_is_imported_for_a_network_that_is_kept(origin: Origin) -> None:
    first = opened(origin)
    code = (
        "import sys\n"
        "for name in ('torch', 'timm', 'torchvision'): sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from frostline.core.runtime import Runtime\n"
        "from frostline.fitting.networks import open_network\n"
        f"weights = Path({str(origin.weights)!r})\n"
        f"found = open_network({NAME!r}, Runtime(), weights=weights, size=64)\n"
        "print(found.weights_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == first.weights_id, done.stderr[-1000:]


def test_what_trains_is_loaded_from_where_it_came(origin: Origin, loads: list[object]) -> None:
    opened(origin)
    second = opened(origin)
    loads.clear()
    network = trainable(second)
    assert loads == [NAME]
    assert network.weights_id == second.weights_id
    assert network.preprocessing.size == SIZE
    layer = second.norm_layers()[0]
    mean = second.tensors()[f"{layer}.running_mean"] + 1
    changed = second.with_tensors({f"{layer}.running_mean": mean})
    assert trainable(changed).weights_id == changed.weights_id


def test_other_weights_another_size_or_name_are_other_networks(
    origin: Origin, weights: Path, tmp_path: Path, loads: list[object]
) -> None:
    opened(origin)
    state = load_file(weights)
    other = tmp_path / "other.safetensors"
    save_file({name: tensor * 2 for name, tensor in state.items()}, other)
    for changed in (
        replace(origin, weights=other),
        replace(origin, size=96),
        replace(origin, name="timm/test_efficientnet"),
    ):
        assert recall_network(changed) is None
    same = tmp_path / "copy.safetensors"
    same.write_bytes(weights.read_bytes())
    found = recall_network(replace(origin, weights=same))
    assert found is not None
    assert found.origin.weights == same
    # in the same place, but changed since: what trains would be another network
    weights.write_bytes(other.read_bytes())
    assert recall_network(origin) is None
    same.write_bytes(other.read_bytes())
    with pytest.raises(BackboneError, match="other weights"):
        trainable(found)


def test_other_versions_of_what_finds_weights_find_nothing(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(origin)
    for version, found in (("0.0.1", False), ("none", True)):
        with monkeypatch.context() as patch:
            patch.setattr(kept_networks, "version_of", lambda _, v=version: v)
            assert (recall_network(origin) is not None) == found
    assert recall_network(origin) is not None


def test_a_repository_that_moved_on_is_read_again(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    network = loaded(origin)
    config: Any = network.module.pretrained_cfg
    config["hf_hub_id"] = "timm/tiny"
    says = tmp_path / "hub" / "models--timm--tiny" / "refs" / "main"
    says.parent.mkdir(parents=True)
    says.write_text("a1b2")
    keep_network(network, origin, threads=1)
    assert recall_network(origin) is not None
    says.write_text("c3d4")
    assert recall_network(origin) is None
    says.unlink()
    assert recall_network(origin) is not None, "the weights are kept; the hub's cache is gone"


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / NAME
    path.mkdir()
    yield path


def test_folders_are_not_kept(origin: Origin, folder: Path) -> None:
    network = loaded(origin)
    index = folder / "model.safetensors.index.json"
    index.write_text("{}")
    for strange in (
        replace(origin, name=str(folder)),
        replace(origin, name=f"local-dir:{folder}"),
        replace(origin, weights=folder),
        replace(origin, weights=index),
        replace(origin, weights=folder / "none.safetensors"),
    ):
        assert keep_network(network, strange, threads=1) is network
        assert recall_network(strange) is None
        assert not is_kept(strange)


def test_networks_that_onnx_cannot_say_stay_with_pytorch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "vit4.safetensors"
    save_file(timm.create_model("test_vit4", pretrained=False).state_dict(), path)
    origin = Origin("test_vit4", path)
    assert isinstance(opened(origin), Network)
    assert not is_kept(origin)


def test_a_graph_that_says_something_else_is_not_kept(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = loaded(origin)
    right = network.tensors()
    wrong = {**right, "conv_stem.weight": right["conv_stem.weight"] * 1.01}
    graph = kept_networks._described(network, {})
    with monkeypatch.context() as patch:
        patch.setattr(kept_networks, "_described", lambda *_: replace(graph, tensors=wrong))
        assert keep_network(network, origin, threads=1) is network
        assert not is_kept(origin)
    model = onnx.load_model_from_string(describe.graph_of(network))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "epsilon":
                attribute.f = 0.5
    monkeypatch.setattr(describe, "graph_of", lambda _, **options: model.SerializeToString())
    assert keep_network(network, origin, threads=1) is network
    assert not is_kept(origin)


def test_too_large_or_of_other_types_is_not_kept(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = loaded(origin)
    with monkeypatch.context() as patch:
        patch.setattr(kept_networks, "MOST_BYTES", 1000)
        assert keep_network(network, origin, threads=1) is network
    half = loaded(origin)
    half.module.half()
    assert keep_network(half, origin, threads=1) is half
    assert isinstance(keep_network(network, origin, threads=1), DescribedNetwork)


def test_what_is_damaged_or_of_another_format_is_made_again(
    origin: Origin, loads: list[object]
) -> None:
    opened(origin)
    (file,) = KEPT.path("x").parent.glob("*.shard")
    content = file.read_bytes()
    for damaged in (content[:-100], content.replace(b'"format', b'"fromat'), b""):
        file.write_bytes(damaged)
        loads.clear()
        assert recall_network(origin) is None
        assert isinstance(opened(origin), DescribedNetwork)
        assert loads == [NAME]
        assert recall_network(origin) is not None


def test_half_precision_stays_with_pytorch(origin: Origin) -> None:
    opened(origin)
    found = open_network(NAME, Runtime(precision="bf16"), weights=origin.weights, size=origin.size)
    assert isinstance(found, Network)
