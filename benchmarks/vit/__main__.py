"""What a transformer is worth when it is read as it was trained: twelve tasks, one small ViT.

    python -m benchmarks.vit taps --fonts F --stamps S --clip-art C       # pooling, closed form
    python -m benchmarks.vit training --fonts F --stamps S --clip-art C   # the race and its rivals
    python -m benchmarks.vit shift --fonts F --stamps S --clip-art C      # how far they lie

F, S and C are folders of unpacked Debian packages (see benchmarks/decision). The network is
``glyph_vit.safetensors`` (see tools/pretrain_vit.py). ``taps`` compares class token, mean and
spread of the patches with mean and spread over all tokens, by exact leave-one-out on the same
images. ``training`` lets the race decide with 5 and 20 images a class, trains its rivals as well,
and says what the choice loses to the best of them on images that nobody saw. Every finished task is
written to benchmarks/results/vit.json; what is there already is kept unless ``--again``.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parents[1] / "results" / "vit.json"
SEEDS = (0, 1, 2)
#: images a class for what is solved in closed form
_TAPS_SIZES = ["5", "20", "100"]
#: quantile of Student's t for intervals of 95 %
_LEVEL = 0.975


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("taps", "training", "shift"))
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--tasks", default="", help="names, with commas between; all by default")
    parser.add_argument("--sizes", default="5,20", help="images a class, for training")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("FROSTLINE_CACHE", str((options.work / "cache").resolve()))
    _measure(options)


def _measure(options: argparse.Namespace) -> None:
    from benchmarks.accuracy_and_time import machine
    from benchmarks.decision.sets import Places
    from benchmarks.vit.tasks import TASKS

    places = Places(options.fonts, options.stamps, options.clip_art, options.work)
    if options.command == "shift":
        _shift(places)
        return
    found: dict[str, Any] = {}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    part = found.setdefault(options.command, {})
    tasks = part.setdefault("tasks", {})
    for name in options.tasks.split(",") if options.tasks else TASKS:
        sizes = options.sizes.split(",") if options.command == "training" else _TAPS_SIZES
        missing = [s for s in sizes if options.again or s not in tasks.get(name, {})]
        if not missing:
            continue
        measure = _taps if options.command == "taps" else _training
        tasks[name] = tasks.get(name, {}) | measure(name, places, missing)
        seeds = SEEDS if options.command == "taps" else SEEDS[:1]
        part |= {"machine": machine(), "seeds": list(seeds), "network": _network()}
        part["summary"] = (_gains if options.command == "taps" else _regrets)(tasks)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(part["summary"]), flush=True)


def _shift(places: Any) -> None:
    from benchmarks.accuracy_and_time import machine
    from benchmarks.decision.cells import runtime
    from benchmarks.vit.shift import measure

    found = measure(places, runtime()) | {"machine": machine(), "network": _network()}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    RESULTS.with_name("shift_vit.json").write_text(text, encoding="utf-8")


def _taps(name: str, places: Any, sizes: list[str]) -> dict[str, Any]:
    from benchmarks.decision.cells import runtime
    from benchmarks.vit.pooling import compared, taps_of_all_tokens
    from benchmarks.vit.tasks import prepared

    task = prepared(name, places, runtime())
    old = taps_of_all_tokens(task)
    return {
        size: [compared(task, old, task.rows(int(size), seed)) for seed in SEEDS] for size in sizes
    }


def _training(name: str, places: Any, sizes: list[str]) -> dict[str, Any]:
    from benchmarks.decision.cells import runtime
    from benchmarks.vit.racing import raced
    from benchmarks.vit.tasks import prepared

    task = prepared(name, places, runtime())
    return {size: raced(task, task.rows(int(size), SEEDS[0]), runtime()) for size in sizes}


def _gains(tasks: dict[str, Any]) -> dict[str, Any]:
    """Mean gain over tasks, in points, with a 95 % interval over tasks."""

    def gains(size: str, head: str) -> list[Any]:
        return [np.mean([run[head]["gain"] for run in task[size]]) for task in tasks.values()]

    return {
        "tasks": len(tasks),
        **{
            size: {head: _mean(gains(size, head)) for head in ("last", "all", "chosen")}
            for size in next(iter(tasks.values()))
        },
    }


def _regrets(tasks: dict[str, Any]) -> dict[str, Any]:
    """Mean loss to the best option, in points, over the tasks that were done at a size."""
    found: dict[str, list[float]] = {}
    for task in tasks.values():
        for size, result in task.items():
            found.setdefault(size, []).append(result["regret"])
    return {size: {"tasks": len(each), **_mean(each)} for size, each in found.items()}


def _mean(values: list[Any]) -> dict[str, Any]:
    from scipy import stats

    n, middle = len(values), float(np.mean(values))
    found: dict[str, Any] = {"points": round(100 * middle, 2), "interval": None}
    if n > 1:
        reach = float(stats.t.ppf(_LEVEL, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
        found["interval"] = [round(100 * end, 2) for end in (middle - reach, middle + reach)]
    return found


def _network() -> dict[str, str]:
    from safetensors import safe_open

    from benchmarks.vit.network import WEIGHTS

    with safe_open(WEIGHTS, "np") as file:
        about: dict[str, str] = json.loads(file.metadata()["about"])
    return about


if __name__ == "__main__":
    main()
