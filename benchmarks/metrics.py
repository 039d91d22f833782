"""What asking for a metric, or giving costs, changes on solar cells (elpv), four unequal levels.

    python -m benchmarks.metrics                   # 3 splits, some minutes
    python -m benchmarks.metrics --metrics cost    # one metric anew, beside those that were there

Frozen features of the default network on a sample of 1,400 cells; 75 % of them teach, 25 % judge,
stratified, the same for every metric. Updates benchmarks/results/metrics.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from sklearn.model_selection import train_test_split

from benchmarks.accuracy_and_time import machine
from frostline.cli.demo import write_table
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings, SettingsDict
from frostline.core.stopwatch import Stopwatch
from frostline.fitting.prepare import prepare
from frostline.fitting.procedure import fit_once
from frostline.stats.scores import score

RESULTS = Path(__file__).parent / "results" / "metrics.json"
#: what it costs to take a level (row) for another (column), by their first digit: a broken cell
#: that is built in is dear, a second look is not
COSTS = ((0, 1, 1, 1), (2, 0, 1, 1), (5, 2, 0, 1), (10, 5, 2, 0))
_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "cost")
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "expected_cost")
_CELLS, _TEST = 1400, 0.25


def main() -> None:
    """Fit for every metric on every split, and write all scores of all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--metrics", nargs="+", default=_METRICS, choices=_METRICS)
    options = parser.parse_args()
    runs = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in map(int, options.seeds.split(",")):
            table, classes = _split(Path(folder), seed)
            costs = {
                true: dict(zip(classes, map(float, row), strict=True))
                for true, row in zip(classes, COSTS, strict=True)
            }
            asked: dict[str, SettingsDict] = {
                "accuracy": {},
                "balanced_accuracy": {"metric": "balanced_accuracy"},
                "macro_f1": {"metric": "macro_f1"},
                "cost": {"costs": costs},
            }
            for name in options.metrics:
                settings = asked[name]
                found = _fit(table, {**settings, "effort": "fast", "seed": seed})
                runs[f"{name}, seed {seed}"] = {**found, "metric": name, "machine": machine()}
                print(name, seed, {k: round(found[k], 3) for k in _SCORES}, flush=True)
    means = {
        name: {
            key: round(statistics.mean(r[key] for r in runs.values() if r["metric"] == name), 4)
            for key in _SCORES
        }
        for name in dict.fromkeys(run["metric"] for run in runs.values())
    }
    found = {"cells": _CELLS, "costs": COSTS, "means": means, "runs": runs}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def _split(folder: Path, seed: int) -> tuple[Path, list[str]]:
    """Write a table with a stratified test part; return it, and the classes in their order."""
    with write_table(folder).open(encoding="utf-8") as file:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    labels = [label for _, label in rows]
    rows, _ = train_test_split(rows, train_size=_CELLS, stratify=labels, random_state=0)
    learn, judge = train_test_split(
        rows, test_size=_TEST, stratify=[row[1] for row in rows], random_state=seed
    )
    table = folder / f"split-{seed}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        writer.writerows((*row, "train") for row in learn)
        writer.writerows((*row, "test") for row in judge)
    return table, sorted({row[1] for row in rows})


def _fit(table: Path, settings: SettingsDict) -> dict[str, Any]:
    chosen = Settings(**settings)
    runtime = Runtime(threads=1)
    prepared = prepare(table, chosen, runtime, Stopwatch())
    inputs, test = prepared.inputs, prepared.split.test
    fitted = fit_once(inputs, prepared.split.train, runtime)
    p = fitted.probabilities(inputs.frozen, test)
    answers = fitted.rule.decide(p)
    groups = inputs.problem.groups[test]
    found = score(p, inputs.problem.labels[test], groups=groups, answers=answers, costs=COSTS)
    return {
        "chosen": fitted.plan.chosen,
        "n_train": len(prepared.split.train),
        "n_test": len(test),
        "factors": list(fitted.rule.factors),
        **{name: getattr(found, name) for name in _SCORES},
        "recalls": [row["recall"] for row in found.per_class],
    }


if __name__ == "__main__":
    main()
