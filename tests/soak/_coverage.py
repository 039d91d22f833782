"""Do reported intervals hold where labels are random or classes very unequal?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.honesty import RESULTS, judge
from frostline.backbones.network import Network
from frostline.compute.passes import run_passes
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.fitting.procedure import Task
from tests.soak._pictures import digits

IntArray = npt.NDArray[np.int64]

#: runs of each kind and size
SEEDS = 40
SIZES = (100, 600)
#: share of the rare class
_RARE = 0.05


def digits_task(folder: Path, *, side: int = 224) -> Task:
    """Write the digits, compute what is frozen on so many pixels, and return a task on them."""
    of = digits()
    for number, (image, label) in enumerate(zip(of.images, of.labels, strict=True)):
        target = folder / label
        target.mkdir(parents=True, exist_ok=True)
        image.save(target / f"{number:04d}.png")
    settings = Settings(effort="fast")
    runtime = Runtime.of(settings)
    network = Network.load("efficientnet_lite0").at_size(side)
    store = run_passes(network, open_source(folder), runtime)
    return Task(Problem.of(store.catalog), store, settings)


def random_labels(task: Task, size: int, seed: int) -> dict[str, Any]:
    """Labels that say nothing about the pictures: ten classes, alike in size."""
    labels, order = drawn(len(task.problem.labels), size, seed)
    found = judge(
        _relabelled(task, labels, tuple("abcdefghij")), order[:size], order[size:], seed=seed
    )
    return {**found, "largest_class": largest_share(labels[order[:size]])}


def drawn(n: int, size: int, seed: int) -> tuple[IntArray, IntArray]:
    """Random labels of n images, and an order of which the first ``size`` are for the run."""
    rng = np.random.default_rng([seed, size])
    labels = rng.integers(0, 10, n)
    return labels, rng.permutation(n)


def largest_share(labels: IntArray) -> float:
    """How often somebody is right who always names the most frequent label."""
    return round(float(np.bincount(labels).max() / len(labels)), 4)


def unequal(task: Task, size: int, seed: int) -> dict[str, Any]:
    """One digit, 5 % of the images, against all others; the large test part in the same shares."""
    rng = np.random.default_rng([seed, size, 1])
    digit = seed % 10
    rare = rng.permutation(np.flatnonzero(task.problem.labels == digit))
    common = rng.permutation(np.flatnonzero(task.problem.labels != digit))
    few = round(_RARE * size)
    left = len(common) - (size - few)
    test_few = min(len(rare) - few, round(left * _RARE / (1 - _RARE)))
    rows = np.concatenate([rare[:few], common[: size - few]])
    test = np.concatenate([rare[few : few + test_few], common[size - few :]])
    labels = (task.problem.labels == digit).astype(np.int64)
    return judge(_relabelled(task, labels, ("common", "rare")), rows, test, seed=seed)


KINDS: dict[str, Callable[[Task, int, int], dict[str, Any]]] = {
    "random labels": random_labels,
    "5 % against 95 %": unequal,
}


def fill(task: Task, runs: list[dict[str, Any]], until: float, keep: Callable[[], None]) -> None:
    """Add the runs that are missing."""
    done = {(run["kind"], run["size"], run["seed"]) for run in runs}
    for seed in range(SEEDS):
        for kind, one in KINDS.items():
            for size in SIZES:
                if (kind, size, seed) in done or time.monotonic() > until:
                    continue
                found = one(task, size, seed)
                runs.append({"kind": kind, "size": size, "seed": seed, **found})
        keep()


def _relabelled(task: Task, labels: Any, classes: tuple[str, ...]) -> Task:
    catalog = task.store.catalog
    rows = tuple(
        replace(row, label=int(label)) for row, label in zip(catalog.rows, labels, strict=True)
    )
    store = replace(task.store, catalog=replace(catalog, classes=classes, rows=rows))
    problem = Problem.of(store.catalog, seed=task.problem.seed)
    return replace(task, problem=problem, store=store)


def table(runs: list[dict[str, Any]]) -> list[str]:
    """Coverage by kind and size, beside that of ordinary sets."""
    lines = [
        "| labels | images | runs | interval of the accuracy holds | too high by, points | "
        "above always naming the largest class, points | interval of the balanced accuracy holds |",
        "|---|---|---|---|---|---|---|",
    ]
    if RESULTS.exists():
        usual = json.loads(RESULTS.read_text(encoding="utf-8"))["summary"]
        lines.append(
            f"| as they are (`python -m benchmarks.honesty`) | 5 to 600 | {usual['runs']} | "
            f"{usual['coverage']:.1%} | {usual['bias']:+.1f} | – | – |"
        )
    for kind in KINDS:
        for size in SIZES:
            of = [run for run in runs if (run["kind"], run["size"]) == (kind, size)]
            if of:
                lines.append(f"| {kind} | {size} | {len(of)} | {_cells(of)} |")
    return lines


def _cells(runs: list[dict[str, Any]]) -> str:
    holds = np.mean([r["interval"][0] <= r["large_test"] <= r["interval"][1] for r in runs])
    bias = 100 * np.mean([r["reported"] - r["large_test"] for r in runs])
    balanced = np.mean(
        [r["balanced_interval"][0] <= r["balanced_large_test"] <= r["balanced_interval"][1]
         for r in runs]
    )  # fmt: skip
    above = [100 * (r["reported"] - r["largest_class"]) for r in runs if "largest_class" in r]
    over = f"{np.mean(above):+.1f}" if above else "–"
    return f"{holds:.1%} | {bias:+.1f} | {over} | {balanced:.1%}"
