"""Engines: the same numbers as PyTorch, from files that may be damaged, without a sound."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from torch import nn

from frostline.backbones.described import described
from frostline.backbones.network import Network
from frostline.compute.cache.eviction import damaged
from frostline.compute.engines.base import (
    PassTimes,
    run_batches,
)
from frostline.compute.engines.choose import RACE_PAYS_FROM, EngineKind, agreement, open_engine
from frostline.compute.engines.frozen_part import FrozenPart, prefix_part, taps_part
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.engines.onnx_export import ENGINE, engine_key, exported
from frostline.compute.engines.openvino_engine import installed
from frostline.compute.engines.torch_engine import TorchEngine
from frostline.core.errors import EngineError
from frostline.core.preprocessing import Preprocessing
from frostline.data.catalog import Catalog
from frostline.data.decoding.decode import decode

UInt8Array = npt.NDArray[np.uint8]

pytestmark = [pytest.mark.usefixtures("cache"), pytest.mark.slow]


@pytest.fixture(scope="module")
def images(pictures: Catalog, lite0: Network) -> UInt8Array:
    """Twelve prepared images of all kinds."""
    rows = pictures.rows[::2] + pictures.rows[1::20]
    decoded = [decode(row.path, max_pixels=10**7) for row in rows]
    return np.stack([lite0.preprocessing.apply(image) for image in decoded])


@pytest.fixture(scope="module")
def plain_taps(lite0: Network, images: UInt8Array) -> npt.NDArray[np.float32]:
    """Mean and spread at every tap, by hooks on timm's own network, in float64."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    net.load_state_dict(lite0.feature_module.state_dict(), strict=False)
    found: dict[str, npt.NDArray[np.float64]] = {}
    handles = []
    for name in lite0.taps:

        def keep(_: nn.Module, __: object, output: torch.Tensor, name: str = name) -> None:
            values = output.double().numpy()
            found[name] = np.concatenate([values.mean((2, 3)), values.std((2, 3))], axis=1)

        handles.append(net.get_submodule(name).register_forward_hook(keep))
    mean, std = (np.array(v) for v in (lite0.preprocessing.mean, lite0.preprocessing.std))
    values = ((images / 255.0 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        net.forward_features(torch.from_numpy(np.ascontiguousarray(values)))
    for handle in handles:
        handle.remove()
    return np.concatenate([found[name] for name in lite0.taps], axis=1).astype(np.float32)


#: every engine that is installed here
KINDS: list[EngineKind] = [
    "onnx",
    pytest.param(  # type: ignore[list-item]
        "openvino", marks=pytest.mark.skipif(not installed(), reason="needs frostline[openvino]")
    ),
    "torch",
]


@pytest.fixture
def onnx_engine(lite0: Network) -> OnnxEngine:
    return OnnxEngine(exported(taps_part(lite0, lite0.taps))[0], threads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_gives_mean_and_spread_at_every_tap(
    lite0: Network,
    images: UInt8Array,
    plain_taps: npt.NDArray[np.float32],
    kind: EngineKind,
) -> None:
    part = taps_part(lite0, lite0.taps)
    engine, _ = open_engine(part, check=images, threads=1, kind=kind)
    taps = engine.run(images)
    assert taps.dtype == np.float32
    for block in part.blocks:
        expected = plain_taps[:, block]
        np.testing.assert_allclose(taps[:, block], expected, rtol=1e-3, atol=1e-3 * expected.std())
    # alone, in another order, or beside others: the same bits
    alone = [result for _, result in run_batches(engine, ((i, images[i]) for i in (7, 2)))]
    together = [result for _, result in run_batches(engine, enumerate(images))]
    np.testing.assert_array_equal(alone, [together[7], together[2]])


def test_for_very_few_images_nothing_is_exported(lite0: Network, images: UInt8Array) -> None:
    part = replace(taps_part(lite0, lite0.taps[:2]), key="never seen before")
    engine, reason = open_engine(part, check=images, threads=1, n_images=10)
    assert engine.name == "torch-cpu-fp32"
    assert "so few images" in reason
    assert not ENGINE.path(engine_key(part)).exists()
    asked, _ = open_engine(part, check=images, threads=1, n_images=10, kind="onnx")
    assert asked.name == "onnxruntime-fp32"


def test_where_rounding_tells_one_engine_from_pytorch_no_other_is_opened(
    lite0: Network, images: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the same network but for its last digits
    rough = lite0.copy()
    with torch.no_grad():
        for tensor in rough.feature_module.parameters():
            tensor.mul_(1.0 + 5e-4 * torch.rand_like(tensor))
    part = taps_part(lite0, lite0.taps[:2])
    model = exported(replace(taps_part(rough, lite0.taps[:2]), key="rough"))[0]
    exports: list[bool] = []

    def counted(*_: object, **options: bool) -> tuple[bytes, bool]:
        exports.append(options.get("fresh", False))
        return model, True

    monkeypatch.setattr("frostline.compute.engines.choose.exported", counted)
    engine, reason = open_engine(part, check=images, threads=1)
    assert engine.name == "torch-cpu-fp32"
    assert "ONNX Runtime cannot be used: its numbers differ" in reason
    assert exports == [False]


@pytest.mark.parametrize("n_images", [None, RACE_PAYS_FROM])
@pytest.mark.parametrize("most", ["MAX_DIFFERENCE_GRAPH", "_ROUNDING"])
def test_where_no_engine_gives_the_numbers_of_the_graph_the_graph_runs_as_it_is(
    most: str, n_images: int | None, images: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = described("efficientnet_lite0")
    part = taps_part(network, network.taps[:2])
    # off by rounding alone, or by so much that it is not taken for rounding
    for bound in dict.fromkeys(("MAX_DIFFERENCE_GRAPH", most)):
        monkeypatch.setattr(f"frostline.compute.engines.choose.{bound}", 0.0)
    engine, reason = open_engine(part, check=images, threads=1, n_images=n_images)
    assert "nothing merged, because" in reason
    assert "ONNX Runtime cannot be used: its numbers differ" in reason
    assert part.graph is not None
    plain = OnnxEngine(part.graph.reference(), threads=1, optimized=False)
    np.testing.assert_array_equal(engine.run(images[:2]), plain.run(images[:2]))


def test_onnx_runtime_is_chosen_when_it_agrees(lite0: Network, images: UInt8Array) -> None:
    part = taps_part(lite0, lite0.taps)
    engine, reason = open_engine(part, check=images, threads=1)
    assert engine.name == "onnxruntime-fp32"
    assert "PyTorch" in reason
    found = agreement(engine.run(images), TorchEngine(part, threads=1).run(images), part.blocks)
    assert found.difference < 2e-4
    assert found.cosine > 0.999999


def test_an_images_bits_do_not_depend_on_its_batch_nor_on_threads(
    images: UInt8Array, onnx_engine: OnnxEngine, lite0: Network
) -> None:
    part = taps_part(lite0, lite0.taps)
    for engine, other in (
        (onnx_engine, OnnxEngine(exported(part)[0], threads=2)),
        (TorchEngine(part, threads=1), TorchEngine(part, threads=1)),
    ):
        together = [taps for _, taps in run_batches(engine, enumerate(images))]
        order = [7, 2, 9]
        alone = [taps for _, taps in run_batches(other, ((i, images[i]) for i in order))]
        for place, row in enumerate(order):
            np.testing.assert_array_equal(alone[place], together[row])


def test_through_keeps_tags_and_order_over_several_batches() -> None:
    class Sum:
        name, batch, concurrent_batches, fixed_batch = "sum", 4, 1, 4

        def run(self, batch: UInt8Array) -> npt.NDArray[np.float32]:
            assert len(batch) == 4
            sums = batch.reshape(4, -1).sum(axis=1, keepdims=True)
            return np.asarray(sums, dtype=np.float32)

    images = [(str(i), np.full((2, 2, 3), i, dtype=np.uint8)) for i in range(10)]
    found = {tag: float(result[0]) for tag, result in run_batches(Sum(), images)}
    assert found == {str(i): 12.0 * i for i in range(10)}
    assert list(run_batches(Sum(), [])) == []


@pytest.mark.parametrize(
    ("decode", "compute", "limit"), [(0.02, 0.0, "decoding"), (0.0, 0.05, "computing")]
)
def test_a_pass_says_what_limited_it(decode: float, compute: float, limit: str) -> None:
    class Slow:
        name, batch, concurrent_batches, fixed_batch = "slow", 4, 1, 4

        def run(self, batch: UInt8Array) -> npt.NDArray[np.float32]:
            time.sleep(compute)
            return np.zeros((len(batch), 1), dtype=np.float32)

    def images() -> Iterator[tuple[int, UInt8Array]]:
        for i in range(10):
            time.sleep(decode)
            yield i, np.zeros((2, 2, 3), dtype=np.uint8)

    times = PassTimes()
    assert times.limited_by == ""
    assert len(list(run_batches(Slow(), images(), times))) == 10
    assert times.limited_by == limit
    assert times.images == 10


def test_an_exported_part_is_reused_and_a_damaged_one_exported_again(
    lite0: Network, images: UInt8Array
) -> None:
    part = taps_part(lite0, lite0.taps[:2])
    first, _ = open_engine(part, check=images, threads=1)
    path = ENGINE.path(engine_key(part))
    whole = path.read_bytes()
    written = path.stat().st_ino
    open_engine(part, check=images, threads=1)
    assert path.stat().st_ino == written, "read, not written again"

    middle = len(whole) // 2
    for content in (b"", whole[:middle], whole[:middle] + bytes(600) + whole[middle + 600 :]):
        path.write_bytes(content)
        engine, _ = open_engine(part, check=images, threads=1)
        assert engine.name == "onnxruntime-fp32"
        np.testing.assert_array_equal(engine.run(images[:2]), first.run(images[:2]))
        assert len(path.read_bytes()) == len(whole)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_weight_that_changed_too_little_for_any_check_is_found(
    lite0: Network, images: UInt8Array
) -> None:
    part = taps_part(lite0, lite0.taps[:2])
    expected = open_engine(part, check=images, threads=1)[0].run(images[:2])
    path = ENGINE.path(engine_key(part))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    assert damaged() == [path]
    path.write_bytes(flipped)
    engine, _ = open_engine(part, check=images, threads=1)
    np.testing.assert_array_equal(engine.run(images[:2]), expected)
    assert path.read_bytes() == whole


def test_a_wrong_export_is_found_and_pytorch_takes_over(
    lite0: Network, images: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = taps_part(lite0, lite0.taps[:2])
    swapped = lite0.preprocessing.model_copy(update={"mean": (0.4, 0.5, 0.5)})
    wrong = exported(replace(part, preprocessing=swapped, key="another"))[0]
    monkeypatch.setattr(
        "frostline.compute.engines.choose.exported", lambda *_, **__: (wrong, False)
    )
    engine, reason = open_engine(part, check=images, threads=1)
    assert engine.name == "torch-cpu-fp32"
    assert "differ" in reason
    with pytest.raises(EngineError, match="differ"):
        open_engine(part, check=images, threads=1, kind="onnx")


class _Eigenvalues(nn.Module):
    """Has an operation that ONNX's exporter does not know."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(dim=1)
        values: torch.Tensor = torch.linalg.eigvalsh(grey + grey.transpose(1, 2))
        return values


def test_what_cannot_be_exported_runs_in_pytorch() -> None:
    part = FrozenPart(_Eigenvalues(), Preprocessing(size=16), "eigenvalues")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    engine, reason = open_engine(part, check=images, threads=1)
    assert engine.name == "torch-cpu-fp32"
    assert "ONNX" in reason
    assert engine.run(images).shape == (3, 16)


def test_an_engine_ignores_that_somebody_trains_the_same_layers(
    lite0: Network, images: UInt8Array
) -> None:
    network = lite0.copy()
    part = taps_part(network, network.taps[:3])
    engine = TorchEngine(part, threads=1)
    before = engine.run(images)
    network.feature_module.train()
    np.testing.assert_array_equal(engine.run(images), before)
    assert network.feature_module.get_submodule("bn1").training
    exported(part)
    assert network.feature_module.get_submodule("bn1").training


def test_bfloat16_is_coarse_and_within_its_bounds(lite0: Network, images: UInt8Array) -> None:
    part = taps_part(lite0, lite0.taps)
    engine, reason = open_engine(part, check=images, threads=1, precision="bf16")
    assert engine.name in ("openvino-bf16", "torch-cpu-bf16")
    assert engine.name.split("-")[0] in reason.lower()
    exact = TorchEngine(part, threads=1).run(images)
    found = agreement(engine.run(images), exact, part.blocks)
    assert found.difference > 1e-4
    assert found.close("bf16")
    assert not found.close("fp32")


def test_a_prefix_gives_whole_maps(lite0: Network, images: UInt8Array) -> None:
    engine, _ = open_engine(prefix_part(lite0, "blocks.2"), check=images, threads=1)
    assert engine.name == "onnxruntime-fp32"
    x = torch.from_numpy(lite0.preprocessing.normalise(images[:3]))
    with torch.inference_mode():
        expected = lite0.prefix("blocks.2")(x).numpy()
    found = engine.run(images[:3])
    assert found.shape == (3, *lite0.cut("blocks.2").shape)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


def test_agreement_sees_a_wrong_block_a_wrong_shape_and_nan() -> None:
    rng = np.random.default_rng(1)
    right = rng.normal(size=(6, 40)).astype(np.float32)
    right[:, 30:] *= 1e-3
    blocks = (slice(0, 30), slice(30, 40))
    assert agreement(right + np.float32(1e-8), right, blocks).close()
    wrong = right.copy()
    wrong[:, 30:] += 1e-4
    assert agreement(wrong, right).close(), "hidden among larger numbers without blocks"
    assert not agreement(wrong, right, blocks).close()
    assert not agreement(right[:, :39], right).close()
    broken = right.copy()
    broken[2, 3] = np.nan
    assert not agreement(broken, right, blocks).close()
    dead = np.zeros((6, 5), dtype=np.float32)
    assert agreement(dead, dead).close()
    assert not agreement(right[:, :5], dead).close()


@pytest.mark.parametrize("kind", KINDS)
def test_opening_and_running_says_nothing(
    lite0: Network,
    images: UInt8Array,
    kind: EngineKind,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    cache: Path,
) -> None:
    part = taps_part(lite0, lite0.taps[:1])
    path = ENGINE.path(engine_key(part))
    assert path.is_relative_to(cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no model at all")
    engine, _ = open_engine(part, check=images[:2], threads=1, kind=kind)
    engine.run(images[:2])
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_a_cache_that_cannot_be_written_costs_only_time(
    lite0: Network, images: UInt8Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("FROSTLINE_CACHE", str(blocked))
    engine, _ = open_engine(taps_part(lite0, lite0.taps[:1]), check=images[:2], threads=1)
    assert engine.name == "onnxruntime-fp32"


def test_no_place_for_temporary_files_changes_no_engine(
    lite0: Network, images: UInt8Array, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cache
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    engine, _ = open_engine(taps_part(lite0, lite0.taps[:1]), check=images[:2], threads=1)
    assert engine.name == "onnxruntime-fp32"


def test_keys_tell_weights_taps_and_preprocessing_apart(lite0: Network) -> None:
    other = lite0.copy()
    other.weights_id = "other"
    small = lite0.copy()
    small.preprocessing = lite0.preprocessing.model_copy(update={"crop_pct": 1.0})
    keys = [
        *(taps_part(network, network.taps).key for network in (lite0, other, small)),
        taps_part(lite0, lite0.taps[:3]).key,
        prefix_part(lite0, lite0.taps[0]).key,
        prefix_part(lite0, lite0.taps[1]).key,
    ]
    assert len(set(keys)) == len(keys)
    assert taps_part(lite0.copy(), lite0.taps).key == keys[0]
