"""What the page on several labels works out of its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Result = Mapping[str, Any]


def labels(found: Result) -> Result:
    """Compare the head with the other models on every set, and add up calibrated labels."""
    sets = {name: data for name, data in found["heads"].items() if name != "machine"}
    shown: dict[str, dict[str, Result]] = {}
    for name, data in sets.items():
        shown[name] = {}
        for way, mean in data["mean"].items():
            each = [run[way]["map"] for run in data["runs"]]
            shown[name][way] = {**mean, "lowest": min(each), "highest": max(each)}
    own = [data["mean"]["frostline"] for data in sets.values()]
    chosen = [
        {"name": name, **mean, "slower": mean["seconds"] / data["mean"]["frostline"]["seconds"]}
        for name, data in sets.items()
        for way, mean in data["mean"].items()
        if way.startswith("C chosen")
    ]
    n, above = sum(one["labels"] for one in own), sum(one["above"] for one in own)
    return {
        **found,
        "shown": shown,
        "closest": min(chosen, key=lambda one: float(one["gain"])),
        "slower": min(one["slower"] for one in chosen),
        "fixed": min(data["mean"]["C=1"]["gain"] for data in sets.values()),
        "calibrated": {"labels": n, "above": above},
        "expected": n / 20,
        "two": sets["solar cells"]["mean"],
        "one_class": {name: run for name, run in found["classes"].items() if name != "machine"},
        "covered": {name: run for name, run in found["coverage"].items() if name != "machine"},
        "many": found["unknown"]["rows"][-1],
    }
