"""What is fastest: measured on images of the pass, kept, remembered, never a bit different."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.backbones.described import DescribedNetwork, described
from frostline.compute import taps_pass
from frostline.compute.engines import choose, fastest, openvino_engine, processor
from frostline.compute.engines.base import FirstImages, run_batches
from frostline.compute.engines.choose import open_engine, start_engine
from frostline.compute.engines.fastest import (
    Seconds,
    Started,
    paced,
    race,
    same_bits_at_any_batch,
    tune,
)
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.frozen import run_frozen
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.decode import decode

pytestmark = pytest.mark.usefixtures("cache")

needs_openvino = pytest.mark.skipif(
    not openvino_engine.installed(), reason="needs frostline[openvino]"
)


@pytest.fixture(scope="module")
def network() -> DescribedNetwork:
    return described("efficientnet_lite0")


@pytest.fixture(scope="module")
def images(pictures: Catalog, network: DescribedNetwork) -> UInt8Array:
    """Sixteen digits, pieces of photos and solar cells."""
    decoded = [decode(row.path, max_pixels=10**7) for row in pictures.rows[:16]]
    return np.stack([network.preprocessing.apply(image) for image in decoded])


class Fake(OnnxEngine):
    """Gives the mean of every image, and works as long as it is told for one of a batch."""

    def __init__(self, work: Callable[[int], float] = lambda _: 0.0, *, lanes: int = 1) -> None:
        self.name = "fake"
        self.batch = self.fixed_batch = 4
        self.concurrent_batches = lanes
        self.work = work
        # shared with its copies
        self.given: list[int] = []

    def run(self, batch: UInt8Array) -> FloatArray:
        self.given.append(len(batch))
        until = time.thread_time() + self.work(len(batch)) * len(batch)
        while time.thread_time() < until:
            pass
        return np.asarray(batch.reshape(len(batch), -1).mean(axis=1, keepdims=True), np.float32)


def many(count: int) -> list[UInt8Array]:
    return [np.full((2, 2, 3), i % 251, dtype=np.uint8) for i in range(count)]


def values(results: list[FloatArray]) -> list[int]:
    return [int(result[0]) for result in results]


@pytest.mark.parametrize("kind", ["onnx", pytest.param("openvino", marks=needs_openvino)])
def test_an_images_bits_turn_on_neither_batch_nor_lanes_nor_neighbours(
    network: DescribedNetwork, images: UInt8Array, kind: choose.EngineKind
) -> None:
    part = taps_part(network, network.taps)
    engine, _ = open_engine(part, check=images, threads=2, kind=kind)
    # what the batch may be measured for; OpenVINO is opened for one
    assert kind == "openvino" or same_bits_at_any_batch(engine, list(images))
    batches = {engine.batch} if kind == "openvino" else {1, 2, 4, 8, 16}
    expected = np.stack([result for _, result in run_batches(engine, enumerate(images))])
    turned = np.random.default_rng(0).permutation(len(images))
    for batch in batches:
        for lanes in (1, 2):
            found = run_batches(paced(engine, batch, lanes), ((i, images[i]) for i in turned[:9]))
            for row, result in found:
                np.testing.assert_array_equal(result, expected[row])


def test_an_engine_is_tuned_on_images_of_the_pass_and_keeps_what_it_computed() -> None:
    engine = Fake(lambda batch: 1e-4 if batch == 2 else 3e-4)
    started = Started(engine)
    assert tune(started, FirstImages(many(2000), 2000))
    assert (started.engine.batch, started.engine.fixed_batch) == (2, 4)
    done = len(started.results)
    assert 0 < done <= 1000
    assert values(started.results) == [i % 251 for i in range(done)]
    # and 31 to see that no bit turns on the batch
    assert sum(engine.given) <= done + 31 + 16


def test_a_batch_that_changes_bits_or_is_hardly_faster_is_not_taken() -> None:
    class Other(Fake):
        def run(self, batch: UInt8Array) -> FloatArray:
            return super().run(batch) + np.float32(1e-6 * len(batch))

    started = Started(Other(lambda batch: 1e-4 if batch == 2 else 3e-4))
    assert not same_bits_at_any_batch(started.engine, many(16))
    assert tune(started, FirstImages(many(2000), 2000))
    assert started.engine.batch == 4
    hardly = Started(Fake(lambda batch: 2.9e-4 if batch == 2 else 3e-4))
    tune(hardly, FirstImages(many(2000), 2000))
    assert hardly.engine.batch == 4


def test_a_short_pass_is_not_spent_on_tuning() -> None:
    started = Started(Fake())
    assert not tune(started, FirstImages(many(200), 200))
    assert not tune(started, FirstImages(many(2000)))
    assert started.results == []


def test_fewer_lanes_are_taken_where_they_are_faster_and_nothing_runs_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Crowded(Fake):
        inside = 0

        def run(self, batch: UInt8Array) -> FloatArray:
            Crowded.inside += 1
            time.sleep(1e-3 if Crowded.inside == 1 else 6e-3)
            found = super().run(batch)
            Crowded.inside -= 1
            return found

    crowded = Started(Crowded(lanes=2))
    tune(crowded, FirstImages(many(2000), 2000))
    # asleep it has not had the processor: something else may have had it
    assert crowded.engine.concurrent_batches == 2
    monkeypatch.setattr(fastest, "_UNDISTURBED", 0.0)
    tune(crowded, FirstImages(many(2000), 2000))
    assert crowded.engine.concurrent_batches == 1


def test_engines_race_over_the_same_images_and_a_slow_one_stops() -> None:
    fast, slow = Started(Fake(lambda _: 5e-5)), Started(Fake(lambda _: 3e-4))
    fast.go_on(images := FirstImages(many(300)), 8)
    race([fast, slow], images, time.perf_counter() + 60)
    assert fast.rate > 3 * slow.rate
    assert values(fast.results) == list(range(72))
    assert values(slow.results) == list(range(40)), "it could not win any more"
    late = [Started(Fake()), Started(Fake())]
    race(late, FirstImages(many(300)), time.perf_counter() - 1)
    assert [len(one.results) for one in late] == [32, 32]


@needs_openvino
def test_the_fastest_is_taken_remembered_and_not_timed_again(
    network: DescribedNetwork, images: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    races: list[list[str]] = []
    lead = 0.5

    def decided(started: list[Started], *_: object) -> None:
        races.append([one.engine.name for one in started])
        for one in started:
            one.seconds = Seconds(1.0, lead if one.engine.name == "openvino-fp32" else 1.0)

    monkeypatch.setattr(choose, "race", decided)
    monkeypatch.setattr(choose, "tune", lambda *_: False)
    part = taps_part(network, network.taps[:2])
    usual, reason = open_engine(part, check=images, threads=1, n_images=400)
    assert usual.name == "onnxruntime-fp32"
    assert "usually" in reason
    assert races == [], "for 400 images another engine does not pay"
    lead = 0.97
    close, _ = open_engine(
        taps_part(network, network.taps[:3]), check=images, threads=1, n_images=10_000
    )
    assert close.name == "onnxruntime-fp32", "a small lead changes nothing"
    lead = 0.5
    first, reason = open_engine(part, check=images, threads=1, n_images=10_000)
    assert first.name == "openvino-fp32"
    assert "fastest here (2 images a second" in reason
    assert races == [["onnxruntime-fp32", "openvino-fp32"]] * 2
    # a copy with other norm statistics takes as long
    changed = {"bn1.running_mean": network.tensors()["bn1.running_mean"] + np.float32(0.01)}
    other = taps_part(network.with_tensors(changed), network.taps[:2])
    assert other.key != part.key
    for known in (part, other):
        again, reason = open_engine(known, check=images, threads=1, n_images=400)
        assert again.name == "openvino-fp32"
        assert "before" in reason
    assert len(races) == 2


def test_batch_and_lanes_are_remembered_with_the_engine(
    network: DescribedNetwork, images: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tuned(started: Started, *_: object) -> bool:
        started.engine, started.seconds = paced(started.engine, 8, 1), Seconds(1.0, 1.0)
        return True

    monkeypatch.setattr(choose, "tune", tuned)
    part = taps_part(network, network.taps[:2])
    for _ in range(2):
        started, _ = start_engine(part, FirstImages(images, 16), threads=2, n_images=16)
        assert (started.engine.batch, started.engine.concurrent_batches) == (8, 1)
        assert len(started.results) >= 8, "what was checked is kept"
        monkeypatch.setattr(choose, "tune", lambda *_: False)


def test_a_tuned_pass_has_the_bits_of_one_that_was_not(
    network: DescribedNetwork,
    pictures: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = run_frozen(network, pictures, Runtime(threads=2))
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(fastest, "_TIMED_IMAGES", 1)
    monkeypatch.setattr(fastest, "BATCHES", (1, 2))
    monkeypatch.setattr(fastest, "_ROUNDS", 1)
    lengths: list[int] = []
    real = taps_pass.start_taps

    def noted(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        lengths.append(len(found[0].results))
        return found

    monkeypatch.setattr(taps_pass, "start_taps", noted)
    monkeypatch.setattr(choose, "CHECK_IMAGES", 2)
    tuned = run_frozen(network, pictures, Runtime(threads=1))
    assert lengths[0] > 2, "images were computed while it was tuned"
    assert tuned.report.computed == tuned.report.times.images == plain.report.computed
    np.testing.assert_array_equal(tuned.features.taps, plain.features.taps)
    assert run_frozen(network, pictures, Runtime(threads=1)).report.computed == 0


@pytest.mark.parametrize(
    ("machine", "flags", "kind"),
    [
        ("x86_64", "fpu avx2", "x86-64"),
        ("AMD64", "fpu avx2 avx512f", "x86-64 with AVX-512"),
        ("arm64", "", "Arm"),
        ("riscv64", "", "other"),
    ],
)
def test_processors_are_told_apart(
    machine: str, flags: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor.processor_kind.cache_clear()
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(processor, "_entry", lambda _: flags)
    assert processor.processor_kind() == kind
    processor.processor_kind.cache_clear()
