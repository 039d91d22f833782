"""Which similarity finds training images of the same label, each left out in turn.

    python -m benchmarks.similarity digits=FOLDER stamps=FOLDER cells=TABLE.csv

Sources are what ``frostline fit`` takes. Of each, at most 600 images by seed; features are those of
EfficientNet-Lite0 at all depths. Told are the shares of images whose nearest one, and of all three
nearest ones, have their label, with the standard error of the first.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_and_time import machine
from frostline.compute.frozen import run_frozen
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import open_source
from frostline.fitting.networks import open_networks
from frostline.fitting.pipeline import runtime_of
from frostline.stats.nearest import NearestRows

RESULTS = Path(__file__).parent / "results" / "similarity.json"
_MOST, _K, _SEED = 600, 3, 0


def _features(source: str) -> tuple[FloatArray, IntArray]:
    settings = Settings()
    runtime = runtime_of(settings, None, None)
    catalog: Catalog = open_source(source, runtime=runtime)
    random = np.random.default_rng(_SEED)
    chosen = set(random.permutation(len(catalog))[:_MOST].tolist())
    left_out = {i: "not drawn" for i in range(len(catalog)) if i not in chosen}
    network = open_networks(settings, None, runtime).networks[0]
    frozen = run_frozen(network, catalog.without(left_out), runtime)
    return frozen.features.taps.astype(np.float64), np.asarray(frozen.catalog.labels)


def _nearest(products: FloatArray) -> IntArray:
    np.fill_diagonal(products, -np.inf)
    found: IntArray = np.argsort(-products, axis=1, kind="stable")[:, :_K]
    return found


def _shares(nearest: IntArray, labels: IntArray) -> dict[str, float]:
    right = labels[nearest] == labels[:, None]
    first = float(right[:, 0].mean())
    error = (first * (1 - first) / len(labels)) ** 0.5
    return {
        "nearest": round(first, 4),
        "standard_error": round(error, 4),
        "of_three": round(float(right.mean()), 4),
    }


def _unit(rows: FloatArray) -> FloatArray:
    found: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found


def measure(source: str) -> dict[str, Any]:
    """Return the shares of every similarity on one set."""
    rows, labels = _features(source)
    centred = rows - rows.mean(axis=0)
    deviation = rows.std(axis=0)
    divided = centred / np.where(deviation > 1e-9, deviation, np.inf)
    squares = (divided**2).sum(axis=1)
    tables = {"cosine": rows, "cosine, centred": centred, "cosine, centred and divided": divided}
    found = {name: _shares(_nearest(_unit(t) @ _unit(t).T), labels) for name, t in tables.items()}
    apart = 2 * divided @ divided.T - squares[:, None] - squares
    found["distance, divided"] = _shares(_nearest(apart), labels)
    return {"images": len(labels), "columns": rows.shape[1], "similarities": found}


def _pace() -> dict[str, float]:
    """Processor seconds of 10,000 queries against 100,000 rows of 256 columns."""
    rows = np.random.default_rng(_SEED).standard_normal((100_000, 256), dtype=np.float32)
    began = time.process_time()
    NearestRows(rows).find(rows[:10_000], _K)
    return {"rows": 1e5, "queries": 1e4, "columns": 256, "seconds": time.process_time() - began}


def main() -> None:
    """Measure every set that was named and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", metavar="NAME=SOURCE")
    given = dict(one.split("=", 1) for one in parser.parse_args().sets)
    found = {name: measure(source) for name, source in given.items()}
    written = {"machine": machine(), "seed": _SEED, "sets": found, "pace": _pace()}
    RESULTS.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    for name, one in found.items():
        print(name, json.dumps(one["similarities"]))


if __name__ == "__main__":
    main()
