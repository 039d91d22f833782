"""Angle and size of letters: what each depth explains, and a fit beside fastai's RegressionBlock.

    python -m benchmarks.numbers --fonts FOLDER --work .study --fastai PYTHON

The letters of ``benchmarks.number_sets``, turned by up to 40 degrees and drawn at 15 to 25 pixels,
read at 128 pixels; a quarter of the fonts judges. What one depth explains comes from ridge on its
pooled activations alone, with every font left out in turn, on the letters that teach. Then a fit
with ``--effort fast`` judges the others, and fastai (a Python that has it) trains the same weights
at the same size, without the transforms that turn images, on numbers of mean 0 and spread 1: one
frozen epoch, then as many of all layers as are asked for. Processor seconds are those of the whole
process. Writes benchmarks/results/numbers.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.accuracy_and_time import machine
from benchmarks.number_sets import COLUMNS, drawn

RESULTS = Path(__file__).parent / "results" / "numbers.json"
_TEST, _SIDE = 0.25, 128
_FIT = """
import sys
import frostline
frostline.fit(sys.argv[1], sys.argv[2], target=("angle", "size"), task="regression", effort="fast",
              threads=1, seed=0, strategy=sys.argv[3], input_size=int(sys.argv[4]))
"""

Array = npt.NDArray[Any]


def main() -> None:
    """Draw, measure what is missing, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, required=True, help="Folder of font files.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fastai", type=Path, help="A Python that can import fastai.")
    parser.add_argument("--epochs", type=int, nargs="*", default=[4])
    parser.add_argument("--strategies", nargs="*", default=["auto"])
    options = parser.parse_args()
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    images, numbers, fonts = drawn(options.fonts)
    test = _held(fonts)
    table = _written(options.work, images, numbers, fonts, test)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"beside": {}}
    found |= {
        "machine": machine(),
        "images": len(images),
        "side": _SIDE,
        "fonts": len(np.unique(fonts)),
        "teach": int((~test).sum()),
        "judge": int(test.sum()),
        "by depth": _by_depth(images, numbers[~test], fonts[~test], ~test),
    }
    for strategy in options.strategies:
        found["beside"][f"Frostline, strategy {strategy}"] = _ours(options.work, table, strategy)
        _write(found)
    for epochs in options.epochs if options.fastai else []:
        name = f"fastai `RegressionBlock`, `fine_tune({epochs})`"
        found["beside"][name] = _fastai(options.fastai, options.work, table, epochs)
        _write(found)


def _write(found: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["beside"]), flush=True)


def _held(fonts: Array) -> Array:
    """Return which letters judge: those of a quarter of the fonts."""
    names = np.unique(fonts)
    chosen = np.random.default_rng(0).permutation(names)[: round(_TEST * len(names))]
    return np.isin(fonts, chosen)


def _written(
    work: Path, images: Sequence[Array], numbers: Array, fonts: Array, test: Array
) -> Path:
    """Write the letters and their table."""
    folder = work / "letters"
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "letters.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *COLUMNS, "group", "split"])
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i}.png")
            part = "test" if test[i] else "train"
            writer.writerow([f"{i}.png", *numbers[i].tolist(), f"font {fonts[i]}", part])
    return table


def _by_depth(
    images: Sequence[Array], numbers: Array, fonts: Array, teach: Array
) -> dict[str, dict[str, float]]:
    """Return R2 of each column by tap, and of all taps, with each font left out."""
    from frostline.backbones.network import Network
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.data.sources.open_source import open_source
    from frostline.stats.ridge import ridge_loo
    from frostline.stats.target_matrix import Values

    # the classes say nothing here
    catalog = open_source((list(images), ["a", "b"] * (len(images) // 2)))
    features = run_frozen(
        Network.load("efficientnet_lite0").at_size(_SIDE), catalog, Runtime(threads=1)
    ).features
    taps, blocks = np.asarray(features.taps)[teach], features.slices
    parts = {name: (taps[:, own], None) for name, own in blocks.items()}
    found = {}
    for name, (X, own) in {**parts, "all": (taps, list(blocks.values()))}.items():
        # each column by itself, as the strengths that suit them differ
        each = [
            ridge_loo(X, Values(numbers[:, [k]]), groups=fonts, blocks=own)
            for k in range(len(COLUMNS))
        ]
        found[name] = {
            column: _r2(each[k].loo[:, 0], numbers[:, k]) for k, column in enumerate(COLUMNS)
        }
    return found


def _r2(said: Array, truth: Array) -> float:
    return round(float(1 - ((said - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()), 4)


def _ours(work: Path, table: Path, strategy: str) -> dict[str, Any]:
    run = work / f"run-{strategy}"
    seconds = _seconds_of([sys.executable, "-c", _FIT, table, run, strategy, _SIDE])
    test = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    each = {
        column: {"r2": row["r2"], "r2_interval": row["r2_interval"], "mae": row["mae"]}
        for column, row in zip(COLUMNS, test["per_column"], strict=True)
    }
    return {"columns": each, "processor_seconds": seconds, "chosen": plan["chosen"]}


def _fastai(python: Path, work: Path, table: Path, epochs: int) -> dict[str, Any]:
    from safetensors.torch import save_file

    from frostline.backbones.network import Network

    weights, out = work / "weights.safetensors", work / f"fastai-{epochs}.csv"
    save_file(Network.load("efficientnet_lite0").plain().state_dict(), weights)
    job = Path(__file__).parent / "speed" / "fastai_numbers_job.py"
    seconds = _seconds_of([python, job, table, weights, _SIDE, epochs, out])
    with out.open(encoding="utf-8") as file:
        rows = np.array([[float(cell) for cell in row] for row in csv.reader(file)])
    k = len(COLUMNS)
    each = {
        column: {
            "r2": _r2(rows[:, i], rows[:, k + i]),
            "mae": round(float(np.abs(rows[:, i] - rows[:, k + i]).mean()), 4),
        }
        for i, column in enumerate(COLUMNS)
    }
    return {"columns": each, "processor_seconds": seconds}


def _seconds_of(command: Sequence[Any]) -> float:
    """Run a process to its end; return its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(part) for part in command], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


if __name__ == "__main__":
    main()
