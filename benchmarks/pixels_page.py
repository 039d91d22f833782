"""What the page on larger images says, worked out from what was recorded."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
#: what a larger image has to gain on the sample
_LEAST = 0.005
_DONE = {"crop": "cropped", "pad": "padded"}


def pixels(found: Result) -> Result:
    """Return what the page says of larger images, from what was recorded."""
    tasks: list[Result] = list(found["tasks"].values())
    cells = next(task for task in tasks if task["task"].startswith("solar cells"))
    first = cells["candidates"][0]
    rules = [_chosen(task) for task in tasks if _sampled(task)]
    gained = [100 * rule["gained"] for rule in rules]
    return {
        "tasks": [
            {
                "task": task["task"],
                "images": task["images"],
                "side": task["shorter side, quartiles"][1],
                "rows": [_row(one) for one in task["candidates"]],
            }
            for task in tasks
        ],
        "costs": [
            {
                "name": _candidate(one),
                "macs": one["gmacs"] / first["gmacs"],
                "seconds": one["processor_seconds_an_image"] / first["processor_seconds_an_image"],
            }
            for one in cells["candidates"]
            if one["gmacs"] and one["processor_seconds_an_image"]
        ],
        "rules": rules,
        "rule": {"mean": statistics.fmean(gained), "least": min(gained), "most": max(gained)},
    }


def _row(one: Result) -> Result:
    stacked, ridge = (one["heads"].get(name, {}) for name in ("stacked", "ridge"))
    return {
        "name": _candidate(one),
        "accuracy": _mean(stacked.get("accuracy")),
        "balanced": _mean(stacked.get("balanced_accuracy")),
        "stacked": _gain(stacked.get("gain")),
        "sample": _gain(stacked.get("gain_on_sample")),
        "ridge": _gain(ridge.get("gain")),
    }


def _mean(values: Sequence[float] | None) -> float | None:
    return statistics.fmean(values) if values else None


def _gain(values: Sequence[Sequence[float]] | None) -> str:
    """Return points with their paired error, both the mean over the splits."""
    if not values:
        return "–"
    gain, error = (100 * statistics.fmean(column) for column in zip(*values, strict=True))
    return f"{gain:+.1f} ± {error:.1f}" if error else "0"


def _sampled(task: Result) -> list[Result]:
    """Return the candidates that a sample could choose besides the first, as their weights crop."""
    return [
        one["heads"]["stacked"]
        for one in task["candidates"][1:]
        if one["resize"] == "crop" and one["heads"].get("stacked", {}).get("gain_on_sample")
    ]


def _chosen(task: Result) -> Result:
    """Say what choosing by the sample would have gained on the test parts."""
    heads = _sampled(task)
    gained, switched = [], 0
    for split in range(len(heads[0]["gain"])):
        told = [head["gain_on_sample"][split] for head in heads]
        good = [i for i, (gain, error) in enumerate(told) if gain > max(error, _LEAST)]
        switched += bool(good)
        taken = max(good, key=lambda i: told[i][0], default=None)
        gained.append(0.0 if taken is None else heads[taken]["gain"][split][0])
    return {
        "task": task["task"],
        "candidates": len(heads),
        "splits": len(gained),
        "switched": switched,
        "gained": statistics.fmean(gained),
    }


def _candidate(one: Result) -> str:
    number = one["network"].rpartition("lite")[2]
    return f"Lite{number} at {one['input_size']}, {_DONE[one['resize']]}"
