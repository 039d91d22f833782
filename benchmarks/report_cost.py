"""How long a report takes to make, and how large it is, by images and classes.

    python -m benchmarks.report_cost RUN

RUN is a finished run: its plan and pictures are taken, with predictions that are made up. Seconds
are those of scoring, keeping what the page shows, and writing the page; heat maps come from before.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.core.run_record import RunRecord
from frostline.explain.gallery import Gallery
from frostline.report import ReportData, load_record, save_record, write_report
from frostline.stats.scores import score

IMAGES = (60, 2_600, 20_000)
CLASSES = (2, 8, 100)
#: as many tiles as a page ever shows
TILES = 24


def made_up(n: int, n_classes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return probabilities (n, C) of a classifier that errs now and then, and the truth."""
    random = np.random.default_rng(0)
    labels = np.arange(n, dtype=np.int64) % n_classes
    logits = random.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += 3.0
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def as_many_as_possible(gallery: Gallery | None) -> Gallery:
    """Repeat the tiles of a gallery until every list is full."""
    found = gallery or Gallery()

    def full(name: str) -> tuple[object, ...]:
        tiles = getattr(found, name) or found.mistakes
        return (tiles * TILES)[:TILES]

    lists = {name: full(name) for name in ("mistakes", "doubtful", "findings")}
    return replace(found, **lists)  # type: ignore[arg-type]


def cost(data: ReportData, n: int, n_classes: int) -> tuple[float, float, int]:
    """Return wall and processor seconds, and the bytes of the page."""
    classes = tuple(f"class number {i}" for i in range(n_classes))
    copies = [[f"folder/{i}.png", f"folder/{i} copy.png"] for i in range(n // 10)]
    probabilities, labels = made_up(n, n_classes)
    with tempfile.TemporaryDirectory() as folder:
        wall, processor = time.perf_counter(), time.process_time()
        scores = score(probabilities, labels).to_json(classes)
        record = data.record.to_json()
        record["classes"] = classes
        record["metrics"] |= {"n_train": n, "n_test": n, "test": {"method": "given", **scores}}
        record["audit"] |= {
            "class_counts": dict.fromkeys(classes, n // n_classes),
            "near_duplicates": copies,
        }
        large = ReportData(
            record=RunRecord.model_validate(record), gallery=as_many_as_possible(data.gallery)
        )
        save_record(Path(folder) / "report.json", large)
        write_report(Path(folder) / "report.html", data=large)
        spent = time.perf_counter() - wall, time.process_time() - processor
        return *spent, (Path(folder) / "report.html").stat().st_size


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m benchmarks.report_cost RUN")
    data = load_record(Path(sys.argv[1]) / "report.json")
    print("| images | classes | seconds | processor seconds | MB |\n|---|---|---|---|---|")
    for n in IMAGES:
        for n_classes in CLASSES:
            if n < n_classes:
                continue
            wall, processor, size = cost(data, n, n_classes)
            print(f"| {n:,} | {n_classes} | {wall:.1f} | {processor:.1f} | {size / 1e6:.1f} |")


if __name__ == "__main__":
    main()
