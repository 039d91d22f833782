"""The service under load: one client alone, then everybody at once, good and bad.

    python -m benchmarks.serving                           # fits digits first, then takes 75 s
    python -m benchmarks.serving --run RUN --seconds 20    # a run on the ten digits

Load and service share the machine and its cores. Each answer is compared with that of the model
itself, so that an answer which went to another client is found. Writes latencies, throughput,
errors and memory to benchmarks/results/serving.json, and the figures in docs/serving.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.accuracy_and_time import machine
from benchmarks.serving.clients import Crowd, Tally, everybody
from benchmarks.serving.material import Material, gather
from benchmarks.serving.service import fit_digits, memory_of, memory_until, percentiles, served
from benchmarks.serving.wire import Place, get
from frostline.model.model import Model

RESULTS = Path(__file__).parents[1] / "results" / "serving.json"


def main() -> None:
    """Measure, and write down."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or fit_digits(Path(folder))
        busy = os.getloadavg()[0]
        material = gather(Model.load(run))
        log = Path(folder) / "log.txt"
        with served(run, log) as place:
            found = asyncio.run(_measure(place, material, options))
        said = log.read_text().replace("Ctrl-C stops it.", "").strip()
    found |= {
        "log": said[-2000:],
        "classes": len(material.classes),
        # above zero, others used the cores as well
        "load_before": round(busy, 1),
        "machine": machine(),
        "service": {name: version(name) for name in ("fastapi", "starlette", "uvicorn")},
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    figures.write("serving")
    print(json.dumps(found, indent=1))
    if found["swapped"] or found["unexpected"] or said:
        sys.exit("There were swapped answers, unexpected errors or messages: see above.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="run on ten digits (fitted first when left out)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the mixed load")
    parser.add_argument("--alone", type=float, default=10.0, help="seconds of one client alone")
    parser.add_argument("--clients", type=int, default=4, help="ordinary clients")
    return parser.parse_args()


async def _measure(place: Place, material: Material, options: argparse.Namespace) -> dict[str, Any]:
    alone, together = Tally(), Tally()
    start = await memory_of(place)
    # every image once, so that memory of the engine is taken before it is compared
    await Crowd(place, material, Tally(), time.monotonic() + 3).several(0)
    before = await memory_of(place)
    began = time.perf_counter()
    await Crowd(place, material, alone, time.monotonic() + options.alone).valid(0)
    alone_seconds = time.perf_counter() - began

    crowd = Crowd(place, material, together, time.monotonic() + options.seconds)
    clients = everybody(crowd, options.clients)
    watch = asyncio.ensure_future(memory_until(place, crowd.until))
    began = time.perf_counter()
    await asyncio.gather(*(client(seed) for seed, client in enumerate(clients)))
    seconds = time.perf_counter() - began
    memory = await watch
    await asyncio.sleep(2)
    health = json.loads(await get(place, "/health"))
    return {
        "seconds": round(seconds, 1),
        "clients": {"ordinary": options.clients, "all": len(clients)},
        "alone": {
            "latency_ms": {k: percentiles(v) for k, v in alone.seconds.items()},
            "images_per_second": round(alone.images / alone_seconds, 1),
        },
        "together": {
            "latency_ms": {k: percentiles(v) for k, v in sorted(together.seconds.items())},
            "requests": sum(map(len, together.seconds.values())),
            "images": together.images,
            "images_per_second": round(together.images / seconds, 1),
        },
        "expected_errors": dict(sorted((alone.expected + together.expected).items())),
        "unexpected": dict(alone.unexpected + together.unexpected),
        "swapped": alone.swapped + together.swapped,
        "health": health["status"],
        "left_in_queue": health["queue"],
        "memory_mb": {
            "started": round(start / 1e6),
            "before": round(before / 1e6),
            "every_10_seconds": [round(m / 1e6) for m in memory[::10]],
            "highest": round(max(memory) / 1e6),
            "after": round(await memory_of(place) / 1e6),
        },
        "batches": _histogram(await get(place, "/metrics")),
    }


def _histogram(text: str) -> dict[str, float]:
    """Mean size of a batch, and how many there were."""
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if " " in line)
    count = float(lines["frostline_batch_images_count"])
    mean = float(lines["frostline_batch_images_sum"]) / count
    return {"n": count, "mean_images": round(mean, 2)}


if __name__ == "__main__":
    main()
