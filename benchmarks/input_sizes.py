"""What larger images gain for heads on frozen features, and whether a sample foretells it.

    python -m benchmarks.input_sizes --stamps STAMPS --clipart PNG

The solar cells on the three published splits with both tasks, photos (STAMPS, the folder
usr/share/tuxpaint/stamps of Debian's tuxpaint-stamps-default) and folders of clip art (PNG, the
folder usr/share/openclipart/png of openclipart-png), three splits each. Every candidate is a
network at an input size; near-duplicates are those that the first one finds. Judged are ridge on
all depths and the stacked head, by the images of the test part, and by leave-one-out on at most 600
training images, which is what could choose beforehand. Updates benchmarks/results/input_sizes.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_and_time import machine, photo_files
from benchmarks.published import SPLITS
from frostline.cli.demo import write_table
from frostline.compute.frozen import Frozen, run_frozen
from frostline.compute.memoized_copies import copies_of
from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.runtime import Runtime
from frostline.core.settings import ResizeMode, Settings
from frostline.data.audit import audit
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.data.splitting.stratified import stratified_holdout
from frostline.evidence.networks import sampled
from frostline.fitting.networks import open_network
from frostline.stats.intervals import paired_difference
from frostline.stats.ridge import ridge_loo
from frostline.stats.selection import Selection
from frostline.stats.stacked_head import STACK_FOLDS, stack_prior, stacked_head

RESULTS = Path(__file__).parent / "results" / "input_sizes.json"
#: network, side of its images in pixels, how they become square
CANDIDATES: tuple[tuple[str, int, ResizeMode], ...] = (
    ("efficientnet_lite0", 224, "crop"),
    ("efficientnet_lite0", 224, "pad"),
    ("efficientnet_lite0", 256, "crop"),
    ("efficientnet_lite0", 288, "crop"),
    ("efficientnet_lite0", 288, "pad"),
    ("efficientnet_lite0", 300, "crop"),
    ("efficientnet_lite1", 240, "crop"),
)
SEEDS = (0, 1, 2)
#: training images that leave-one-out looks at beforehand
SAMPLE = 600
_DEFECTIVE = ("2", "3")
#: clip art: folders of classes, and of them at most so many images each
_ART = {
    "clip art": (
        "",
        "animals buildings computer food geography office people plants recreation transportation",
    ),
    "animals": ("animals", "birds bugs fish mammals dinosaurs"),
    "recreation": ("recreation", "games holiday music party religion sports toys"),
    "food": ("food", "beverages breads_and_carbs desserts fruit meats_and_eggs vegetables"),
    "people": ("people", "bodypart clothing smilies stickmen"),
    "signs": ("signs_and_symbols", "clocks flags led map_symbols weather"),
    "transport": ("transportation", "aiga-symbols boating roadsigns vehicles"),
}
_MOST, _BYTES = 80, 300_000
_KEYS = ("accuracy", "balanced_accuracy", "gain", "gain_on_sample")
Files = Sequence[tuple[Path, str]]
Head = tuple[FloatArray, Callable[[Selection], FloatArray]]


@dataclass(frozen=True)
class Task:
    """Labels for the images of a set, and rows that judge, by seed."""

    name: str
    problem: Problem
    tests: dict[int, IntArray]


def main() -> None:
    """Measure the sets that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamps", type=Path)
    parser.add_argument("--clipart", type=Path)
    parser.add_argument("--no-cells", action="store_true")
    given = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"tasks": {}}
    with tempfile.TemporaryDirectory() as folder:
        sets = list(_sets(Path(folder), given.stamps, given.clipart, cells=not given.no_cells))
        for name, files in sets:
            for row in measure(name, files, Path(folder)):
                _keep_seconds(row, found["tasks"].get(row["task"]))
                found["tasks"][row["task"]] = row
                found["machine"] = machine()
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def _keep_seconds(row: dict[str, Any], before: dict[str, Any] | None) -> None:
    """Take what a pass cost from when it ran, where its features lay in the cache."""
    earlier = [] if before is None else before["candidates"]
    for one in row["candidates"]:
        for other in earlier:
            same = all(one[key] == other[key] for key in ("network", "input_size", "resize"))
            if same and one["processor_seconds_an_image"] is None:
                one["processor_seconds_an_image"] = other["processor_seconds_an_image"]


def _sets(
    folder: Path, stamps: Path | None, clipart: Path | None, *, cells: bool
) -> Iterator[tuple[str, Files]]:
    if stamps is not None:
        yield "photos", photo_files(stamps)
    if clipart is not None:
        for name, (below, classes) in _ART.items():
            yield name, [pair for one in classes.split() for pair in _art(clipart / below / one)]
    if cells:
        lines = write_table(folder).read_text(encoding="utf-8").splitlines()[1:]
        yield "solar cells", [(Path(a), b) for a, b in (line.split(",") for line in lines)]


def _art(folder: Path) -> Files:
    files = [file for file in sorted(folder.rglob("*.png")) if file.stat().st_size < _BYTES]
    key = hashlib.blake2b(f"clip art\x1f{folder.name}".encode(), digest_size=8).digest()
    order = np.random.default_rng(int.from_bytes(key, "big") >> 1).permutation(len(files))
    return [(files[i], folder.name) for i in order[:_MOST].tolist()]


def measure(name: str, files: Files, folder: Path) -> list[dict[str, Any]]:
    """Return what every candidate reaches on the tasks of a set."""
    table = folder / "set.csv"
    lines = [f'"{file.absolute()}","{label}"' for file, label in files]
    table.write_text("\n".join(["path,label", *lines]) + "\n", encoding="utf-8")
    settings = Settings(effort="fast")
    runtime = Runtime.of(settings)
    catalog = open_source(table, group_by=None)
    candidates, seconds = [], []
    for network, size, mode in CANDIDATES:
        one = open_network(network, runtime, size=size)
        one.preprocessing = one.preprocessing.with_resize(mode)
        began = time.process_time()
        candidates.append(run_frozen(one, catalog, runtime, preprocessed_bytes=0))
        computed = candidates[-1].report.computed
        spent = time.process_time() - began
        seconds.append(spent / computed if computed else None)
        print(f"{name}: {network} {size} {mode}: {computed} in {spent:.0f} s", flush=True)
    sides = candidates[0].features.facts.sizes.min(axis=1)
    rows = []
    for task in _tasks(name, candidates[0]):
        rows.append(
            {
                "task": task.name,
                "images": len(sides),
                "classes": len(task.problem.classes),
                "shorter side, quartiles": np.percentile(sides, [25, 50, 75]).tolist(),
                "candidates": _judged(task, candidates, seconds),
            }
        )
    return rows


def _tasks(name: str, first: Frozen) -> Iterator[Task]:
    catalog = first.catalog
    groups = audit(catalog, copies_of(first.features)).groups
    if name != "solar cells":
        problem = Problem.of(catalog, groups=groups)
        tests = {
            seed: stratified_holdout(
                problem.labels, groups, list(catalog.digests), fraction=0.25, seed=seed
            )[1]
            for seed in SEEDS
        }
        yield Task(name, problem, tests)
        return
    defective = [int(catalog.classes[label][0] in _DEFECTIVE) for label in catalog.labels]
    for task, problem in (
        ("four levels", Problem.of(catalog, groups=groups)),
        ("two classes", Problem.of(catalog, groups=groups, labels=defective)),
    ):
        tests = {}
        for seed in SEEDS:
            named = (SPLITS / f"{task.replace(' ', '-')}-{seed}.txt").read_text().split()
            where = [Path(row.name).name in named for row in catalog.rows]
            tests[seed] = np.flatnonzero(where)
        yield Task(f"solar cells, {task}", problem, tests)


def _judged(
    task: Task, candidates: Sequence[Frozen], seconds: Sequence[float | None]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    problem = task.problem
    before: dict[tuple[Any, ...], BoolArray] = {}
    everything = np.arange(len(problem.labels))

    def beside_first(key: tuple[Any, ...], right: BoolArray, judged: IntArray) -> list[float]:
        first = before.setdefault(key, right)
        return list(paired_difference(right, first, groups=problem.groups[judged]))

    for (network, size, mode), frozen, cost in zip(CANDIDATES, candidates, seconds, strict=True):
        heads: dict[str, dict[str, list[Any]]] = {}
        for seed, test in task.tests.items():
            train = np.setdiff1d(everything, test)
            truth = problem.labels[test]
            for name, (_, predict) in heads_on(problem, frozen, train).items():
                outputs = predict(frozen.features.table(list(frozen.features.slices), test))
                right = problem.target.right(outputs, truth)
                recalls = [right[truth == label].mean() for label in np.unique(truth)]
                found = heads.setdefault(name, {key: [] for key in _KEYS})
                found["accuracy"].append(float(right.mean()))
                found["balanced_accuracy"].append(float(np.mean(recalls)))
                found["gain"].append(beside_first((seed, name), right, test))
            sample = sampled(problem, train, SAMPLE)
            for name, (loo, _) in heads_on(problem, frozen, sample).items():
                right = problem.target.right(loo, problem.labels[sample])
                heads[name]["gain_on_sample"].append(
                    beside_first((seed, name, "sample"), right, sample)
                )
        rows.append(
            {
                "network": network,
                "input_size": size,
                "resize": mode,
                "gmacs": round(frozen.network.macs / 1e9, 3),
                "processor_seconds_an_image": cost,
                "heads": heads,
            }
        )
        said = {
            name: (
                f"{np.mean(one['accuracy']):.2%} balanced {np.mean(one['balanced_accuracy']):.2%}",
                [round(100 * gain, 2) for gain, _ in one["gain"]],
                [round(100 * gain, 2) for gain, _ in one["gain_on_sample"]],
            )
            for name, one in heads.items()
        }
        print(task.name, network, size, mode, said, flush=True)
    return rows


def heads_on(problem: Problem, frozen: Frozen, rows: IntArray) -> dict[str, Head]:
    """Fit ridge on all taps, and the stacked head, on some rows.

    Each is left-one-out outputs of the rows, (n, C), and what gives outputs of other features.
    """
    slices = frozen.features.slices
    features = frozen.features.table(list(slices), rows)
    labelled = problem.labelled(rows)
    groups, blocks = labelled.groups, list(slices.values())
    whole = ridge_loo(features, labelled.matrix, groups=groups, blocks=blocks)
    fits = [whole]
    for block in blocks:
        own = features.only(block)
        one = [slice(0, own.shape[1])]
        fits.append(ridge_loo(own, labelled.matrix, groups=groups, blocks=one))
    head = stacked_head(
        fits,
        [slice(0, features.shape[1]), *blocks],
        labelled.truth,
        problem.folds(rows, STACK_FOLDS),
        prior=stack_prior(len(blocks)),
        groups=groups,
    )
    return {
        "ridge": (whole.loo, whole.predict),
        "stacked": (head.loo, lambda table: np.asarray(table) @ head.weight + head.bias),
    }


if __name__ == "__main__":
    main()
