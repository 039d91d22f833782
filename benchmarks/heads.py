"""What a head in closed form gains when heads are added up instead of one being chosen.

    python -m benchmarks.heads --icons I --clip-art C --stamps S --work .study   # half an hour

On every set of ``benchmarks/head_sets.py``, from 5 and 20 images a class and from three quarters of
all, with EfficientNet-Lite0 at 128 pixels: one of the heads on the last layer, the best layer and
all taps, chosen by leave-one-out, with channels divided by their bare spread; the sum of heads
at every depth with its second stage; and that sum with a kernel where the rule takes one. All judge
the same test images. Accuracy, balanced accuracy
and log loss on these, and accuracy by leave-one-out, go to benchmarks/results/heads.json, where
``tried`` has what was tried besides and left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

RESULTS = Path(__file__).parent / "results" / "heads.json"
SIZES = ("5", "20", "all")
#: share of the images that judge: more where few teach
_TEST = {"5": 0.35, "20": 0.35, "all": 0.25}
CHOSEN, SUM, KERNEL = "chosen", "sum", "with a kernel"
_SIDE = 128


def main() -> None:
    """Run what is missing, and sum up."""
    options = _options()
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    from benchmarks.accuracy_and_time import machine
    from benchmarks.head_sets import Places, head_sets

    places = Places(options.icons, options.clip_art, options.stamps)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    rows: dict[str, Any] = found["rows"]
    for name, make in head_sets(places).items():
        keys = [f"{name}, {size}, {seed}" for size in SIZES for seed in options.seeds]
        if (options.only and name not in options.only) or all(key in rows for key in keys):
            continue
        features, labels, groups, digests, blocks = _features(name, make, options.work)
        for size in SIZES:
            for seed in options.seeds:
                learn, judge = _split(size, seed, labels, groups, digests)
                rows[f"{name}, {size}, {seed}"] = _cell(
                    features, labels, groups, blocks, learn, judge
                )
        found["machine"] = machine()
        found["summary"] = summary(rows)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(name, flush=True)
    print(json.dumps(summary(rows), indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for place in ("icons", "clip-art", "stamps", "work"):
        parser.add_argument(f"--{place}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="*", metavar="SET")
    return parser.parse_args()


def _features(name: str, make: Any, work: Path) -> Any:
    """Return pooled taps, labels, groups of copies, digests, and the columns of each tap."""
    from benchmarks.head_sets import written
    from frostline.backbones.network import Network
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.data.audit import audit
    from frostline.data.duplicates.copies import find_copies
    from frostline.data.sources.open_source import open_source

    folder = work / name
    if not folder.exists():
        written(make(), folder)
    catalog = open_source(folder, group_by=None)
    network = Network.load("efficientnet_lite0").at_size(_SIDE)
    store = run_frozen(network, catalog, Runtime(threads=1))
    features, known = store.features, store.catalog
    groups = audit(known, find_copies(known.digests, features.thumbnails)).groups
    values = np.asarray(features.taps, dtype=np.float32)
    return values, known.labels, groups, list(known.digests), list(features.slices.values())


def _split(size: str, seed: int, labels: Any, groups: Any, digests: Any) -> tuple[Any, Any]:
    from frostline.data.splitting.stratified import stratified_holdout

    pool, judge = stratified_holdout(labels, groups, digests, fraction=_TEST[size], seed=seed)
    if size == "all":
        return pool, judge
    order = pool[np.random.default_rng([seed, int(size)]).permutation(len(pool))]
    few = [order[labels[order] == label][: int(size)] for label in np.unique(labels)]
    return np.sort(np.concatenate(few)), judge


def _cell(
    features: Any, labels: Any, groups: Any, blocks: Any, learn: Any, judge: Any
) -> dict[str, Any]:
    """Return the scores of all ways on one cell."""
    from frostline.data.splitting.stratified import stratified_folds
    from frostline.evidence.collect import FEWEST_TO_COMPARE
    from frostline.evidence.stacked import best_head
    from frostline.stats.kernel_ridge import kernel_ridge
    from frostline.stats.ridge import ridge_loo
    from frostline.stats.stacked_head import STACK_FOLDS
    from frostline.stats.target_matrix import OneHot
    from frostline.targets.labelled import Labelled
    from frostline.targets.single_label import SingleLabel

    n_classes = int(labels.max()) + 1
    X, y, g = features[learn], labels[learn], groups[learn]
    targets = OneHot(y, n_classes)
    columns = [slice(0, X.shape[1]), *blocks]
    parts = [[slice(0, c.stop - c.start)] for c in columns[1:]]

    def fits() -> list[Any]:
        return [
            ridge_loo(X[:, c], targets, groups=g, blocks=own)
            for c, own in zip(columns, [blocks, *parts], strict=True)
        ]

    with mock.patch("frostline.stats.ridge.FLOOR", 0.0):
        bare = fits()
    place = _chosen(bare, y, g)
    test = features[judge]
    outputs = bare[place].predict(test[:, columns[place]])
    labelled = Labelled(SingleLabel(n_classes), y, g)
    folds = stratified_folds(y, g, [str(i) for i in range(len(y))], n_folds=STACK_FOLDS, seed=0)
    summed = fits()
    head, _ = best_head(summed, columns, labelled, folds)
    more = head
    if len(y) >= FEWEST_TO_COMPARE:
        kernel = kernel_ridge(X, targets, blocks=blocks, groups=g, seed=0)
        more, _ = best_head(summed, columns, labelled, folds, kernel)
    added = 0.0 if more.kernel is None else more.kernel.outputs(test)
    return {
        CHOSEN: _scores(bare[place].loo, outputs, y, labels[judge]),
        SUM: _scores(head.loo, test @ head.weight + head.bias, y, labels[judge]),
        KERNEL: _scores(more.loo, test @ more.weight + more.bias + added, y, labels[judge]),
        "kernel taken": more.kernel is not None,
        "images": [len(learn), len(judge), n_classes],
    }


def _chosen(fits: Any, y: Any, g: Any) -> int:
    """Place of the head among the fits that is taken where one is chosen: the simplest good one."""
    from frostline.stats.intervals import paired_difference
    from frostline.strategy.gates import simplest_of_the_best

    right = [fit.loo.argmax(axis=1) == y for fit in fits]
    last = len(fits) - 1
    top = max(range(1, len(fits)), key=lambda place: float(right[place].mean()))
    best = top
    for place in range(last, top, -1):
        loss, error = paired_difference(right[top], right[place], groups=g)
        if loss <= error:
            best = place
            break
    order = [last, 0] + ([best] if best != last else [])
    return order[simplest_of_the_best([right[place] for place in order], g)]


def _scores(loo: Any, outputs: Any, y: Any, truth: Any) -> list[float]:
    """Accuracy, balanced accuracy and log loss on test images, and accuracy by leave-one-out."""
    from frostline.stats.calibration import fit_temperature, softmax

    p = softmax(outputs / fit_temperature(loo, y))
    said = outputs.argmax(axis=1)
    each = [float(np.mean(said[truth == label] == label)) for label in np.unique(truth)]
    loss = -np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-6)).mean()
    by_loo = float(np.mean(loo.argmax(axis=1) == y))
    scores = (float(np.mean(said == truth)), float(np.mean(each)), float(loss), by_loo)
    return [round(score, 4) for score in scores]


def summary(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Points that the sum gains over a chosen head, by size and in all; the interval is over sets.

    And what a kernel gains beyond the sum where it is taken.
    """
    found: dict[str, Any] = {}
    for size in (*SIZES, ""):
        cells = {k: row for k, row in rows.items() if not size or k.split(", ")[-2] == size}
        if not cells:
            continue
        sets = sorted({key.rsplit(", ", 2)[0] for key in cells})
        gains = {k: 100 * (row[SUM][0] - row[CHOSEN][0]) for k, row in cells.items()}
        by_set = np.array(
            [np.mean([v for k, v in gains.items() if k.rsplit(", ", 2)[0] == s]) for s in sets]
        )
        draws = np.random.default_rng(0).integers(len(sets), size=(4000, len(sets)))
        low, high = np.percentile(by_set[draws].mean(axis=1), [2.5, 97.5])
        each = np.array(list(gains.values()))
        losses = [row[SUM][2] - row[CHOSEN][2] for row in cells.values()]
        by_loo = [100 * (row[SUM][3] - row[SUM][0]) for row in cells.values()]
        found[size or "all sizes"] = {
            "cells": len(cells),
            "sets": len(sets),
            "gain": round(float(by_set.mean()), 2),
            "low": round(float(low), 2),
            "high": round(float(high), 2),
            "worse": round(float(np.mean(each < -0.5)), 3),
            "worst": round(float(each.min()), 1),
            "log loss": round(float(np.mean(losses)), 3),
            "leave-one-out minus test": round(float(np.median(by_loo)), 1),
            "kernel taken": int(sum(row["kernel taken"] for row in cells.values())),
            "kernel gains": _by_kernel(cells),
        }
    return found


def _by_kernel(cells: Mapping[str, Any]) -> dict[str, list[float]]:
    """Points and log loss beyond the sum, of every cell where a kernel is taken."""
    return {
        key: [
            round(100 * (row[KERNEL][0] - row[SUM][0]), 1),
            round(row[KERNEL][2] - row[SUM][2], 3),
        ]
        for key, row in cells.items()
        if row["kernel taken"]
    }


if __name__ == "__main__":
    main()
