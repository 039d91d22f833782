"""Do the reported intervals hold what a large test part shows? Many cheap runs.

    python -m benchmarks.honesty --fonts F --stamps S --clip-art C   # see benchmarks/decision

Each run draws training images from a set of the study, fits a head without gradient training and
judges it as ``frostline fit --effort fast`` does (cross-validation below 500 images, else a
held-out part); then the model meets the whole test part, which nothing of this has seen. Writes
benchmarks/results/honesty.json.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "honesty.json"
_SEEDS = 15
#: the width of the intervals was fitted on the seeds from 0 on
_FIRST = 100


def main() -> None:
    """Run everything and write the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--seeds", type=int, default=_SEEDS)
    parser.add_argument("--first-seed", type=int, default=_FIRST)
    parser.add_argument("--part", nargs="+", default=["glyphs", "lite0"])
    options = parser.parse_args()
    os.environ["FROSTLINE_CACHE"] = str(options.work / "cache")
    from benchmarks.decision.sets import SETS, Places

    places = Places(options.fonts, options.stamps, options.clip_art, options.work)
    runs: list[dict[str, Any]] = []
    for target in SETS.values():
        if target.name == "photos" or target.network not in options.part:
            continue
        for size in ("5", "20", "600"):
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                runs.append(_run(target.name, size, seed, places))
        done = [r for r in runs if r["set"] == target.name]
        print(f"{target.name}: {_share(done):.1%} of {len(done)} intervals hold", flush=True)
        _write(runs)


def _write(runs: list[dict[str, Any]]) -> None:
    by_size: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_size[run["size"]].append(run)
    summary = {
        "runs": len(runs),
        "coverage": round(_share(runs), 4),
        "bias": round(_bias(runs), 3),
        "by_size": {
            size: {"coverage": round(_share(of), 4), "bias": round(_bias(of), 3), "runs": len(of)}
            for size, of in by_size.items()
        },
    }
    RESULTS.write_text(json.dumps({"summary": summary, "runs": runs}, indent=1) + "\n")


def _run(name: str, size: str, seed: int, places: Any) -> dict[str, Any]:
    from benchmarks.decision.cells import prepared
    from benchmarks.decision.sets import SETS

    base, pool, test = prepared(SETS[name], places)
    rows = _draw(base.problem.labels, pool, name, size, seed)
    return {"set": name, "size": size, "seed": seed, **judge(base, rows, test, seed=seed)}


def judge(base: Any, rows: Any, test: Any, *, seed: int) -> dict[str, Any]:
    """Fit to ``rows`` of a task, and compare what is reported with a large test part.

    Parameters
    ----------
    base : FitInputs
    rows, test : int arrays
        Of the task's catalog.
    seed : int
    """
    from benchmarks.decision.cells import runtime, seeded
    from frostline.fitting.assess import assess
    from frostline.fitting.procedure import fit_once
    from frostline.stats.scores import score

    task = seeded(base, seed, effort="fast", budget=None)
    problem = task.problem
    split = _split(task, rows, seed)
    fitted = fit_once(task, split.train, runtime())
    assessed = assess(task, split, fitted, runtime())
    groups = problem.groups[assessed.rows]
    scores = score(assessed.probabilities, problem.labels[assessed.rows], seed=seed, groups=groups)
    if assessed.expected is None:
        raise ValueError("this study is about accuracies")
    low, high = assessed.expected.interval
    large = score(fitted.probabilities(task.frozen, test), problem.labels[test], seed=seed)
    return {
        "n": len(rows),
        "method": assessed.method,
        "measured": round(scores.accuracy, 4),
        "reported": round(assessed.expected.accuracy, 4),
        "interval": [round(low, 4), round(high, 4)],
        "large_test": round(large.accuracy, 4),
        "n_large_test": len(test),
        "balanced_interval": [round(end, 4) for end in scores.balanced_accuracy_interval],
        "balanced_large_test": round(large.balanced_accuracy, 4),
    }


def _draw(labels: Any, pool: Any, name: str, size: str, seed: int) -> Any:
    from benchmarks.decision.glyphs import generator

    order = pool[generator("honesty", name, size, seed).permutation(len(pool))]
    if int(size) > 100:
        return np.sort(order[: int(size)])
    chosen = [order[labels[order] == c][: int(size)] for c in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def _split(task: Any, rows: Any, seed: int) -> Any:
    from frostline.data.splitting.split import Split, stratified_holdout

    nothing = np.zeros(0, dtype=np.int64)
    if len(rows) < 500:
        return Split("cross-validation", rows, nothing, nothing)
    digests = [task.frozen.catalog.digests[row] for row in rows]
    rest, held = stratified_holdout(
        task.problem.labels[rows], task.problem.groups[rows], digests, fraction=0.2, seed=seed
    )
    return Split("held-out", rows[rest], nothing, rows[held])


def _share(runs: list[dict[str, Any]]) -> float:
    inside = [r["interval"][0] <= r["large_test"] <= r["interval"][1] for r in runs]
    return float(np.mean(inside))


def _bias(runs: list[dict[str, Any]]) -> float:
    return 100 * float(np.mean([r["reported"] - r["large_test"] for r in runs]))


if __name__ == "__main__":
    main()
