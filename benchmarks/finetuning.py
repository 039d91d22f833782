"""What makes fine-tuning all layers faster or better, and what does not: paired, side by side.

    python -m benchmarks.finetuning accuracy --fonts F --stamps S --clip-art C
    python -m benchmarks.finetuning time --stamps S                # 600 images at 224 pixels

F, S and C are folders of unpacked Debian packages (see benchmarks/decision). ``accuracy`` trains
EfficientNet-Lite0 at 128 pixels on six sets with two seeds in the ways of ``WAYS``, all in one
process and with one thread, on the same images and from the same start, and judges them on images
that nobody saw. ``time`` trains all layers on solar cells in two ways, one after the other.
Every finished training goes to benchmarks/results/finetuning.json at once; what is there already
is kept unless ``--again``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "finetuning.json"
SEEDS = (0, 1)
SETS = ("digits", "solar-cells", "clip-art", "photos", "cyrillic-striped", "greek")
#: images that teach and that judge, half of the photos each; and of how many they are drawn
TEACH, JUDGE = 200, 400
_LOOKED_AT = 750
EPOCHS = 12
#: of ``time``
TIMED_IMAGES, TIMED_PIXELS = 600, 224
#: options that train all layers from the probe
OPTIONS = ("fine-tune the whole network", "fine-tune the whole network firmly")
BEFORE, NOW = "all layers to the end", "upper layers alone after a quarter"


@dataclass(frozen=True)
class Way:
    """How to train: beside which other way it is judged, and what it changes of the option.

    ``full_share``: of the epochs, how many train all layers.
    """

    beside: str = ""
    full_share: float = 1.0
    recipe: Mapping[str, Any] = field(default_factory=dict)


WAYS: Mapping[str, Way] = {
    BEFORE: Way(),
    NOW: Way(BEFORE, full_share=1 / 4),
    "upper layers alone after a third": Way(BEFORE, full_share=1 / 3),
}
#: quantile of Student's t for intervals of 95 %
_LEVEL = 0.975


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("accuracy", "time"))
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--options", default=OPTIONS[0], help="names with ; between, or all")
    parser.add_argument("--ways", default="", help="names with ; between; all by default")
    parser.add_argument("--teach", type=int, default=TEACH, help="images that teach")
    parser.add_argument("--rounds", type=int, default=3, help="of time, each way in turn")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("FROSTLINE_CACHE", str((given.work / "cache").resolve()))
    os.environ["OMP_NUM_THREADS"] = "1"
    if given.command == "time":
        _time(given)
    else:
        _accuracy(given)


def _accuracy(given: argparse.Namespace) -> None:
    from benchmarks.accuracy_and_time import machine

    options = OPTIONS if given.options == "all" else tuple(given.options.split(";"))
    place, told = "cells", "summary"
    if given.teach != TEACH:
        place, told = f"cells of {given.teach}", f"summary of {given.teach}"
    ways = tuple(given.ways.split(";")) if given.ways else tuple(WAYS)
    for seed in map(int, given.seeds.split(",")):
        for name in given.sets.split(","):
            for option in options:
                key = f"{option}, {name}, {seed}"
                for way in ways:
                    if way in _read().get(place, {}).get(key, {}) and not given.again:
                        continue
                    cell = _trained(given, name, seed, option, way)
                    # others may have written since: cells are independent of each other
                    found = _read()
                    found.setdefault(place, {}).setdefault(key, {})[way] = cell
                    found |= {"machine": machine(), "settings": _settings()}
                    found[told] = {one: _summary(found[place], one) for one in OPTIONS}
                    _write(found)
                    print(key, way, _shown(cell), flush=True)
    print(json.dumps(_read().get(told), indent=1))


def _trained(
    given: argparse.Namespace, name: str, seed: int, option: str, way: str
) -> dict[str, Any]:
    """Train one way; return what it got right, and what it took."""
    from frostline.fitting.train import judge_by
    from frostline.training.train import train

    task, rows, judge = _task(given, name, seed)
    action = _action(task, rows, option, way)
    began = time.process_time(), time.perf_counter()
    trained = train(task.problem, task.frozen, action, rows, _runtime(1))
    took = time.process_time() - began[0], time.perf_counter() - began[1]
    judged = judge_by(task.problem, task.frozen, trained, judge, learned=rows)
    return {
        "accuracy": round(float(judged.right.mean()), 4),
        "log_loss": round(float(-np.log(np.maximum(judged.p_true, 1e-3)).mean()), 4),
        "n": len(rows),
        "n_test": len(judge),
        "cpu": round(took[0], 1),
        "wall": round(took[1], 1),
        "best_epoch": trained.best_epoch,
    }


@cache
def _set(places: Any, name: str, n: int, pixels: int) -> tuple[Any, Any, Any]:
    """Return a set's task, rows that may teach and rows that judge; copies stay on one side."""
    from benchmarks.decision.cells import network_of
    from benchmarks.decision.glyphs import generator
    from benchmarks.decision.sets import SETS as ALL
    from benchmarks.decision.sets import table_of
    from frostline.compute.frozen import run_frozen
    from frostline.core.settings import Settings
    from frostline.data.audit import audit
    from frostline.data.duplicates.copies import find_copies
    from frostline.data.problem import Problem
    from frostline.data.sources.open_source import open_source
    from frostline.data.splitting.stratified import stratified_holdout
    from frostline.fitting.inputs import FitInputs

    header, *lines = table_of(ALL[name], places).read_text(encoding="utf-8").splitlines()
    order = generator(name, "fine-tuning", "images").permutation(len(lines))[:n]
    few = places.work / "sets" / name / f"{len(order)}.csv"
    few.write_text("\n".join([header, *(lines[i] for i in order)]) + "\n", encoding="utf-8")
    network = network_of("lite0", places.work, pixels)
    frozen = run_frozen(network, open_source(few, group_by=None), _runtime(1))
    catalog = frozen.catalog
    groups = audit(catalog, find_copies(catalog.digests, frozen.features.thumbnails)).groups
    task = FitInputs(Problem.of(catalog, groups=groups), frozen, Settings(epochs=EPOCHS))
    # of few images more must judge
    share = JUDGE / len(order) if len(order) > 2 * TEACH else 0.5
    teach, judge = stratified_holdout(
        catalog.labels, groups, list(catalog.digests), fraction=share, seed=0
    )
    return task, teach, judge


def _task(given: argparse.Namespace, name: str, seed: int) -> tuple[Any, Any, Any]:
    """Return a set's task, rows that teach and rows that judge."""
    from benchmarks.decision.cells import LITE0_SIZE, seeded
    from benchmarks.decision.glyphs import generator

    looked_at = _LOOKED_AT + given.teach - TEACH
    task, pool, judge = _set(_places(given), name, looked_at, LITE0_SIZE)
    order = generator(name, "fine-tuning", seed).permutation(len(pool))
    return seeded(task, seed), np.sort(pool[order[: given.teach]]), judge


def _places(given: argparse.Namespace) -> Any:
    from benchmarks.decision.sets import Places

    return Places(given.fonts, given.stamps, given.clip_art, given.work)


def _action(task: Any, rows: Any, option: str, way: str) -> Any:
    """Return an option's action, trained in one way."""
    from frostline.core.actions import FreezeLater, FullTraining
    from frostline.fitting.decide import gather, make_context
    from frostline.strategy.decide import every_option

    context = make_context(task, gather(task, rows, _runtime(1)), _runtime(1), refits=1.0)
    action = next(
        p.action
        for p in every_option(context)
        if p.name == option and isinstance(p.action, FullTraining)
    )
    middle = context.network.middle
    later = None
    if WAYS[way].full_share < 1.0 and middle is not None:
        later = FreezeLater(freeze_to=middle.name, full_share=WAYS[way].full_share)
    recipe = action.recipe.model_copy(update=WAYS[way].recipe)
    return action.model_copy(update={"freeze_later": later, "recipe": recipe})


def _time(given: argparse.Namespace) -> None:
    """Train all layers on 600 solar cells at 224 pixels, as before and as now, side by side."""
    import torch

    from benchmarks.accuracy_and_time import machine
    from frostline.training.train import train

    os.environ.pop("OMP_NUM_THREADS")
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    task, pool, _ = _set(_places(given), "solar-cells", 3 * TIMED_IMAGES, TIMED_PIXELS)
    rows = np.sort(pool[:TIMED_IMAGES])
    found = _read()
    timed: dict[str, Any] = {}
    for option in OPTIONS if given.options == "all" else given.options.split(";"):
        rounds: dict[str, list[dict[str, Any]]] = {BEFORE: [], NOW: []}
        # in turn, so that a machine that becomes faster or slower favours none
        for _ in range(given.rounds):
            for way, found_so_far in rounds.items():
                action = _action(task, rows, option, way)
                began = time.process_time(), time.perf_counter()
                trained = train(task.problem, task.frozen, action, rows, _runtime(threads))
                found_so_far.append(
                    {
                        "wall": round(time.perf_counter() - began[1], 1),
                        "cpu": round(time.process_time() - began[0], 1),
                        "epochs": [round(entry["seconds"], 2) for entry in trained.history],
                    }
                )
                print(option, way, found_so_far[-1], flush=True)
        timed[option] = {way: {"rounds": told} for way, told in rounds.items()}
        for way, told in rounds.items():
            timed[option][way] |= {
                kind: round(float(np.median([one[kind] for one in told])), 1)
                for kind in ("wall", "cpu")
            }
        before, now = (timed[option][way] for way in (BEFORE, NOW))
        timed[option]["times faster"] = {
            kind: round(before[kind] / now[kind], 2) for kind in ("wall", "cpu")
        }
    about = {"images": len(rows), "pixels": TIMED_PIXELS, "threads": threads, "epochs": EPOCHS}
    found["time"] = {"machine": machine(), **about, "options": timed}
    _write(found)
    print(json.dumps(found["time"], indent=1))


def _runtime(threads: int) -> Any:
    from frostline.core.runtime import Runtime

    # without workers, so that all processor seconds are this process's
    return Runtime(threads=threads, workers=0)


def _summary(cells: dict[str, Any], option: str) -> dict[str, Any]:
    """Paired differences of ways from those beside them over sets, each the mean of its seeds."""
    found = {}
    for way, how in WAYS.items():
        by_set: dict[str, list[tuple[float, float, float]]] = {}
        for key, cell in cells.items():
            own, name, _ = key.rsplit(", ", 2)
            if own == option and way in cell and how.beside in cell:
                one, other = cell[way], cell[how.beside]
                by_set.setdefault(name, []).append(
                    (
                        100 * (one["accuracy"] - other["accuracy"]),
                        one["log_loss"] - other["log_loss"],
                        other["cpu"] / one["cpu"],
                    )
                )
        if by_set:
            found[way] = _interval(how.beside, by_set)
    return found


def _interval(beside: str, by_set: dict[str, list[tuple[float, float, float]]]) -> dict[str, Any]:
    from scipy import stats

    points = np.array([np.mean([pair[0] for pair in pairs]) for pairs in by_set.values()])
    pairs = [pair for each in by_set.values() for pair in each]
    told: dict[str, Any] = {
        "beside": beside,
        "sets": len(by_set),
        "pairs": len(pairs),
        "points": round(float(points.mean()), 2),
        "interval": None,
        "by_set": {name: round(float(np.mean([p[0] for p in v])), 2) for name, v in by_set.items()},
        "log_loss": round(float(np.mean([pair[1] for pair in pairs])), 4),
        "times_faster": round(float(np.exp(np.mean(np.log([pair[2] for pair in pairs])))), 2),
    }
    if len(points) > 1:
        spread = points.std(ddof=1) / np.sqrt(len(points))
        reach = float(stats.t.ppf(_LEVEL, len(points) - 1) * spread)
        told["interval"] = [round(float(points.mean() + side * reach), 2) for side in (-1, 1)]
    return told


def _settings() -> dict[str, Any]:
    return {
        "network": "efficientnet_lite0",
        "pixels": 128,
        "teach": TEACH,
        "judge": JUDGE,
        "epochs": EPOCHS,
        "seeds": list(SEEDS),
        "threads": 1,
    }


def _shown(entry: dict[str, Any]) -> str:
    return f"{entry['accuracy']:.4f} {entry['log_loss']:.4f} {entry['cpu']:.0f} s"


def _read() -> dict[str, Any]:
    if not RESULTS.exists():
        return {}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def _write(found: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
