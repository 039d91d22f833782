"""Is it worth labelling the suggested images first, are forecasts right, does the rule stop?

    python -m benchmarks.suggest --icons DIR --clip-art DIR --photos DIR --fonts DIR --store DIR

On six sets whose labels are known, two images a class and as many more are labelled; then the
rest, as rankings say or at random. The head is the closed form on features of the bundled network,
which are computed once and stored. Writes benchmarks/results/suggest.json.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.accuracy_and_time import machine
from benchmarks.head_sets import Places
from benchmarks.suggesting.curves import Step, curve, division, rows_of, steps
from benchmarks.suggesting.rankings import RANKINGS
from benchmarks.suggesting.sets import described, study_sets

RESULTS = Path(__file__).parent / "results" / "suggest.json"
SEEDS = 20
#: draws for the rankings that ours is compared with, beside chance
OTHERS = 5
_Z = 1.96


def main() -> None:
    """Measure everything, print a table, write the file."""
    parser = argparse.ArgumentParser()
    for name in ("icons", "clip-art", "photos", "fonts", "store"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    places = Places(asked.icons, asked.clip_art, asked.photos)
    found: dict[str, Any] = {}
    for name, make in study_sets(places, asked.photos, asked.fonts).items():
        with TemporaryDirectory() as folder:
            one = described(make, Path(folder), asked.store / name)
        found[name] = measure(one, range(asked.seeds))
        print(name, line(found[name]), flush=True)
        told = {name: in_short(one) for name, one in found.items()}
        whole = {"machine": machine(), "seeds": asked.seeds, "sets": told, **together(found)}
        RESULTS.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(together(found), indent=1))


def measure(one: Any, seeds: range) -> dict[str, Any]:
    """Return curves of every ranking against chance, and the steps of ours."""
    rows = rows_of(one)
    drawn = [division(rows, one.labels, seed) for seed in seeds]
    curves = {}
    for name, ranking in RANKINGS.items():
        some = len(drawn) if name in ("random", "suggested") else min(len(drawn), OTHERS)
        pairs = zip(drawn[:some], seeds, strict=False)
        curves[name] = np.array([curve(d, ranking, seed) for d, seed in pairs])
    chance = curves["random"]
    return {
        "images": len(one.labels),
        "classes": int(one.labels.max()) + 1,
        "start": len(drawn[0].start),
        "pool": len(drawn[0].pool),
        "area_at_random": float(chance[:, 1:].mean()),
        "gained": {
            n: {"draws": len(c), **paired(100 * (c - chance[: len(c)])[:, 1:].mean(axis=1))}
            for n, c in curves.items()
        },
        "curves": {n: [round(float(v), 4) for v in c.mean(axis=0)] for n, c in curves.items()},
        "steps": [
            [s.to_json() for s in steps(one, d, n)] for d, n in zip(drawn, seeds, strict=True)
        ],
    }


def in_short(one: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a set: its steps as means over the draws."""
    runs = one["steps"]
    steps = [
        {k: round(float(np.mean([run[at][k] for run in runs])), 4) for k in runs[0][at]}
        for at in range(min(map(len, runs)))
    ]
    return {**one, "steps": steps}


def paired(points: Any) -> dict[str, float]:
    """Return the mean of paired differences in points, and its 95 % interval."""
    error = float(points.std(ddof=1) / np.sqrt(len(points)))
    mean = float(points.mean())
    return {
        k: round(v, 3)
        for k, v in zip(
            ("mean", "low", "high"), (mean, mean - _Z * error, mean + _Z * error), strict=True
        )
    }


def together(found: dict[str, Any]) -> dict[str, Any]:
    """Return the slope of realised on forecast gains, and where the rule stopped."""
    forecast, realised, stops = [], [], []
    for one in found.values():
        runs = [[Step(**s) for s in run] for run in one["steps"]]
        for at in range(min(map(len, runs)) - 1):
            forecast.append(np.mean([run[at].forecast for run in runs]))
            realised.append(np.mean([run[at + 1].accuracy - run[at].accuracy for run in runs]))
        for run in runs:
            plateau = run[-1].accuracy
            stop = next((s for s in run if not s.more_is_worth_it), run[-1])
            stops.append(
                {
                    "fired": stop.left > 0,
                    "of_plateau": stop.accuracy / plateau,
                    "labels": stop.n_labels / run[-1].n_labels,
                }
            )
    x, y = np.array(forecast), np.array(realised)
    return {
        "slope": round(float(x @ y / (x @ x)), 3),
        "slope_with_intercept": round(float(np.polyfit(x, y, 1)[0]), 3),
        "correlation": round(float(np.corrcoef(x, y)[0, 1]), 3),
        "stops": {
            "runs": len(stops),
            "fired": sum(s["fired"] for s in stops),
            "within_a_tenth": float(np.mean([s["of_plateau"] >= 0.9 for s in stops])),
            "fired_within_a_tenth": float(
                np.mean([s["of_plateau"] >= 0.9 for s in stops if s["fired"]] or [True])
            ),
            "share_of_labels": float(np.mean([s["labels"] for s in stops])),
        },
    }


def line(one: dict[str, Any]) -> str:
    told = [f"{100 * one['area_at_random']:.1f} at random"]
    told += [
        f"{n} {g['mean']:+.2f} ({g['low']:+.2f} to {g['high']:+.2f})"
        for n, g in one["gained"].items()
        if n != "random"
    ]
    return " | ".join(told)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
