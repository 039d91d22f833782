"""Everything that touches all rows, one step at a time.

A step takes a number of rows and an empty folder, prepares its input and returns what is to be
measured: a call that gives a few numbers by which to see that it did its work. Steps import what
they use themselves, so that each process holds no more than its own step needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from benchmarks.growth import simulated

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

Found = dict[str, float]
Call = Callable[[], Found]


def checks(n: int, folder: Path) -> Call:
    """Look at the catalog, and leave out a row in a thousand that could not be read."""
    del folder
    catalog = simulated.catalog_of(n, parts=True)

    def run() -> Found:
        readable = catalog.without(dict.fromkeys(range(0, n, 1000), "truncated"))
        readable.check()
        return {"rows": len(readable.labels), "parts": len(set(readable.parts))}

    return run


def copies(n: int, folder: Path) -> Call:
    """Exact copies, contradicting labels, leaks between given parts, torn groups."""
    from frostline.data.audit import audit

    del folder
    catalog = simulated.catalog_of(n, parts=True)

    def run() -> Found:
        found = audit(catalog, None)
        return {"sets": len(found.exact_duplicates), "leaks": len(found.leaks)}

    return run


def near_duplicates(n: int, folder: Path) -> Call:
    """Near-duplicates among thumbnails, one row in a hundred having one."""
    from frostline.data.duplicates.near_duplicates import find_near_duplicates

    del folder
    thumbnails = simulated.thumbnails_of(n)

    def run() -> Found:
        groups = find_near_duplicates(thumbnails).groups
        altered = set(range(simulated.ALTERED - 1, n, simulated.ALTERED))
        right = sum(len(g) == 2 and g[1] in altered and g[0] == g[1] - 1 for g in groups)
        return {"share_found": right / len(altered), "others": len(groups) - right}

    return run


def split(n: int, folder: Path) -> Call:
    """Hold out a fifth, stratified, groups whole."""
    from frostline.data.splitting.split import make_split

    del folder
    catalog, groups = simulated.catalog_of(n), simulated.groups_of(n)

    def run() -> Found:
        return {"held_out": len(make_split(catalog, groups, test_size=0.2, seed=0).test)}

    return run


def folds(n: int, folder: Path) -> Call:
    """Three folds of groups that mix labels, the harder case."""
    from frostline.data.splitting.stratified import stratified_folds

    del folder
    rng = np.random.default_rng(0)
    # a class for every fifty rows, and groups that do not care
    labels, groups = rng.integers(0, max(2, n // 50), n), np.arange(n) // 3
    digests = simulated.catalog_of(n).digests

    def run() -> Found:
        return {"folds": len(stratified_folds(labels, groups, digests, n_folds=3, seed=0))}

    return run


def ridge(n: int, folder: Path) -> Call:
    """One ridge on all taps with leave-one-group-out, at 13 alphas."""
    from frostline.stats.probe_accuracy import loo_accuracy
    from frostline.stats.ridge import ridge_loo
    from frostline.targets.single_label import SingleLabel

    del folder
    store, labels, groups = _store(n), simulated.labels_of(n), simulated.groups_of(n)
    features = store.features.table(list(store.features.slices), np.arange(n))

    def run() -> Found:
        fit = ridge_loo(features, SingleLabel(simulated.N_CLASSES).matrix(labels), groups=groups)
        return {"accuracy": loo_accuracy(fit, labels, groups=groups).accuracy}

    return run


def ridge_of_ten_groups(n: int, folder: Path) -> Call:
    """The same where the images come in ten groups (ten cameras, say)."""
    from frostline.stats.probe_accuracy import loo_accuracy
    from frostline.stats.ridge import ridge_loo
    from frostline.targets.single_label import SingleLabel

    del folder
    store, labels = _store(n), simulated.labels_of(n)
    features, groups = (
        store.features.table(list(store.features.slices), np.arange(n)),
        np.arange(n) % 10,
    )

    def run() -> Found:
        fit = ridge_loo(features, SingleLabel(simulated.N_CLASSES).matrix(labels), groups=groups)
        return {"accuracy": loo_accuracy(fit, labels, groups=groups).accuracy}

    return run


def evidence(n: int, folder: Path) -> Call:
    """All evidence: probes by depth, all taps, the last doubling, shift, old classes."""
    from frostline.core.runtime import Runtime
    from frostline.data.problem import Problem
    from frostline.evidence.collect import collect_evidence

    del folder
    store = _store(n)
    problem = Problem.of(simulated.catalog_of(n), groups=simulated.groups_of(n))
    source = simulated.source_classifier()

    def run() -> Found:
        found = collect_evidence(
            problem, store, np.arange(n), Runtime(), source=source, adapt_when=()
        )
        compared = len(found.compared)
        return {"slope": found.summary.slope, "compared": compared, "gap": found.summary.gap}

    return run


def calibration(n: int, folder: Path) -> Call:
    """The temperature of as many logits."""
    from frostline.stats.calibration import fit_temperature

    del folder
    logits, labels = 5.0 * simulated.probabilities_of(n), simulated.labels_of(n)
    return lambda: {"temperature": fit_temperature(logits, labels)}


def scores(n: int, folder: Path) -> Call:
    """Scores with intervals, the confusion matrix and the table of classes."""
    from frostline.stats.scores import score

    del folder
    probabilities, labels = simulated.probabilities_of(n), simulated.labels_of(n)
    names = [f"class {label}" for label in range(simulated.N_CLASSES)]

    def run() -> Found:
        found = score(probabilities, labels)
        low, high = found.balanced_accuracy_interval
        return {"accuracy": found.accuracy, "width": high - low, "rows": len(found.to_json(names))}

    return run


def predictions(n: int, folder: Path) -> Call:
    """predictions.csv of as many images."""
    from frostline.run.predictions import write_predictions

    catalog, probabilities = simulated.catalog_of(n), simulated.probabilities_of(n)
    path = folder / "predictions.csv"

    def run() -> Found:
        from frostline.data.problem import Problem

        write_predictions(path, Problem.of(catalog), np.arange(n), probabilities)
        return {"bytes": path.stat().st_size}

    return run


def report(n: int, folder: Path) -> Call:
    """audit.json and report.html of a set with many copies, leaks and unreadable images."""
    from frostline.core.actions import TapsHead
    from frostline.core.files import write_text
    from frostline.core.plan import Plan
    from frostline.core.run_record import Metrics, RunRecord
    from frostline.data.audit import audit
    from frostline.report import ReportData, write_report

    catalog = simulated.catalog_of(n, parts=True)
    catalog = catalog.without(dict.fromkeys(range(0, n, 20), "image file is truncated"))
    found = audit(catalog, None)
    plan = Plan(
        case=1, prior="", strategy="head", chosen="head on all taps", backbone="simulated",
        cut=None, removed=[], frozen=list(simulated.SLICES), trained=[], new=["head"], seed=0,
        action=TapsHead(taps=list(simulated.SLICES)), evidence=None, candidates=[],
        explanation=[],
    )  # fmt: skip

    half = {"accuracy": 0.5, "accuracy_interval": (0.4, 0.6), "macro_f1": 0.5}
    rest = {"balanced_accuracy": 0.5, "balanced_accuracy_interval": (0.4, 0.6), "ece": 0.1}
    test = {"method": "given", "n": n, **half, **rest, "nll": 1.0, "brier": 0.5}
    metrics = Metrics.model_validate(
        {"test": test, "n_train": n, "n_test": n, "frozen_verified": True}
    )

    def run() -> Found:
        told = found.record(catalog)
        write_text(folder / "audit.json", json.dumps(told.to_json(), indent=2))
        record = RunRecord(plan=plan, metrics=metrics, audit=told, classes=catalog.classes)
        write_report(folder / "report.html", data=ReportData(record=record))
        sizes = {name: (folder / name).stat().st_size for name in ("audit.json", "report.html")}
        return {f"bytes of {name}": size for name, size in sizes.items()}

    return run


def store_of_features(n: int, folder: Path) -> Call:
    """Write all taps to the store in shards, under a limit that holds half, and look them up."""
    from frostline.compute.cache.eviction import Watch, keep_within_limit
    from frostline.compute.cache.locations import images_folder
    from frostline.compute.cache.store import SHARD_ROWS, Field, ImageStore

    del folder
    fields = {"taps": Field("float32", (simulated.WIDTH,))}
    taps, digests = simulated.taps_of(n), [f"{i:064x}" for i in range(n)]

    def run() -> Found:
        kept = ImageStore(images_folder("simulated"), fields)
        watch = Watch()
        for start in range(0, n, SHARD_ROWS):
            rows = slice(start, start + SHARD_ROWS)
            kept.add(digests[rows], {"taps": taps[rows]})
            watch.wrote(taps[rows].nbytes)
        kept.compact()
        keep_within_limit()
        _, there = kept.get(digests)
        size = sum(path.stat().st_size for path in kept.folder.iterdir())
        return {"share_kept": float(there.mean()), "bytes": size}

    return run


def _store(n: int) -> Frozen:
    return cast("Frozen", simulated.SimulatedStore(simulated.taps_of(n)))


STEPS: dict[str, Callable[[int, Path], Call]] = {
    "catalog checks": checks,
    "exact copies, leaks": copies,
    "near-duplicates": near_duplicates,
    "split": split,
    "folds of mixed groups": folds,
    "ridge, leave-one-out": ridge,
    "ridge, ten groups": ridge_of_ten_groups,
    "evidence": evidence,
    "calibration": calibration,
    "scores with intervals": scores,
    "predictions.csv": predictions,
    "audit.json, report": report,
    "store of features": store_of_features,
}
