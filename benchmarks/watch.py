"""Does a watch cry wolf, how soon does it find what changed, and at the right end of the network?

    python -m benchmarks.watch --clip-art DIR --fonts DIR --store DIR

On digits, letters, clip art and solar cells the bundled network's features are computed once and
stored; some classes are kept apart. Known pictures are divided anew for every stream: some are
described, some left out, and the rest comes in, so that nothing changed. Then pictures of a change
come in at once, or after 100 that did not change: blur, noise, light on dark, JPEG 20, letters of
other fonts (the camera: early), and classes that nobody has seen (the content: late). Goes on where
it stopped. Writes benchmarks/results/watch.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy_and_time import machine
from benchmarks.watching.ends import COMPARED, columns_of, judged, profiles
from benchmarks.watching.sets import WatchedSet, features_of, sets
from frostline.stats.drift import DriftReference, fit_drift_reference
from frostline.stats.drift_watch import DriftWatch

RESULTS = Path(__file__).parent / "results" / "watch.json"
#: streams without a change in all, and with each change of each set
CLEAN, CHANGED = 1000, 50
#: images of a stream, at most, and those that come before a later change
LENGTH, BEFORE = 200, 100
#: images that are described, and left out, at most
DESCRIBED, LEFT_OUT = 300, 400
DEPTHS = 5
#: divisions by which ways of telling early from late are compared
DIVISIONS = 4
RATES = (0.01, 0.05, 0.1)
ENDS = {"new classes": "late"}

Table = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def main() -> None:
    """Measure everything, print a table, write the file."""
    parser = argparse.ArgumentParser()
    for name in ("clip-art", "fonts", "store"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args()
    made = sets(asked.clip_art, asked.fonts)
    found: dict[str, Any] = {}
    every: list[WatchedSet] = []
    for name, make in made.items():
        one = features_of(make, asked.store / f"{name}.npz")
        told = once(asked.store / f"{name} clean.json", partial(clean, one, CLEAN // len(made)))
        told["changes"] = once(asked.store / f"{name} changes.json", partial(changes, one))
        found[name] = told
        every.append(one)
        print(name, json.dumps(found[name]), flush=True)
    whole = {"machine": machine(), "seeds": "0 to the number of streams", **together(found)}
    whole |= {"length": LENGTH, "before": BEFORE, "changed_streams": CHANGED, "sets": found}
    whole["ends"] = once(asked.store / "ends.json", partial(ends, every))
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(together(found), indent=1))


def once(kept: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was measured before, or measure and keep it."""
    if not kept.exists():
        kept.write_text(json.dumps(work()))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def clean(one: WatchedSet, streams: int) -> dict[str, Any]:
    """Return how often streams without a change raise an alarm, by what was promised."""
    alarms = dict.fromkeys(map(str, RATES), 0)
    for seed in range(streams):
        reference, rest = divided(one, seed)
        watch = DriftWatch(reference, false_alarms=RATES[0], seed=seed)
        shown(watch, one, rest)
        # money that reached what another rate asks for would have raised its alarm
        for rate in RATES:
            alarms[str(rate)] += int(watch.strongest >= watch.needed + np.log10(RATES[0] / rate))
    return {"streams": streams, "length": len(rest), "alarms": alarms}


def changes(one: WatchedSet) -> dict[str, Any]:
    """Return what is found of every change, at once and after pictures without one."""
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(CHANGED):
        reference, rest = divided(one, seed)
        for name, table in one.changed.items():
            for before in (0, BEFORE):
                what = f"{name}, {before} before" if before else name
                told = stream(reference, one, rest[:before], table, seed)
                found.setdefault(what, []).append(told)
    return {name: summary(streams, name) for name, streams in found.items()}


def divided_rows(one: WatchedSet, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return the rows that are described, left out, and come in."""
    order = np.random.default_rng([11, seed]).permutation(len(one.clean))
    n = len(order)
    first, second = min(DESCRIBED, int(0.35 * n)), min(LEFT_OUT, int(0.35 * n))
    return order[:first], order[first : first + second], order[first + second :][:LENGTH]


def divided(one: WatchedSet, seed: int) -> tuple[DriftReference, Table]:
    """Return a reference, and pictures that it has not seen."""
    described, left_out, rest = divided_rows(one, seed)
    tables = [columns(one, one.clean[rows]) for rows in (described, left_out)]
    means = [table.shape[1] // 2 for table in tables[0]]
    return fit_drift_reference(*tables, means=means), one.clean[rest]


def columns(one: WatchedSet, rows: Table) -> list[Table]:
    """Return the features of the depths that are watched."""
    return columns_of(one, rows, DEPTHS)


def ends(every: list[WatchedSet]) -> dict[str, Any]:
    """Return how well several ways tell a change of the camera from one of the content."""
    ratios: dict[str, list[tuple[float, bool]]] = {}
    for one in every:
        for seed in range(DIVISIONS):
            left_out = divided_rows(one, seed)[1]
            reference, _ = divided(one, seed)
            for name, table in one.changed.items():
                order = np.random.default_rng([12, seed]).permutation(len(table))[:LENGTH]
                tables = columns(one, one.clean[left_out]), columns(one, table[order])
                for way, profile in profiles(reference, *tables).items():
                    for compared, ratio in COMPARED.items():
                        pair = ratio(profile), name not in ENDS
                        ratios.setdefault(f"{way}, {compared}", []).append(pair)
    return judged(ratios)


def shown(watch: DriftWatch, one: WatchedSet, rows: Table) -> None:
    """Show pictures to a watch."""
    if len(rows):
        for scores in watch.reference.scores(columns(one, rows)):
            watch.see_scores(scores)


def stream(
    reference: DriftReference, one: WatchedSet, before: Table, changed: Table, seed: int
) -> dict[str, Any]:
    """Return after how many changed pictures there was an alarm, and where the change begins."""
    watch = DriftWatch(reference, false_alarms=RATES[0], seed=seed)
    shown(watch, one, before)
    early = watch.alarmed
    order = np.random.default_rng([12, seed]).permutation(len(changed))[:LENGTH]
    shown(watch, one, changed[order])
    state = watch.state()
    at = state.alarm_at
    return {
        "alarm": None if at is None or early else at - len(before),
        "end": state.onset.kind,
        "distances": [round(one.distance, 2) for one in state.depths],
    }


def summary(streams: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return how many were found, how soon, and at which end."""
    expected = next((end for what, end in ENDS.items() if name.startswith(what)), "early")
    at = [one["alarm"] if one["alarm"] is not None else np.inf for one in streams]
    half, most = np.median(at), np.quantile(at, 0.9, method="higher")
    return {
        "found": float(np.mean(np.isfinite(at))),
        "median": float(half) if np.isfinite(half) else None,
        "nine_of_ten": float(most) if np.isfinite(most) else None,
        "expected": expected,
        "right_end": float(np.mean([one["end"] == expected for one in streams])),
        "distances": np.median([one["distances"] for one in streams], axis=0).round(2).tolist(),
    }


def together(found: dict[str, Any]) -> dict[str, Any]:
    """Return false alarms of all sets, with what two binomial errors allow, and the ends."""
    n = sum(one["streams"] for one in found.values())
    rates = {}
    for rate in RATES:
        alarms = int(sum(one["alarms"][str(rate)] for one in found.values()))
        allowed = n * rate + 2.0 * float(np.sqrt(n * rate * (1.0 - rate)))
        rates[str(rate)] = {"alarms": alarms, "streams": n, "at_most": round(allowed, 1)}
    at_once = [
        (f"{name}: {what}", one)
        for name, several in found.items()
        for what, one in several["changes"].items()
        if "before" not in what
    ]
    return {
        "false_alarms": rates,
        "right_end": float(np.mean([one["right_end"] for _, one in at_once])),
        "below_nine_of_ten": {
            what: one["right_end"] for what, one in at_once if one["right_end"] < 0.9
        },
    }


if __name__ == "__main__":
    main()
