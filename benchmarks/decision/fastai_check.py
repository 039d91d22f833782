"""Is our loop of fastai's schedule a fair stand-in? The real one, on the images of a few cells."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from benchmarks.decision.cells import FASTAI, Cell, network_of, prepared, training_rows, unpacked
from benchmarks.decision.sets import SETS, Places
from frostline.core.files import write_text

_CELLS = (
    Cell("photos", "5", 0),
    Cell("digits", "5", 0),
    Cell("clip-art", "5", 0),
    Cell("solar-cells", "5", 0),
)
_SEEDS = (0, 1, 2)
#: images of the test part that both are scored on
_JUDGED = 500
_JOB = Path(__file__).parents[1] / "speed" / "fastai_job.py"


def run_check(places: Places, results: Path) -> None:
    """Train the real one three times on each cell; what is done stays done."""
    folder = results / "fastai"
    folder.mkdir(parents=True, exist_ok=True)
    weights = places.work / "lite0.safetensors"
    for cell in _CELLS:
        path, recorded = folder / f"{cell.key}.json", results / f"{cell.key}.json"
        if path.exists() or not recorded.exists():
            continue
        simulated = json.loads(recorded.read_text())["options"][FASTAI]
        task, pool, test = prepared(SETS[cell.target], places, cell.pixels)
        right = unpacked(simulated["right"], len(test))
        judged = np.sort(np.random.default_rng(0).permutation(len(test))[:_JUDGED])
        table = places.work / f"fastai-{cell.key}.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for part, rows in (("train", training_rows(task, pool, cell)), ("test", test[judged])):
                for row in rows:
                    found = task.store.catalog.rows[row]
                    label = task.store.catalog.classes[found.label]
                    writer.writerow([found.path.resolve(), label, part])
        save_file(network_of("lite0", places.work).plain().state_dict(), weights)
        epochs = simulated["action"]["epochs"]
        real = [_real(table, weights, cell.pixels, epochs, seed) for seed in _SEEDS]
        entry = {
            "cell": cell.key,
            "epochs": epochs,
            "judged": len(judged),
            "simulated": round(100.0 * float(right[judged].mean()), 1),
            "real": [round(100.0 * accuracy, 1) for accuracy in real],
        }
        write_text(path, json.dumps(entry, indent=1) + "\n")
        print(entry, flush=True)


def compared(results: Path) -> list[dict[str, Any]]:
    """What was found, cell by cell."""
    return [json.loads(path.read_text()) for path in sorted((results / "fastai").glob("*.json"))]


def _real(table: Path, weights: Path, size: int, epochs: int, seed: int) -> float:
    command = [sys.executable, str(_JOB), "--table", str(table), "--weights", str(weights)]
    command += ["--threads", "1", "--size", str(size), "--epochs", str(epochs)]
    output = subprocess.run(
        [*command, "--seed", str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout
    # its progress is printed on the same line
    return float(json.loads(output[output.rindex('{"accuracy"') :])["accuracy"])
