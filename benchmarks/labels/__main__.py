"""How good several labels are: beside scikit-learn and fastai, calibrated, covered.

    python -m benchmarks.labels --fonts FOLDER --solar-cells TABLE --work .labels
    python -m benchmarks.labels ... --parts peers --fastai PYTHON  # that has fastai

Glyph pages (0 to 4 of 20 symbols on each, once more with other fonts in the test) and solar cells
(defect, monocrystalline). Taps of the default network are computed once and kept in ``--work``.
Parts: ``heads`` (the head of a fit beside independent logistic regressions of scikit-learn on the
same taps, three divisions each), ``classes`` (sets of one class an image, given as several labels),
``coverage`` (sets over 200 divisions), ``refitted`` (what calibration
itself adds), ``intervals`` and ``unknown`` (of drawn labels, how
often intervals of mean average precision hold, and what unknown cells cost), ``peers`` (whole jobs
beside fastai). Updates benchmarks/results/labels.json part by part.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.accuracy_and_time import machine
from benchmarks.labels.calibration import calibration, refitted
from benchmarks.labels.coverage import BOUND, CALIBRATE, TEACH, coverage
from benchmarks.labels.heads import Told, logistic, ours
from benchmarks.labels.peers import peers
from benchmarks.labels.sets import Array, Taps, class_sets, label_sets
from benchmarks.labels.simulated import intervals, unknown_cells
from frostline.data.splitting.stratified import stratified_holdout

RESULTS = Path(__file__).parents[1] / "results" / "labels.json"
SEEDS, CLASS_SEEDS, TIMES = (0, 1, 2), (0, 1, 2, 3, 4), 200
_TEST = 1 / 3
OURS = "frostline"
WAYS: dict[str, Callable[[Taps, Array, Array, Array], Told]] = {
    OURS: ours,
    "C=1": logistic,
    "C chosen": partial(logistic, chosen=True),
    "C chosen, taps scaled": partial(logistic, chosen=True, scaled=True),
}


def main() -> None:
    """Measure the parts that are asked for."""
    options = _options()
    sets = label_sets(options.fonts, options.work)
    classes = class_sets(options.fonts, options.solar_cells, options.work)
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}

    def earlier(part: str, name: str) -> list[dict[str, Any]]:
        """Runs of before, of which some ways are measured anew."""
        found: list[dict[str, Any]] = before.get(part, {}).get(name, {}).get("runs", [])
        return found if options.only_ours else []

    measure: dict[str, Callable[[], dict[str, Any]]] = {
        "heads": lambda: {
            name: _heads(make(), earlier("heads", name)) for name, make in sets.items()
        },
        "classes": lambda: {
            name: _classes(make(), earlier("classes", name)) for name, make in classes.items()
        },
        "coverage": lambda: {name: coverage(make(), TIMES) for name, make in sets.items()},
        "refitted": lambda: _refitted(sets["glyph pages"]()),
        "intervals": intervals,
        "unknown": unknown_cells,
        "peers": lambda: peers(options.fonts, options.work, options.fastai),
    }
    for part in options.parts:
        measured = {**measure[part](), "machine": machine()}
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found[part] = measured
        found["divided"] = {
            "teach": TEACH,
            "calibrate": CALIBRATE,
            "times": TIMES,
            "bound": BOUND,
            "test": round(_TEST, 3),
        }
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(part, json.dumps(found[part], indent=1), flush=True)


def _heads(taps: Taps, before: list[dict[str, Any]]) -> dict[str, Any]:
    runs = []
    for place, seed in enumerate(SEEDS):
        teach, judge = stratified_holdout(
            taps.truth, taps.groups, taps.digests, fraction=_TEST, seed=seed
        )
        truth = taps.truth[judge]
        run: dict[str, Any] = {"seed": seed, "teach": len(teach), "judge": len(judge)}
        for name, way in WAYS.items():
            if before and name != OURS:
                run[name] = before[place][name]
                continue
            told = way(taps, taps.truth, teach, judge)
            precise = average_precision_score(truth, told.probabilities, average="macro")
            run[name] = {
                "map": round(float(precise), 5),
                "seconds": round(told.seconds, 2),
                **calibration(told.probabilities, truth, seed),
            }
        runs.append(run)
        print(json.dumps(run), flush=True)
    best = {name: _summed(name, runs) for name in WAYS}
    return {"images": len(taps.truth), "labels": len(taps.classes), "mean": best, "runs": runs}


def _summed(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over divisions, and by how much the mAP of this way is above the other, at least."""
    own = [run[name] for run in runs]
    gains = [100 * (run[OURS]["map"] - run[name]["map"]) for run in runs]
    return {
        "map": float(np.mean([one["map"] for one in own])),
        "seconds": float(np.mean([one["seconds"] for one in own])),
        "ece": float(np.mean([one["ece"] for one in own])),
        "limit": float(np.mean([one["limit"] for one in own])),
        "above": sum(one["above"] for one in own),
        "labels": sum(one["labels"] for one in own),
        "gain": float(np.mean(gains)),
        "gain_lowest": min(gains),
        "gain_highest": max(gains),
    }


def _refitted(taps: Taps) -> dict[str, Any]:
    """Return what exactly right probabilities show once their scale and bias were fitted."""
    runs = []
    for seed in SEEDS:
        teach, judge = stratified_holdout(
            taps.truth, taps.groups, taps.digests, fraction=_TEST, seed=seed
        )
        told = ours(taps, taps.truth, teach, judge)
        if told.left_out is not None:
            runs.append(refitted(told.left_out, told.probabilities, seed))
    return {key: sum(run[key] for run in runs) for key in ("labels", "above")}


def _classes(taps: Taps, before: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit one class an image, and the same as several labels, of which the likeliest is taken."""
    runs = []
    several = np.eye(len(taps.classes))[taps.truth]
    for place, seed in enumerate(CLASS_SEEDS):
        teach, judge = stratified_holdout(
            taps.truth, taps.groups, taps.digests, fraction=_TEST, seed=seed
        )
        run: dict[str, Any] = {"seed": seed, "teach": len(teach), "judge": len(judge)}
        for name, truth in (("single", taps.truth), ("several", several)):
            if before and name == "single":
                run[name] = before[place][name]
                continue
            told = ours(taps, truth, teach, judge)
            right = told.probabilities.argmax(axis=1) == taps.truth[judge]
            run[name] = {"accuracy": float(right.mean()), "seconds": round(told.seconds, 2)}
        runs.append(run)
        print(json.dumps(run), flush=True)
    mean = {
        name: float(np.mean([run[name]["accuracy"] for run in runs]))
        for name in ("single", "several")
    }
    losses = [100 * (run["single"]["accuracy"] - run["several"]["accuracy"]) for run in runs]
    return {
        "images": len(taps.truth),
        "classes": len(taps.classes),
        **mean,
        "loss": float(np.mean(losses)),
        "loss_lowest": min(losses),
        "loss_highest": max(losses),
        "runs": runs,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, required=True, help="Folder of font files.")
    parser.add_argument("--solar-cells", type=Path, required=True, help="Table of 4 levels.")
    parser.add_argument("--work", type=Path, required=True, help="Folder for taps.")
    parser.add_argument(
        "--only-ours", action="store_true", help="Only several labels here anew, not the others."
    )
    parser.add_argument("--fastai", type=Path, help="A Python that can import fastai and timm.")
    parts = ("heads", "classes", "coverage", "refitted", "intervals", "unknown", "peers")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    return parser.parse_args()


if __name__ == "__main__":
    main()
