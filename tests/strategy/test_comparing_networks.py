"""Several networks: what is compared, on which images, at which cost, and what has no room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

import frostline.fitting.comparing as comparing
import frostline.fitting.memory as memory
import frostline.fitting.networks as networks
from frostline.backbones.describe import graph_of
from frostline.backbones.described import described
from frostline.backbones.network import Network
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.frozen import run_frozen
from frostline.compute.memory_need import memory_need
from frostline.core.errors import BackboneError, MissingExtraError, SettingsError
from frostline.core.machine import available_memory_bytes
from frostline.core.progress import NullProgress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.evidence.networks import sampled
from frostline.fitting.comparing import left_out
from frostline.fitting.memory import NoRoomError, check_room_to_open, images_at_once
from frostline.fitting.networks import open_networks
from frostline.fitting.pipeline import advise
from frostline.fitting.prepare import _with_room
from frostline.onnx_graph.activations import activation_bytes
from frostline.wording.evidence import networks_sentences

pytestmark = pytest.mark.slow

TWO = "efficientnet_lite0,efficientnet_lite1"


class Notes(NullProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, fact: object, /) -> None:
        self.said.append(str(fact))


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: count)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Network:
    file = tmp_path_factory.mktemp("vit") / "w.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("test_vit").state_dict(), file)
    return Network.load("test_vit", weights=file)


# ------------------------------------------------------------------------- what is compared


def test_a_sample_has_every_class_by_its_share_and_is_always_the_same() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = tuple(ImageRow(Path(str(i)), str(i), int(label)) for i, label in enumerate(labels))
    problem = Problem.of(Catalog("x", ("a", "b", "c"), rows, tuple(map(str, range(1000)))))
    train = np.arange(0, 1000, 2)
    found = sampled(problem, train, 100)
    assert len(found) == 100
    assert set(found) <= set(train)
    assert np.bincount(labels[found]).tolist() == [60, 30, 10]
    assert np.array_equal(found, sampled(problem, train, 100))
    assert np.array_equal(sampled(problem, train[::-1], 500), train)


def test_only_the_network_that_is_taken_runs_over_all_images(
    digit_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, int]] = []

    def spy(network: Any, catalog: Any, *args: Any, **options: Any) -> Any:
        ran.append((network.name, len(catalog)))
        return run_frozen(network, catalog, *args, **options)

    monkeypatch.setattr(comparing, "run_frozen", spy)
    monkeypatch.setattr(comparing, "COMPARED_IMAGES", 30)
    notes = Notes()
    advice = advise(
        digit_parts, backbone=TWO, input_size=64, effort="fast", progress=notes, test="test"
    )
    plan = json.loads(advice.plan.to_json())
    first, second = plan["networks"]
    assert [first["backbone"], second["backbone"]] == TWO.split(",")
    for one in (first, second):
        low, high = one["interval"]
        assert low <= one["accuracy"] <= high
        assert one["images"] == 30
        assert one["seconds"] > 0
        assert one["memory"] > 10**6
    assert min(first["behind"], second["behind"]) == 0.0
    assert ran[0] == ("efficientnet_lite1", 30)
    assert [name for name, _ in ran[1:]] == (["efficientnet_lite1"] if second["chosen"] else [])
    said = " ".join(notes.said)
    assert "2 networks are compared on 30 of" in said
    assert "efficientnet_lite1 at 64 px: 0." in said
    assert "on 30 training images" in " ".join(plan["explanation"])


# ------------------------------------------------------------------------- names


def test_auto_is_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "names_here", lambda: [*TWO.split(","), "hf-hub:broken/one"])
    monkeypatch.setattr(networks, "check_room_to_open", lambda _: None)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    notes = Notes()
    opened = open_networks(Settings(backbone="auto", input_size=64), None, Runtime(progress=notes))
    assert [n.name for n in opened.networks] == TWO.split(",")
    assert [name for name, _, _ in opened.left_out] == ["hf-hub:broken/one"]
    assert "3 networks are on this machine: efficientnet_lite0, " in notes.said[0]
    with pytest.raises(SettingsError, match="means all on this machine"):
        Settings(backbone="auto,resnet18")
    monkeypatch.setattr(networks, "names_here", list)
    with pytest.raises(BackboneError, match="No network is on this machine"):
        open_networks(Settings(backbone="auto"), None, Runtime())


def test_a_wrong_name_is_refused_before_another_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(networks, "open_network", never)
    with pytest.raises(BackboneError, match=r"no backbone 'resnet1x8'.*Did you mean"):
        open_networks(Settings(backbone="efficientnet_lite0,resnet1x8"), None, Runtime())
    monkeypatch.setattr("frostline.core.extras.has_extra", lambda _: False)
    with pytest.raises(MissingExtraError):
        open_networks(Settings(backbone="efficientnet_lite0,resnet18"), None, Runtime())


# ------------------------------------------------------------------------- memory


def test_what_an_engine_takes_is_counted_before() -> None:
    """An engine's resident memory grew by 13 MB for every image of 224 pixels in ConvNeXt-atto."""
    network = Network.load("convnext_atto", pretrained=False)
    found = 1.5 * activation_bytes(graph_of(network), 224, network.last.name) / 1e6
    assert 13 / 1.5 < found < 13 * 1.5


def test_attention_counts_every_pair_of_tokens(vit: Network) -> None:
    tokens, heads = (160 // 16) ** 2 + 1, 2
    graph = graph_of(vit)
    small = activation_bytes(graph, 160, vit.last.name)
    # scores of all pairs, before and after the softmax
    assert small > 2 * 4 * heads * tokens**2
    # the same graph gives the same number
    assert small == activation_bytes(graph, 160, vit.last.name)


def test_what_does_not_fit_is_shrunk_with_a_word_or_refused(
    vit: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    need, notes = memory_need(vit, 100), Notes()
    runtime = Runtime(progress=notes, threads=2)
    free(monkeypatch, 100 * 10**9)
    assert images_at_once(vit, 100, runtime) is None
    free(monkeypatch, round((need.weights + need.features + 3.5 * need.image) / 0.8))
    assert images_at_once(vit, 100, runtime) == 3
    assert "3 at a time" in notes.said[-1]
    free(monkeypatch, need.weights)
    with pytest.raises(NoRoomError, match=r"needs about .* GB of memory.*are free.*--input-size"):
        images_at_once(vit, 100, runtime)
    free(monkeypatch, 10**9)
    with pytest.raises(
        NoRoomError, match=r"1,1\d\d M parameters: opening it takes about 18\.\d GB"
    ):
        check_room_to_open("vit_giant_patch14_dinov2.lvd142m")
    check_room_to_open("efficientnet_lite0")
    check_room_to_open("hf-hub:somebody/cells")


def test_fewer_at_a_time_give_the_same_features(
    vit: Network, digit_parts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalog = open_source(digit_parts, runtime=Runtime())
    taken: list[tuple[int, int]] = []
    run = OnnxEngine.run

    def spy(engine: OnnxEngine, batch: Any) -> Any:
        taken.append((len(batch), engine.concurrent_batches))
        return run(engine, batch)

    monkeypatch.setattr(OnnxEngine, "run", spy)
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "a"))
    few = run_frozen(vit, catalog, Runtime(threads=2), at_once=1)
    assert {batch for batch, _ in taken if batch} == {1}
    assert {lanes for _, lanes in taken} == {1}
    assert few.report.reason == "memory has room for 1 images at a time in this network"
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "b"))
    many = run_frozen(vit, catalog, Runtime(threads=2))
    assert np.allclose(few.features.values, many.features.values, rtol=1e-3, atol=1e-4)


def test_of_several_those_without_room_are_left_out_and_listed(
    vit: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_SMALL_SIDE", 48)
    lite0, notes = described("efficientnet_lite0"), Notes()
    runtime = Runtime(progress=notes)
    need, more = memory_need(vit, 100), memory_need(lite0, 100)
    assert need.total(20) < more.weights
    free(monkeypatch, round(need.total(20) / 0.8))
    entrants, without = _with_room([vit, lite0], 100, runtime)
    assert [(e.network.name, e.at_once) for e in entrants] == [("test_vit", None)]
    (listed,) = left_out(without)
    assert (listed.backbone, listed.input_size, listed.accuracy) == (
        "efficientnet_lite0",
        224,
        None,
    )
    said = "efficientnet_lite0 at 224 px was left out: efficientnet_lite0 at 224 px needs about"
    assert networks_sentences([listed])[0].startswith(said)
    assert notes.said[-1].startswith("Left out: efficientnet_lite0")
    with pytest.raises(NoRoomError):
        _with_room([lite0], 100, runtime)


def test_free_memory_is_that_of_the_narrowest_limit(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    assert available_memory_bytes(tmp_path) == 8000 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("5000000\n")
    (group / "memory.current").write_text("4000000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 1500000\n")
    assert available_memory_bytes(tmp_path) == 2_500_000
    (group / "memory.max").write_text("max\n")
    assert available_memory_bytes(tmp_path) == 8000 * 1024
    assert available_memory_bytes(tmp_path / "nothing") is None
