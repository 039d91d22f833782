"""Accuracy and time of whole fits, each in a process and a cache of its own.

    python -m benchmarks.accuracy_and_time                        # solar cells, 3 seeds
    python -m benchmarks.accuracy_and_time --photos STAMPS        # and photos
    python -m benchmarks.accuracy_and_time --strategies           # and the four strategies

STAMPS is the folder usr/share/tuxpaint/stamps of Debian's package tuxpaint-stamps-default
(apt-get download tuxpaint-stamps-default; dpkg -x *.deb .). Run it with nothing else running.
Updates benchmarks/results/accuracy_and_time.json; --no-cells leaves the solar cells out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frostline.cli.demo import write_table

RESULTS = Path(__file__).parent / "results" / "accuracy_and_time.json"
PHOTO_CLASSES = (
    "animals/mammals",
    "animals/birds",
    "animals/insects",
    "animals/fish",
    "food/fruit",
    "food/vegetables",
    "plants/flowers",
    "vehicles",
)
SEEDS = (0, 1, 2)


def photo_files(stamps: Path) -> list[tuple[Path, str]]:
    """The photos of eight folders with their classes; no cartoons, no mirrored copies."""
    return [
        (file, name.rpartition("/")[2])
        for name in PHOTO_CLASSES
        for file in sorted((stamps / name).rglob("*.png"))
        if "cartoon" not in file.parts and not file.stem.endswith(("_mirror", "_flip"))
    ]


def photo_folder(stamps: Path, target: Path) -> Path:
    """Link the photos into a folder a class; links that are there already are left alone."""
    for file, name in photo_files(stamps):
        link = target / name / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(file.absolute())
    return target


def fit(source: Path, folder: Path, *options: str) -> dict[str, Any]:
    """Run one fit in a new process with an empty cache; return what matters of its metrics."""
    run = folder / "run"
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "frostline", "fit", str(source), "-o", str(run), *options],
        check=True,
        capture_output=True,
        env={**os.environ, "FROSTLINE_CACHE": str(folder / "cache")},
    )
    wall = time.perf_counter() - began
    metrics = json.loads((run / "metrics.json").read_text())
    plan = json.loads((run / "plan.json").read_text())
    return {
        "options": list(options),
        "chosen": plan["chosen"],
        "case": plan["case"],
        "shift": plan["evidence"]["shift"]["label"] if plan["evidence"] else None,
        "method": metrics["test"]["method"],
        "accuracy": metrics["test"]["accuracy"],
        "accuracy_interval": metrics["test"]["accuracy_interval"],
        "balanced_accuracy": metrics["test"]["balanced_accuracy"],
        "nll": metrics["test"]["nll"],
        "without_leaks": metrics["test"].get("without_leaks"),
        "wall_seconds": round(wall, 1),
        "seconds": metrics["seconds"],
        "peak_memory_bytes": metrics["peak_memory_bytes"],
        "frozen_verified": metrics["frozen_verified"],
    }


def repeat(
    name: str, source: Path, *options: str, seeds: tuple[int, ...] = SEEDS
) -> dict[str, Any]:
    """Fit with several seeds; return the runs with mean accuracy and median time."""
    runs = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(fit(source, Path(folder), *options, "--seed", str(seed)))
        print(
            f"{name} seed {seed}: {runs[-1]['accuracy']:.3f} in {runs[-1]['wall_seconds']} s "
            f"({runs[-1]['chosen']})",
            flush=True,
        )
    accuracies = [run["accuracy"] for run in runs]
    return {
        "name": name,
        "seeds": list(seeds),
        "mean_accuracy": round(statistics.mean(accuracies), 4),
        "spread": round(max(accuracies) - min(accuracies), 4),
        "median_wall_seconds": statistics.median(run["wall_seconds"] for run in runs),
        "runs": runs,
    }


def machine() -> dict[str, Any]:
    """Say where this ran, and with what."""
    packages = ("torch", "timm", "onnxruntime", "scikit-learn", "numpy", "pillow")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="STAMPS")
    parser.add_argument("--no-cells", action="store_true")
    parser.add_argument("--strategies", action="store_true")
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        cells = write_table(Path(folder))
        if not given.no_cells:
            results.append(repeat("solar cells, fast", cells, "--effort", "fast"))
        if given.photos:
            photos = photo_folder(given.photos.resolve(), Path(folder) / "photos")
            results.append(repeat("photos, fast", photos, "--effort", "fast"))
            results.append(repeat("photos, balanced", photos, seeds=(0,)))
        if given.strategies:
            source = photos if given.photos else cells
            for strategy in ("head", "finetune", "cut", "full"):
                options = ("--strategy", strategy, "--budget", "2m")
                results.append(repeat(f"strategy {strategy}", source, *options, seeds=(0,)))
    earlier = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else []
    kept = {result["name"]: result for result in earlier}
    # what was not measured now stays, with the machine it was measured on
    kept |= {result["name"]: {**result, "machine": machine()} for result in results}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"results": list(kept.values())}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
