"""Images a second by engine, batch and lanes, and whether an image's bits turn on them.

    python -m benchmarks.engines                       # two bundled networks, 3 minutes
    python -m benchmarks.engines --networks efficientnet_lite0 resnet18 --rounds 9

Every way computes the same solar cells, round after round in another order, in one process with
nothing else running. Processor seconds are the least of all rounds, as others only add to them; the
spread is that of the middle half of the rounds. Networks that are not bundled have random weights
and need frostline[train].
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from elpv_dataset import __file__ as cells

from benchmarks.accuracy_and_time import machine
from frostline.backbones.described import described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.compute.cache.fact import version_of
from frostline.compute.engines import openvino_engine
from frostline.compute.engines.base import Engine, run_batches
from frostline.compute.engines.fastest import paced
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.engines.onnx_export import exported
from frostline.compute.engines.openvino_engine import OpenVinoEngine
from frostline.compute.engines.processor import processor_kind, processor_name
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.data.decoding.decode import decode

RESULTS = Path(__file__).parent / "results" / "engines.json"
BATCHES = (1, 2, 4, 8, 16)
NETWORKS = ("efficientnet_lite0", "efficientnet_lite2")
_IMAGES, _ROUNDS = 64, 7


@dataclass
class Way:
    """An engine with a batch and lanes, each of some threads, and what an image took it."""

    engine: str
    batch: int
    lanes: int
    within: int
    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What an image takes where nothing runs beside the lanes."""
        return min(self.processor) / (self.lanes * self.within)

    def summary(self) -> dict[str, Any]:
        """Return figures in milliseconds for an image."""
        return {
            **{key: value for key, value in asdict(self).items() if key not in _TIMES},
            **{key: round(1e3 * min(getattr(self, key)), 3) for key in _TIMES},
            "spread": round(_spread(self.processor), 3),
            "rate": round(1 / self.seconds, 1),
        }


_TIMES = ("processor", "wall")


def engines_here() -> list[str]:
    """Name the engines that are installed."""
    return ["onnx", *(["openvino"] if openvino_engine.installed() else [])]


def open_ways(model: bytes, engines: Sequence[str]) -> list[tuple[Way, Engine]]:
    """Open every engine with every batch: a lane for each core, half as many, and one for all."""
    cores = available_cores()
    # lanes, and threads of each
    shapes = sorted({(cores, 1), (max(1, cores // 2), 1), (1, cores)})
    found: list[tuple[Way, Engine]] = []
    for name in engines:
        for lanes, within in shapes:
            if name == "onnx":
                session = OnnxEngine(model, threads=lanes, within=within)
                opened: list[Engine] = [paced(session, batch, lanes) for batch in BATCHES]
            else:
                opened = [
                    OpenVinoEngine(model, threads=lanes, batch=batch, within=within)
                    for batch in BATCHES
                ]
            found += [(Way(name, e.batch, lanes, within), e) for e in opened]
    return found


def measure(
    ways: Sequence[tuple[Way, Engine]], images: Sequence[UInt8Array], rounds: int
) -> list[Way]:
    """Let every way compute the images, round after round; return the ways with their times."""
    rng = np.random.default_rng(0)
    for way, engine in ways:
        _run(engine, images[: 2 * way.batch])
    for _ in range(rounds):
        for place in rng.permutation(len(ways)):
            way, engine = ways[place]
            began, wall = time.process_time(), time.perf_counter()
            _run(engine, images)
            way.processor.append((time.process_time() - began) / len(images))
            way.wall.append((time.perf_counter() - wall) / len(images))
    return [way for way, _ in ways]


def same_bits(ways: Sequence[tuple[Way, Engine]], images: Sequence[UInt8Array]) -> dict[str, bool]:
    """Whether every image has the same bits with all ways of an engine, and among other images."""
    same: dict[str, bool] = {}
    first: dict[str, Any] = {}
    order = np.random.default_rng(1).permutation(len(images))
    for way, engine in ways:
        found = _run(engine, images)
        turned = _run(engine, [images[i] for i in order])
        expected = first.setdefault(way.engine, found)
        equal = np.array_equal(found, expected) and np.array_equal(turned, expected[order])
        same[way.engine] = same.get(way.engine, True) and equal
    return same


def main() -> None:
    """Measure the networks that are named."""
    options = _options()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.networks:
        network = _network(name)
        images = list(_cells(network, _IMAGES))
        ways = open_ways(exported(taps_part(network, network.taps))[0], engines_here())
        bits = same_bits(ways, images[:32])
        rows = [way.summary() for way in measure(ways, images, options.rounds)]
        kept[name] = {
            "pixels": network.preprocessing.size,
            "rows": rows,
            "same_bits": bits,
            "rounds": options.rounds,
            "processor": f"{processor_name()} ({processor_kind()})",
            "machine": machine(),
            "openvino": version_of("openvino"),
        }
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        for row in rows:
            print(f"{name} {row}", flush=True)
        print(f"{name}: the same bits: {bits}", flush=True)


def _run(engine: Engine, images: Sequence[UInt8Array]) -> Any:
    return np.stack([result for _, result in run_batches(engine, ((None, i) for i in images))])


def _cells(network: FrozenNetwork, count: int) -> Iterator[UInt8Array]:
    files = sorted((Path(str(cells)).parent / "data" / "images").glob("*.png"))
    for file in files[:: len(files) // count][:count]:
        yield network.preprocessing.apply(decode(file, max_pixels=10**7))


def _network(name: str) -> FrozenNetwork:
    if name in BUNDLED:
        return described(name)
    from frostline.backbones.network import Network

    return Network.load(name, pretrained=False)


def _spread(values: Sequence[float]) -> float:
    """Return the middle half of some values, as a share of their median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
