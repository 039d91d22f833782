"""How time and memory grow: image files through whole fits, and simulated rows step by step.

    python -m benchmarks.growth                                  # both parts, about an hour
    python -m benchmarks.growth --parts images --images 1000 4000
    python -m benchmarks.growth --parts rows --rows 10000 100000 1000000

``images``: generated files, a whole cold process ``frostline fit --effort fast`` for each size,
with an empty cache. ``rows``: a simulated catalog, thumbnails and taps through every step that
touches all rows, each step in a fresh process on one thread. A million rows take up to 8 GB of
memory. Run it with nothing else running. What is in benchmarks/results/growth.json is kept and not
measured again unless --fresh; docs/growth.md is written from it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.accuracy_and_time import machine
from benchmarks.growth.pictures import table_of
from benchmarks.growth.simulated import WIDTH
from benchmarks.growth.steps import STEPS
from benchmarks.processes import run
from frostline.backbones.network import Network

RESULTS = Path(__file__).parents[1] / "results" / "growth.json"
PARTS = ("images", "rows")
IMAGES = (1_000, 4_000, 16_000, 64_000)
ROWS = (10_000, 100_000, 1_000_000)
SEED = 0
BACKBONE = "efficientnet_lite0"


def main() -> None:
    """Measure what is missing."""
    options = _options()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for key, measure in _plan(options, Path(folder)):
            if key in found and not options.fresh:
                continue
            with tempfile.TemporaryDirectory(dir=options.work) as own:
                found[key] = {**measure(Path(own)), "seed": SEED, "machine": machine()}
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{key}: {_in_short(found[key])}", flush=True)
    figures.write("growth")


Measure = Callable[[Path], dict[str, Any]]


def _plan(options: argparse.Namespace, work: Path) -> list[tuple[str, Measure]]:
    plan: list[tuple[str, Measure]] = []
    if "images" in options.parts:
        plan += [
            (f"images, {n}", lambda own, n=n: _whole_fit(n, work / "pictures", own))  # type: ignore[misc]
            for n in sorted(options.images)
        ]
    if "rows" in options.parts:
        plan += [
            (f"rows, {step}, {n}", lambda own, step=step, n=n: _step(step, n, own))  # type: ignore[misc]
            for step in options.steps
            for n in sorted(options.rows)
        ]
    return plan


def _whole_fit(n: int, pictures: Path, own: Path) -> dict[str, Any]:
    """One cold fit, everything included."""
    table = table_of(n, pictures)
    output, cache = own / "run", own / "cache"
    arguments = ["fit", str(table), "-o", str(output), "--effort", "fast", "--seed", str(SEED)]
    command = [sys.executable, "-m", "frostline", *arguments, "--backbone", BACKBONE]
    cost = run(command, {"FROSTLINE_CACHE": str(cache)})
    metrics = json.loads((output / "metrics.json").read_text())
    network = Network.load(BACKBONE)
    return {
        "n": n,
        "wall": cost.wall,
        "cpu": cost.cpu,
        "peak_memory": cost.peak_memory,
        "taps_bytes": 4 * network.body(network.taps).width * n,
        "store_bytes": _bytes(cache / "images"),
        "report_bytes": (output / "report.html").stat().st_size,
        "accuracy": metrics["test"]["accuracy"],
        "computed": metrics["images_computed"],
        "seconds": metrics["seconds"],
    }


def _step(step: str, n: int, own: Path) -> dict[str, Any]:
    """One step, in a process of its own."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "FROSTLINE_CACHE": str(own / "cache"),
        # a store that holds half of the simulated taps
        "FROSTLINE_CACHE_LIMIT": f"{2 * WIDTH * n}B",
    }
    cost = run([sys.executable, "-m", "benchmarks.growth.step_job", step, str(n), str(own)], env)
    told: dict[str, Any] = json.loads(cost.output.strip().splitlines()[-1])
    return {"n": n, "step": step, **told}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _in_short(result: dict[str, Any]) -> str:
    memory = result.get("peak_memory", result.get("memory_added", 0)) / 1e6
    return f"{result['cpu']:.1f} processor seconds, {memory:,.0f} MB"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--images", nargs="+", type=int, default=list(IMAGES))
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--work", type=Path, help="where generated files go for the time being")
    parser.add_argument("--fresh", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
